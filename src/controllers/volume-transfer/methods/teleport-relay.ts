/**
 * Teleport where the agents have no link: the source's agent saves a version in the Repository of
 * the transfer, and the destination's opens it there, at once, as it would at the source. What is
 * in the repository already is not saved again, and what is at the destination is not fetched.
 */
import { type SavedVersion, savedVersions } from '../../../api/kinds/saved-version.ts';
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import { fail, unlessThere } from '../../../base/errors.ts';
import { formatBytes } from '../../../base/units.ts';
import type { Undoing } from '../../../flow/step.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import { handleOf, isOurVolume } from '../../claim/made.ts';
import { annotations, labels } from '../../labels.ts';
import type { ClusterAccess } from '../../remotes/access.ts';
import { conditionOf, isTrue } from '../../status.ts';
import { NotYet } from '../../teleport/preflight.ts';
import { checkClaimFree, claimOf, removeOnce } from '../bound.ts';
import { sourceClaimOf, targetClaimOf } from '../choose.ts';
import { migrationOf, ownNameOf, stageOf } from '../marks.ts';
import type { Advance, Settling, Transfer, TransferMethod, TransferNumbers } from '../method.ts';
import { endingOf as transferEndingOf } from '../report.ts';
import { repositoryOf } from './mover-repository.ts';
import { makeRepositoryKnown } from './repository-copies.ts';
import { claimVolume } from './teleport-claim.ts';
import { discardVolume, hasClaim, markStage, replaceOlder, volumeAt } from './teleport-volumes.ts';

export const byRepository: Required<Omit<TransferMethod, 'declines'>> = {
  advance,
  clean,
  settle,
  discard: discardVolume,
};

/** Begun so, or to be begun so because nothing else leads from one agent to the other. */
export async function isByRepository(transfer: Transfer): Promise<boolean> {
  const { object, destination } = transfer;
  if (object.spec.repository === undefined) return false;
  if (await savedOf(transfer)) return true;
  const made = await volumeAt(transfer);
  if (made !== undefined) return made.spec.source?.teleport?.repository !== undefined;
  // After its end, when all of it is gone, both ways have nothing left to do.
  return destination.name !== transfer.source.name && hasNoLink(transfer);
}

/** The agents there do not know the source, or somebody says that there is no way. */
function hasNoLink(transfer: Transfer): boolean {
  const { context, source, destination } = transfer;
  const mark = repositoryOf(transfer)?.metadata.annotations?.[annotations.noDirectWay];
  if (mark === 'true') return true;
  const cluster = context.informers.clusters.get({ namespace: '', name: destination.name });
  return cluster?.status?.peers?.every(({ name }) => name !== source.name) === true;
}

export async function whyNotByRepository(transfer: Transfer) {
  const { repository: name } = transfer.object.spec;
  const isSame = transfer.source.name === transfer.destination.name;
  if (name === undefined || isSame || !hasNoLink(transfer)) return undefined;
  const repository = repositoryOf(transfer);
  if (repository !== undefined && isTrue(repository, 'Ready')) return undefined;
  const ready = conditionOf(repository, 'Ready');
  // Whoever goes as files because of that would go so at every later pass, too.
  if (repository !== undefined && ready === undefined) {
    throw new NotYet('RepositoryUnreachable', `Repository ${name} was not tried yet`);
  }
  const { message } = ready ?? {};
  const why = message ?? `there is no Repository ${name}`;
  return { reason: 'NoLink', message: `the clusters have not joined, and ${name}: ${why}` };
}

const routeOf = ({ object }: Transfer): string => `repository ${object.spec.repository} (chunks)`;

function running(transfer: Transfer, message: string, numbers: TransferNumbers = {}): Advance {
  return { kind: 'running', message, numbers: { route: routeOf(transfer), ...numbers } };
}

function savedOf({ object, source }: Transfer): Promise<SavedVersion | undefined> {
  return source.client.get(savedVersions, { namespace: '', name: ownNameOf(object) });
}

function makeKnown({ context, object }: Transfer, access: ClusterAccess) {
  return makeRepositoryKnown(context, object.spec.repository ?? '', access);
}

async function advance(transfer: Transfer): Promise<Advance> {
  const { object, source, destination } = transfer;
  const saved = await savedOf(transfer);
  const volume = await volumeAt(transfer);
  if (saved === undefined && volume === undefined) {
    if (object.spec.paused === true) return running(transfer, 'it begins when it is not paused');
    await checkClaimFree(transfer);
    const waiting = await makeKnown(transfer, source);
    if (waiting !== undefined) return running(transfer, waiting);
    await save(transfer);
    return running(transfer, `the volume is to be saved in ${routeOf(transfer)}`);
  }
  if (saved !== undefined && conditionOf(saved, 'Succeeded')?.status !== 'True') {
    return saving(transfer, saved);
  }
  if (volume === undefined) {
    const waiting = await makeKnown(transfer, destination);
    if (waiting !== undefined) return running(transfer, waiting);
    await open(transfer, saved!);
    return running(transfer, 'the volume is to be opened at the destination');
  }
  if (object.spec.pass !== 'Last') await markStage(transfer, volume);
  return arriving(transfer, saved, volume);
}

function saving(transfer: Transfer, saved: SavedVersion): Advance {
  const { percent } = saved.status ?? {};
  const numbers = percent === undefined ? {} : { percent: Math.floor(percent / 2) };
  const route = { route: routeOf(transfer) };
  const succeeded = conditionOf(saved, 'Succeeded');
  const name = `SavedVersion ${saved.metadata.name} of ${transfer.source.name}`;
  if (succeeded !== undefined && succeeded.reason !== 'Saving') {
    const remedy = `see ${name}; it goes on by itself`;
    return { kind: 'waiting', message: succeeded.message ?? '', remedy, numbers: route };
  }
  return running(transfer, `saves in ${routeOf(transfer)}`, numbers);
}

async function arriving(
  transfer: Transfer,
  saved: SavedVersion | undefined,
  volume: Volume,
): Promise<Advance> {
  const numbers = numbersOf(transfer, saved, volume);
  const isWhole = isTrue(volume, 'Complete');
  if (transfer.object.spec.pass !== 'Last') {
    if (!isWhole) return coming(transfer, volume, numbers);
    await replaceEarlier(transfer, volume);
    return { kind: 'succeeded', numbers: whole(numbers) };
  }
  if (!isTrue(volume, 'Ready')) return coming(transfer, volume, numbers);
  await claimVolume(transfer, volume);
  const claim = await claimOf(transfer.destination, transfer.object);
  if (claim?.status?.phase !== 'Bound') {
    return running(transfer, 'the claim is being bound', numbers);
  }
  const done = { kind: 'succeeded', volume: ownNameOf(transfer.object) } as const;
  if (transfer.object.spec.verify === true) {
    if (!isWhole) return coming(transfer, volume, numbers);
    return { ...done, ...audit(saved, volume, whole(numbers)) };
  }
  if (isWhole) return { ...done, numbers: whole(numbers) };
  const missing = volume.status?.missingBytes ?? 0;
  const warning =
    `it can be used already; ${formatBytes(missing)} are still in Repository ` +
    `${transfer.object.spec.repository}, which must be reachable until Volume ` +
    `${volume.metadata.name} is Available`;
  return { ...done, numbers, warnings: [warning] };
}

function coming(transfer: Transfer, volume: Volume, numbers: TransferNumbers): Advance {
  const connected = conditionOf(volume, 'SourceConnected');
  const ready = conditionOf(volume, 'Ready');
  const isOpen = volume.status?.phase !== undefined && volume.status.phase !== 'Pending';
  const trouble = isOpen ? connected : ready;
  if (trouble?.status === 'False' && trouble.reason !== 'NotAccessible') {
    const remedy = `see Volume ${volume.metadata.name} there; it goes on by itself`;
    return { kind: 'waiting', message: trouble.message ?? '', remedy, numbers };
  }
  return running(transfer, `comes out of ${routeOf(transfer)}`, numbers);
}

/** Names are hashes: what arrived was checked against them, block by block. */
function audit(saved: SavedVersion | undefined, volume: Volume, numbers: TransferNumbers) {
  const bytes = saved?.status?.allocatedBytes;
  const [here, there] = [saved?.status?.root, volume.status?.root];
  const side = (digest: string | undefined) => ({
    ...(bytes === undefined ? {} : { bytes }),
    ...(digest === undefined ? {} : { digest }),
  });
  const sides = { source: side(here), destination: side(there) };
  const isKnown = here !== undefined && there !== undefined;
  return {
    numbers: { ...numbers, audit: sides },
    ...(isKnown ? { verified: here === there } : {}),
  };
}

function numbersOf(
  transfer: Transfer,
  saved: SavedVersion | undefined,
  { status }: Volume,
): TransferNumbers {
  const {
    totalBytes,
    missingBytes,
    wireBytes = 0,
    bytesPerSecond,
    percent,
  } = status?.teleport ?? {};
  const added = saved?.status?.addedBytes ?? 0;
  const isKnown = totalBytes !== undefined && missingBytes !== undefined;
  return {
    route: routeOf(transfer),
    percent: 50 + Math.floor((percent ?? 0) / 2),
    wireBytes: added + wireBytes,
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...(isKnown ? { copiedBytes: Math.max(0, totalBytes - missingBytes) } : {}),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
}

function whole(numbers: TransferNumbers): TransferNumbers {
  const { totalBytes } = numbers;
  return {
    ...numbers,
    percent: 100,
    ...(totalBytes === undefined ? {} : { copiedBytes: totalBytes }),
  };
}

async function save(transfer: Transfer): Promise<void> {
  const { object, source } = transfer;
  const { repository = '', bandwidth, source: from } = object.spec;
  const { volume } = await sourceClaimOf(source, object.spec);
  if (!isOurVolume(volume)) {
    fail('Unsupported', `claim ${from.claim} is not on a volume of Transship any more`);
  }
  await unlessThere(
    source.client.create<SavedVersion>(savedVersions, {
      metadata: {
        name: ownNameOf(object),
        labels: { [labels.stage]: stageOf(object) },
        annotations: { [annotations.madeFor]: keyText(keyOf(object)) },
      },
      spec: {
        volume: handleOf(volume),
        repository,
        ...(bandwidth === undefined ? {} : { bandwidth }),
      },
    }),
  );
}

async function open(transfer: Transfer, saved: SavedVersion): Promise<void> {
  const { object, source, destination } = transfer;
  const { bandwidth } = object.spec;
  const { volume, repository } = saved.spec;
  const found = await sourceClaimOf(source, object.spec);
  const policy = targetClaimOf(transfer, found).storageClass?.parameters?.['historyPolicy'];
  const name = ownNameOf(object);
  const rate = bandwidth === undefined ? {} : { bandwidth };
  const from = { cluster: source.name, volume, snapshot: saved.metadata.name ?? '', repository };
  await unlessThere(
    destination.client.create<Volume>(volumes, {
      metadata: { name, annotations: { [annotations.madeFor]: keyText(keyOf(object)) } },
      spec: {
        source: { teleport: { ...from, ...rate } },
        ...(policy === undefined ? {} : { historyPolicy: policy }),
      },
    }),
  );
}

/** Of earlier passes: all they had is in this one, here and in the repository. */
async function replaceEarlier(transfer: Transfer, newest: Volume): Promise<void> {
  const { context, object, source } = transfer;
  await replaceOlder(transfer, newest);
  const migration = await migrationOf(context, object);
  if (migration?.spec.type === 'Rehearsal' && object.spec.pass === 'Last') return;
  const mine = await savedOf(transfer);
  const bornMs = Date.parse(mine?.metadata.creationTimestamp ?? '');
  const selectors = { labels: `${labels.stage}=${stageOf(object)}` };
  for await (const saved of source.client.list(savedVersions, selectors)) {
    const ageMs = bornMs - Date.parse(saved.metadata.creationTimestamp ?? '');
    if (saved.metadata.uid === mine?.metadata.uid || !(ageMs >= 0)) continue;
    await removeOnce(source.client, savedVersions, saved);
  }
}

async function clean(transfer: Transfer): Promise<Undoing> {
  const { object, source, destination } = transfer;
  const isDeleting = object.metadata.deletionTimestamp !== undefined;
  const isDiscarding = object.spec.canceled === true && object.spec.discard === true;
  const hasSucceeded = transferEndingOf(object) === 'Succeeded';
  if (hasSucceeded && !isDeleting && !isDiscarding) return { kind: 'done' };
  const volume = await volumeAt(transfer);
  const isWhole = volume !== undefined && isTrue(volume, 'Complete');
  // Half a volume that nobody has a claim on would fill on, for nobody.
  if (!isDeleting && volume !== undefined && !isWhole && !(await hasClaim(transfer))) {
    await removeOnce(destination.client, volumes, volume);
    return { kind: 'running', message: `volume ${volume.metadata.name} is being deleted` };
  }
  const saved = await savedOf(transfer);
  if (saved === undefined || isStaged(transfer, hasSucceeded)) return { kind: 'done' };
  await removeOnce(source.client, savedVersions, saved);
  if (isDeleting) return { kind: 'done' };
  return { kind: 'running', message: `SavedVersion ${saved.metadata.name} is being deleted` };
}

/** The next pass starts from what a pass ahead has saved, whatever becomes of its object. */
function isStaged({ object }: Transfer, hasSucceeded: boolean): boolean {
  return hasSucceeded && object.spec.pass !== 'Last';
}

async function settle(transfer: Transfer): Promise<Settling> {
  const volume = await volumeAt(transfer);
  if (volume === undefined) return { kind: 'done' };
  const numbers = numbersOf(transfer, await savedOf(transfer), volume);
  if (isTrue(volume, 'Complete')) {
    await replaceEarlier(transfer, volume);
    return { kind: 'done', numbers: whole(numbers) };
  }
  return { kind: 'running', message: `comes out of ${routeOf(transfer)}`, numbers };
}
