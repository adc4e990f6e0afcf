/**
 * Copies the images that are in the registry of the source: an ImageTransfer each, at most as many
 * at once as the plan says. Images that were copied stay when the step is taken back: they are
 * found by their digest, and the next try has less to do.
 */
import {
  type ImageTransfer,
  imageTransfers,
  type ImageTransferSpec,
} from '../../../api/kinds/image-transfer.ts';
import { asTransshipError, fail, TransshipError, unlessThere } from '../../../base/errors.ts';
import { isReason, type Reason } from '../../../base/reasons.ts';
import { formatSize } from '../../../base/units.ts';
import type { Observation, Step, Undoing } from '../../../flow/flow.ts';
import { ownerReference } from '../../../kube/api.ts';
import { keyOf } from '../../../kube/objects.ts';
import { isOver } from '../../image-transfer/report.ts';
import { labels } from '../../labels.ts';
import { type ImageWish, registriesOf } from '../../plan/image-rules.ts';
import { preparedObjectsOf } from '../../plan/prepared.ts';
import { conditionOf } from '../../status.ts';
import {
  clustersOf,
  findImages,
  type FoundImages,
  forgetImageList,
  namesThereIn,
  readImageList,
  transferName,
  writeImageList,
} from '../image-list.ts';
import { type Run, uidOf } from '../run.ts';

const minuteMs = 60_000;
const concurrencyDefault = 4;
/** Images named in a warning or an error. */
const toldMax = 5;
const retryAnnotation = 'transship.dev/retry';

const retryOf = ({ migration }: Run): string => String(migration.spec.retry ?? 0);

/** Of this very migration, by name. */
async function transfersOf(run: Run): Promise<ReadonlyMap<string, ImageTransfer>> {
  const { namespace = '', name = '' } = run.migration.metadata;
  const found = new Map<string, ImageTransfer>();
  const selectors = { namespace, fields: `spec.migration=${name}` };
  for await (const one of run.context.client.list(imageTransfers, selectors)) {
    const isOwn = one.metadata.ownerReferences?.some(({ uid }) => uid === uidOf(run.migration));
    if (isOwn === true) found.set(one.metadata.name ?? '', one);
  }
  return found;
}

/** Before a person asked to retry: another one takes its place. */
function isStale(run: Run, { metadata, status }: ImageTransfer): boolean {
  return status?.phase === 'Failed' && metadata.annotations?.[retryAnnotation] !== retryOf(run);
}

async function isNeeded(run: Run): Promise<boolean> {
  const { plan, type } = run;
  if (type !== 'Namespace' || plan.spec.images === 'Skip') return false;
  if (registriesOf(clustersOf(run)).source === undefined) return false;
  const { wishes } = await findImages(run);
  return wishes.length > 0;
}

async function observe(run: Run): Promise<Observation> {
  const wishes = await readImageList(run);
  if (wishes === undefined) return { kind: 'notStarted' };
  const transfers = await transfersOf(run);
  const all = wishes.map((wish) => transfers.get(transferName(run, wish)));
  const there = all.filter((one) => one !== undefined);
  const going = there.filter((one) => !isOver(one));
  const isComplete = there.length === wishes.length && !there.some((one) => isStale(run, one));
  if (isComplete && going.length === 0) return ended(run, there);
  const canBegin = run.migration.spec.paused !== true && going.length < concurrencyOf(run);
  if (!isComplete && canBegin) return { kind: 'notStarted' };
  const over = there.length - going.length;
  const paused = going.length === 0 ? '; no further one begins: the migration is paused' : '';
  return {
    kind: 'running',
    message: `${over} of ${wishes.length} images are copied${paused}`,
    progress: [...going, ...there.filter(isFailed)].map(lineOf),
    percent: wishes.length === 0 ? 100 : percentOf(wishes.length, there),
  };
}

const concurrencyOf = ({ plan }: Run): number => plan.spec.concurrency ?? concurrencyDefault;

const isFailed = ({ status }: ImageTransfer): boolean => status?.phase === 'Failed';

function percentOf(count: number, there: readonly ImageTransfer[]): number {
  const shares = there.map((one) => (isOver(one) ? 100 : (one.status?.percent ?? 0)));
  return Math.floor(shares.reduce((sum, share) => sum + share, 0) / count);
}

function lineOf({ spec, status }: ImageTransfer): string {
  const { phase = 'Pending', percent = 0, totalBytes, attempts = 0 } = status ?? {};
  const size = totalBytes === undefined ? '' : ` of ${formatSize(totalBytes)}`;
  const again = attempts > 1 ? `, attempt ${attempts}` : '';
  return `${spec.source.reference}: ${phase}, ${percent}%${size}${again}`;
}

/** Failures are for the plan to judge: an image may not matter. */
function ended(run: Run, transfers: readonly ImageTransfer[]): Observation {
  const failures = transfers.filter(isFailed);
  const [first] = failures;
  if (first === undefined) return { kind: 'done' };
  const told = failures.slice(0, toldMax).map((one) => {
    const why = conditionOf(one, 'Succeeded')?.message ?? '';
    return `${one.spec.source.reference} (${why})`;
  });
  const more = failures.length > toldMax ? `, and ${failures.length - toldMax} more` : '';
  const text = `${failures.length} of ${transfers.length} images could not be copied`;
  const message = `${text}: ${told.join(', ')}${more}`;
  if (run.plan.spec.imageFailure === 'Warn') {
    run.warn(message);
    return { kind: 'done' };
  }
  const reason = conditionOf(first, 'Succeeded')?.reason ?? '';
  return { kind: 'failed', reason: known(reason), message };
}

function known(reason: string): Reason {
  return isReason(reason) ? reason : 'Internal';
}

async function ensure(run: Run): Promise<void> {
  let wishes = await readImageList(run);
  if (wishes === undefined) {
    const found = await findImages(run);
    const homeless = homelessText(run, found);
    if (homeless !== undefined && run.plan.spec.imageFailure !== 'Warn') fail('NotFound', homeless);
    if (homeless === undefined) await makeStreams(run, found);
    else run.warn(homeless);
    wishes = homeless === undefined ? found.wishes : [];
    await writeImageList(run, wishes);
  }
  const transfers = await transfersOf(run);
  let going = [...transfers.values()].filter((one) => !isOver(one)).length;
  for (const wish of wishes) {
    if (going >= concurrencyOf(run)) return;
    const name = transferName(run, wish);
    const before = transfers.get(name);
    if (before !== undefined && !isStale(run, before)) continue;
    if (before !== undefined) {
      const { uid = '' } = before.metadata;
      await run.context.client.delete(imageTransfers, keyOf(before), { uid });
    }
    await makeTransfer(run, name, wish);
    going += 1;
  }
}

/** Why no image can be copied; undefined: they can. */
function homelessText(run: Run, { wishes }: FoundImages): string | undefined {
  const { source, destination } = run;
  const [first] = wishes;
  if (first === undefined || registriesOf(clustersOf(run)).destination !== undefined) {
    return undefined;
  }
  const { name } = destination;
  return (
    `${wishes.length} images such as ${first.source} are in the registry of ${source.name}, ` +
    `and cluster ${name} has none: give spec.registry of Cluster ${name}, map the images in ` +
    'spec.mappings.images of the plan, or set its images to Skip'
  );
}

/** A push would make a stream by itself, which nobody would know for ours. */
async function makeStreams(run: Run, { inventory, streams }: FoundImages): Promise<void> {
  const { plan, source, destination } = run;
  const from = {
    source: source.client,
    destination: destination.client,
    clusters: clustersOf(run),
    namesThere: namesThereIn(run),
  };
  const parts = { ...inventory, items: streams };
  for await (const { item, object } of preparedObjectsOf(plan, parts, from)) {
    if (object === undefined) continue;
    await unlessThere(destination.client.create(item.type, object));
  }
}

async function makeTransfer(run: Run, name: string, wish: ImageWish): Promise<void> {
  const { migration, plan, source, destination, context } = run;
  const { namespace = '', name: of = '' } = migration.metadata;
  const spec: ImageTransferSpec = {
    migration: of,
    source: { cluster: source.name, reference: wish.source },
    destination: { cluster: destination.name, reference: wish.destination },
    method: plan.spec.images === 'Repository' ? 'Repository' : 'Direct',
  };
  try {
    await context.client.create(imageTransfers, {
      metadata: {
        name,
        namespace,
        labels: { [labels.migration]: uidOf(migration) },
        annotations: { [retryAnnotation]: retryOf(run) },
        ownerReferences: [ownerReference(migration)],
      },
      spec,
    });
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    const found = await context.client.get(imageTransfers, { namespace, name });
    const isOwn = found?.metadata.ownerReferences?.some(({ uid }) => uid === uidOf(migration));
    if (isOwn === true) return;
    const message = `ImageTransfer ${namespace}/${name} is not of this migration: delete it`;
    throw new TransshipError('Conflict', message, { cause: error });
  }
}

/** Deleting a transfer ends its copy. */
async function undo(run: Run): Promise<Undoing> {
  for (const one of (await transfersOf(run)).values()) {
    await run.context.client.delete(imageTransfers, keyOf(one));
  }
  if ((await transfersOf(run)).size > 0) {
    return { kind: 'running', message: 'The copies of images are being ended' };
  }
  await forgetImageList(run);
  return { kind: 'done' };
}

export const imageSteps: readonly Step<Run>[] = [
  {
    name: 'copyImages',
    description: 'Copies images from the registry of the source to that of the destination.',
    deadlineMs: 10 * minuteMs,
    isNeeded,
    observe,
    ensure,
    undo,
  },
];
