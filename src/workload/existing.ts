/**
 * Objects that the destination already has: what differs, and what the plan's policy makes of it.
 * Nothing is skipped without being told.
 */
import type { KubeObject } from '../kube/objects.ts';
import { fieldsAt, isFields, pathText, sameJson, valueAt, withoutAt } from './fields.ts';
import { kindText, nameOf, nameText, type ObjectName } from './names.ts';
import { preparedFor } from './transform-context.ts';

/** `Keep`: theirs stays. `Update`: ours is applied over it. */
export type ExistingPolicy = 'Fail' | 'Keep' | 'Update';

export interface ExistingRules {
  /** The move, as `TransformContext.id`. */
  readonly id: string;
  /** By `apps/Deployment`, `Service`; `Fail` for all others. */
  readonly policies: Readonly<Record<string, ExistingPolicy>>;
}

export interface FieldDifference {
  /** `spec.replicas`. */
  readonly field: string;
  /** Short; `(hidden)` for what is secret, `(none)` where there is nothing. */
  readonly there: string;
  readonly prepared: string;
}

export type ExistingState = 'Absent' | 'Same' | 'Differs';

export interface Comparison {
  readonly name: ObjectName;
  readonly state: ExistingState;
  /** It was made by an earlier run of this very move. */
  readonly isOurs: boolean;
  readonly differences: readonly FieldDifference[];
  readonly decision: 'Create' | 'Leave' | 'Keep' | 'Update' | 'Fail';
  /** In a sentence, for people. */
  readonly message: string;
  /** What was compared; an update is of this version and of no other. */
  readonly resourceVersion: string;
  readonly uid: string;
}

/** What `kubectl apply` remembers for itself: a copy of the object, secrets included. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
const textMax = 60;
const differencesTold = 5;
/** Written by servers or by the move itself: no difference that anybody made. */
const asideMetadata = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'managedFields',
  'selfLink',
];

export function compareObject(
  prepared: KubeObject,
  there: KubeObject | undefined,
  rules: ExistingRules,
): Comparison {
  const name = nameOf(prepared);
  const base = { name, resourceVersion: '', uid: '', isOurs: false, differences: [] };
  if (there === undefined) {
    const message = `${nameText(name)} is not there yet`;
    return { ...base, state: 'Absent', decision: 'Create', message };
  }
  const differences = differencesOf(prepared, there);
  const state: ExistingState = differences.length === 0 ? 'Same' : 'Differs';
  const isOurs = valueAt(there, ['metadata', 'annotations', preparedFor]) === rules.id;
  const { resourceVersion = '', uid = '' } = there.metadata;
  const decision = decide(there, { state, isOurs, policy: policyOf(name, rules) });
  const seen = { name, state, isOurs, differences };
  return { ...seen, decision, message: tell(seen, there), resourceVersion, uid };
}

function policyOf(name: ObjectName, { policies }: ExistingRules): ExistingPolicy {
  const kind = kindText(name);
  return (Object.hasOwn(policies, kind) ? policies[kind] : undefined) ?? 'Fail';
}

function decide(
  there: KubeObject,
  seen: {
    readonly state: ExistingState;
    readonly isOurs: boolean;
    readonly policy: ExistingPolicy;
  },
): Comparison['decision'] {
  // What is ending is not there when it is needed.
  if (there.metadata.deletionTimestamp !== undefined) return 'Fail';
  if (seen.state === 'Same') return 'Leave';
  return seen.isOurs ? 'Update' : seen.policy;
}

function tell(
  {
    name,
    state,
    isOurs,
    differences,
  }: Pick<Comparison, 'name' | 'state' | 'isOurs' | 'differences'>,
  there: KubeObject,
): string {
  const whose = isOurs ? ', made by an earlier run of this move' : '';
  const start = `${nameText(name)} already exists${whose}`;
  if (there.metadata.deletionTimestamp !== undefined) return `${start} and is being deleted`;
  if (state === 'Same') return `${start} and is the same`;
  const told = differences
    .slice(0, differencesTold)
    .map((one) => `${one.field} is ${one.there}, not ${one.prepared}`);
  const more = differences.length - told.length;
  return `${start} and differs: ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}

/** Fields that were prepared and are not so there. What servers filled in is no difference. */
export function differencesOf(prepared: KubeObject, there: KubeObject): readonly FieldDifference[] {
  const isSecret = prepared.kind === 'Secret' && prepared.apiVersion === 'v1';
  const found: FieldDifference[] = [];
  const [ours, theirs] = [prepared, there].map((one) =>
    isSecret ? withSecretData(comparable(one)) : comparable(one),
  );
  collect(ours, theirs, { path: [], isHidden: false, isSecret, found });
  return found;
}

function comparable(object: KubeObject): KubeObject {
  const paths = [
    ['status'],
    ['metadata', 'annotations', preparedFor],
    ['metadata', 'annotations', lastApplied],
    ...asideMetadata.map((name) => ['metadata', name]),
  ];
  return paths.reduce((out, path) => withoutAt(out, path), object);
}

/** `stringData` is only another way to write `data`. */
function withSecretData(object: KubeObject): KubeObject {
  const written = Object.entries(fieldsAt(object, 'stringData')).map(([name, text]) => [
    name,
    Buffer.from(String(text)).toString('base64'),
  ]);
  const data: unknown = { ...fieldsAt(object, 'data'), ...Object.fromEntries(written) };
  return { ...withoutAt(object, ['stringData']), data } as KubeObject;
}

interface Collecting {
  readonly path: readonly (string | number)[];
  readonly isHidden: boolean;
  readonly isSecret: boolean;
  readonly found: FieldDifference[];
}

function collect(prepared: unknown, there: unknown, at: Collecting): void {
  const inner = (key: string | number): Collecting => {
    const isHere = at.path.length === 0 && key === 'data';
    const isHidden = at.isHidden || (at.isSecret && isHere);
    return { ...at, path: [...at.path, key], isHidden };
  };
  if (isFields(prepared) && (isFields(there) || Object.keys(prepared).length === 0)) {
    for (const [name, value] of Object.entries(prepared)) {
      collect(value, isFields(there) ? there[name] : undefined, inner(name));
    }
    // An entry more is what programs read.
    if (isHiddenMap(at) || isWhole(at.path)) tellAdded(prepared, there, { at, inner });
    return;
  }
  if (Array.isArray(prepared) && Array.isArray(there) && prepared.length === there.length) {
    prepared.forEach((value, i) => collect(value, there[i], inner(i)));
    return;
  }
  const isEmpty = Array.isArray(prepared) && prepared.length === 0 && there === undefined;
  if (isEmpty || sameJson(prepared, there) || (prepared === null && there === undefined)) return;
  const tellValue = (value: unknown): string => (at.isHidden ? '(hidden)' : shortText(value));
  at.found.push({
    field: pathText(at.path),
    there: there === undefined ? '(none)' : tellValue(there),
    prepared: tellValue(prepared),
  });
}

const isHiddenMap = ({ isSecret, path }: Collecting): boolean =>
  isSecret && path.length === 1 && path[0] === 'data';

/** Maps of people, which no server fills in. */
const isWhole = (path: readonly (string | number)[]): boolean =>
  path.length === 1 && (path[0] === 'data' || path[0] === 'binaryData');

function tellAdded(
  prepared: object,
  there: unknown,
  { at, inner }: { readonly at: Collecting; readonly inner: (key: string) => Collecting },
): void {
  for (const [name, value] of Object.entries(isFields(there) ? there : {})) {
    if (Object.hasOwn(prepared, name)) continue;
    const { path, isHidden } = inner(name);
    const text = isHidden || at.isHidden ? '(hidden)' : shortText(value);
    at.found.push({ field: pathText(path), there: text, prepared: '(none)' });
  }
}

function shortText(value: unknown): string {
  const text = JSON.stringify(value) ?? '(none)';
  return text.length > textMax ? `${text.slice(0, textMax)}…` : text;
}
