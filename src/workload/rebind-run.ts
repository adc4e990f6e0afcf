/**
 * Binds claims anew, step by step. What is done is seen in the cluster and never remembered, so
 * that it may be killed anywhere and run again; the records are kept before anything is changed.
 */
import { fail } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { keyOf, keyText, type ObjectKey } from '../kube/objects.ts';
import {
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../kube/resources.ts';
import { nameText } from './names.ts';
import {
  claimAgain,
  clashOf,
  mismatchOf,
  planRebind,
  type RebindPlan,
  type RebindRecord,
  type RebindRequest,
  type RebindView,
  recordKeyOf,
  type VolumeBefore,
} from './rebind.ts';
import {
  makeClaim,
  proveUnused,
  putBackClaimRef,
  readVolume,
  removeClaim,
  reserveVolume,
  setReclaimPolicy,
  waitBound,
} from './rebind-volumes.ts';
import type { WaitOptions } from './rebind-wait.ts';
import type { RecordStore } from './record-store.ts';

/** Reads what a plan needs, and changes nothing. */
export async function readRebind(
  client: KubeClient,
  { claim: key, volume, to = key, storageClass }: RebindRequest,
): Promise<RebindView> {
  const claim = await client.get(persistentVolumeClaims, key);
  const read = async (name: string | undefined) =>
    name === undefined ? undefined : client.get(persistentVolumes, { namespace: '', name });
  const oldVolume = await read(claim?.spec?.volumeName);
  const newVolume = volume === undefined ? oldVolume : await read(volume);
  const { namespace = '', name = '', uid } = newVolume?.spec?.claimRef ?? {};
  const found =
    name === '' ? undefined : await client.get(persistentVolumeClaims, { namespace, name });
  const place = await client.get(namespaces, { namespace: '', name: to.namespace });
  const isOther = keyText(to) !== keyText(key);
  return {
    claim,
    oldVolume,
    newVolume,
    holder: found?.metadata.uid === uid ? found : undefined,
    taken: isOther ? await client.get(persistentVolumeClaims, to) : undefined,
    hasNamespace: place !== undefined && place.metadata.deletionTimestamp === undefined,
    storageClass:
      storageClass === undefined || storageClass === ''
        ? undefined
        : await client.get(storageClasses, { namespace: '', name: storageClass }),
  };
}

/**
 * Plans what is not under way yet, then does it all. `InUse` and `Conflict` name every blocker
 * before anything is changed.
 */
export async function rebind(
  client: KubeClient,
  requests: readonly RebindRequest[],
  store: RecordStore<RebindRecord>,
  options: WaitOptions = {},
): Promise<{ readonly warnings: readonly string[] }> {
  const known = new Set((await store.load()).map(recordKeyOf));
  const plans: RebindPlan[] = [];
  for (const request of requests) {
    if (known.has(keyText(request.to ?? request.claim))) continue;
    plans.push(planRebind(await readRebind(client, request), request));
  }
  const blockers = plans.flatMap((one) => one.blockers);
  if (blockers.length > 0) {
    const said = blockers.map(({ name, message }) => `${nameText(name)}: ${message}`);
    fail('Conflict', said.join('; '));
  }
  const records = plans.flatMap(({ record }) => (record === undefined ? [] : [record]));
  await rebindClaims(client, records, store, options);
  return { warnings: plans.flatMap((one) => one.warnings) };
}

/**
 * Does what the records say, and what records of an earlier, interrupted run say. Errors: `InUse`
 * (nothing of that claim is changed), `Conflict`, `ClassMismatch`, `NotFound`, `TimedOut`.
 */
export async function rebindClaims(
  client: KubeClient,
  records: readonly RebindRecord[],
  store: RecordStore<RebindRecord>,
  options: WaitOptions = {},
): Promise<void> {
  const known = await store.load();
  const keys = new Set(known.map(recordKeyOf));
  const added = records.filter((one) => !keys.has(recordKeyOf(one)));
  const all = [...known, ...added];
  const clash = clashOf(all);
  if (clash !== undefined) fail('Conflict', clash);
  if (added.length > 0) await store.save(all);
  // All or nothing: the claims of one application are proven free before the first is touched.
  await proveUnused(client, await claimsLeft(client, all));
  for (const record of all) for (const one of volumesOf(record)) await keepData(client, one);
  for (const record of all) await forward(client, record, options);
}

const volumesOf = ({ volume, oldVolume }: RebindRecord): readonly VolumeBefore[] =>
  oldVolume === undefined ? [volume] : [volume, oldVolume];

const keepData = (client: KubeClient, volume: VolumeBefore): Promise<void> =>
  setReclaimPolicy(client, volume, 'Retain');

/** Those that are still to be taken away. */
async function claimsLeft(
  client: KubeClient,
  records: readonly RebindRecord[],
): Promise<readonly ObjectKey[]> {
  const left: ObjectKey[] = [];
  for (const claim of records.flatMap((one) => one.claims)) {
    const current = await client.get(persistentVolumeClaims, keyOf(claim));
    if (current?.metadata.uid === claim.metadata.uid) left.push(keyOf(claim));
  }
  return left;
}

async function forward(
  client: KubeClient,
  record: RebindRecord,
  options: WaitOptions,
): Promise<void> {
  const { claims, volume, to, make } = record;
  for (const claim of claims) await removeClaim(client, claim, options);
  await reserveVolume(client, volume, to, await uidOn(client, to, volume));
  await makeClaim(client, make);
  await waitBound(client, to, volume, options);
  const problem = mismatchOf(await readVolume(client, volume), record);
  if (problem !== undefined) {
    fail('ClassMismatch', `claim ${keyText(to)} has volume ${volume.name}: ${problem}`);
  }
}

/** Of the claim of that name, where it names the volume. */
async function uidOn(
  client: KubeClient,
  key: ObjectKey,
  volume: VolumeBefore,
): Promise<string | undefined> {
  const claim = await client.get(persistentVolumeClaims, key);
  return claim?.spec?.volumeName === volume.name ? claim.metadata.uid : undefined;
}

export interface FinishOptions {
  /**
   * Gives the old volumes their own reclaim policy back as well: with `Delete` their data is gone
   * for ever. Otherwise they stay, released, for a person to delete.
   */
  readonly releaseOld: boolean;
}

/** The end: reclaim policies come back, the records go, and nothing can be undone any more. */
export async function finishRebind(
  client: KubeClient,
  store: RecordStore<RebindRecord>,
  { releaseOld }: FinishOptions,
): Promise<void> {
  const records = await store.load();
  for (const record of records) {
    const { volume, to } = record;
    const uid = await uidOn(client, to, volume);
    const { claimRef } = (await readVolume(client, volume)).spec ?? {};
    if (uid === undefined || claimRef?.uid !== uid) {
      fail('Conflict', `claim ${keyText(to)} is not bound to volume ${volume.name}`);
    }
  }
  for (const { volume, oldVolume } of records) {
    await setReclaimPolicy(client, volume, volume.reclaimPolicy);
    if (!releaseOld || oldVolume === undefined) continue;
    const old = await client.get(persistentVolumes, { namespace: '', name: oldVolume.name });
    // It may be gone already: an earlier run had come this far.
    if (old?.metadata.uid !== oldVolume.uid) continue;
    await setReclaimPolicy(client, oldVolume, oldVolume.reclaimPolicy);
  }
  if (records.length > 0) await store.save([]);
}

/** Everything as it was: names, volumes, reclaim policies. Errors as `rebindClaims`. */
export async function undoRebind(
  client: KubeClient,
  store: RecordStore<RebindRecord>,
  options: WaitOptions = {},
): Promise<void> {
  const records = await store.load();
  for (const record of records) for (const one of volumesOf(record)) await keepData(client, one);
  for (const record of records.toReversed()) await backward(client, record, options);
  for (const one of records.flatMap(volumesOf)) {
    await setReclaimPolicy(client, one, one.reclaimPolicy);
  }
  if (records.length > 0) await store.save([]);
}

async function backward(
  client: KubeClient,
  record: RebindRecord,
  options: WaitOptions,
): Promise<void> {
  const { claims, to, volume } = record;
  const before = new Set(claims.map((one) => one.metadata.uid));
  const made = await client.get(persistentVolumeClaims, to);
  const isOurs =
    made !== undefined && !before.has(made.metadata.uid) && made.spec?.volumeName === volume.name;
  if (isOurs) await removeClaim(client, made, options);
  // Those whose deletion was asked for are gone before they are made again.
  for (const claim of claims) {
    const current = await client.get(persistentVolumeClaims, keyOf(claim));
    const isEnding = current?.metadata.deletionTimestamp !== undefined;
    if (isEnding) await removeClaim(client, current, options);
  }
  const held = claims.flatMap((one) => one.spec?.volumeName ?? []);
  for (const one of volumesOf(record)) {
    if (!held.includes(one.name)) await putBackClaimRef(client, one);
  }
  for (const claim of claims) {
    const own = volumesOf(record).find((one) => one.name === claim.spec?.volumeName);
    if (own === undefined) continue;
    const key = keyOf(claim);
    await reserveVolume(client, own, key, await uidOn(client, key, own));
    await makeClaim(client, claimAgain(claim));
    await waitBound(client, key, own, options);
  }
}
