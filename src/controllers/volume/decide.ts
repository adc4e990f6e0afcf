/**
 * The next step of a volume, decided from what was observed and nothing else: the same sight gives
 * the same step, before and after a crash.
 */
import type { RequestOf } from '../../api/control.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import { formatRate, parseRate } from '../../base/units.ts';
import { annotations, finalizers, isSourceFinalizer, labels } from '../labels.ts';
import { comingFrom, isOurs, type Observation, wantedOf } from './observation.ts';

export type VolumeStep =
  | { readonly do: 'nothing' }
  /** Named and left alone until something changes. */
  | { readonly do: 'wait'; readonly problem: TransshipError }
  /** Finalizer and agent are written before the first effect at the agent. */
  | { readonly do: 'claim' }
  | { readonly do: 'create'; readonly request: RequestOf<'volume.create'> }
  | { readonly do: 'clone'; readonly request: RequestOf<'volume.clone'> }
  | { readonly do: 'teleport'; readonly request: RequestOf<'teleport.start'> }
  | { readonly do: 'import'; readonly request: RequestOf<'volume.import'> }
  | { readonly do: 'resize'; readonly sizeBytes: number }
  | { readonly do: 'policy'; readonly historyPolicy: string }
  | { readonly do: 'fill'; readonly bytesPerSecond: number | undefined }
  | { readonly do: 'delete'; readonly force: boolean }
  /** The present leader lets go of it; `to` is claimed next. */
  | { readonly do: 'yield'; readonly from: string }
  | { readonly do: 'lead'; readonly request: RequestOf<'replica.lead'> }
  /** What an agent beside the leader keeps of a deleted volume. */
  | { readonly do: 'drop'; readonly agent: string }
  /** The agent has nothing of it any more: the object may go. */
  | { readonly do: 'release' }
  /** An adopted object whose volume somebody deleted at the agent. */
  | { readonly do: 'forget' };

/** What "unlimited" is to an agent, whose rates can be raised but not taken away. */
const unlimitedBytesPerSecond = 1024 ** 4;

export function decide(seen: Observation): VolumeStep {
  if (seen.object.metadata.deletionTimestamp !== undefined) return decideDeletion(seen);
  const { object, view, blocker } = seen;
  if (blocker !== undefined) return { do: 'wait', problem: blocker };
  const isClaimed = object.metadata.finalizers?.includes(finalizers.volume) === true;
  const leading = isClaimed ? decideLeading(seen) : undefined;
  if (leading !== undefined) return leading;
  if (view === undefined) return isClaimed ? decideMaking(seen) : claimIfPossible(seen);
  if (!isOurs(seen) || (!isClaimed && !isAdopted(object))) {
    return { do: 'wait', problem: nameTaken(object) };
  }
  if (!isClaimed) return { do: 'claim' };
  return decideChange(seen);
}

/** Of a replicated volume that nobody leads, or that another agent is to lead. */
function decideLeading(seen: Observation): VolumeStep | undefined {
  const { set, leader, yielding, object } = seen;
  if (leader !== undefined) return { do: 'claim' };
  if (yielding !== undefined) return { do: 'yield', from: yielding };
  const isReplicated = object.status?.replicaSet !== undefined;
  if (!isReplicated || set === undefined || set.view !== undefined) return undefined;
  return set.request === undefined ? undefined : { do: 'lead', request: set.request };
}

export function isAdopted(object: Volume): boolean {
  return object.metadata.labels?.[labels.adopted] === 'true';
}

/** What was there and is there no more is not made again: its content would be lost in silence. */
function wasThere(object: Volume): boolean {
  return object.status?.sizeBytes !== undefined;
}

function claimIfPossible(seen: Observation): VolumeStep {
  const wanted = wantedOf(seen.object);
  return wanted instanceof Error ? { do: 'wait', problem: wanted } : { do: 'claim' };
}

function nameTaken(object: Volume): TransshipError {
  const name = object.metadata.name ?? '';
  const message = `the agent has another volume ${name} already; choose another name`;
  return new TransshipError('AlreadyExists', message);
}

function decideMaking(seen: Observation): VolumeStep {
  const { object, teleport, job } = seen;
  const { name = '' } = object.metadata;
  if (isAdopted(object)) return { do: 'forget' };
  if (wasThere(object)) {
    const message = `volume ${name} is not there any more; its content is lost here`;
    return { do: 'wait', problem: new TransshipError('NotFound', message) };
  }
  if (job?.phase === 'Running' || teleport?.status.phase === 'Initializing') {
    return { do: 'nothing' };
  }
  try {
    return making(seen, name);
  } catch (error) {
    return { do: 'wait', problem: asTransshipError(error) };
  }
}

function making({ object, pool }: Observation, name: string): VolumeStep {
  const wanted = wantedOf(object);
  if (wanted instanceof Error) return { do: 'wait', problem: wanted };
  const { source, historyPolicy } = object.spec;
  const block = wanted.blockBytes === undefined ? {} : { blockBytes: wanted.blockBytes };
  const policy = historyPolicy === undefined ? {} : { historyPolicy };
  const place = pool === undefined ? {} : { pool };
  if (source?.clone !== undefined || source?.snapshot !== undefined) {
    return { do: 'clone', request: { name, ...cloneOf(source), ...policy } };
  }
  if (source?.image !== undefined) {
    const { path, format } = source.image;
    const what = { name, path, ...(format === undefined ? {} : { format }) };
    return { do: 'import', request: { ...what, ...block, ...policy, ...place } };
  }
  if (source?.teleport !== undefined) {
    return {
      do: 'teleport',
      request: { name, ...teleportOf(source.teleport), ...policy, ...place },
    };
  }
  const sizeBytes = wanted.sizeBytes!;
  return { do: 'create', request: { name, sizeBytes, ...block, ...policy, ...place } };
}

type Source = NonNullable<Volume['spec']['source']>;

function cloneOf(source: Source): Pick<RequestOf<'volume.clone'>, 'volume' | 'atMs' | 'snapshot'> {
  if (source.snapshot !== undefined) {
    return { volume: source.snapshot.volume, snapshot: source.snapshot.name };
  }
  const { volume, time, snapshot } = source.clone!;
  return {
    volume,
    ...(time === undefined ? {} : { atMs: momentMs(time) }),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}

function teleportOf(source: NonNullable<Source['teleport']>) {
  const { agent, volume, at, snapshot, thin, bandwidth } = source;
  const bytesPerSecond = bandwidth === undefined ? undefined : parseRate(bandwidth);
  return {
    cluster: comingFrom(source),
    ...(agent === undefined ? {} : { agent }),
    volume,
    thin: thin === true,
    ...(at === undefined ? {} : { atMs: momentMs(at) }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
}

function momentMs(text: string): number {
  const atMs = Date.parse(text);
  if (Number.isNaN(atMs)) throw new TransshipError('BadTime', `'${text}' is not a moment`);
  return atMs;
}

/** Of a volume that is there: what of its spec the agent has not heard yet. */
function decideChange(seen: Observation): VolumeStep {
  const { object, view } = seen;
  const { historyPolicy } = object.spec;
  const wanted = wantedOf(object);
  if (wanted instanceof Error) return { do: 'wait', problem: wanted };
  // An import makes the volume as large as its image, and it grows when it is done.
  if (view!.status.doors.includes('import')) return { do: 'nothing' };
  const { sizeBytes } = wanted;
  if (sizeBytes !== undefined && sizeBytes > view!.status.sizeBytes) {
    return { do: 'resize', sizeBytes };
  }
  if (historyPolicy !== undefined && historyPolicy !== view!.spec.historyPolicy) {
    return { do: 'policy', historyPolicy };
  }
  if (seen.set?.request !== undefined) return { do: 'lead', request: seen.set.request };
  return decideFill(seen);
}

function decideFill({ object, teleport }: Observation): VolumeStep {
  const source = object.spec.source?.teleport;
  if (source === undefined || teleport?.status.phase !== 'Accessible') return { do: 'nothing' };
  if (source.thin === true) return { do: 'nothing' };
  const { bandwidth: told, thin } = teleport.spec;
  const wanted = source.bandwidth === undefined ? undefined : parseRate(source.bandwidth);
  const rate = wanted ?? (told === undefined ? undefined : unlimitedBytesPerSecond);
  const isTold = rate === undefined || formatRate(rate) === told;
  if (!thin && isTold) return { do: 'nothing' };
  return { do: 'fill', bytesPerSecond: rate };
}

export function isForced(object: Volume): boolean {
  return object.metadata.annotations?.[annotations.forceDelete] === 'true';
}

function decideDeletion(seen: Observation): VolumeStep {
  const { object, view, blocker, teleport, job } = seen;
  const held = object.metadata.finalizers ?? [];
  if (!held.includes(finalizers.volume)) return { do: 'nothing' };
  const readers = held.filter(isSourceFinalizer);
  const force = isForced(object);
  if (readers.length > 0 && !force) {
    const holders = object.status?.leasedBy ?? [];
    const who = holders.length > 0 ? holders.join(', ') : `${readers.length} teleports`;
    const message = `it is the source of a teleport (${who}); it goes when that is done`;
    return { do: 'wait', problem: new TransshipError('Leased', message) };
  }
  if (blocker !== undefined) {
    // Nobody is left to ask, and somebody said that it does not matter.
    if (force && seen.agent === undefined) return { do: 'release' };
    return { do: 'wait', problem: blocker };
  }
  const isLed = seen.set === undefined || seen.set.view !== undefined;
  if (view !== undefined && isLed && isOurs(seen)) return { do: 'delete', force };
  const rest = seen.others.find(({ trouble }) => force !== true || trouble === undefined);
  if (rest?.trouble !== undefined) {
    const message = `agent ${rest.name} keeps a replica of it: ${rest.trouble.message}`;
    return { do: 'wait', problem: new TransshipError('AgentUnreachable', message) };
  }
  if (rest !== undefined) return { do: 'drop', agent: rest.name };
  if (view === undefined && (job?.phase === 'Running' || isStarting(teleport))) {
    const message = 'it is just being made; it goes right after';
    return { do: 'wait', problem: new TransshipError('InUse', message) };
  }
  return { do: 'release' };
}

function isStarting(teleport: Observation['teleport']): boolean {
  return teleport?.status.phase === 'Initializing';
}
