/** Controllers as a process of their own. */
import type { ControllerRun } from '../cli/ports.ts';
import { ensureAgentCertificates } from '../controllers/agents/certificates.ts';
import { ensureLocalCluster } from '../controllers/agents/local.ts';
import { startControllers } from '../controllers/manager.ts';
import type { KubeClient } from '../kube/api.ts';
import { createCertificateMaker } from './agent-certificates.ts';
import { serveMetricsTo } from './control-server.ts';
import type { ControlTls } from './control-tls.ts';
import { controllerIdentity, controllerManager, controllerPorts } from './controllers.ts';
import { openApi } from './kube-access.ts';
import { createMetrics } from './metrics.ts';
import { runService, type Wiring } from './service-process.ts';
import { parseListen } from './settings.ts';

/** Certificates are renewed half a year before they end. */
const renewEveryMs = 12 * 3600 * 1000;

/** Runs until it is told to stop; resolves with the exit code. */
export async function runController(home: string, run: ControllerRun): Promise<number> {
  const { client } = await openApi(home, run.place, controllerManager);
  return runService({
    what: 'controller',
    cluster: run.installedAs ?? client.cluster,
    onReady: () => undefined,
    wire: async (wiring) => {
      const identity = controllerIdentity();
      const metrics = createMetrics();
      if (run.metricsListen !== undefined) {
        const place = parseListen(run.metricsListen);
        const shown = await serveMetricsTo(place, () => metrics.text());
        wiring.undo.push(() => shown.close());
      }
      const { installedAs } = run;
      const agentTls =
        installedAs === undefined ? undefined : await prepare(client, installedAs, wiring);
      const own = agentTls === undefined ? { metrics, identity } : { metrics, identity, agentTls };
      const ports = controllerPorts(client, own);
      wiring.undo.push(() => ports.close());
      const controllers = startControllers(ports, { identity, leaderElection: true });
      wiring.undo.push(() => controllers.stop());
    },
  });
}

/** What an installation cannot have before somebody runs in it. */
async function prepare(
  client: KubeClient,
  name: string,
  { log, undo }: Wiring,
): Promise<() => ControlTls> {
  const { clock } = client.connection;
  const maker = createCertificateMaker(() => clock.wallMs());
  await ensureLocalCluster(client, name);
  let tls = await ensureAgentCertificates(client, maker);
  const renewing = setInterval(() => {
    ensureAgentCertificates(client, maker).then(
      (renewed) => {
        tls = renewed;
      },
      (error: unknown) => log.log('warn', 'certificates of agents cannot be renewed', { error }),
    );
  }, renewEveryMs);
  undo.push(() => clearInterval(renewing));
  return () => tls;
}
