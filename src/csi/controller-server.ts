/** The controller service: one for the cluster. */
import type { Volume } from '../api/kinds/volume.ts';
import { fail } from '../base/errors.ts';
import { annotations } from '../controllers/labels.ts';
import { problemOf } from './capability.ts';
import { modifyCalls } from './controller-modify.ts';
import { snapshotCalls } from './controller-snapshots.ts';
import { publishedTo, volumeCalls } from './controller-volumes.ts';
import { codes, CsiError, required } from './errors.ts';
import type { ControllerPorts } from './ports.ts';
import { nameOf, VolumeStore } from './volume-store.ts';
import { controllerCan } from './wire/messages.ts';
import type { Answers, controller } from './wire/services.ts';

type ControllerAnswers = Answers<typeof controller>;

const can: readonly number[] = [
  controllerCan.createDeleteVolume,
  controllerCan.publishUnpublishVolume,
  controllerCan.listVolumes,
  controllerCan.getCapacity,
  controllerCan.createDeleteSnapshot,
  controllerCan.listSnapshots,
  controllerCan.cloneVolume,
  controllerCan.expandVolume,
  controllerCan.listVolumesPublishedNodes,
  controllerCan.volumeCondition,
  controllerCan.getVolume,
  controllerCan.singleNodeMultiWriter,
  controllerCan.modifyVolume,
];

export function controllerServer(ports: ControllerPorts): ControllerAnswers {
  const store = new VolumeStore(ports);
  return {
    ...volumeCalls(store),
    ...snapshotCalls(store),
    ...modifyCalls(store),
    ControllerGetCapabilities: async () => ({
      capabilities: can.map((type) => ({ rpc: { type } })),
    }),
    ControllerPublishVolume: (request) => publish(store, request),
    ControllerUnpublishVolume: async ({ volumeId, nodeId }) => {
      const name = required(volumeId, 'volume id');
      const volume = await store.find(name);
      const node = volume?.metadata.annotations?.[publishedTo];
      // Published to another node since: that is not what is to be undone.
      if (node === undefined || (nodeId !== '' && node !== nodeId)) return {};
      await store.patch(name, { metadata: { annotations: { [publishedTo]: null } } });
      return {};
    },
  };
}

/** One node at a time: who is second hears who was first. */
async function publish(
  store: VolumeStore,
  request: Parameters<ControllerAnswers['ControllerPublishVolume']>[0],
): ReturnType<ControllerAnswers['ControllerPublishVolume']> {
  const name = required(request.volumeId, 'volume id');
  const node = required(request.nodeId, 'node id');
  const problem = problemOf(required(request.volumeCapability, 'volume capability'));
  if (problem !== undefined) fail('BadArgument', problem);
  const volume = await store.get(name);
  const agents = await store.agents();
  if (!agents.some((agent) => agent.name === node)) {
    fail('NotFound', `node ${node} has no agent of this cluster`);
  }
  if (request.readonly) {
    throw new CsiError(codes.invalidArgument, 'Unsupported', 'publish it for writing instead');
  }
  const before = volume.metadata.annotations?.[publishedTo];
  if (before === node) return ledAt(store, volume, node);
  if (before !== undefined) {
    const message = `volume ${name} is published to node ${before}`;
    throw new CsiError(codes.failedPrecondition, 'InUse', message);
  }
  const { resourceVersion = '' } = volume.metadata;
  // Conditional: of two that publish at once, one hears `Conflict` and asks again.
  const metadata = { resourceVersion, annotations: { [publishedTo]: node } };
  return ledAt(store, await store.patch(name, { metadata }), node);
}

/** A volume opens its doors only at the agent that has it, or leads it. */
async function ledAt(
  store: VolumeStore,
  volume: Volume,
  node: string,
): Promise<Record<string, never>> {
  const isThere = ({ status, metadata }: Volume): boolean => {
    const { replicaSet } = status ?? {};
    if (replicaSet !== undefined) return replicaSet.leader === node;
    return metadata.annotations?.[annotations.agent] === node;
  };
  if (isThere(volume)) return {};
  const name = nameOf(volume);
  await store.patch(name, { metadata: { annotations: { [annotations.lead]: node } } });
  await store.waitFor(name, isThere);
  return {};
}
