/** What one reconciliation of a volume sees: the object, and what its agent has under its name. */
import type { Volume } from '../../api/kinds/volume.ts';
import type { JobObject, TeleportObject, VolumeObject } from '../../api/objects.ts';
import { asTransshipError, type TransshipError } from '../../base/errors.ts';
import { parseBlockSize, parseVolumeSize } from '../../base/units.ts';
import type { SetSight } from './set-sight.ts';

export interface Observation {
  readonly object: Volume;
  /** Its replicas; undefined for a plain volume that is to stay one. */
  readonly set: SetSight | undefined;
  /** Of a replicated volume: the agent that is to lead it, and is not written down yet. */
  readonly leader: string | undefined;
  /** The agent that is to let go of it, so that the one that is written down may lead. */
  readonly yielding: string | undefined;
  /** Why that does not happen now. */
  readonly held: TransshipError | undefined;
  /** Agents beside that one that have something of it. */
  readonly others: readonly OtherAgent[];
  /** The agent that has it or is to have it; undefined: none can be chosen now. */
  readonly agent: string | undefined;
  /** Why the agent cannot be asked, or why none can be chosen. */
  readonly blocker: TransshipError | undefined;
  /** The name of the pool at the agent, where the spec names one. */
  readonly pool: string | undefined;
  /** What the agent has under this name. */
  readonly view: VolumeObject | undefined;
  /** The latest teleport to this name. */
  readonly teleport: TeleportObject | undefined;
  /** The import that runs or failed here. */
  readonly job: JobObject['status'] | undefined;
  /** What went wrong last time; the step is tried again when it is undefined or due. */
  readonly problem: TransshipError | undefined;
}

/** An agent with a replica that is not led there. */
export interface OtherAgent {
  readonly name: string;
  /** Why it cannot be asked. */
  readonly trouble: TransshipError | undefined;
}

export interface WantedVolume {
  /** Undefined: that of the source. */
  readonly sizeBytes: number | undefined;
  readonly blockBytes: number | undefined;
}

/** Numbers of the spec, or the reason why it cannot be made. */
export function wantedOf(object: Volume): WantedVolume | TransshipError {
  const { size, blockSize } = object.spec;
  try {
    return {
      sizeBytes: size === undefined ? undefined : parseVolumeSize(size),
      blockBytes: blockSize === undefined ? undefined : parseBlockSize(blockSize),
    };
  } catch (error) {
    return asTransshipError(error);
  }
}

/** What an agent calls the place that a teleported volume comes from. */
export function comingFrom(
  source: Pick<
    NonNullable<NonNullable<Volume['spec']['source']>['teleport']>,
    'cluster' | 'repository'
  >,
): string {
  return source.repository === undefined ? source.cluster : `repository:${source.repository}`;
}

/**
 * Whether what the agent has under the name was made for this object. Names are the identity: once
 * it was seen to be ours, it stays so. Before that, what nobody made for this object is told by
 * what it is, because a controller may have died between the making and the note of it.
 */
export function isOurs(seen: Pick<Observation, 'object' | 'view' | 'teleport'>): boolean {
  const { object, view, teleport } = seen;
  if (view === undefined) return false;
  if (object.status?.sizeBytes !== undefined) return true;
  const wanted = wantedOf(object);
  if (wanted instanceof Error) return false;
  const { sizeBytes, blockBytes } = wanted;
  const { source } = object.spec;
  if (source?.teleport !== undefined) {
    const { agent, volume } = source.teleport;
    const cluster = comingFrom(source.teleport);
    // Agents know each other by their own names: that of the first is the cluster's.
    const from = [cluster, agent ?? cluster].map((name) => `${name}/${volume}`);
    const told = teleport?.spec.source;
    const arriving = view.status.source !== undefined && from.includes(view.status.source);
    return arriving || (told !== undefined && from.includes(`${told.cluster}/${told.volume}`));
  }
  // Clones and images have the size of their source; nothing else tells where they come from.
  if (source !== undefined) return true;
  const isSameBlock =
    blockBytes === undefined || parseBlockSize(view.spec.blockSize) === blockBytes;
  return view.status.sizeBytes === sizeBytes && isSameBlock && view.status.source === undefined;
}
