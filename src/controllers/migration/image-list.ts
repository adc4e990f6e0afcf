/** The images that a migration copies: found once, and kept so that all of it is copied or told. */
import { createHash } from 'node:crypto';
import { fail } from '../../base/errors.ts';
import { ownerReference } from '../../kube/api.ts';
import type { ObjectKey } from '../../kube/objects.ts';
import { type ConfigMap, configMaps } from '../../kube/resources.ts';
import {
  imagesOfStream,
  isImageStream,
  repositoryOfStream,
  streamGroup,
} from '../../workload/image-streams.ts';
import { parseImage } from '../../workload/images.ts';
import type { Inventory, Item } from '../../workload/inventory.ts';
import {
  type ImageWish,
  isInternal,
  type NamesThere,
  type PlanRegistries,
  referenceOf,
  registriesOf,
  repositoryThere,
  wishesOf,
} from '../plan/image-rules.ts';
import { surveyOf } from '../plan/prepared.ts';
import { labels } from '../labels.ts';
import { nameThere, type Run, uidOf } from './run.ts';

/** A ConfigMap takes 1 MiB with everything. */
const listBytesMax = 900 * 1024;

/** Both sides' `Cluster` objects. */
export function clustersOf({ context, source, destination }: Run) {
  const { clusters } = context.informers;
  return {
    source: clusters.get({ namespace: '', name: source.name }),
    destination: clusters.get({ namespace: '', name: destination.name }),
  };
}

/** Names of the namespaces at the destination of this run. */
export function namesThereIn(run: Run): NamesThere {
  return Object.fromEntries(
    run.plan.spec.namespaces.map(({ name }) => [name, nameThere(run, name)]),
  );
}

export interface FoundImages {
  readonly inventory: Inventory;
  readonly streams: readonly Item[];
  readonly wishes: readonly ImageWish[];
}

/** All images in the registry of the source that objects of the plan name, and those of streams. */
export async function findImages(run: Run): Promise<FoundImages> {
  const { plan, source, destination } = run;
  const clients = { source: source.client, destination: destination.client };
  const { inventory } = await surveyOf(plan, clients);
  const registries = registriesOf(clustersOf(run));
  const names = namesThereIn(run);
  const texts = inventory.items.flatMap(({ images }) => images.map(({ text }) => text));
  const streams = inventory.items.filter(({ name }) => {
    return name.group === streamGroup && name.kind === 'ImageStream';
  });
  const wishes = [...wishesOf(plan, registries, names, texts)];
  for (const item of streams) wishes.push(...(await wishesOfStream(run, item, registries)));
  const byName = new Map(wishes.map((wish) => [`${wish.source} ${wish.destination}`, wish]));
  return { inventory, streams, wishes: [...byName.values()] };
}

/** Images that were pushed into it; what it imports from elsewhere is imported again there. */
async function wishesOfStream(
  run: Run,
  { type, name }: Item,
  { source }: PlanRegistries,
): Promise<readonly ImageWish[]> {
  const stream = await run.source.client.get(type, name);
  const here = parseImage((stream && repositoryOfStream(stream)) ?? '');
  if (stream === undefined || here === undefined || !isImageStream(stream)) return [];
  if (source === undefined || !isInternal(run.plan, source, here)) return [];
  const there = repositoryThere(here.repository, namesThereIn(run));
  return imagesOfStream(stream).flatMap(({ tag, digest, from }) => {
    if (parseImage(from)?.host !== here.host) return [];
    return [
      {
        source: referenceOf({ repository: here.repository, digest }),
        destination: referenceOf({ repository: there, tag }),
      },
    ];
  });
}

function listKey({ migration }: Run): ObjectKey {
  const { namespace = '' } = migration.metadata;
  return { namespace, name: `images-${uidOf(migration)}` };
}

/** Undefined: it has not been found out yet. */
export async function readImageList(run: Run): Promise<readonly ImageWish[] | undefined> {
  const text = (await run.context.client.get(configMaps, listKey(run)))?.data?.['images'];
  return text === undefined ? undefined : (JSON.parse(text) as readonly ImageWish[]);
}

export async function writeImageList(run: Run, wishes: readonly ImageWish[]): Promise<void> {
  const images = JSON.stringify(wishes);
  if (images.length > listBytesMax) {
    const message = `${wishes.length} images are too many for one plan; move fewer namespaces`;
    fail('LimitExceeded', message);
  }
  await run.context.client.apply<ConfigMap>(configMaps, {
    metadata: {
      ...listKey(run),
      labels: { [labels.migration]: uidOf(run.migration) },
      ownerReferences: [ownerReference(run.migration)],
    },
    data: { images },
  });
}

export async function forgetImageList(run: Run): Promise<void> {
  await run.context.client.delete(configMaps, listKey(run));
}

/** The same for the same image of the same migration. */
export function transferName({ migration }: Run, { source, destination }: ImageWish): string {
  const hash = createHash('sha256').update(`${source} ${destination}`).digest('hex').slice(0, 8);
  const cut = (migration.metadata.name ?? '').slice(0, 200).replace(/[-.]+$/, '');
  return `${cut}-i-${hash}`;
}
