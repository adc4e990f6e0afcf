import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { add, option, type Registry } from '../command.ts';

interface ControllerFlags {
  readonly inCluster?: boolean;
  readonly name?: string;
  readonly metricsListen?: string;
}

/** controller: what makes objects true, as a process of its own. */
export function controllerCommand(registry: Registry, program: Command): void {
  add<ControllerFlags>(registry, program, {
    name: 'controller',
    about: 'reconcile the objects of one cluster until Ctrl-C; of several, one leads',
    options: [
      option('--in-cluster', 'of the cluster in which this process is a pod'),
      option('--name <cluster>', 'with --in-cluster: what that cluster is called'),
      option('--metrics-listen <host:port>', 'GET /metrics there, for everybody who can reach it'),
    ],
    details:
      'Clusters of `transship up` have one already, unless started with --no-controller.\n' +
      'Run it where the agents of the cluster are reached, with a kubeconfig that has the\n' +
      'rights of the service account transship-controller.',
    examples: [
      ['transship up east --no-controller -d && transship controller -c east', 'apart'],
      ['transship controller --context prod', 'for any Kubernetes cluster'],
    ],
    run: async (cli, _args, { inCluster, name, metricsListen }) => {
      const { context, kubeconfig } = cli.options;
      const shown = metricsListen === undefined ? {} : { metricsListen };
      if (inCluster === true) {
        const installedAs = checkName(name ?? '', 'cluster');
        return cli.ports.runController({ place: { inCluster }, installedAs, ...shown });
      }
      if (name !== undefined) fail('BadArgument', '--name goes with --in-cluster');
      if (context !== undefined || kubeconfig !== undefined) {
        return cli.ports.runController({ place: { context, kubeconfig }, ...shown });
      }
      return cli.ports.runController({
        place: { cluster: (await cli.client()).cluster },
        ...shown,
      });
    },
  });
}
