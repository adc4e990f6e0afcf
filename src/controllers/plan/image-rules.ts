/**
 * Images that live in the registry of the source: which they are, and what they are called at the
 * destination. What the plan's own image rules speak of is the user's to bring there. Pure.
 */
import type { Cluster } from '../../api/kinds/cluster.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import {
  createImageRewriter,
  type ImageReference,
  type ImageRule,
  parseImage,
} from '../../workload/images.ts';
import { type RegistryPlace, registryOf } from '../image-transfer/place.ts';

/** The `Cluster` objects of both sides, as the hub has them; undefined: there is none. */
export interface PlanClusters {
  readonly source: Cluster | undefined;
  readonly destination: Cluster | undefined;
}

export interface PlanRegistries {
  readonly source: RegistryPlace | undefined;
  readonly destination: RegistryPlace | undefined;
}

export type NamesThere = Readonly<Record<string, string>>;

export function registriesOf({ source, destination }: PlanClusters): PlanRegistries {
  return {
    source: source && registryOf(source),
    destination: destination && registryOf(destination),
  };
}

/**
 * The user's rules, and one for each name of the source's registry. A path that begins with a
 * namespace of the plan, as in registries of OpenShift, begins with its new name there.
 */
export function imageRulesOf(
  { spec }: Plan,
  { source, destination }: PlanRegistries,
  namesThere: NamesThere,
): readonly ImageRule[] {
  const own = spec.mappings?.images ?? [];
  if (spec.images === 'Skip' || source === undefined || destination === undefined) return own;
  const ours = source.hosts.flatMap((host) => [
    { from: `${host}/`, to: destination.host },
    ...Object.entries(namesThere)
      .filter(([here, there]) => here !== there)
      .map(([here, there]) => ({ from: `${host}/${here}/`, to: `${destination.host}/${there}` })),
  ]);
  return [...own, ...ours.filter((rule) => !own.some((one) => covers(one, rule)))];
}

/** Longer rules win, so one of ours must not stand within the reach of a user's. */
function covers(user: ImageRule, { from }: ImageRule): boolean {
  const isWide = user.from.endsWith('/') || !user.from.includes('/');
  return isWide && from.startsWith(`${user.from.replace(/\/$/, '')}/`);
}

/** One image to copy; both without their registries. */
export interface ImageWish {
  readonly source: string;
  readonly destination: string;
}

/** Whether the image is in the registry of the source, and not the user's to bring. */
export function isInternal({ spec }: Plan, source: RegistryPlace, image: ImageReference): boolean {
  if (!source.hosts.includes(image.host)) return false;
  const { host, repository } = image;
  return createImageRewriter(spec.mappings?.images ?? [])(`${host}/${repository}`) === undefined;
}

/** Of the images that objects name, each once; in the order of their names. */
export function wishesOf(
  plan: Plan,
  { source, destination }: PlanRegistries,
  namesThere: NamesThere,
  texts: Iterable<string>,
): readonly ImageWish[] {
  if (source === undefined) return [];
  const found = new Map<string, ImageWish>();
  for (const text of texts) {
    const image = parseImage(text);
    if (image === undefined || !isInternal(plan, source, image)) continue;
    const wish = {
      source: referenceOf(image),
      destination: referenceOf({
        ...image,
        repository: repositoryThere(image.repository, namesThere),
      }),
    };
    const isThere = source.address === destination?.address && wish.source === wish.destination;
    if (!isThere) found.set(`${wish.source} ${wish.destination}`, wish);
  }
  const order = (a: ImageWish, b: ImageWish) => (a.destination < b.destination ? -1 : 1);
  return [...found.values()].toSorted(order);
}

export function repositoryThere(repository: string, namesThere: NamesThere): string {
  const slash = repository.indexOf('/');
  const first = repository.slice(0, Math.max(0, slash));
  const there = Object.hasOwn(namesThere, first) ? namesThere[first] : undefined;
  return there === undefined ? repository : `${there}${repository.slice(slash)}`;
}

/** An image without tag and digest is the one tagged `latest`. */
export function referenceOf({
  repository,
  tag,
  digest,
}: Pick<ImageReference, 'repository' | 'tag' | 'digest'>): string {
  const tagged = tag ?? (digest === undefined ? 'latest' : undefined);
  const suffix = digest === undefined ? '' : `@${digest}`;
  return `${repository}${tagged === undefined ? '' : `:${tagged}`}${suffix}`;
}
