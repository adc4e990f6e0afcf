/** Endings: helpers go, and what was taken back is proven to be as it was. */
import { type VolumeTransfer, volumeTransfers } from '../../../api/kinds/volume-transfer.ts';
import { type ImageTransfer, imageTransfers } from '../../../api/kinds/image-transfer.ts';
import type { Observation, Step } from '../../../flow/flow.ts';
import { type KubeObject, keyOf, keyText } from '../../../kube/objects.ts';
import { secrets } from '../../../kube/resources.ts';
import { pods } from '../../../kube/workloads.ts';
import { secretRecordStore } from '../../../workload/record-store.ts';
import { findUnhealthy } from '../../../workload/workload.ts';
import { labels } from '../../labels.ts';
import { hasBegun, isCleanedUp, isDiscarded } from '../../volume-transfer/report.ts';
import { forgetChoices, loadChoices } from '../choices.ts';
import { tidyRecords } from '../finish-plan.ts';
import { madeNamespaces, removeNamespaces } from '../namespaces.ts';
import { unretain } from '../retained.ts';
import {
  namespacesAt,
  recordKey,
  type RecordKind,
  type Run,
  type SideName,
  uidOf,
} from '../run.ts';
import {
  hasSucceeded,
  isCounting,
  isFilling,
  isUnfinished,
  leavingText,
  passOf,
  transfersOf,
} from '../transfers.ts';
import { cancelTransfers } from './copy.ts';
import { hasHooks, removeHooks } from './hooks.ts';
import { isConversion, tornClaims } from './moving.ts';
import { shortList } from './sentences.ts';

const deadlineMs = 30 * 60_000;
/** Workloads that were stopped come back by then, or a person has to look at them. */
const backMs = 5 * 60_000;
/** A cluster that cannot be asked how much it took is not waited for. */
const countMs = 60_000;
const sides: readonly SideName[] = ['source', 'destination'];

/** Pods that copy for this migration, at both sides. */
async function helpersLeft(run: Run): Promise<readonly KubeObject[]> {
  const uids = new Set((await transfersOf(run)).map((one) => one.metadata.uid ?? ''));
  const left: KubeObject[] = [];
  for (const side of sides) {
    for (const namespace of namespacesAt(run, side)) {
      const selectors = { namespace, labels: labels.transfer };
      for await (const pod of run[side].client.list(pods, selectors)) {
        if (uids.has(pod.metadata.labels?.[labels.transfer] ?? '')) left.push(pod);
      }
    }
  }
  return left;
}

async function lookAtHelpers(run: Run): Promise<Observation> {
  if (await hasHooks(run)) return { kind: 'notStarted' };
  const all = await transfersOf(run);
  if (all.some((one) => isUnfinished(one) && one.spec.canceled !== true)) {
    return { kind: 'notStarted' };
  }
  const dirty = all.filter((one) => isUnfinished(one) || !isCleanedUp(one));
  if (dirty.length > 0) {
    return { kind: 'running', message: `${dirty.length} copies take their helpers away` };
  }
  const [pod] = await helpersLeft(run);
  if (pod === undefined) return { kind: 'done' };
  return { kind: 'running', message: `pod ${keyText(keyOf(pod))} ends` };
}

/** Once these have succeeded nothing of them is needed but their numbers. */
const cleanUp: Step<Run> = {
  name: 'cleanUp',
  description: 'Takes away what only helped to copy.',
  deadlineMs,
  observe: async (run) => {
    const seen = await lookAtHelpers(run);
    if (seen.kind !== 'done') return seen;
    if ((await loadChoices(run)) !== undefined) return { kind: 'notStarted' };
    // Else the report of this migration would be of less than what travelled.
    if (await isBeingCounted(run)) return { kind: 'running', message: 'it is counted' };
    await warnOfFilling(run);
    if (run.migration.spec.type !== 'Rollback') return seen;
    return (await hasRecords(run)) ? { kind: 'notStarted' } : seen;
  },
  ensure: async (run) => {
    await removeHooks(run);
    await cancelTransfers(run);
    await forgetChoices(run);
    if (run.migration.spec.type === 'Rollback') await forget(run);
  },
};

async function isBeingCounted(run: Run): Promise<boolean> {
  const nowMs = run.context.ports.clock.wallMs();
  return (await transfersOf(run)).some((one) => {
    const sinceMs = nowMs - Date.parse(one.status?.completionTime ?? '');
    return isCounting(one) && sinceMs < countMs;
  });
}

/** The workloads run; but who switches off where they were too early loses data. */
async function warnOfFilling(run: Run): Promise<void> {
  const names = (await transfersOf(run))
    .filter((one) => isFilling(one) && passOf(one) !== 'a')
    .map(({ metadata }) => metadata.name ?? '');
  if (names.length === 0) return;
  const more = names.length > 10 ? ` and ${names.length - 10} more` : '';
  run.warn(
    'Bytes still came in the background when this ended: keep the cluster they come from until ' +
      `these volume transfers are Complete: ${names.slice(0, 10).join(', ')}${more}.`,
  );
}

const kinds: readonly RecordKind[] = ['stopped', 'rebound', 'templates', 'made', 'retained'];

async function hasEmptyRecords(run: Run): Promise<boolean> {
  for (const side of sides) {
    for (const kind of kinds) {
      const key = recordKey(run, side, kind);
      if ((await run[side].client.get(secrets, key)) === undefined) continue;
      if ((await secretRecordStore<unknown>(run[side].client, key).load()).length === 0)
        return true;
    }
  }
  return false;
}

async function hasRecords(run: Run): Promise<boolean> {
  for (const side of sides) {
    for (const kind of kinds) {
      const found = await run[side].client.get(secrets, recordKey(run, side, kind));
      if (found !== undefined) return true;
    }
  }
  return false;
}

/** Everything runs at the source again: there is nothing left to undo. */
async function forget(run: Run): Promise<void> {
  await unretain(run);
  for (const side of sides) {
    for (const kind of kinds) await run[side].client.delete(secrets, recordKey(run, side, kind));
  }
}

const removeHelpers: Step<Run> = {
  name: 'removeHelpers',
  description: 'Takes away pods and namespaces that only helped.',
  deadlineMs,
  observe: async (run) => {
    const seen = await lookAtHelpers(run);
    if (seen.kind !== 'done') return seen;
    const made = await madeNamespaces(run);
    if (made.some(({ inside }) => inside === undefined)) return { kind: 'notStarted' };
    for (const { name, inside } of made) {
      run.warn(`Namespace ${name} of ${run.destination.name} stays: ${inside} is in it.`);
    }
    const hasLeft = (await loadChoices(run)) !== undefined || (await hasEmptyRecords(run));
    return hasLeft ? { kind: 'notStarted' } : seen;
  },
  ensure: async (run) => {
    await removeHooks(run);
    await cancelTransfers(run);
    if ((await lookAtHelpers(run)).kind !== 'done') return;
    await forgetChoices(run);
    await tidyRecords(run);
    await removeNamespaces(run);
  },
};

/** What comes back to the source is written over data of its own, which nobody may discard. */
function isDiscardable(one: VolumeTransfer): boolean {
  return passOf(one) !== 'b' || one.spec.overwrite !== true;
}

const removeTransfers: Step<Run> = {
  name: 'removeTransfers',
  description: 'Takes away what was copied.',
  deadlineMs,
  observe: async (run) => {
    const left = await transfersOf(run);
    const images = await imagesOf(run);
    if (left.length + images.length === 0) return { kind: 'done' };
    if (images.length > 0 || left.some((one) => wantsMore(one))) return { kind: 'notStarted' };
    return { kind: 'running', message: leavingText(left) };
  },
  ensure: async (run) => {
    const { client } = run.context;
    for (const one of await imagesOf(run)) {
      await client.delete(imageTransfers, keyOf(one), { uid: uidOf(one) });
    }
    for (const one of await transfersOf(run)) {
      warnOfOverwritten(run, one);
      const discard = isDiscardable(one);
      if (!isAsked(one)) {
        await client.patch(volumeTransfers, keyOf(one), { spec: { canceled: true, discard } });
      } else if (isReadyToGo(one)) {
        await client.delete(volumeTransfers, keyOf(one), { uid: uidOf(one) });
      }
    }
  },
};

function isAsked(one: VolumeTransfer): boolean {
  const { canceled = false, discard = false } = one.spec;
  return canceled && (discard || !isDiscardable(one));
}

function isReadyToGo(one: VolumeTransfer): boolean {
  if (isUnfinished(one) || !isCleanedUp(one)) return false;
  return !isDiscardable(one) || !hasBegun(one) || isDiscarded(one);
}

function wantsMore(one: VolumeTransfer): boolean {
  if (one.metadata.deletionTimestamp !== undefined) return false;
  return !isAsked(one) || isReadyToGo(one);
}

async function imagesOf({ context, migration }: Run): Promise<readonly ImageTransfer[]> {
  const found = context.informers.imageTransfers.byIndex('migration', keyText(keyOf(migration)));
  return found.filter(({ metadata }) => {
    const isOwned = metadata.ownerReferences?.some(({ uid }) => uid === migration.metadata.uid);
    return isOwned === true && metadata.deletionTimestamp === undefined;
  });
}

/** Where the workloads of the run belong once it is taken back. */
function homeOf({ migration }: Run): SideName {
  return migration.spec.type === 'Rollback' ? 'destination' : 'source';
}

/** Said as long as the transfer is there to tell it. */
function warnOfOverwritten(run: Run, one: VolumeTransfer): void {
  if (isDiscardable(one) || !hasSucceeded(one)) return;
  const { source, destination } = one.spec;
  const claim = isConversion(run) ? source.claim : destination.claim;
  run.warn(
    `The source's volume of claim ${destination.namespace}/${claim} has what was copied back ` +
      `at ${one.status?.completionTime ?? 'this time'}, in place of what it had before: a ` +
      'Rollback without keepData starts with that.',
  );
}

/** A rollback that was taken back has left the source as it may not be started. */
async function warnOfTorn(run: Run): Promise<void> {
  if (run.migration.spec.type !== 'Rollback') return;
  const torn = await tornClaims(run, 'source');
  if (torn.length === 0) return;
  run.warn(
    `Overwriting ${shortList(torn)} at the source was begun: only the data of the destination is ` +
      'whole, and the next Rollback has to bring it (keepData).',
  );
}

const proveAsBefore: Step<Run> = {
  name: 'proveAsBefore',
  description: 'Proves that the workloads run as they did before.',
  deadlineMs,
  observe: async (run) => {
    const side = homeOf(run);
    await warnOfTorn(run);
    const known = new Set(
      (run.plan.status?.unhealthy ?? []).map(({ kind, name }) => `${kind} ${name}`),
    );
    const ill: string[] = [];
    for (const namespace of namespacesAt(run, side)) {
      for (const { name, because } of await findUnhealthy(run[side].client, namespace)) {
        if (known.has(`${name.kind} ${name.name}`)) continue;
        ill.push(`${name.kind} ${namespace}/${name.name}: ${because}`);
      }
    }
    if (ill.length === 0) return { kind: 'done' };
    const { itinerary = [] } = run.migration.status ?? {};
    const began = itinerary.find(({ name }) => name === 'proveAsBefore')?.startTime;
    const sinceMs = run.context.ports.clock.wallMs() - Date.parse(began ?? '');
    if (sinceMs > backMs) {
      for (const one of ill.slice(0, 20)) run.warn(`After all was taken back, ${one}.`);
      return { kind: 'done' };
    }
    const more = ill.length > 1 ? `; and ${ill.length - 1} more` : '';
    const remedy = 'They were started again; look at their pods if it takes long.';
    return { kind: 'waiting', message: `${ill[0]}${more}`, remedy };
  },
  ensure: async () => undefined,
};

export const finishSteps: readonly Step<Run>[] = [
  cleanUp,
  removeHelpers,
  removeTransfers,
  proveAsBefore,
];
