/** Images that are in the registry of the source, and have to get to the destination. */
import { registriesOfSides } from '../observation.ts';
import { type ImageWish, wishesOf } from '../image-rules.ts';
import { namesThereOf } from '../transform.ts';
import type { Check, Judged } from './check.ts';

/** Undefined: it cannot be told yet. */
function wishesIn({ seen, type }: Judged): readonly ImageWish[] | undefined {
  const { plan, seenSource } = seen;
  if (plan.spec.images === 'Skip' || (type !== undefined && type !== 'Namespace')) return [];
  if (seenSource?.survey === undefined) return undefined;
  const { items } = seenSource.survey.inventory;
  const texts = items.flatMap(({ images }) => images.map(({ text }) => text));
  return wishesOf(plan, registriesOfSides(seen), namesThereOf(plan), texts);
}

function homeless(judged: Judged): readonly string[] | undefined {
  const { source, destination } = judged.seen;
  const wishes = wishesIn(judged);
  const [first] = wishes ?? [];
  if (wishes === undefined || first === undefined) return wishes && [];
  if (destination.registry !== undefined || !destination.exists) return [];
  const count = wishes.length === 1 ? '1 image' : `${wishes.length} images`;
  const where = `in the registry of ${source.name}, such as ${first.source}`;
  return [`${count} are ${where}, and Cluster ${destination.name} names no registry for them`];
}

const remedy =
  'Give spec.registry of the destination Cluster, map the images in spec.mappings.images, or set ' +
  'spec.images to Skip.';

export const imageChecks: readonly Check[] = [
  {
    id: 'DestinationClusterNoRegistry',
    category: 'Error',
    remedy,
    find: (judged) => (judged.seen.plan.spec.imageFailure === 'Warn' ? [] : homeless(judged)),
  },
  {
    id: 'ImagesNotCopied',
    category: 'Warning',
    remedy,
    find: (judged) => (judged.seen.plan.spec.imageFailure === 'Warn' ? homeless(judged) : []),
  },
  {
    id: 'ImagesThroughRepository',
    category: 'Error',
    remedy: 'Set spec.images to Direct, or to Skip where the images get there in another way.',
    find: (judged) => {
      if (judged.seen.plan.spec.images !== 'Repository') return [];
      const wishes = wishesIn(judged);
      return wishes?.length === 0
        ? []
        : ['images go from registry to registry only, not through a repository'];
    },
  },
];
