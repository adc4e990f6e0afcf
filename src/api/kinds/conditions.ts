/**
 * Conditions of objects in an API server (Kubernetes API conventions, "Typical status
 * properties").
 */
import type { ConditionMeaning, KindDefinition } from './kind.ts';
import type { Condition } from './schema.ts';

export type { Condition } from './schema.ts';

/** What was observed now; when its status changed follows from what was known before. */
export type Observation = Omit<Condition, 'lastTransitionTime'>;

type Conditions = readonly Condition[];

/** What has conditions: an object with a status, or not yet. */
export interface WithConditions {
  readonly status?: { readonly conditions?: Conditions };
}

function sameText(a: Observation, b: Observation): boolean {
  return (
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration
  );
}

function byType(a: Condition, b: Condition): number {
  return a.type < b.type ? -1 : a.type > b.type ? 1 : 0;
}

/**
 * The list with the observation in it, sorted by type. `lastTransitionTime` becomes `now` (RFC
 * 3339) only when the status changes. When nothing changes, it is the same list that was given, so
 * that callers can compare by identity and write nothing.
 */
export function setCondition(
  before: Conditions | undefined,
  observed: Observation,
  now: string,
): Conditions {
  const list = before ?? [];
  const old = list.find(({ type }) => type === observed.type);
  if (old !== undefined && sameText(old, observed)) return list;
  const since = old?.status === observed.status ? old.lastTransitionTime : now;
  const others = list.filter(({ type }) => type !== observed.type);
  return [...others, { ...observed, lastTransitionTime: since }].toSorted(byType);
}

/** Several at once, as `setCondition` does one. */
export function setConditions(
  before: Conditions | undefined,
  observed: readonly Observation[],
  now: string,
): Conditions {
  let list = before ?? [];
  for (const one of observed) list = setCondition(list, one, now);
  return list;
}

/** The list without a type that no longer applies; the same list when it had none of it. */
export function dropCondition(before: Conditions | undefined, type: string): Conditions {
  const list = before ?? [];
  return list.some((one) => one.type === type) ? list.filter((one) => one.type !== type) : list;
}

export function conditionOf(object: WithConditions, type: string): Condition | undefined {
  return object.status?.conditions?.find((one) => one.type === type);
}

/** Unknown and absent are not true. */
export function isTrue(object: WithConditions, type: string): boolean {
  return conditionOf(object, type)?.status === 'True';
}

/** Neither absent nor Unknown, and for this generation or none in particular: it has ended. */
export function isSettled(object: WithConditions, type: string): boolean {
  const status = conditionOf(object, type)?.status;
  return status === 'True' || status === 'False';
}

function blocking(meaning: ConditionMeaning, known: Observation | undefined): boolean {
  if (known === undefined) return false;
  const bad = meaning.effect === 'Blocks' ? 'True' : 'False';
  return (meaning.effect === 'Blocks' || meaning.effect === 'Needed') && known.status === bad;
}

/**
 * `Ready` from the other conditions, by the effects that the kind's table gives them. What blocks
 * comes first, then what is not known yet; of several the first in the table. Types in `without`
 * do not apply to this object.
 */
export function readyOf(
  definition: Pick<KindDefinition, 'conditions'>,
  known: readonly Observation[],
  without: readonly string[] = [],
): Observation {
  const meanings = definition.conditions.filter(({ type }) => !without.includes(type));
  const find = (type: string) => known.find((one) => one.type === type);
  const bad = meanings.find((meaning) => blocking(meaning, find(meaning.type)));
  if (bad !== undefined) {
    const { reason, message } = find(bad.type)!;
    return { type: 'Ready', status: 'False', reason, message };
  }
  const open = meanings.find(
    ({ type, effect }) => effect === 'Needed' && find(type)?.status !== 'True',
  );
  if (open === undefined) {
    return { type: 'Ready', status: 'True', reason: 'Ready', message: 'It can be used.' };
  }
  const { reason, message } = find(open.type) ?? {
    reason: 'Pending',
    message: `Whether it is ${open.type} is not known yet.`,
  };
  return { type: 'Ready', status: 'Unknown', reason, message };
}

/** What objects of `kindsWithoutController` say, so that nobody waits in vain. */
export function notImplemented(kind: string, generation: number): Observation {
  return {
    type: 'Ready',
    status: 'Unknown',
    reason: 'NotImplemented',
    message: `This version of Transship stores objects of kind ${kind} but does not act on them.`,
    observedGeneration: generation,
  };
}
