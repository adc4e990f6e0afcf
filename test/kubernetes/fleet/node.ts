/**
 * A node beside a real API server: scheduler, kubelet and the provisioner of directories of the
 * embedded clusters, so that pods are processes of this machine on both kinds of clusters.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { directoryClass } from '../../../src/embedded/runtime/storage/directory-class.ts';
import type { Runtime } from '../../../src/embedded/runtime/runtime.ts';
import { applyObjects } from '../../../src/controllers/install.ts';
import { createClock } from '../../../src/host/clock.ts';
import { startMachinery } from '../../../src/host/control-plane/machinery.ts';
import { planePaths } from '../../../src/host/control-plane/paths.ts';
import { openKubeTransport } from '../../../src/host/kube-transport.ts';
import { readKubeconfigFile } from '../../../src/host/kube-transport-config.ts';
import { createLog } from '../../../src/host/log.ts';
import { createMetrics } from '../../../src/host/metrics.ts';
import { createRandom } from '../../../src/host/random.ts';
import type { Undo } from '../../../src/host/service-process.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import type { ControlPlane } from '../control-plane/control-plane.ts';
import { kubeletClientName } from '../control-plane/flags.ts';
import { openKubeletDoor } from './kubelet-door.ts';

export interface TestNode {
  /** Ends its pods' processes; the API server must still be there. */
  stop(): Promise<void>;
}

/** As an administrator, with a log of its own: who kills an API server knows what that says. */
async function openClient(name: string, plane: ControlPlane): Promise<KubeClient> {
  const file = readKubeconfigFile(plane.adminKubeconfigPath);
  const transport = await openKubeTransport({ ...file, context: undefined });
  const path = join(plane.directory, 'node.log');
  const write = (line: string): void => appendFileSync(path, line);
  return createKubeClient({
    cluster: name,
    transport,
    clock: createClock(),
    random: createRandom(),
    log: createLog({ format: 'human', level: 'info', write }),
    fieldManager: 'kubelet',
  });
}

/** Named as the cluster, as in embedded ones. Resolves when it takes pods. */
export async function startNode(
  home: string,
  name: string,
  plane: ControlPlane,
): Promise<TestNode> {
  const client = await openClient(name, plane);
  const undo: Undo[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  try {
    const late: { runtime?: Runtime } = {};
    const door = await openKubeletDoor({
      identity: plane.issueServer(name),
      authority: plane.caPem,
      clientName: kubeletClientName,
      readLog: async (request) => {
        if (late.runtime === undefined) throw new Error('the node does not run yet');
        return late.runtime.readLog(request);
      },
    });
    undo.push(() => door.close());
    await applyObjects(client, [directoryClass()]);
    const { hostname, port } = new URL(plane.url);
    late.runtime = startMachinery({
      home,
      start: { name },
      paths: planePaths(home, name),
      client,
      metrics: createMetrics(),
      apiServer: { host: hostname, port: Number(port), authority: plane.caPem },
      undo,
      parts: 'node',
      kubeletPort: door.port,
    });
    await late.runtime.started;
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
