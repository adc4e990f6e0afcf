/** Controllers as a process of their own. */
import type { ApiPlace } from '../cli/ports.ts';
import { startControllers } from '../controllers/manager.ts';
import { controllerIdentity, controllerManager, controllerPorts } from './controllers.ts';
import { openApi } from './kube-access.ts';
import { createMetrics } from './metrics.ts';
import { runService } from './service-process.ts';

/** Runs until it is told to stop; resolves with the exit code. */
export async function runController(home: string, place: ApiPlace): Promise<number> {
  const { client } = await openApi(home, place, controllerManager);
  return runService({
    what: 'controller',
    cluster: client.cluster,
    onReady: () => undefined,
    wire: async ({ undo }) => {
      const identity = controllerIdentity();
      const ports = controllerPorts(client, createMetrics(), identity);
      undo.push(() => ports.close());
      const controllers = startControllers(ports, { identity, leaderElection: true });
      undo.push(() => controllers.stop());
    },
  });
}
