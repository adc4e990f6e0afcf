/**
 * Which node may use a volume, of those for which Kubernetes asks; and whether its agent has to
 * become the leader first. One node at a time, whatever is asked. Pure.
 */
import type { Volume } from '../../api/kinds/volume.ts';
import type { VolumeAttachment } from '../../kube/resources.ts';
import type { Agents } from '../agents/agents.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import { annotations } from '../labels.ts';
import { conditionOf } from '../status.ts';
import { isReplicated } from '../volume/leadership.ts';

export interface AttachmentSight {
  /** The name of the volume. */
  readonly name: string;
  readonly volume: Volume | undefined;
  /** Those of this volume that are not being deleted. */
  readonly asked: readonly VolumeAttachment[];
  readonly agents: Pick<Agents, 'all' | 'find' | 'leading'>;
}

export interface Verdict {
  readonly attachment: VolumeAttachment;
  readonly isAttached: boolean;
  /** Why it is not, as far as time alone does not help. */
  readonly problem: string | undefined;
}

export interface AttachmentDecision {
  readonly verdicts: readonly Verdict[];
  /** The agent that is to be asked to lead the volume. */
  readonly wish: string | undefined;
}

/** Why somebody has to wait, in the words of the volume itself. */
const hindrances: ReadonlySet<string> = new Set(['InUse', 'DataMissing', 'NotAccessible']);

export function decideAttachments(sight: AttachmentSight): AttachmentDecision {
  const [first, ...others] = sight.asked.toSorted(byRight);
  if (first === undefined) return { verdicts: [], wish: undefined };
  const { verdict, wish } = judge(first, sight);
  const { nodeName } = first.spec;
  const problem = `volume ${sight.name} is attached to node ${nodeName}, and to one at a time`;
  const refused = others.map((attachment) => ({ attachment, isAttached: false, problem }));
  return { verdicts: [verdict, ...refused], wish };
}

/** Who has it keeps it; else who asked first. */
function byRight(one: VolumeAttachment, other: VolumeAttachment): number {
  const rank = ({ status, metadata }: VolumeAttachment) => {
    const { creationTimestamp = '', name = '' } = metadata;
    return `${status?.attached === true ? 0 : 1} ${creationTimestamp} ${name}`;
  };
  return rank(one) < rank(other) ? -1 : 1;
}

function judge(
  attachment: VolumeAttachment,
  { name, volume, agents }: AttachmentSight,
): { readonly verdict: Verdict; readonly wish: string | undefined } {
  const { nodeName } = attachment.spec;
  // An agent that is away for a moment takes nothing from the pods of its node: their devices wait.
  const wasAttached = attachment.status?.attached === true;
  const not = (problem?: string, wish?: string) => {
    return { verdict: { attachment, isAttached: wasAttached, problem }, wish };
  };
  if (volume === undefined) return not(`there is no volume ${name}`);
  if (volume.metadata.deletionTimestamp !== undefined) return not(`volume ${name} is deleted`);
  const mirror = agents.find(nodeName);
  if (mirror === undefined) {
    return not(`node ${nodeName} has no agent of Transship: volumes are used where one runs`);
  }
  if (!mirror.usable) {
    return not(`agent ${nodeName} cannot be asked: ${mirror.trouble?.message ?? 'it is new'}`);
  }
  const replicated = isReplicated(volume, agents);
  const isHere = replicated
    ? agents.leading(name) === mirror
    : isPlainAt(mirror, volume) && !isArriving(volume);
  if (isHere) {
    return { verdict: { attachment, isAttached: true, problem: undefined }, wish: undefined };
  }
  const { [annotations.agent]: chosen, [annotations.lead]: wished } =
    volume.metadata.annotations ?? {};
  // Nobody has chosen a place yet, or this very one and it is only a matter of time.
  const isWishNeeded = chosen !== undefined && chosen !== nodeName && wished !== nodeName;
  return not(hindranceOf(volume), isWishNeeded ? nodeName : undefined);
}

function isPlainAt(mirror: AgentMirror, { metadata }: Volume): boolean {
  const { name = '', annotations: notes } = metadata;
  return notes?.[annotations.agent] === mirror.place.name && mirror.volumes.has(name);
}

/** The agent has begun, and has nothing yet that could be read. */
function isArriving({ status }: Volume): boolean {
  return status?.phase === 'Initializing' || status?.phase === undefined;
}

function hindranceOf(volume: Volume): string | undefined {
  const ready = conditionOf(volume, 'Ready');
  if (ready !== undefined && ready.status !== 'True' && ready.reason !== 'Initializing') {
    return `${ready.reason}: ${ready.message}`;
  }
  const synced = conditionOf(volume, 'Synced');
  if (synced?.status !== 'False' || !hindrances.has(synced.reason)) return undefined;
  return `${synced.reason}: ${synced.message}`;
}
