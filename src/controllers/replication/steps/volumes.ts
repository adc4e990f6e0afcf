/**
 * Volumes of a repeated replication: the new copy is made under a claim of its own while the old
 * one may be in use, and takes its place under the claim that people know when all of it is there.
 */
import type { VolumeTransfer } from '../../../api/kinds/volume-transfer.ts';
import { exactSize } from '../../../base/units.ts';
import type { Step } from '../../../flow/flow.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { keyText, type ObjectKey } from '../../../kube/objects.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../../kube/resources.ts';
import { recordPrefix } from '../../../workload/ours.ts';
import { claimAgain, type RebindRecord } from '../../../workload/rebind.ts';
import { rebind, undoRebind } from '../../../workload/rebind-run.ts';
import {
  makeClaim,
  removeClaim,
  reserveVolume,
  setReclaimPolicy,
  waitBound,
} from '../../../workload/rebind-volumes.ts';
import { removeEmptyRecords, secretRecordStore } from '../../../workload/record-store.ts';
import type { RecordStore } from '../../../workload/record-store.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { quantityBytes } from '../../claim/made.ts';
import {
  type Choice,
  ensureChoices,
  loadChoices,
  temporaryClaim,
} from '../../migration/choices.ts';
import { moveId, namespacesAt, uidOf } from '../../migration/run.ts';
import { isSwapped, type Swap } from '../../migration/steps/swapping.ts';
import { isFilling, progressLine, transfersOf } from '../../migration/transfers.ts';
import { hasVolumes, type ReplicationRun } from '../as-plan.ts';

const minuteMs = 60_000;
/** A slice should end before people wonder; what is not there by then is looked at again. */
const patience = { waitMs: 30_000 };
const linesMax = 100;

/** Copied file by file or block by block: the next copy needs only what differs from it. */
const intoVolumes: ReadonlySet<string | undefined> = new Set(['Filesystem', 'Block']);

type Run = ReplicationRun;

function reboundKey(run: Run): ObjectKey {
  const [namespace = ''] = namespacesAt(run, 'destination');
  return { namespace, name: `${recordPrefix}swapped-${uidOf(run.replication)}` };
}

export function reboundStore(run: Run): RecordStore<RebindRecord> {
  return secretRecordStore<RebindRecord>(run.destination.client, reboundKey(run));
}

/** A claim that is there gets its new copy under another name, and keeps what it has till then. */
async function settle(run: Run, choice: Choice): Promise<Choice> {
  if (choice.action === 'Skip') return choice;
  const { namespace, claim: name } = choice.destination;
  const { client } = run.destination;
  const found = await client.get(persistentVolumeClaims, { namespace, name });
  if (found === undefined) return choice;
  if (found.metadata.annotations?.[preparedFor] !== moveId(run)) {
    const what = `Claim ${namespace}/${name} is there and was not made by this replication`;
    run.warn(`${what}: it stays as it is, and its data is not replicated.`);
    return { ...choice, action: 'Skip' };
  }
  const claim = temporaryClaim(run, name);
  await dropUseless(run, choice, { namespace, name: claim });
  return { ...choice, destination: { ...choice.destination, claim } };
}

/** The volume of before, into which differences go: of no use when another is wanted now. */
async function dropUseless(run: Run, choice: Choice, key: ObjectKey): Promise<void> {
  const { client } = run.destination;
  const kept = await client.get(persistentVolumeClaims, key);
  if (kept === undefined) return;
  const { namespace, claim: name } = choice;
  const source = await run.source.client.get(persistentVolumeClaims, { namespace, name });
  const bytes = (claim: PersistentVolumeClaim | undefined) =>
    quantityBytes(claim?.status?.capacity?.storage) ?? 0;
  const { storageClass = kept.spec?.storageClassName } = choice.destination;
  const isSameClass = kept.spec?.storageClassName === storageClass;
  if (isSameClass && bytes(kept) >= bytes(source)) return;
  await condemn(client, kept);
  await removeClaim(client, kept, patience);
}

async function condemn(client: KubeClient, { spec }: PersistentVolumeClaim): Promise<void> {
  const key = { namespace: '', name: spec?.volumeName ?? '' };
  const volume = key.name === '' ? undefined : await client.get(persistentVolumes, key);
  if (volume === undefined) return;
  await client.patch(persistentVolumes, key, { spec: { persistentVolumeReclaimPolicy: 'Delete' } });
}

const chooseVolumes: Step<Run> = {
  name: 'chooseVolumes',
  description: 'Decides how each volume is copied, and under which claim.',
  deadlineMs: 5 * minuteMs,
  isNeeded: async ({ replication }) => hasVolumes(replication),
  observe: async (run) => ({
    kind: (await loadChoices(run)) === undefined ? 'notStarted' : 'done',
  }),
  ensure: async (run) => {
    await ensureChoices(run, async (found) => {
      const settled: Choice[] = [];
      for (const one of found) settled.push(await settle(run, one));
      return settled;
    });
  },
};

interface Pending extends Swap {
  readonly transfer: VolumeTransfer;
}

/** Copies that are to take the place of older ones. */
export async function pendingSwaps(run: Run): Promise<readonly Pending[]> {
  return (await transfersOf(run, 'l')).flatMap((transfer) => {
    const { namespace, claim, storageClass } = transfer.spec.destination;
    const { volume } = transfer.status ?? {};
    // A replication renames no claims; a temporary name may be too short to tell whose it is.
    const name = transfer.spec.source.claim;
    if (claim !== temporaryClaim(run, name) || volume === undefined) return [];
    return [{ claim: { namespace, name }, volume, storageClass, transfer }];
  });
}

/** The old copy goes on being used until all of the new one is there. */
const fillVolumes: Step<Run> = {
  name: 'fillVolumes',
  description: 'Waits until all bytes of copies that take the place of others are there.',
  deadlineMs: 30 * minuteMs,
  isNeeded: async ({ replication }) => hasVolumes(replication),
  observe: async (run) => {
    await warnOfFiles(run);
    const filling = (await pendingSwaps(run)).filter(({ transfer }) => isFilling(transfer));
    if (filling.length === 0) return { kind: 'done' };
    const progress = filling.slice(0, linesMax).map(({ transfer }) => progressLine(transfer));
    return { kind: 'running', message: `${filling.length} volumes fill`, progress };
  },
  ensure: async () => undefined,
};

/** What copies files or blocks of a volume that is in use reads each at another moment. */
async function warnOfFiles(run: Run): Promise<void> {
  for (const { spec, status } of await transfersOf(run, 'l')) {
    if (!intoVolumes.has(status?.method)) continue;
    const { namespace, claim } = spec.source;
    run.warn(
      `Claim ${namespace}/${claim} was copied by ${status?.method} while its source ran: ` +
        'its files or blocks are each as they were when they were read.',
    );
  }
}

/** `isSwapped` of migrations looks at their source. */
const atDestination = (run: Run): Run => ({ ...run, source: run.destination });

const swapVolumes: Step<Run> = {
  name: 'swapVolumes',
  description: 'Puts the new copies under the claims, which keep their names.',
  deadlineMs: 15 * minuteMs,
  isNeeded: async (run) => (await pendingSwaps(run)).length > 0,
  observe: async (run) => {
    const isDone = await isSwapped(atDestination(run), await pendingSwaps(run));
    return { kind: isDone ? 'done' : 'notStarted' };
  },
  ensure: async (run) => {
    const requests = (await pendingSwaps(run)).map(({ claim, volume }) => ({ claim, volume }));
    const store = reboundStore(run);
    const { warnings } = await rebind(run.destination.client, requests, store, patience);
    for (const warning of warnings) run.warn(`${warning}.`);
  },
  undo: async (run) => {
    await undoSwap(run);
    return { kind: 'done' };
  },
};

/** The volumes of now stay under the claims. */
export async function forgetSwap(run: Run): Promise<void> {
  await run.destination.client.delete(secrets, reboundKey(run));
}

/** The volumes of before are under the claims again. */
export async function undoSwap(run: Run): Promise<void> {
  const { client } = run.destination;
  await undoRebind(client, reboundStore(run), patience);
  await removeEmptyRecords(client, reboundKey(run));
}

/**
 * What was under the claims before: kept under another claim where the next copy is written over
 * it, else given back. Safe to repeat; the records go when all is done.
 */
export async function releaseOld(run: Run): Promise<void> {
  const { client } = run.destination;
  const swaps = await pendingSwaps(run);
  const store = reboundStore(run);
  const records = await store.load();
  for (const record of records) {
    const swap = swaps.find(({ claim }) => keyText(claim) === keyText(record.to));
    const { oldVolume } = record;
    if (oldVolume === undefined) continue;
    const volume = await client.get(persistentVolumes, { namespace: '', name: oldVolume.name });
    if (volume?.metadata.uid !== oldVolume.uid) continue;
    if (intoVolumes.has(swap?.transfer.status?.method)) await keepUnder(run, record);
    else await setReclaimPolicy(client, oldVolume, 'Delete');
  }
  if (records.length > 0) await store.save([]);
  await removeEmptyRecords(client, reboundKey(run));
}

async function keepUnder(run: Run, { claims, to, oldVolume }: RebindRecord): Promise<void> {
  const [known] = claims;
  if (known === undefined || oldVolume === undefined) return;
  const { client } = run.destination;
  const key = { namespace: to.namespace, name: temporaryClaim(run, to.name) };
  const there = await client.get(persistentVolumeClaims, key);
  const isOn = there?.spec?.volumeName === oldVolume.name;
  await reserveVolume(client, oldVolume, key, isOn ? there?.metadata.uid : undefined);
  const volume = await client.get(persistentVolumes, { namespace: '', name: oldVolume.name });
  const storage = volume?.spec?.capacity?.storage ?? exactSize(0);
  const again = claimAgain(known);
  await makeClaim(client, {
    ...again,
    metadata: { ...key, annotations: { [preparedFor]: moveId(run) } },
    spec: { ...again.spec, resources: { requests: { storage } } },
  });
  await waitBound(client, key, oldVolume, patience);
}

/** Claims at the destination whose volume changes. */
export async function swappedClaims(run: Run): Promise<ReadonlySet<string>> {
  return new Set((await pendingSwaps(run)).map(({ claim }) => keyText(claim)));
}

export const volumeSteps: readonly Step<Run>[] = [chooseVolumes, fillVolumes, swapVolumes];
