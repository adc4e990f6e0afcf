/**
 * Claims whose volume changes under their name: forward in a storage conversion, and backward, or
 * to a volume that came back, in a rollback. The steps are in `claims.ts`.
 */
import type { VolumeTransfer } from '../../../api/kinds/volume-transfer.ts';
import { fail } from '../../../base/errors.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { type keyOf, keyText } from '../../../kube/objects.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../kube/resources.ts';
import { type StatefulSet, statefulSets } from '../../../kube/workloads.ts';
import {
  hasTemplatesOf,
  isAddressed,
  planClaimTemplates,
  type TemplateChange,
  type TemplateRecord,
} from '../../../workload/claim-template.ts';
import { replaceClaimTemplates, undoClaimTemplates } from '../../../workload/claim-template-run.ts';
import { nameText } from '../../../workload/names.ts';
import { isClaimOfSet } from '../../../workload/pod-specs.ts';
import { claimAgain, type RebindRecord, type RebindRequest } from '../../../workload/rebind.ts';
import { rebind, undoRebind } from '../../../workload/rebind-run.ts';
import {
  makeClaim,
  removeClaim,
  reserveVolume,
  waitBound,
} from '../../../workload/rebind-volumes.ts';
import { removeEmptyRecords, secretRecordStore } from '../../../workload/record-store.ts';
import type { RecordStore } from '../../../workload/record-store.ts';
import { claimOfTemporary } from '../../plan/temporary-claim.ts';
import { temporaryClaim } from '../choices.ts';
import { copiesBack } from '../copies-back.ts';
import { cutoverOf } from '../cutover.ts';
import type { Retained } from '../retained.ts';
import { moveId, namespacesAt, recordKey, type Run } from '../run.ts';
import { hasSucceeded, transfersOf } from '../transfers.ts';
import { isConversion } from './moving.ts';
import { stoppedStore } from './stopping.ts';

/** A slice should end before people wonder; what is not there by then is looked at again. */
const patience = { waitMs: 30_000 };

export function reboundStore(run: Run): RecordStore<RebindRecord> {
  return secretRecordStore<RebindRecord>(run.source.client, recordKey(run, 'source', 'rebound'));
}

export function templatesStore(run: Run): RecordStore<TemplateRecord> {
  const key = recordKey(run, 'source', 'templates');
  return secretRecordStore<TemplateRecord>(run.source.client, key);
}

/** One claim and the volume that is to be under it. */
export interface Swap {
  readonly claim: { readonly namespace: string; readonly name: string };
  readonly volume: string;
  readonly storageClass: string | undefined;
}

function swapOf(claim: Swap['claim'], { spec, status }: VolumeTransfer): Swap {
  const { volume } = status ?? {};
  if (volume === undefined) {
    return fail('NotAccessible', `no volume is known for claim ${keyText(claim)}`);
  }
  return { claim, volume, storageClass: spec.destination.storageClass };
}

/** Of the last copies of a conversion. */
export async function swapsForward(
  run: Run,
  migration: Run['migration'] = run.migration,
): Promise<readonly Swap[]> {
  const copies = await transfersOf({ context: run.context, migration }, 'l');
  return copies
    .filter((one) => hasSucceeded(one) && one.spec.action !== 'Move')
    .map((one) => {
      const { namespace, claim: name } = one.spec.source;
      return swapOf({ namespace, name }, one);
    });
}

/** Of what came back as volumes of its own. */
export async function swapsBack(run: Run): Promise<readonly Swap[]> {
  if (isConversion(run)) return [];
  const copies = await transfersOf(run, 'b');
  const wanted = new Map(
    (await copiesBack(run)).map(({ claim, spec: { destination } }) => {
      return [keyText({ namespace: claim.namespace, name: destination.claim }), claim.name];
    }),
  );
  return copies.filter(hasSucceeded).flatMap((one) => {
    const { namespace, claim } = one.spec.destination;
    // A name that was cut does not tell what it stands for.
    const whole = claimOfTemporary(moveId(run), claim);
    const name = whole ?? wanted.get(keyText({ namespace, name: claim }));
    if (name === claim) return [];
    return name === undefined ? [] : [swapOf({ namespace, name }, one)];
  });
}

/** Every claim is bound to its volume, and nothing of the change is left to be done. */
export async function isSwapped(run: Run, swaps: readonly Swap[]): Promise<boolean> {
  const { client } = run.source;
  for (const { claim: key, volume } of swaps) {
    const claim = await client.get(persistentVolumeClaims, key);
    if (claim?.spec?.volumeName !== volume || claim.status?.phase !== 'Bound') return false;
    const { claimRef } = (await client.get(persistentVolumes, named(volume)))?.spec ?? {};
    if (claimRef?.uid !== claim.metadata.uid) return false;
  }
  return true;
}

const named = (name: string) => ({ namespace: '', name });

/** Errors as `rebind`. */
export async function swap(run: Run, swaps: readonly Swap[]): Promise<void> {
  const requests: readonly RebindRequest[] = swaps.map(({ claim, volume, storageClass }) => ({
    claim,
    volume,
    ...(storageClass === undefined ? {} : { storageClass }),
  }));
  const { warnings } = await rebind(run.source.client, requests, reboundStore(run), patience);
  for (const warning of warnings) run.warn(`${warning}.`);
}

/**
 * The policy that the volume under a claim gets back in the end is that of the claim's volume,
 * whichever that is: the one that lost its claim is kept for a person to delete.
 */
export async function readdressRetained(run: Run, to: 'New' | 'Old'): Promise<void> {
  const { store, known, next } = await readdressed(run, to);
  if (next.some((one, i) => one !== known[i])) await store.save(next);
}

export async function isReaddressed(run: Run): Promise<boolean> {
  const { known, next } = await readdressed(run, 'New');
  return next.every((one, i) => one === known[i]);
}

async function readdressed(run: Run, to: 'New' | 'Old') {
  const key = recordKey(run, 'source', 'retained');
  const store = secretRecordStore<Retained>(run.source.client, key);
  const rebound = await reboundStore(run).load();
  const known = await store.load();
  const next = known.map((one) => {
    const record = rebound.find(({ volume, oldVolume }) => {
      return one.uid === (to === 'New' ? oldVolume : volume)?.uid;
    });
    const other = to === 'New' ? record?.volume : record?.oldVolume;
    return other === undefined ? one : { ...one, name: other.name, uid: other.uid };
  });
  return { store, known, next };
}

/** What the templates of sets have to say, so that a set which grows asks for the new class. */
async function planTemplates(run: Run, swaps: readonly Swap[]): Promise<readonly TemplateRecord[]> {
  const { client } = run.source;
  const planned: TemplateRecord[] = [];
  for (const namespace of namespacesAt(run, 'source')) {
    for await (const set of client.list(statefulSets, { namespace })) {
      const changes = await changesOf(client, set, swaps);
      if (changes.length === 0) continue;
      const { record, blockers } = planClaimTemplates(set, changes);
      const [blocker] = blockers;
      if (blocker !== undefined) {
        fail('Conflict', `${nameText(blocker.name)}: ${blocker.message}. ${blocker.remedy}`);
      }
      if (record !== undefined) planned.push(record);
    }
  }
  return planned;
}

async function changesOf(
  client: KubeClient,
  set: StatefulSet,
  swaps: readonly Swap[],
): Promise<readonly TemplateChange[]> {
  const changes = new Map<string, TemplateChange>();
  for (const { claim: key, volume } of swaps) {
    if (key.namespace !== set.metadata.namespace || !isClaimOfSet(set, key.name)) continue;
    const { spec } = (await client.get(persistentVolumes, named(volume))) ?? {};
    const template = templateOf(set, key.name);
    if (spec === undefined || template === undefined) continue;
    const { storageClassName, volumeMode } = spec;
    changes.set(template, {
      template,
      ...(storageClassName === undefined ? {} : { storageClass: storageClassName }),
      ...(volumeMode === undefined ? {} : { volumeMode }),
    });
  }
  return [...changes.values()];
}

function templateOf({ spec, metadata }: StatefulSet, claim: string): string | undefined {
  return (spec?.volumeClaimTemplates ?? [])
    .map((one) => one.metadata.name ?? '')
    .find((name) => claim.replace(/-\d+$/, '') === `${name}-${metadata.name ?? ''}`);
}

/**
 * No set is missing, each asks for what it should, and the record of how many pods it had names the
 * set that is there: else nobody would start it again.
 */
export async function areTemplatesSwapped(run: Run, swaps: readonly Swap[]): Promise<boolean> {
  const stopped = await stoppedStore(run, 'source').load();
  for (const { set: key, after } of await templatesStore(run).load()) {
    const set = await run.source.client.get(statefulSets, key);
    if (set === undefined || !hasTemplatesOf(set, after)) return false;
    if (!isAddressed(stopped, set)) return false;
  }
  return (await planTemplates(run, swaps)).length === 0;
}

/** Errors as `replaceClaimTemplates`. */
export async function swapTemplates(run: Run, swaps: readonly Swap[]): Promise<void> {
  const records = await planTemplates(run, swaps);
  await replaceClaimTemplates(run.source.client, records, templatesStore(run), {
    ...patience,
    stopped: stoppedStore(run, 'source'),
  });
}

/** Claims and templates as they were before. The records go. */
export async function swapBack(run: Run): Promise<void> {
  const { client } = run.source;
  await undoClaimTemplates(client, templatesStore(run), {
    ...patience,
    stopped: stoppedStore(run, 'source'),
  });
  await removeEmptyRecords(client, recordKey(run, 'source', 'templates'));
  await removeOldClaims(run);
  await undoRebind(client, reboundStore(run), patience);
  await removeEmptyRecords(client, recordKey(run, 'source', 'rebound'));
}

export async function isSwappedBack(run: Run): Promise<boolean> {
  for (const store of [reboundStore(run), templatesStore(run)]) {
    if ((await store.load()).length > 0) return false;
  }
  return true;
}

/** The name that a claim on the old volume of a conversion has for a while. */
function oldClaimKey(run: Run, { to }: RebindRecord) {
  return { namespace: to.namespace, name: temporaryClaim(run, to.name) };
}

/**
 * Gives the old volumes of a conversion a claim each, so that what was written since can be copied
 * back into them. The copy's destination is named so. Errors as `rebind`.
 */
export async function makeOldClaims(run: Run): Promise<void> {
  if (!isConversion(run) || cutoverOf(run) === undefined) return;
  const { client } = run.source;
  for (const record of await reboundStore(run).load()) {
    const [known] = record.claims;
    const { oldVolume } = record;
    if (known === undefined || oldVolume === undefined) continue;
    const key = oldClaimKey(run, record);
    const uid = await uidOn(client, key, oldVolume.name);
    await reserveVolume(client, oldVolume, key, uid);
    const again = claimAgain(known);
    const { labels = {} } = again.metadata;
    const metadata = { ...key, labels, annotations: {} };
    await makeClaim(client, { ...again, metadata } as PersistentVolumeClaim);
    await waitBound(client, key, oldVolume, patience);
  }
}

async function uidOn(client: KubeClient, key: ReturnType<typeof keyOf>, volume: string) {
  const claim = await client.get(persistentVolumeClaims, key);
  return claim?.spec?.volumeName === volume ? claim.metadata.uid : undefined;
}

/** They have the names that the claims of the new volumes get back. */
async function removeOldClaims(run: Run): Promise<void> {
  const { client } = run.source;
  for (const record of await reboundStore(run).load()) {
    const claim = await client.get(persistentVolumeClaims, oldClaimKey(run, record));
    const isOld = claim?.spec?.volumeName === record.oldVolume?.name;
    if (claim !== undefined && isOld) await removeClaim(client, claim, patience);
  }
}
