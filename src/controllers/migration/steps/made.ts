/**
 * What a migration makes at the destination, written down before it is made: with that a rollback
 * takes away what is ours and brings back what was there, and nothing else.
 */
import { fail } from '../../../base/errors.ts';
import type { Undoing } from '../../../flow/flow.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import {
  keyOf,
  type KubeObject,
  type ObjectKey,
  type ResourceType,
} from '../../../kube/objects.ts';
import { persistentVolumeClaims } from '../../../kube/resources.ts';
import { type StatefulSet, statefulSets } from '../../../kube/workloads.ts';
import { keepClaimsOf } from '../../../workload/claim-template-run.ts';
import type { Comparison, ExistingPolicy, ExistingRules } from '../../../workload/existing.ts';
import {
  type Applied,
  applyPrepared,
  compareExisting,
  typeOf,
} from '../../../workload/existing-run.ts';
import { withoutAt } from '../../../workload/fields.ts';
import { kindText, nameKey, nameText } from '../../../workload/names.ts';
import { type RecordStore, secretRecordStore } from '../../../workload/record-store.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { policyFor } from '../../plan/checks/existing.ts';
import { moveId, recordKey, type Run, uidOf } from '../run.ts';
import { shortList } from './sentences.ts';

/** So many are written down at once, before the first of them is made. */
const batchObjects = 20;

export interface MadeObject {
  readonly type: ResourceType;
  readonly key: ObjectKey;
  /** Absent until it is known: then the object's mark tells whether it is ours. */
  readonly uid?: string;
  /** As it was there before, for what was updated. */
  readonly before?: KubeObject;
}

/** A step that has made all that it makes. */
export interface MadeMark {
  readonly step: string;
  /** Uid of the migration. */
  readonly by: string;
}

export type MadeRecord = MadeObject | MadeMark;

export const isMadeObject = (record: MadeRecord): record is MadeObject => 'key' in record;

export function madeStore(run: Run): RecordStore<MadeRecord> {
  const key = recordKey(run, 'destination', 'made');
  return secretRecordStore<MadeRecord>(run.destination.client, key);
}

export async function hasMade(run: Run, step: string): Promise<boolean> {
  const records = await madeStore(run).load();
  const by = uidOf(run.migration);
  return records.some((one) => !isMadeObject(one) && one.step === step && one.by === by);
}

export async function markMade(run: Run, step: string): Promise<void> {
  const store = madeStore(run);
  await store.save([...(await store.load()), { step, by: uidOf(run.migration) }]);
}

/** Of the plan, by kinds that the destination serves. */
export async function existingRulesOf(run: Run): Promise<ExistingRules> {
  const served = await createDiscovery(run.destination.client).resources();
  const policies: Record<string, ExistingPolicy> = {};
  for (const type of served) policies[kindText(type)] = policyFor(run.plan, type);
  return { id: moveId(run), policies };
}

type Objects = AsyncIterable<KubeObject>;

/** `AlreadyExists` names what is in the way, before anything is made. */
export async function proveMakeable(run: Run, objects: Objects): Promise<void> {
  const rules = await existingRulesOf(run);
  const clashes: string[] = [];
  for await (const one of compareExisting(run.destination.client, objects, rules)) {
    if (one.decision === 'Fail') clashes.push(one.message);
  }
  if (clashes.length === 0) return;
  fail(
    'AlreadyExists',
    `${shortList(clashes)}. ` +
      'Delete them there, or say in spec.existing of the plan what to do with their kinds',
  );
}

/** Makes the objects, one after another. Errors as `applyPrepared`. */
export async function makeAll(run: Run, objects: Objects): Promise<void> {
  const making = new Making(run, await existingRulesOf(run));
  let batch: KubeObject[] = [];
  for await (const object of objects) {
    batch.push(object);
    if (batch.length < batchObjects) continue;
    await making.make(batch);
    batch = [];
  }
  await making.make(batch);
  await making.finish();
}

class Making {
  readonly #run: Run;
  readonly #client: KubeClient;
  readonly #rules: ExistingRules;
  readonly #store: RecordStore<MadeRecord>;
  readonly #discovery;
  readonly #told = new Map<Applied['happened'], string[]>();
  readonly #objects = new Map<string, MadeObject>();
  #marks: readonly MadeRecord[] | undefined;
  #isDirty = false;

  constructor(run: Run, rules: ExistingRules) {
    this.#run = run;
    this.#rules = rules;
    this.#client = run.destination.client;
    this.#store = madeStore(run);
    this.#discovery = createDiscovery(this.#client);
  }

  async make(batch: readonly KubeObject[]): Promise<void> {
    if (this.#marks === undefined) {
      const records = await this.#store.load();
      for (const one of records.filter(isMadeObject)) this.#objects.set(textOf(one), one);
      this.#marks = records.filter((one) => !isMadeObject(one));
    }
    const compared: Comparison[] = [];
    const all = compareExisting(this.#client, batch, this.#rules, this.#discovery);
    for await (const one of all) compared.push(one);
    for (const [i, object] of batch.entries()) {
      const comparison = compared[i];
      if (comparison !== undefined) await this.#note(object, comparison);
    }
    await this.#save();
    for (const [i, object] of batch.entries()) {
      const comparison = compared[i];
      if (comparison !== undefined) await this.#apply(object, comparison);
    }
  }

  async finish(): Promise<void> {
    await this.#save();
    for (const [happened, texts] of this.#told) {
      const said = happened === 'Kept' ? 'Kept as the destination has it' : 'Updated there';
      this.#run.warn(`${said}: ${shortList(texts)}.`);
    }
  }

  /** Before it is changed. */
  async #note(object: KubeObject, comparison: Comparison): Promise<void> {
    const { decision, uid } = comparison;
    const key = keyOf(object);
    const type = await typeOf(this.#discovery, object);
    const known = this.#known(type, key);
    if (decision === 'Create') this.#put({ type, key });
    const isNew = known === undefined || (known.uid !== undefined && known.uid !== uid);
    if (decision !== 'Update' || !isNew) return;
    const there = await this.#client.get<KubeObject>(type, key);
    if (there?.metadata.uid !== uid)
      return fail('Conflict', `${key.name} was made again meanwhile`);
    this.#put({ type, key, uid, before: withoutAt(there, ['metadata', 'managedFields']) });
  }

  async #apply(object: KubeObject, comparison: Comparison): Promise<void> {
    const applied = await applyPrepared(this.#client, object, comparison, this.#discovery);
    const { happened, message, uid } = applied;
    const isTold = happened === 'Kept' || (happened === 'Updated' && !comparison.isOurs);
    if (isTold) this.#told.set(happened, [...(this.#told.get(happened) ?? []), message]);
    const known = this.#known(await typeOf(this.#discovery, object), keyOf(object));
    if (known === undefined || known.uid !== undefined) return;
    // Another may have made one of that name after we had written it down.
    if (happened === 'Created' || comparison.isOurs) this.#put({ ...known, uid });
  }

  #known(type: ResourceType, key: ObjectKey): MadeObject | undefined {
    return this.#objects.get(textOf({ type, key }));
  }

  #put(record: MadeObject): void {
    this.#objects.set(textOf(record), record);
    this.#isDirty = true;
  }

  async #save(): Promise<void> {
    if (!this.#isDirty) return;
    await this.#store.save([...this.#objects.values(), ...(this.#marks ?? [])]);
    this.#isDirty = false;
  }
}

const textOf = ({ type, key }: Pick<MadeObject, 'type' | 'key'>): string =>
  nameKey({ group: type.group, kind: type.kind, ...key });

/**
 * Takes away what was made, the last first, and puts back what was updated. Claims with data are
 * not among it: transfers made those. The records go when all is gone.
 */
export async function unmakeAll(run: Run, isKept: (one: MadeObject) => boolean): Promise<Undoing> {
  const store = madeStore(run);
  const records = await store.load();
  const { client } = run.destination;
  const left: string[] = [];
  for (const record of records.filter(isMadeObject).toReversed()) {
    if (isKept(record)) continue;
    if (record.before !== undefined) await bringBack(client, record, record.before);
    else if (await isThereAfterRemoval(run, record)) left.push(nameText(nameOfRecord(record)));
  }
  if (left.length > 0) {
    const message = `${left.length} objects are being deleted`;
    return { kind: 'running', message, progress: left.slice(0, 50) };
  }
  if (records.length > 0) await store.save([]);
  return { kind: 'done' };
}

const nameOfRecord = ({ type, key }: MadeObject) => ({
  group: type.group,
  kind: type.kind,
  ...key,
});

async function isThereAfterRemoval(run: Run, { type, key, uid }: MadeObject): Promise<boolean> {
  const { client } = run.destination;
  const found = await client.get<KubeObject>(type, key);
  if (found === undefined) return false;
  const isMarked = found.metadata.annotations?.[preparedFor] === moveId(run);
  const isSame = uid === undefined ? isMarked : found.metadata.uid === uid;
  if (!isSame) return false;
  if (found.metadata.deletionTimestamp !== undefined) return true;
  // Claims of a set may go with it: their data stays.
  const isSet = type.plural === statefulSets.plural && type.group === statefulSets.group;
  if (isSet) await keepClaimsOf(client, found as StatefulSet);
  const { uid: current = '' } = found.metadata;
  await client.delete(type, key, { uid: current, propagation: 'Background' });
  return (await client.get<KubeObject>(type, key))?.metadata.uid === current;
}

/** All but what servers write; only the very object that was updated. */
async function bringBack(
  client: KubeClient,
  { type, key }: MadeObject,
  before: KubeObject,
): Promise<void> {
  const found = await client.get<KubeObject>(type, key);
  if (found === undefined || found.metadata.uid !== before.metadata.uid) return;
  const { resourceVersion = '' } = found.metadata;
  await client.replace(type, { ...before, metadata: { ...before.metadata, resourceVersion } });
}

export const isClaim = ({ type }: MadeObject): boolean =>
  type.group === '' && type.plural === persistentVolumeClaims.plural;
