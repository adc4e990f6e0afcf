/**
 * The group controller service: snapshots of several volumes at one moment. All agents hold back
 * what is written before any of them keeps its snapshots, so none of these has a write without
 * those that came before it in another volume.
 */
import type { Volume } from '../api/kinds/volume.ts';
import { fail } from '../base/errors.ts';
import {
  draftOf,
  everySnapshot,
  type Placed,
  placedOf,
  removeSnapshot,
} from './controller-snapshots.ts';
import { codes, CsiError, required } from './errors.ts';
import { groupNameFor, isGroupName, parseSnapshotId } from './ids.ts';
import type { AgentDoor, ControllerPorts } from './ports.ts';
import { nameOf, VolumeStore } from './volume-store.ts';
import { type GroupSnapshotDraft, groupControllerCan } from './wire/messages.ts';
import type { Answers, groupController } from './wire/services.ts';

/** As long as agents hold at most: what takes longer is tried again. */
const holdMs = 10_000;

export function groupServer(ports: ControllerPorts): Answers<typeof groupController> {
  const store = new VolumeStore(ports);
  return {
    GroupControllerGetCapabilities: async () => ({
      capabilities: Object.values(groupControllerCan).map((type) => ({ rpc: { type } })),
    }),
    CreateVolumeGroupSnapshot: async ({ name: asked, sourceVolumeIds }) => {
      const name = groupNameFor(required(asked, 'name'));
      const sources = [...new Set(sourceVolumeIds)].toSorted();
      required(sources[0], 'source volume id');
      const volumes = await Promise.all(sources.map((id) => store.get(required(id, 'volume id'))));
      const placed = await ensureGroup(store, name, volumes);
      return { groupSnapshot: groupDraftOf(name, placed) };
    },
    DeleteVolumeGroupSnapshot: async ({ groupSnapshotId, snapshotIds }) => {
      const name = required(groupSnapshotId, 'group snapshot id');
      checkMembers(name, snapshotIds);
      for (const { volume } of await membersOf(store, name)) {
        const object = await store.find(volume);
        if (object !== undefined) await removeSnapshot(store, object, name);
      }
      return {};
    },
    GetVolumeGroupSnapshot: async ({ groupSnapshotId, snapshotIds }) => {
      const name = required(groupSnapshotId, 'group snapshot id');
      const placed = await membersOf(store, name);
      if (placed.length === 0) fail('NotFound', `there is no group snapshot ${name}`);
      checkMembers(name, snapshotIds);
      return { groupSnapshot: groupDraftOf(name, placed) };
    },
  };
}

/** A snapshot of another group is the caller's mistake. */
function checkMembers(name: string, snapshotIds: readonly string[]): void {
  const other = snapshotIds.find((id) => parseSnapshotId(id)?.snapshot !== name);
  if (other === undefined) return;
  const message = `snapshot ${other} is not one of group snapshot ${name}`;
  throw new CsiError(codes.invalidArgument, 'BadArgument', message);
}

async function membersOf(store: VolumeStore, name: string): Promise<readonly Placed[]> {
  if (!isGroupName(name)) return [];
  return (await everySnapshot(store)).filter(({ snapshot }) => snapshot.metadata.name === name);
}

/** What is there in part was cut off: it is of a moment that the rest is not of. */
async function ensureGroup(
  store: VolumeStore,
  name: string,
  volumes: readonly Volume[],
): Promise<readonly Placed[]> {
  const there = await membersOf(store, name);
  const wanted = new Set(volumes.map(nameOf));
  const other = there.find(({ volume }) => !wanted.has(volume));
  if (other !== undefined) {
    fail('AlreadyExists', `group snapshot ${name} exists, with volume ${other.volume}`);
  }
  if (there.length === volumes.length) return there;
  const named = new Set(there.map(({ volume }) => volume));
  await removeAll(
    store,
    name,
    volumes.filter((volume) => named.has(nameOf(volume))),
  );
  try {
    await keepTogether(await byAgent(store, volumes), name);
  } catch (error) {
    await removeAll(store, name, volumes);
    throw error;
  }
  const placed = await Promise.all(volumes.map((volume) => placedOf(store, volume)));
  return placed.flat().filter(({ snapshot }) => snapshot.metadata.name === name);
}

async function removeAll(
  store: VolumeStore,
  name: string,
  volumes: readonly Volume[],
): Promise<void> {
  await Promise.all(volumes.map((volume) => removeSnapshot(store, volume, name)));
}

interface Part {
  readonly agent: AgentDoor;
  readonly volumes: string[];
}

async function byAgent(store: VolumeStore, volumes: readonly Volume[]): Promise<readonly Part[]> {
  const parts = new Map<string, Part>();
  for (const volume of volumes) {
    const agent = await store.agentOf(volume);
    const part = parts.get(agent.name) ?? { agent, volumes: [] };
    part.volumes.push(nameOf(volume));
    parts.set(agent.name, part);
  }
  return [...parts.values()];
}

/** All hold before the first lets go; each lets go when it has kept its part. */
async function keepTogether(parts: readonly Part[], name: string): Promise<void> {
  const held = await Promise.allSettled(
    parts.map(async ({ agent, volumes }) => {
      const request = { volumes: volumes.join(','), forMs: holdMs };
      const { hold } = await agent.control.call('volume.hold', request);
      return { control: agent.control, hold };
    }),
  );
  const holds = held.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const refused = held.find((one) => one.status === 'rejected');
  if (refused !== undefined) {
    await Promise.allSettled(
      holds.map(({ control, hold }) => control.call('volume.release', { hold })),
    );
    throw refused.reason;
  }
  const kept = await Promise.allSettled(
    holds.map(({ control, hold }) => control.call('volume.snapshot-held', { hold, name })),
  );
  const failed = kept.find((one) => one.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function groupDraftOf(name: string, placed: readonly Placed[]): GroupSnapshotDraft {
  const snapshots = placed.map(draftOf);
  const [first] = snapshots
    .map(({ creationTime }) => creationTime)
    .toSorted((a, b) => (a?.seconds ?? 0) - (b?.seconds ?? 0));
  return {
    groupSnapshotId: name,
    snapshots,
    ...(first === undefined ? {} : { creationTime: first }),
    readyToUse: true,
  };
}
