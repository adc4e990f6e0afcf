import type { Command } from 'commander';
import { add, type Registry } from '../command.ts';

/** controller: what makes objects true, as a process of its own. */
export function controllerCommand(registry: Registry, program: Command): void {
  add<Record<string, never>>(registry, program, {
    name: 'controller',
    about: 'reconcile the objects of one cluster until Ctrl-C; of several, one leads',
    details:
      'Clusters of `transship up` have one already, unless started with --no-controller.\n' +
      'Run it where the agents of the cluster are reached, with a kubeconfig that has the\n' +
      'rights of the service account transship-controller.',
    examples: [
      ['transship up east --no-controller -d && transship controller -c east', 'apart'],
      ['transship controller --context prod', 'for any Kubernetes cluster'],
    ],
    run: async (cli) => {
      const { context, kubeconfig } = cli.options;
      if (context !== undefined || kubeconfig !== undefined) {
        return cli.ports.runController({ context, kubeconfig });
      }
      return cli.ports.runController({ cluster: (await cli.client()).cluster });
    },
  });
}
