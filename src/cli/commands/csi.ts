import type { Command } from 'commander';
import { add, option, type Registry } from '../command.ts';

interface CsiFlags {
  readonly endpoint: string;
  readonly node?: string;
  readonly agent?: string;
  readonly agentSocket?: string;
  readonly controller?: boolean;
  readonly plugins?: string;
}

/** csi: the driver that kubelets and sidecars call. */
export function csiCommand(registry: Registry, program: Command): void {
  add<CsiFlags>(registry, program, {
    name: 'csi',
    about: 'serve the Container Storage Interface on a unix socket until Ctrl-C',
    options: [
      option('--endpoint <uri>', 'where to serve, such as unix:///csi/csi.sock', {
        mandatory: true,
        completes: 'file',
      }),
      option('--node <name>', 'serve the node service, for the node of this name'),
      option('--agent <name>', 'the agent of this node; it has the name of the node if not given'),
      option('--agent-socket <path>', "the agent's control socket, instead of asking the cluster", {
        completes: 'file',
      }),
      option('--controller', 'serve the controller service, once in a cluster'),
      option('--plugins <directory>', 'register with the kubelet whose plugins_registry this is', {
        completes: 'file',
      }),
    ],
    details:
      'Beside each agent it runs with --node and --plugins; the kubelet needs nothing else.\n' +
      'Volumes for claims are made by the controllers, so --controller is for sidecars such as\n' +
      'external-snapshotter. The node service needs root and /dev of the node.',
    examples: [
      ['transship csi --endpoint unix:///run/csi.sock --node n1 --controller -c east', 'all of it'],
    ],
    run: async (cli, _args, flags) => {
      const { controller = false, ...rest } = flags;
      const { context, kubeconfig } = cli.options;
      const isNamed = context !== undefined || kubeconfig !== undefined;
      const needsApi = controller || flags.agentSocket === undefined;
      const place =
        isNamed || !needsApi ? { context, kubeconfig } : { cluster: (await cli.client()).cluster };
      return cli.ports.runCsi({ ...rest, controller, place });
    },
  });
}
