/** Calls of the controller service about snapshots: those that the agents keep in their volumes. */
import type { Volume } from '../api/kinds/volume.ts';
import type { SnapshotObject } from '../api/objects.ts';
import { asTransshipError, fail } from '../base/errors.ts';
import { required } from './errors.ts';
import { isGroupName, nameFor, parseSnapshotId, snapshotId } from './ids.ts';
import { pageOf } from './paging.ts';
import { nameOf, type VolumeStore } from './volume-store.ts';
import type { SnapshotDraft } from './wire/messages.ts';
import type { Answers, controller } from './wire/services.ts';

/** A snapshot and the volume that it is of. */
export interface Placed {
  readonly volume: string;
  readonly snapshot: SnapshotObject;
}

export function snapshotCalls(
  store: VolumeStore,
): Pick<Answers<typeof controller>, 'CreateSnapshot' | 'DeleteSnapshot' | 'ListSnapshots'> {
  return {
    CreateSnapshot: async ({ name: asked, sourceVolumeId }) => {
      const name = nameFor(required(asked, 'name'));
      const source = required(sourceVolumeId, 'source volume id');
      // A name is one snapshot's in the whole cluster, whatever volume it is of.
      const elsewhere = (await everySnapshot(store)).find(({ volume, snapshot }) => {
        return snapshot.metadata.name === name && volume !== source;
      });
      if (elsewhere !== undefined) {
        fail('AlreadyExists', `volume ${elsewhere.volume} has a snapshot ${name} already`);
      }
      const volume = await store.get(source);
      return { snapshot: draftOf(await ensureSnapshot(store, volume, name)) };
    },
    DeleteSnapshot: async ({ snapshotId: id }) => {
      const parsed = parseSnapshotId(required(id, 'snapshot id'));
      const volume = parsed === undefined ? undefined : await store.find(parsed.volume);
      if (parsed === undefined || volume === undefined) return {};
      await removeSnapshot(store, volume, parsed.snapshot);
      return {};
    },
    ListSnapshots: async ({ maxEntries, startingToken, sourceVolumeId, snapshotId: id }) => {
      const all = await wantedSnapshots(store, sourceVolumeId, id);
      const { entries, nextToken } = pageOf(all, maxEntries, startingToken);
      return { entries: entries.map((one) => ({ snapshot: draftOf(one) })), nextToken };
    },
  };
}

/** One that is gone already is fine. */
export async function removeSnapshot(
  store: VolumeStore,
  volume: Volume,
  name: string,
): Promise<void> {
  const agent = await store.agentOf(volume);
  try {
    await agent.control.call('volume.delete-snapshot', { volume: nameOf(volume), name });
  } catch (error) {
    if (asTransshipError(error).reason !== 'NotFound') throw error;
  }
}

async function ensureSnapshot(store: VolumeStore, volume: Volume, name: string): Promise<Placed> {
  const agent = await store.agentOf(volume);
  const request = { volume: nameOf(volume), name };
  try {
    const snapshot = await agent.control.call('volume.snapshot', request);
    return { volume: request.volume, snapshot };
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
  }
  const all = await store.snapshotsOf(volume);
  const snapshot = all.find(({ metadata }) => metadata.name === name);
  if (snapshot === undefined) fail('Conflict', `snapshot ${name} was deleted meanwhile`);
  return { volume: request.volume, snapshot };
}

async function wantedSnapshots(
  store: VolumeStore,
  sourceVolumeId: string,
  id: string,
): Promise<readonly Placed[]> {
  if (id === '' && sourceVolumeId === '') return everySnapshot(store);
  const parsed = id === '' ? { volume: sourceVolumeId, snapshot: undefined } : parseSnapshotId(id);
  if (parsed === undefined) return [];
  if (sourceVolumeId !== '' && parsed.volume !== sourceVolumeId) return [];
  const volume = await store.find(parsed.volume);
  if (volume === undefined) return [];
  const all = await placedOf(store, volume);
  return all.filter(({ snapshot }) => {
    return parsed.snapshot === undefined || snapshot.metadata.name === parsed.snapshot;
  });
}

/** In the order of the volumes' names; only volumes that say they have some are asked. */
export async function everySnapshot(store: VolumeStore): Promise<readonly Placed[]> {
  const found: Placed[] = [];
  for (const volume of await store.list()) {
    if (volume.metadata.deletionTimestamp !== undefined) continue;
    found.push(...(await placedOf(store, volume)));
  }
  return found;
}

export async function placedOf(store: VolumeStore, volume: Volume): Promise<readonly Placed[]> {
  const name = nameOf(volume);
  try {
    const all = await store.snapshotsOf(volume);
    return all.map((snapshot) => ({ volume: name, snapshot }));
  } catch (error) {
    // Not made yet, or deleted meanwhile.
    if (asTransshipError(error).reason === 'NotFound') return [];
    throw error;
  }
}

export function draftOf({ volume, snapshot }: Placed): SnapshotDraft {
  const { name, creationTimestamp = '' } = snapshot.metadata;
  const atMs = Date.parse(creationTimestamp);
  const seconds = Number.isNaN(atMs) ? 0 : Math.floor(atMs / 1000);
  return {
    snapshotId: snapshotId({ volume, snapshot: name }),
    sourceVolumeId: volume,
    sizeBytes: snapshot.status.sizeBytes,
    creationTime: { seconds, nanos: Number.isNaN(atMs) ? 0 : (atMs % 1000) * 1_000_000 },
    readyToUse: true,
    ...(isGroupName(name) ? { groupSnapshotId: name } : {}),
  };
}
