/**
 * What is told of the replicas of a volume, as cStor tells it, only when it is so: that replicas
 * are scaled is said when every one of them is Healthy, not when it is begun. Pure.
 */
import type { Volume, VolumeStatus } from '../../api/kinds/volume.ts';
import type { EventDraft } from '../../kube/api.ts';
import type { Condition } from '../../kube/objects.ts';
import type { Report } from '../status.ts';

type Told = Pick<EventDraft, 'type' | 'reason' | 'note'>;
type ConditionLike = Pick<Condition, 'status' | 'reason' | 'message'>;

const scaling = 'ScalingVolumeReplicas';

/** The status is written after them: one that is not written tells them again. */
export function setEventsOf(object: Volume, report: Report): readonly EventDraft[] {
  const now = report.fields as VolumeStatus;
  if (now.replicaSet === undefined) return [];
  const find = (list: readonly (ConditionLike & { readonly type: string })[], type: string) =>
    list.find((one) => one.type === type);
  const before = object.status?.conditions ?? [];
  const told = [
    ...scalingEvents(
      { condition: find(before, 'ScalingReplicas'), set: object.status?.replicaSet },
      { condition: find(report.conditions, 'ScalingReplicas'), set: now.replicaSet },
    ),
    ...leaderEvents(object.status?.replicaSet, now.replicaSet, find(before, 'Ready')),
    ...healthEvents(find(before, 'Degraded'), find(report.conditions, 'Degraded')),
  ];
  return told.map((one) => ({ regarding: object, action: 'Scaling', ...one }));
}

interface Standing {
  readonly condition: ConditionLike | undefined;
  readonly set: VolumeStatus['replicaSet'];
}

function scalingEvents(before: Standing, now: Standing): readonly Told[] {
  const { condition } = now;
  if (condition === undefined) return [];
  const wasGoing = before.condition?.status === 'True';
  if (condition.status === 'True') {
    const isNews = !wasGoing || firstPart(before.condition) !== firstPart(condition);
    return isNews ? [begun(condition)] : [];
  }
  if (condition.reason !== 'Scaled') {
    const isNews = before.condition?.reason !== condition.reason;
    const note = `${condition.reason}: ${condition.message}`;
    return isNews ? [{ type: 'Warning', reason: scaling, note }] : [];
  }
  const pools = before.set?.pools;
  const after = now.set?.pools ?? [];
  const isOther = !isSame(pools ?? [], after);
  if (!wasGoing && !isOther) return [];
  return [...(wasGoing ? [] : unseen(pools, after)), ended(before, pools, after)];
}

/** That which was over before anybody looked. */
function unseen(before: readonly string[] | undefined, after: readonly string[]): readonly Told[] {
  if (before === undefined || before.length <= after.length) return [];
  return [begun({ reason: 'ScalingDown', message: counts(before.length, after.length) })];
}

function begun({ reason, message }: Pick<ConditionLike, 'reason' | 'message'>): Told {
  const [verb, type] =
    reason === 'ScalingDown'
      ? (['Scaling down', 'Warning'] as const)
      : reason === 'Moving'
        ? (['Moving', 'Normal'] as const)
        : (['Scaling up', 'Normal'] as const);
  const change = firstPart({ message }).replace(/ replicas?$/, '');
  return { type, reason: scaling, note: `${verb} volume replicas ${change} is in progress` };
}

function ended(
  { condition }: Standing,
  before: readonly string[] | undefined,
  after: readonly string[],
): Told {
  const come = after.filter((pool) => before?.includes(pool) === false);
  const isMove = condition?.reason === 'Moving' || before?.length === after.length;
  const note =
    isMove && come.length > 0
      ? `successfully moved volume replicas to pool ${come.join(', ')}`
      : `successfully scaled volume replicas to ${after.length}`;
  return { type: 'Normal', reason: scaling, note };
}

function counts(from: number, to: number): string {
  return `from ${from} to ${to}`;
}

/** Without how far it is. */
function firstPart(condition: Pick<ConditionLike, 'message'> | undefined): string {
  return condition?.message?.split(';')[0] ?? '';
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((pool) => other.includes(pool));
}

function leaderEvents(
  before: VolumeStatus['replicaSet'],
  now: NonNullable<VolumeStatus['replicaSet']>,
  ready: ConditionLike | undefined,
): readonly Told[] {
  const { leader, epoch } = now;
  const old = before?.leader;
  if (old === undefined || old === leader) return [];
  const moved = `agent ${leader} leads the replicas instead of agent ${old} (epoch ${epoch})`;
  if (ready?.status === 'True')
    return [{ type: 'Normal', reason: 'ReplicaLeaderMoved', note: moved }];
  const note = `${moved}, which did not answer; nothing that was acknowledged is lost`;
  return [{ type: 'Warning', reason: 'ReplicaLeaderMoved', note }];
}

/** That one is behind for a moment, because another agent leads now, is no news. */
const lost: readonly string[] = ['ReplicaOffline', 'ReplicaError'];

function healthEvents(
  before: ConditionLike | undefined,
  now: ConditionLike | undefined,
): readonly Told[] {
  if (now === undefined || before?.reason === now.reason) return [];
  const { reason, message: note } = now;
  if (lost.includes(reason)) return [{ type: 'Warning', reason: 'ReplicasDegraded', note }];
  const wasLost = [...lost, 'ReplicaRebuilding'].includes(before?.reason ?? '');
  if (now.status === 'True' || !wasLost) return [];
  return [{ type: 'Normal', reason: 'ReplicasHealthy', note }];
}
