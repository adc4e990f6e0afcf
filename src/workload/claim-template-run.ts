/**
 * Makes StatefulSets again with other claim templates. The record holds the whole set, so that a
 * run which was killed between taking away and making is gone on with.
 */
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { type KubeObject, keyOf, keyText } from '../kube/objects.ts';
import { persistentVolumeClaims } from '../kube/resources.ts';
import { pods, type StatefulSet, statefulSets } from '../kube/workloads.ts';
import {
  deletesClaims,
  hasTemplatesOf,
  isAddressed,
  readdressed,
  refreshed,
  type TemplateRecord,
} from './claim-template.ts';
import { isClaimOfSet } from './pod-specs.ts';
import { despiteConflicts } from './rebind-volumes.ts';
import { type WaitOptions, waitUntil } from './rebind-wait.ts';
import type { RecordStore } from './record-store.ts';
import type { UndoRecord } from './undo.ts';

export interface ReplaceOptions extends WaitOptions {
  /** Records of sets that are stopped now: they are readdressed to the sets that come. */
  readonly stopped?: RecordStore<UndoRecord>;
}

const keyOfRecord = ({ set }: TemplateRecord): string => keyText(set);

/**
 * Does what the records say, and what records of an interrupted run say. Claims and pods are left
 * as they are. Errors: `Conflict` (somebody else made the set meanwhile), `TimedOut`.
 */
export async function replaceClaimTemplates(
  client: KubeClient,
  records: readonly TemplateRecord[],
  store: RecordStore<TemplateRecord>,
  options: ReplaceOptions = {},
): Promise<void> {
  const known = await store.load();
  const keys = new Set(known.map(keyOfRecord));
  const added = records.filter((one) => !keys.has(keyOfRecord(one)));
  if (added.length > 0) await store.save([...known, ...added]);
  for (const { set } of [...known, ...added]) {
    const record = await takeAway(client, keyText(set), store, options);
    await makeSet(client, record.after, options);
  }
}

/** The sets with the templates they had. The records go. */
export async function undoClaimTemplates(
  client: KubeClient,
  store: RecordStore<TemplateRecord>,
  options: ReplaceOptions = {},
): Promise<void> {
  for (const record of (await store.load()).toReversed()) {
    const current = await client.get(statefulSets, record.set);
    if (current?.metadata.uid === record.uid && !isEnding(current)) {
      await putBackRetention(client, record);
      continue;
    }
    const isOurs = current !== undefined && !hasTemplatesOf(current, record.before);
    if (isOurs) {
      if (!hasTemplatesOf(current, record.after)) return changedByOthers(current);
      await orphan(client, current, options);
    } else if (current !== undefined && isEnding(current)) {
      await waitGone(client, current, options);
    }
    await makeSet(client, record.before, options);
  }
  await store.save([]);
}

/** Nothing can be undone any more. */
export async function finishClaimTemplates(store: RecordStore<TemplateRecord>): Promise<void> {
  if ((await store.load()).length > 0) await store.save([]);
}

const isEnding = (set: StatefulSet): boolean => set.metadata.deletionTimestamp !== undefined;

function changedByOthers(set: StatefulSet): never {
  const name = keyText(keyOf(set));
  return fail('Conflict', `StatefulSet ${name} was made by somebody else meanwhile`);
}

/** The record as it was when the set went: changes up to that moment are kept. */
function takeAway(
  client: KubeClient,
  key: string,
  store: RecordStore<TemplateRecord>,
  options: WaitOptions,
): Promise<TemplateRecord> {
  return despiteConflicts(async () => {
    const all = await store.load();
    const record = all.find((one) => keyOfRecord(one) === key);
    if (record === undefined) return fail('Internal', `no record is kept of set ${key}`);
    const current = await client.get(statefulSets, record.set);
    if (current?.metadata.uid !== record.uid) return record;
    if (isEnding(current)) {
      await waitGone(client, current, options);
      return record;
    }
    const newest = refreshed(record, current);
    if (newest !== record) {
      await store.save(all.map((one) => (keyOfRecord(one) === key ? newest : one)));
    }
    await orphan(client, current, options);
    return newest;
  });
}

/** Pods and claims stay, and belong to nobody for a moment. */
async function orphan(client: KubeClient, set: StatefulSet, options: WaitOptions): Promise<void> {
  const key = keyOf(set);
  await keepClaimsOf(client, set, options);
  const { uid = '' } = set.metadata;
  await client.delete(statefulSets, key, { uid, propagation: 'Orphan' });
  await waitGone(client, set, options);
}

/** The set can be deleted afterwards, and its claims stay. Errors: `Conflict`, `TimedOut`. */
export async function keepClaimsOf(
  client: KubeClient,
  set: StatefulSet,
  options: WaitOptions = {},
): Promise<void> {
  if (deletesClaims(set)) {
    await client.patch(statefulSets, keyOf(set), {
      metadata: { resourceVersion: set.metadata.resourceVersion },
      spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain' } },
    });
  }
  await disownClaims(client, set, options);
}

/** A claim that names a set which is gone as its owner would be collected. */
async function disownClaims(
  client: KubeClient,
  set: StatefulSet,
  options: WaitOptions,
): Promise<void> {
  const { namespace } = keyOf(set);
  await waitUntil(
    client,
    async () => {
      let owned: string | undefined;
      for await (const claim of client.list(persistentVolumeClaims, { namespace })) {
        const { ownerReferences = [], name = '', resourceVersion } = claim.metadata;
        const others = ownerReferences.filter(({ uid }) => uid !== set.metadata.uid);
        if (others.length === ownerReferences.length || !isClaimOfSet(set, name)) continue;
        owned = `claim ${namespace}/${name} still goes with StatefulSet ${set.metadata.name}`;
        const metadata = { resourceVersion, ownerReferences: others };
        await client
          .patch(persistentVolumeClaims, { namespace, name }, { metadata })
          .catch(unlessConflict);
      }
      return owned;
    },
    options,
  );
}

function unlessConflict(error: unknown): void {
  if (!(error instanceof TransshipError) || error.reason !== 'Conflict') throw error;
}

async function waitGone(client: KubeClient, set: StatefulSet, options: WaitOptions): Promise<void> {
  const key = keyOf(set);
  await waitUntil(
    client,
    async () => {
      const left = await client.get(statefulSets, key);
      if (left === undefined || left.metadata.uid !== set.metadata.uid) return undefined;
      const { finalizers = [] } = left.metadata;
      return `StatefulSet ${keyText(key)} waits for ${finalizers.join(', ')}`;
    },
    options,
  );
}

async function makeSet(
  client: KubeClient,
  wanted: StatefulSet,
  options: ReplaceOptions,
): Promise<void> {
  const key = keyOf(wanted);
  const current = await client.get(statefulSets, key);
  const made = current ?? (await client.create(statefulSets, wanted));
  if (isEnding(made) || !hasTemplatesOf(made, wanted)) changedByOthers(made);
  if (options.stopped !== undefined) {
    const records = await options.stopped.load();
    if (!isAddressed(records, made)) await options.stopped.save(readdressed(records, made));
  }
  await waitAdopted(client, made, options);
}

/** Pods of the set's names that nobody controls, or that one which is gone controls. */
async function waitAdopted(
  client: KubeClient,
  set: StatefulSet,
  options: WaitOptions,
): Promise<void> {
  const { namespace, name } = keyOf(set);
  await waitUntil(
    client,
    async () => {
      for await (const pod of client.list<KubeObject>(pods, { namespace })) {
        const { name: podName = '', ownerReferences = [], deletionTimestamp } = pod.metadata;
        const isOfSet = podName.startsWith(`${name}-`) && /-\d+$/.test(podName);
        const isNamed = podName.replace(/-\d+$/, '') === name;
        if (!isOfSet || !isNamed || deletionTimestamp !== undefined) continue;
        const owner = ownerReferences.find(({ controller }) => controller === true);
        if (owner?.uid === set.metadata.uid) continue;
        return `pod ${namespace}/${podName} is not adopted by StatefulSet ${name} yet`;
      }
      return undefined;
    },
    options,
  );
}

/** The set was never taken away; only its retention policy may be ours. */
async function putBackRetention(client: KubeClient, record: TemplateRecord): Promise<void> {
  if (!deletesClaims(record.before)) return;
  await client.patch(statefulSets, record.set, {
    metadata: { uid: record.uid },
    spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } },
  });
}
