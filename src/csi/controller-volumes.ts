/** Calls about volumes. A Volume object is made of each; controllers do the rest. */
import type { Pool } from '../api/kinds/pool.ts';
import type { Volume } from '../api/kinds/volume.ts';
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { exactSize, parseBlockSize, parseSize, roundUp } from '../base/units.ts';
import { checkParameters, replicaCountOf } from '../controllers/claim/request.ts';
import { labels } from '../controllers/labels.ts';
import { choosePools, Room } from '../controllers/pool/moves.ts';
import { isTrue } from '../controllers/status.ts';
import { checkPresent, problemOf } from './capability.ts';
import { checkedModification } from './controller-modify.ts';
import { codes, CsiError, required } from './errors.ts';
import { nameFor, parseSnapshotId } from './ids.ts';
import { pageOf } from './paging.ts';
import { choosePool, roomiest, topologyKey, topologyOf } from './topology.ts';
import { nameOf, type VolumeStore } from './volume-store.ts';
import type {
  CapacityRange,
  ContentSource,
  VolumeCapability,
  VolumeDraft,
  VolumeEntryDraft,
} from './wire/messages.ts';
import type { Answers, controller } from './wire/services.ts';

type ControllerAnswers = Answers<typeof controller>;

/** What a caller gets who names no size. */
const defaultBytes = 1024 ** 3;

/** On a Volume: the node that it is published to. */
export const publishedTo = 'csi.transship.dev/published-to';

export function volumeCalls(
  store: VolumeStore,
): Pick<
  ControllerAnswers,
  | 'CreateVolume'
  | 'DeleteVolume'
  | 'ValidateVolumeCapabilities'
  | 'ListVolumes'
  | 'ControllerGetVolume'
  | 'GetCapacity'
  | 'ControllerExpandVolume'
> {
  return {
    CreateVolume: (request) => createVolume(store, request),
    DeleteVolume: async ({ volumeId }) => {
      const name = required(volumeId, 'volume id');
      const volume = await store.find(name);
      if (volume === undefined) return {};
      await checkUnused(store, volume);
      await store.delete(name);
      return {};
    },
    ValidateVolumeCapabilities: async ({ volumeId, volumeCapabilities, ...given }) => {
      const { parameters, mutableParameters } = given;
      const name = required(volumeId, 'volume id');
      checkPresent(volumeCapabilities);
      await store.get(name);
      const problem = volumeCapabilities.map(problemOf).find((one) => one !== undefined);
      if (problem !== undefined) return { message: problem };
      await checkedModification(store, mutableParameters);
      return { confirmed: { volumeCapabilities, parameters, mutableParameters } };
    },
    ListVolumes: async ({ maxEntries, startingToken }) => {
      const { entries, nextToken } = pageOf(await store.list(), maxEntries, startingToken);
      const agents = await agentsByPool(store);
      return { entries: entries.map((volume) => entryOf(volume, agents)), nextToken };
    },
    ControllerGetVolume: async ({ volumeId }) => {
      const volume = await store.get(required(volumeId, 'volume id'));
      return entryOf(volume, await agentsByPool(store));
    },
    GetCapacity: async ({ accessibleTopology, volumeCapabilities }) => {
      if (volumeCapabilities.some((one) => problemOf(one) !== undefined)) return {};
      const agent = accessibleTopology?.segments[topologyKey];
      const all = await store.pools();
      const there = all.filter(({ metadata }) => {
        return agent === undefined || metadata.labels?.[labels.agent] === agent;
      });
      const free = roomiest(there)?.status?.freeBytes ?? 0;
      return {
        availableCapacity: free,
        // Volumes are thin, so their size is not bound by what is free.
        maximumVolumeSize: { value: free > 0 ? limits.volumeBytesMax : 0 },
        minimumVolumeSize: { value: limits.volumeBytesMin },
      };
    },
    ControllerExpandVolume: (request) => expandVolume(store, request),
  };
}

type CreateRequest = Parameters<ControllerAnswers['CreateVolume']>[0];

async function createVolume(
  store: VolumeStore,
  request: CreateRequest,
): ReturnType<ControllerAnswers['CreateVolume']> {
  const name = nameFor(required(request.name, 'name'));
  checkCapabilities(request.volumeCapabilities);
  const spec = await specOf(store, request);
  const volume = await store.ensure(name, spec);
  checkSame(volume, request, spec);
  const ready = await store.waitReady(name);
  const sizeBytes = ready.status?.sizeBytes ?? 0;
  const wantedBytes = request.capacityRange?.requiredBytes ?? 0;
  // A clone begins with the size of its source, then grows.
  const grown =
    sizeBytes >= wantedBytes
      ? ready
      : await store.waitFor(name, ({ status }) => (status?.sizeBytes ?? 0) >= wantedBytes);
  const answer = volumeOf(grown, await agentsByPool(store));
  return { volume: { ...answer, ...sourceDraft(request.volumeContentSource) } };
}

function checkCapabilities(capabilities: readonly VolumeCapability[]): void {
  checkPresent(capabilities);
  for (const capability of capabilities) {
    const problem = problemOf(capability);
    if (problem !== undefined) fail('BadArgument', problem);
  }
}

async function specOf(store: VolumeStore, request: CreateRequest): Promise<Volume['spec']> {
  const { mutableParameters, volumeContentSource, accessibilityRequirements } = request;
  await checkedModification(store, mutableParameters);
  const parameters = { ...request.parameters, ...mutableParameters };
  checkParameters({ parameters });
  const { blockSize, historyPolicy } = parameters;
  const size = exactSize(sizeFor(request.capacityRange));
  const history = historyPolicy === undefined ? {} : { historyPolicy };
  const pool = choosePool(accessibilityRequirements, await store.pools());
  const count = replicaCountOf(parameters);
  const several = count === 1 ? {} : { replicas: await poolsFor(store, count, pool) };
  if (volumeContentSource !== undefined) {
    const source = await sourceOf(store, volumeContentSource, request.capacityRange);
    return { size: source.size ?? size, ...history, ...several, source: source.source };
  }
  return {
    size,
    ...history,
    ...(blockSize === undefined ? {} : { blockSize: blockSizeOf(blockSize) }),
    ...(pool === undefined ? {} : { replicas: [{ pool: nameOf(pool) }] }),
    ...several,
  };
}

/** Of different nodes, the first where it will be used. */
async function poolsFor(
  store: VolumeStore,
  count: number,
  first: Pool | undefined,
): Promise<NonNullable<Volume['spec']['replicas']>> {
  const room = new Room(await store.pools(), await store.list());
  const chosen = choosePools(count, room, first?.spec.node);
  if (chosen instanceof TransshipError) throw chosen;
  return chosen.map((pool) => ({ pool }));
}

function blockSizeOf(text: string): NonNullable<Volume['spec']['blockSize']> {
  return exactSize(parseBlockSize(text)) as NonNullable<Volume['spec']['blockSize']>;
}

/** At least what is required, in whole sectors; `OUT_OF_RANGE` when there is no such size. */
export function sizeFor(range: CapacityRange | undefined): number {
  const { requiredBytes = 0, limitBytes = 0 } = range ?? {};
  if (requiredBytes < 0 || limitBytes < 0) {
    throw new CsiError(codes.outOfRange, 'BadSize', 'a size below zero is asked for');
  }
  const wanted =
    requiredBytes === 0 ? Math.min(defaultBytes, limitBytes || defaultBytes) : requiredBytes;
  const size = Math.max(limits.volumeBytesMin, roundUp(wanted, limits.sectorBytes));
  if (size > limits.volumeBytesMax || (limitBytes > 0 && size > limitBytes)) {
    const { volumeBytesMin, volumeBytesMax } = limits;
    const what = `a volume has from ${volumeBytesMin} to ${volumeBytesMax} bytes`;
    throw new CsiError(
      codes.outOfRange,
      'BadSize',
      `${what}; ${size} do not fit what is asked for`,
    );
  }
  return size;
}

interface Source {
  readonly source: NonNullable<Volume['spec']['source']>;
  readonly size?: string;
}

async function sourceOf(
  store: VolumeStore,
  content: ContentSource,
  range: CapacityRange | undefined,
): Promise<Source> {
  if (content.snapshot !== undefined) {
    const { snapshotId } = content.snapshot;
    const id = parseSnapshotId(required(snapshotId, 'snapshot id'));
    const volume = id === undefined ? undefined : await store.find(id.volume);
    if (id === undefined || volume === undefined) {
      return fail('NotFound', `there is no snapshot ${snapshotId}`);
    }
    const all = await store.snapshotsOf(volume);
    const found = all.find(({ metadata }) => metadata.name === id.snapshot);
    if (found === undefined) return fail('NotFound', `there is no snapshot ${snapshotId}`);
    const size = largerSize(found.status.sizeBytes, range);
    return { source: { snapshot: { volume: id.volume, name: id.snapshot } }, size };
  }
  const name = required(content.volume?.volumeId, 'source volume id');
  const volume = await store.get(name);
  return {
    source: { clone: { volume: name } },
    size: largerSize(volume.status?.sizeBytes ?? 0, range),
  };
}

/** `OUT_OF_RANGE` when the source does not fit. */
function largerSize(sourceBytes: number, range: CapacityRange | undefined): string {
  const { requiredBytes = 0, limitBytes = 0 } = range ?? {};
  if (
    (requiredBytes > 0 && requiredBytes < sourceBytes) ||
    (limitBytes > 0 && limitBytes < sourceBytes)
  ) {
    throw new CsiError(codes.outOfRange, 'BadSize', `the source has ${sourceBytes} bytes`);
  }
  return exactSize(Math.max(sourceBytes, requiredBytes === 0 ? 0 : sizeFor(range)));
}

/** A volume of this name with another content or size is somebody else's. */
function checkSame(volume: Volume, request: CreateRequest, spec: Volume['spec']): void {
  const name = nameOf(volume);
  const isSource =
    JSON.stringify(sourceKey(volume.spec.source)) === JSON.stringify(sourceKey(spec.source));
  if (!isSource) fail('AlreadyExists', `volume ${name} exists with another source`);
  const { requiredBytes = 0, limitBytes = 0 } = request.capacityRange ?? {};
  const wanted = sizeOf(volume.spec.size) ?? volume.status?.sizeBytes ?? 0;
  if (wanted < requiredBytes || (limitBytes > 0 && wanted > limitBytes)) {
    fail('AlreadyExists', `volume ${name} exists with ${wanted} bytes`);
  }
}

function sourceKey(source: Volume['spec']['source']): unknown {
  if (source?.snapshot !== undefined) return [source.snapshot.volume, source.snapshot.name];
  return source?.clone === undefined ? null : [source.clone.volume];
}

function sizeOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseSize(text);
}

/** The agent knows at once who left; the object's status only soon after. */
async function checkUnused(store: VolumeStore, volume: Volume): Promise<void> {
  const now = await store.seenByAgent(volume);
  const { doors = [], leasedBy = [] } = now?.status ?? {};
  if (doors.length > 0) fail('InUse', `volume ${nameOf(volume)} is used by ${doors.join(', ')}`);
  if (leasedBy.length > 0) {
    fail('Leased', `volume ${nameOf(volume)} is still read by ${leasedBy.join(', ')}`);
  }
}

async function agentsByPool(store: VolumeStore): Promise<ReadonlyMap<string, string>> {
  const all = await store.pools();
  return new Map(all.map((pool) => [nameOf(pool), pool.metadata.labels?.[labels.agent] ?? '']));
}

function volumeOf(volume: Volume, agents: ReadonlyMap<string, string>): VolumeDraft {
  // A replicated volume is led where it is used, best where a replica is.
  const places = (volume.status?.replicas ?? []).flatMap(({ pool }) => agents.get(pool) ?? []);
  const accessibleTopology = places.filter((agent) => agent !== '').map(topologyOf);
  return {
    volumeId: nameOf(volume),
    capacityBytes: volume.status?.sizeBytes ?? 0,
    ...(accessibleTopology.length === 0 ? {} : { accessibleTopology }),
  };
}

function sourceDraft(content: ContentSource | undefined): Partial<VolumeDraft> {
  return content === undefined ? {} : { contentSource: content };
}

function entryOf(volume: Volume, agents: ReadonlyMap<string, string>): VolumeEntryDraft {
  const node = volume.metadata.annotations?.[publishedTo];
  const ready = volume.status?.conditions?.find(({ type }) => type === 'Ready');
  const abnormal = !isTrue(volume, 'Ready') || isTrue(volume, 'DataDamaged');
  return {
    volume: volumeOf(volume, agents),
    status: {
      publishedNodeIds: node === undefined ? [] : [node],
      volumeCondition: { abnormal, message: ready?.message ?? 'nothing is known of it yet' },
    },
  };
}

type ExpandRequest = Parameters<ControllerAnswers['ControllerExpandVolume']>[0];

async function expandVolume(
  store: VolumeStore,
  { volumeId, capacityRange }: ExpandRequest,
): ReturnType<ControllerAnswers['ControllerExpandVolume']> {
  const name = required(volumeId, 'volume id');
  required(capacityRange, 'capacity range');
  const volume = await store.get(name);
  const wanted = sizeFor(capacityRange);
  // The node's device is told of it, also where no file system is on it.
  const nodeExpansionRequired = true;
  const sizeBytes = volume.status?.sizeBytes ?? 0;
  if (sizeBytes >= wanted) return { capacityBytes: sizeBytes, nodeExpansionRequired };
  await store.patch(name, { spec: { size: exactSize(wanted) } });
  const grown = await store.waitFor(name, ({ status }) => (status?.sizeBytes ?? 0) >= wanted);
  return { capacityBytes: grown.status?.sizeBytes ?? wanted, nodeExpansionRequired };
}
