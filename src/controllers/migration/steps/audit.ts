/** What is proven of the last copies before anything is started on them. */
import { type VolumeTransfer, volumeTransfers } from '../../../api/kinds/volume-transfer.ts';
import type { Broken, Observation, Step } from '../../../flow/flow.ts';
import { keyOf } from '../../../kube/objects.ts';
import { isOurs } from '../../../workload/ours.ts';
import { findWriters } from '../../../workload/quiesce-run.ts';
import { annotations } from '../../labels.ts';
import { conditionOf } from '../../status.ts';
import { isTemporary } from '../../plan/temporary-claim.ts';
import { loadChoices } from '../choices.ts';
import { isQuiesced } from '../conditions.ts';
import { moveId, type Run, type SideName } from '../run.ts';
import { hasSucceeded, type Pass, transfersOf } from '../transfers.ts';
import { claimKey, movingClaims } from './moving.ts';

const deadlineMs = 10 * 60_000;

function nameOf({ spec: { source } }: VolumeTransfer): string {
  return `${source.namespace}/${source.claim}`;
}

/** Where the copies of the pass come from is `from`. */
async function audit(run: Run, pass: Pass, from: SideName): Promise<Observation> {
  const all = await transfersOf(run, pass);
  const unfinished = all.find((one) => !hasSucceeded(one));
  if (unfinished !== undefined) {
    const message = `the copy of claim ${nameOf(unfinished)} has not succeeded`;
    return { kind: 'failed', reason: 'NotAccessible', message };
  }
  const unequal = all.filter((one) => conditionOf(one, 'Verified')?.status === 'False');
  if (unequal.length > 0) {
    const message = `claim ${unequal.map(nameOf).join(', ')}: the copy is not equal to its source`;
    return { kind: 'failed', reason: 'DataCorrupt', message };
  }
  const late = pass === 'l' ? await findLate(run) : undefined;
  return late ?? (await findSpoiled(run, all, from)) ?? { kind: 'done' };
}

/**
 * Claims with data that came when the copies had been chosen: what is made of them at the
 * destination would be empty.
 */
export async function findLate(run: Run): Promise<Broken | undefined> {
  const choices = await loadChoices(run);
  if (choices === undefined) return undefined;
  const chosen = new Set(choices.map(({ namespace, claim }) => `${namespace}/${claim}`));
  const late = (await movingClaims(run)).filter((claim) => {
    const isOwn = isTemporary(claim, moveId(run));
    return claim.status?.phase === 'Bound' && !isOwn && !chosen.has(claimKey(claim));
  });
  if (late.length === 0) return undefined;
  const message =
    `claim ${late.map(claimKey).join(', ')} was made after the copies had been chosen, and is ` +
    'not copied; make a new migration, which takes it along';
  return { kind: 'failed', reason: 'Conflict', message };
}

/** Of copies that nobody spoiled until now, undefined. */
export async function lastCopySpoiled(run: Run): Promise<Broken | undefined> {
  return findSpoiled(run, await transfersOf(run, 'l'), 'source');
}

/** A copy whose source was written to afterwards stays spoiled, also when the writer is gone. */
async function findSpoiled(
  run: Run,
  all: readonly VolumeTransfer[],
  from: SideName,
): Promise<Broken | undefined> {
  const spoiled = all.find((one) => one.metadata.annotations?.[annotations.writer] !== undefined);
  if (spoiled !== undefined) return spoiledBy(spoiled);
  // Whoever asked not to stop the source knows that it writes on.
  if (from === 'source' && !isQuiesced(run)) return undefined;
  const copied = all.filter(({ spec }) => spec.action !== 'Move');
  if (copied.length === 0) return undefined;
  const [writer] = await findWriters(run[from].client, new Set(copied.map(nameOf)), isOurs);
  const one = copied.find((transfer) => nameOf(transfer) === writer?.claim);
  if (writer === undefined || one === undefined) return undefined;
  const marked = { metadata: { annotations: { [annotations.writer]: writer.holder } } };
  return spoiledBy(await run.context.client.patch(volumeTransfers, keyOf(one), marked));
}

function spoiledBy(transfer: VolumeTransfer): Broken {
  const holder = transfer.metadata.annotations?.[annotations.writer] ?? 'somebody';
  const message =
    `claim ${nameOf(transfer)} is held by ${holder} since its last copy, which may not be ` +
    'equal any more; stop what writes, cancel this migration and make a new one';
  return { kind: 'failed', reason: 'InUse', message };
}

function auditing(name: string, description: string, pass: Pass, from: SideName): Step<Run> {
  return {
    name,
    description,
    deadlineMs,
    observe: (run) => audit(run, pass, from),
    ensure: async () => undefined,
  };
}

export const auditSteps: readonly Step<Run>[] = [
  auditing('auditVolumes', 'Proves that the last copies are whole and current.', 'l', 'source'),
  auditing('auditBack', 'Proves that what came back is whole and current.', 'b', 'destination'),
];
