/**
 * What the decision Remediate does. Each fix looks first and may be done again; what is changed at
 * the destination and belongs to others is written down before, in a Secret there.
 */
import { historyPolicies } from '../../api/kinds/history-policy.ts';
import type { ReplicationStatus } from '../../api/kinds/replication.ts';
import { fail, unlessThere } from '../../base/errors.ts';
import type { Draft } from '../../kube/api.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import {
  type CustomResourceDefinition,
  customResourceDefinitions,
  secrets,
} from '../../kube/resources.ts';
import { recordPrefix } from '../../workload/ours.ts';
import { type RecordStore, secretRecordStore } from '../../workload/record-store.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import { isStopped, restoreOf, stopPatch, type UndoField } from '../../workload/undo.ts';
import { makeNamespaces } from '../migration/namespaces.ts';
import { namespacesAt, uidOf } from '../migration/run.ts';
import type { ReplicationRun } from './as-plan.ts';
import { isCopyable, missingNamespaces } from './checks/needs.ts';
import { limitRaises, quotaRaises, type Raise } from './checks/room.ts';
import { substitutesFor } from './checks/storage.ts';
import type { ReplicationSeen } from './seen.ts';

/** What was changed of others, as it was before. */
export interface FixRecord {
  readonly type: ResourceType;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly fields: readonly UndoField[];
}

function fixesKey(run: ReplicationRun) {
  const [namespace = ''] = namespacesAt(run, 'destination');
  return { namespace, name: `${recordPrefix}fixes-${uidOf(run.replication)}` };
}

export function fixStore(run: ReplicationRun): RecordStore<FixRecord> {
  return secretRecordStore<FixRecord>(run.destination.client, fixesKey(run));
}

type Agreed = NonNullable<ReplicationStatus['agreed']>;

/** What was settled for the copies to come. Pure. */
export function agreedAfter(seen: ReplicationSeen): Agreed {
  const { agreed = {} } = seen.replication.status ?? {};
  const added = substitutesFor(seen);
  const replaced = new Set(added.map(({ from }) => from));
  const kept = (agreed.storageClasses ?? []).filter(({ from }) => !replaced.has(from));
  const images = agreed.images === true || seen.images.length > 0;
  return { storageClasses: [...kept, ...added], images };
}

/** Does all that can be done, and says what it was. Errors as the API server has them. */
export async function remediate(
  run: ReplicationRun,
  seen: ReplicationSeen,
): Promise<readonly string[]> {
  const done: string[] = [];
  const missing = missingNamespaces(seen);
  if (missing.length > 0) {
    await makeNamespaces(run);
    done.push(...missing.map((name) => `namespace ${name} was made`));
  }
  for (const { definition, ...one } of seen.definitions) {
    if (definition === undefined || !isCopyable({ definition, ...one })) continue;
    await copyDefinition(run, definition);
    done.push(`the definition ${one.name} was copied`);
  }
  for (const { name, policy } of seen.policies) {
    if (policy === undefined) continue;
    await make(run, historyPolicies, { metadata: { name }, spec: policy.spec });
    done.push(`history policy ${name} was made`);
  }
  const raises = [
    ...quotaRaises(seen).map((one) => ({ ...one, type: quotaType })),
    ...limitRaises(seen).map((one) => ({ ...one, type: limitType })),
  ];
  if (raises.length > 0) done.push(...(await raiseAll(run, raises)));
  return done;
}

const core = { group: '', version: 'v1', namespaced: true };
const quotaType: ResourceType = { ...core, plural: 'resourcequotas', kind: 'ResourceQuota' };
const limitType: ResourceType = { ...core, plural: 'limitranges', kind: 'LimitRange' };

/** With the mark by which it is known for ours; one that is there stays as it is. */
async function make<T extends KubeObject>(
  run: ReplicationRun,
  type: ResourceType<T>,
  { metadata, ...rest }: Draft<T>,
): Promise<void> {
  const annotations = { ...metadata.annotations, [preparedFor]: uidOf(run.replication) };
  const { destination } = run;
  if ((await destination.client.get(type, keyOf({ metadata } as T))) !== undefined) return;
  const marked = { ...rest, metadata: { ...metadata, annotations } };
  await unlessThere(destination.client.create<T>(type, marked as Draft<T>));
}

/** `NotAccessible`, retryable, until the destination serves the kind. */
async function copyDefinition(
  run: ReplicationRun,
  { metadata, spec }: CustomResourceDefinition,
): Promise<void> {
  const { name = '', labels = {} } = metadata;
  await make(run, customResourceDefinitions, { metadata: { name, labels }, spec });
  const { group, names } = spec;
  const served = await createDiscovery(run.destination.client).resources();
  if (served.some((one) => one.group === group && one.plural === names.plural)) return;
  fail('NotAccessible', `the destination does not serve ${name} yet`);
}

type Raising = Raise & { readonly type: ResourceType };

async function raiseAll(run: ReplicationRun, raises: readonly Raising[]): Promise<string[]> {
  const { client } = run.destination;
  const store = fixStore(run);
  const known = await store.load();
  const records = raises.map(({ type, object, fields }): FixRecord => {
    return { type, ...keyOf(object), uid: uidOf(object), fields };
  });
  await store.save(joined(known, records));
  for (const record of records) {
    const object = await client.get<KubeObject>(record.type, record);
    if (object?.metadata.uid !== record.uid || isStopped(record, object)) continue;
    const { resourceVersion } = object.metadata;
    await client.patch(record.type, record, {
      ...stopPatch(record),
      metadata: { resourceVersion },
    });
  }
  return raises.map(({ fix }) => fix);
}

const same = (a: UndoField, b: UndoField): boolean => a.path.join('\n') === b.path.join('\n');

/** What a known record calls `before` was there before anything was changed. Pure. */
export function joined(
  known: readonly FixRecord[],
  added: readonly FixRecord[],
): readonly FixRecord[] {
  const merged = known.map((one) => {
    const newer = added.find(({ uid }) => uid === one.uid);
    if (newer === undefined) return one;
    const kept = one.fields.filter((field) => !newer.fields.some((other) => same(field, other)));
    const now = newer.fields.map((field) => {
      const first = one.fields.find((other) => same(field, other));
      return first === undefined ? field : { ...field, before: first.before };
    });
    return { ...one, fields: [...kept, ...now] };
  });
  const uids = new Set(known.map(({ uid }) => uid));
  return [...merged, ...added.filter(({ uid }) => !uids.has(uid))];
}

/** Puts back what is still as the fixes left it; says what others have changed since. */
export async function takeBackFixes(run: ReplicationRun): Promise<readonly string[]> {
  const { client } = run.destination;
  if ((await client.get(secrets, fixesKey(run))) === undefined) return [];
  const notes: string[] = [];
  for (const record of await fixStore(run).load()) {
    const object = await client.get<KubeObject>(record.type, record);
    if (object === undefined || object.metadata.uid !== record.uid) continue;
    const { patch, changedByOthers } = restoreOf(record, object);
    const what = `${record.type.kind} ${keyText(record)}`;
    if (changedByOthers.length > 0) {
      notes.push(`${what} was changed since (${changedByOthers.join(', ')}) and stays as it is.`);
    }
    if (patch === undefined) continue;
    const { resourceVersion } = object.metadata;
    await client.patch(record.type, record, { ...patch, metadata: { resourceVersion } });
  }
  await client.delete(secrets, fixesKey(run));
  return notes;
}
