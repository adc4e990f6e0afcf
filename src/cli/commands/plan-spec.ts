/** What flags make of a plan's spec, or change in one that is there. Pure. */
import type { PlanSpec } from '../../api/kinds/plan.ts';
import { fail } from '../../base/errors.ts';
import { bandwidthOf } from '../bandwidth.ts';
import { given } from '../command.ts';
import { type Pair, parseSelector, type PlanFlags, type PlanNamespace } from './plan-words.ts';

/** A spec on its way: it may lack what a plan cannot be without. */
export type PlanDraft = Partial<PlanSpec>;

/** The draft with everything that the flags say; what they do not mention stays. */
export function withFlags(
  before: PlanDraft,
  namespaces: readonly PlanNamespace[],
  flags: PlanFlags,
): PlanDraft {
  const { from, to, rate } = flags;
  return {
    ...before,
    ...given('source', from),
    ...given('destination', to),
    ...given('repository', flags.repository),
    ...given('type', flags.type),
    ...given('images', flags.images),
    ...given('quiesce', flags.quiesce),
    ...given('liveMigrate', flags.liveMigrate),
    ...given('onFailure', flags.onFailure),
    ...given('bandwidth', rate === undefined ? undefined : bandwidthOf(rate)),
    ...merged('namespaces', before.namespaces, namespaces, ({ name }) => name),
    ...merged('volumes', before.volumes, flags.volume, (one) => `${one.namespace}/${one.claim}`),
    ...merged('hooks', before.hooks, flags.hook, (one) => `${one.hook}@${one.phase}`),
    ...merged('existing', before.existing, flags.existing, ({ resource }) => resource),
    ...resourcesOf(before, flags),
    ...mappingsOf(before, flags),
  };
}

/** Entries of a list with keys: new ones replace those of the same key, in their place. */
function merged<const K extends keyof PlanSpec, T>(
  field: K,
  before: readonly T[] | undefined,
  added: readonly T[] | undefined,
  keyOf: (one: T) => string,
): { readonly [field in K]?: readonly T[] } {
  if (added === undefined || added.length === 0) return {};
  const byKey = new Map((before ?? []).map((one) => [keyOf(one), one]));
  for (const one of added) byKey.set(keyOf(one), one);
  return given(field, [...byKey.values()]);
}

function resourcesOf(before: PlanDraft, flags: PlanFlags): Pick<PlanDraft, 'resources'> {
  const { include, exclude, selector } = flags;
  if (include === undefined && exclude === undefined && selector === undefined) return {};
  return {
    resources: {
      ...before.resources,
      ...given('include', include && [...include]),
      ...given('exclude', exclude && [...exclude]),
      ...given('labelSelector', selector === undefined ? undefined : parseSelector(selector)),
    },
  };
}

function mappingsOf(before: PlanDraft, flags: PlanFlags): Pick<PlanDraft, 'mappings'> {
  const { mapClass, mapImage } = flags;
  if (mapClass === undefined && mapImage === undefined) return {};
  const { mappings = {} } = before;
  const join = (old: readonly Pair[] | undefined, added: readonly Pair[]): Pair[] => {
    const byName = new Map([...(old ?? []), ...added].map(({ from, to }) => [from, to]));
    return [...byName].map(([from, to]) => ({ from, to }));
  };
  return {
    mappings: {
      ...mappings,
      ...given('storageClasses', mapClass && join(mappings.storageClasses, mapClass)),
      ...given('images', mapImage && join(mappings.images, mapImage)),
    },
  };
}

/** What is still missing, in the words of the command line. */
export function missingIn(draft: PlanDraft): readonly string[] {
  return [
    ...(draft.namespaces === undefined || draft.namespaces.length === 0 ? ['NAMESPACE'] : []),
    ...(draft.source === undefined ? ['--from CLUSTER'] : []),
    ...(draft.destination === undefined ? ['--to CLUSTER'] : []),
  ];
}

/** `BadArgument` for a plan that could never run, before a server hears of it. */
export function completeSpec(draft: PlanDraft): PlanSpec {
  const { source, destination, namespaces } = draft;
  const missing = missingIn(draft);
  if (source === undefined || destination === undefined || namespaces === undefined) {
    return fail('BadArgument', `the plan is not complete: give ${missing.join(', ')}`);
  }
  if (missing.length > 0) fail('BadArgument', `the plan is not complete: give ${missing.join()}`);
  checkNamespaces({ ...draft, source, destination }, namespaces);
  return { ...draft, source, destination, namespaces };
}

/** The name that a namespace will have. */
export function nameThere({ name, to }: PlanNamespace): string {
  return to ?? name;
}

function checkNamespaces(draft: PlanDraft, namespaces: readonly PlanNamespace[]): void {
  const taken = new Map<string, string>();
  for (const one of namespaces) {
    const other = taken.get(nameThere(one));
    if (other !== undefined) {
      fail('BadArgument', `namespaces ${other} and ${one.name} would both be ${nameThere(one)}`);
    }
    taken.set(nameThere(one), one.name);
  }
  for (const { namespace, claim } of draft.volumes ?? []) {
    if (!namespaces.some(({ name }) => name === namespace)) {
      const names = namespaces.map(({ name }) => name).join(', ');
      fail('BadArgument', `claim ${namespace}/${claim} is not of the plan, which has ${names}`);
    }
  }
}
