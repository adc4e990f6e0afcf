/**
 * Teleport: the engine's own move. A pass ahead of time is a Teleport of the volume that nobody
 * uses (docs/decisions/0008); the last pass is a further one, of which only what changed travels,
 * and a claim on what it makes as soon as that can be used. When a newer one is complete the older
 * are deleted: they only kept chunks at hand.
 */
import { type Teleport, teleports } from '../../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import type { VolumeTransfer } from '../../../api/kinds/volume-transfer.ts';
import { fail, unlessThere } from '../../../base/errors.ts';
import { isReason } from '../../../base/reasons.ts';
import { exactSize, formatBytes, parseRate } from '../../../base/units.ts';
import type { Undoing } from '../../../flow/step.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import { handleOf, isOurVolume } from '../../claim/made.ts';
import { annotations, driver, labels } from '../../labels.ts';
import { conditionOf, isTrue } from '../../status.ts';
import { endingOf, wasAccessible } from '../../teleport/plan.ts';
import { checkClaimFree, claimOf, removeOnce } from '../bound.ts';
import { sourceClaimOf, targetClaimOf } from '../choose.ts';
import { ownNameOf, stageOf, uidOf } from '../marks.ts';
import type { Advance, Settling, Transfer, TransferMethod, TransferNumbers } from '../method.ts';
import { endingOf as transferEndingOf, isComplete } from '../report.ts';
import { cloneMethod } from './clone.ts';
import { compareRoots } from './teleport-audit.ts';
import { claimVolume } from './teleport-claim.ts';
import { isCounted, numbersOf, whole } from './teleport-numbers.ts';
import { byRepository, isByRepository, whyNotByRepository } from './teleport-relay.ts';
import { discardVolume, hasClaim, markStage, replaceOlder, volumeAt } from './teleport-volumes.ts';

/** Of a paused one: a rate cannot be nothing, and this is next to it. */
const pausedBandwidth = '1Ki';

export const teleportMethod: TransferMethod = {
  declines,
  advance: async (transfer) => (await wayOf(transfer)).advance(transfer),
  clean: async (transfer) => (await wayOf(transfer)).clean(transfer),
  settle: async (transfer) => (await wayOf(transfer)).settle(transfer),
  discard: async (transfer) => (await wayOf(transfer)).discard(transfer),
};

const between: Way = { advance, clean, settle, discard: discardVolume };
const cloning: Way = { ...cloneMethod, settle: async () => ({ kind: 'done' }) };

type Way = Required<Omit<TransferMethod, 'declines'>>;

async function wayOf(transfer: Transfer): Promise<Way> {
  if (transfer.source.name === transfer.destination.name) return cloning;
  return (await isByRepository(transfer)) ? byRepository : between;
}

async function declines(transfer: Transfer) {
  if (transfer.object.spec.overwrite === true) {
    const message = 'a teleported volume gets a new claim, not an existing one';
    return { reason: 'Overwrites', message };
  }
  return whyNotByRepository(transfer);
}

async function advance(transfer: Transfer): Promise<Advance> {
  const { object } = transfer;
  const found = await teleportOf(transfer);
  if (found === undefined) {
    if (object.spec.paused === true) return running('it begins when spec.paused is false');
    await checkClaimFree(transfer);
    await start(transfer);
    return running('the volume is asked for at the destination');
  }
  await passOn(transfer, found);
  const volume = await volumeAt(transfer);
  if (object.spec.pass !== 'Last') await markStage(transfer, volume);
  const numbers = numbersOf(found, volume);
  const ending = endingOf(found);
  if (ending === 'Failed' || ending === 'Canceled') return failed(found, numbers);
  if (object.spec.pass === 'Last') return last(transfer, { teleport: found, volume, numbers });
  if (ending === undefined) return going(found, numbers);
  await replaceOlder(transfer, volume);
  return { kind: 'succeeded', numbers: whole(numbers) };
}

interface Sight {
  readonly teleport: Teleport;
  readonly volume: Volume | undefined;
  readonly numbers: TransferNumbers;
}

/** With the claim as soon as the volume can be used; with all bytes where both are compared. */
async function last(transfer: Transfer, { teleport, volume, numbers }: Sight): Promise<Advance> {
  const isUsable = wasAccessible(teleport) && volume !== undefined && isTrue(volume, 'Ready');
  if (!isUsable) return going(teleport, numbers);
  await claimVolume(transfer, volume);
  const claim = await claimOf(transfer.destination, transfer.object);
  const name = ownNameOf(transfer.object);
  if (claim?.status?.phase !== 'Bound') return running('the claim is being bound', numbers);
  const ending = endingOf(teleport);
  if (transfer.object.spec.verify === true) {
    if (ending === undefined) return going(teleport, numbers);
    const compared = await compareRoots(transfer, { teleport, volume });
    if (compared === undefined) return running('both sides are compared', whole(numbers));
    const { verified, audit, warnings } = compared;
    const done = {
      kind: 'succeeded',
      volume: name,
      numbers: { ...whole(numbers), audit },
    } as const;
    return { ...done, warnings, ...(verified === undefined ? {} : { verified }) };
  }
  if (ending !== undefined) return { kind: 'succeeded', volume: name, numbers: whole(numbers) };
  const missing = teleport.status?.progress?.missingBytes ?? 0;
  const { cluster } = transfer.object.spec.source;
  const warning =
    `it can be used already; ${formatBytes(missing)} are still at ${cluster}, which must stay up ` +
    `until Teleport ${keyText(keyOf(teleport))} is Available`;
  return { kind: 'succeeded', volume: name, numbers, warnings: [warning] };
}

function running(message: string, numbers: TransferNumbers = {}): Advance {
  return { kind: 'running', message, numbers };
}

function going(teleport: Teleport, numbers: TransferNumbers): Advance {
  const ready = conditionOf(teleport, 'Ready');
  const succeeded = conditionOf(teleport, 'Succeeded');
  const name = `Teleport ${keyText(keyOf(teleport))}`;
  if (ready?.status === 'False' && isReason(ready.reason)) {
    const remedy = `see ${name}; it goes on by itself`;
    return { kind: 'waiting', message: ready.message, remedy, numbers };
  }
  const link = conditionOf(teleport, 'SourceConnected');
  if (link?.status === 'False') {
    const remedy = 'restore the link between the clusters; it goes on by itself';
    return { kind: 'waiting', message: link.message, remedy, numbers };
  }
  return running(succeeded?.message ?? `${name} has been asked for`, numbers);
}

function failed(teleport: Teleport, numbers: TransferNumbers): Advance {
  const { reason = '', message = '' } = conditionOf(teleport, 'Succeeded') ?? {};
  const name = `Teleport ${keyText(keyOf(teleport))}`;
  const known = isReason(reason) && reason !== 'Canceled' ? reason : 'SourceGone';
  return { kind: 'failed', reason: known, message: `${name}: ${message}`, numbers };
}

function keyAtHub({ object }: Transfer) {
  return { namespace: object.metadata.namespace ?? '', name: ownNameOf(object) };
}

async function teleportOf(transfer: Transfer): Promise<Teleport | undefined> {
  return transfer.context.client.get(teleports, keyAtHub(transfer));
}

async function start(transfer: Transfer): Promise<void> {
  const { context, object, source } = transfer;
  const found = await sourceClaimOf(source, object.spec);
  if (!isOurVolume(found.volume)) {
    const what = `claim ${object.spec.source.claim} is not on a volume of ${driver} any more`;
    fail('Unsupported', `${what}; make a new transfer`);
  }
  const policy = targetClaimOf(transfer, found).storageClass?.parameters?.['historyPolicy'];
  const bandwidth = linkRateOf(transfer);
  const name = ownNameOf(object);
  // The name is of this transfer alone: an earlier attempt made it.
  await unlessThere(
    context.client.create<Teleport>(teleports, {
      metadata: {
        ...keyAtHub(transfer),
        labels: { [labels.stage]: stageOf(object) },
        annotations: { [annotations.madeFor]: keyText(keyOf(object)) },
      },
      spec: {
        source: { cluster: source.name, volume: handleOf(found.volume) },
        destination: {
          cluster: object.spec.destination.cluster,
          volume: name,
          ...(policy === undefined ? {} : { historyPolicy: policy }),
        },
        ...(bandwidth === undefined ? {} : { bandwidth }),
      },
    }),
  );
}

async function passOn(transfer: Transfer, teleport: Teleport): Promise<void> {
  if (endingOf(teleport) !== undefined) return;
  const wanted = linkRateOf(transfer);
  if (teleport.spec.bandwidth === wanted) return;
  const bandwidth = wanted ?? null;
  await transfer.context.client.patch(teleports, keyOf(teleport), { spec: { bandwidth } });
}

/**
 * A rate is that of the link, for all teleports over it: each transfer asks for what all of them
 * together may have. Undefined: one of them has no limit.
 */
function linkRateOf({ context, object }: Transfer): string | undefined {
  const others = [...context.informers.volumeTransfers.list()].filter((one) => {
    return uidOf(one) !== uidOf(object) && isFilling(one) && isAlongside(one, object);
  });
  let sum = 0;
  for (const { spec } of [object, ...others]) {
    if (spec.paused === true) continue;
    const rate = spec.bandwidth === undefined ? undefined : parseRate(spec.bandwidth);
    if (rate === undefined) return undefined;
    sum += rate;
  }
  return sum === 0 ? pausedBandwidth : exactSize(sum);
}

function isFilling(one: VolumeTransfer): boolean {
  const ending = transferEndingOf(one);
  const isOver = ending === undefined ? false : ending !== 'Succeeded' || isComplete(one);
  return one.status?.method === 'Teleport' && !isOver;
}

function isAlongside({ spec }: VolumeTransfer, other: VolumeTransfer): boolean {
  const { source, destination } = other.spec;
  const isSameSource = spec.source.cluster === source.cluster;
  return isSameSource && spec.destination.cluster === destination.cluster;
}

/** What goes on by itself stays after success; nothing else does. */
async function clean(transfer: Transfer): Promise<Undoing> {
  const { context, object } = transfer;
  const teleport = await teleportOf(transfer);
  if (teleport === undefined) return { kind: 'done' };
  const isDeleting = object.metadata.deletionTimestamp !== undefined;
  const isDiscarding = object.spec.canceled === true && object.spec.discard === true;
  const hasSucceeded = transferEndingOf(object) === 'Succeeded';
  if (hasSucceeded && !isDeleting && !isDiscarding) return { kind: 'done' };
  const volume = await volumeAt(transfer);
  const isOver = endingOf(teleport) !== undefined;
  // Half a volume that nobody has a claim on would fill on, for nobody.
  if (!isDeleting && !isOver && volume !== undefined && !(await hasClaim(transfer))) {
    await removeOnce(transfer.destination.client, volumes, volume);
    return { kind: 'running', message: `volume ${volume.metadata.name} is being deleted` };
  }
  await removeOnce(context.client, teleports, teleport);
  if (isDeleting) return { kind: 'done' };
  return { kind: 'running', message: `Teleport ${keyText(keyOf(teleport))} is being deleted` };
}

async function settle(transfer: Transfer): Promise<Settling> {
  const teleport = await teleportOf(transfer);
  if (teleport === undefined) return { kind: 'done' };
  const ending = endingOf(teleport);
  const { message = 'it fills' } = conditionOf(teleport, 'Succeeded') ?? {};
  const volume = await volumeAt(transfer);
  if (ending === 'Available') {
    const nowMs = transfer.context.ports.clock.wallMs();
    if (!isCounted(teleport, volume, nowMs)) {
      const numbers = whole(numbersOf(teleport, volume));
      return { kind: 'running', message: 'it is counted', numbers };
    }
    await replaceOlder(transfer, volume);
    return { kind: 'done', numbers: whole(numbersOf(teleport, volume)) };
  }
  if (ending !== undefined) {
    const what = `Teleport ${keyText(keyOf(teleport))} has ended before all was there`;
    const remedy = 'make a new transfer if the volume is still wanted';
    return { kind: 'waiting', message: `${what}: ${message}`, remedy };
  }
  await passOn(transfer, teleport);
  return { kind: 'running', message, numbers: numbersOf(teleport) };
}
