/** Everything that is copied with an image: its manifests, and what refers to them. */
import { fail } from '../base/errors.ts';
import { drain, readWhole } from './bodies.ts';
import { asDigest, isDigest, tagOfDigest } from './digest.ts';
import {
  acceptedTypes,
  type Descriptor,
  type Manifest,
  manifestBytesMax,
  readManifest,
} from './manifest.ts';
import { type Repository, resolveUrl } from './registry.ts';

const manifestsMax = 4096;
const manifestsBytesMax = 128 * 1024 * 1024;
const depthMax = 8;
const pagesMax = 100;
/** Where cosign keeps signatures, attestations and bills of material. */
const cosignEndings = ['.sig', '.att', '.sbom'];

export interface ImageTree {
  readonly root: Manifest;
  /** Each once; what others name comes before them. */
  readonly manifests: readonly Manifest[];
  /** Of the registry's own bookkeeping, to be set beside the user's. */
  readonly tags: ReadonlyMap<string, Manifest>;
  /** Each once. */
  readonly blobs: readonly Descriptor[];
  /** Layers that may not be passed on. */
  readonly foreign: readonly Descriptor[];
}

/** A manifest by tag or digest; undefined when it is not there. */
export async function fetchManifest(
  from: Repository,
  reference: string,
): Promise<Manifest | undefined> {
  const answer = await from.send({
    method: 'GET',
    path: `manifests/${reference}`,
    headers: { accept: acceptedTypes, 'accept-encoding': 'identity' },
    expected: [200, 404],
  });
  if (answer.status === 404) {
    await drain(answer.body);
    return undefined;
  }
  const bytes = await readWhole(answer.body, manifestBytesMax);
  const what = `${from.name}${reference.includes(':') ? '@' : ':'}${reference}`;
  const contentType = answer.headers['content-type'] ?? '';
  const told = answer.headers['docker-content-digest'];
  const digest = isDigest(reference) ? reference : told;
  if (digest !== undefined) asDigest(digest, what);
  return readManifest({ bytes, contentType, digest, what });
}

/** `NotFound` when a manifest is missing, `LimitExceeded` for what is too large to be an image. */
export async function readTree(
  from: Repository,
  reference: string,
  withReferrers: boolean,
): Promise<ImageTree> {
  const walk = new Walk(from, withReferrers);
  const root = await walk.root(reference);
  const blobs = new Map<string, Descriptor>();
  for (const blob of walk.manifests.flatMap((one) => one.blobs)) {
    const known = blobs.get(blob.digest);
    if (known !== undefined && known.sizeBytes !== blob.sizeBytes) {
      fail('ImageInvalid', `${from.name}: ${blob.digest} is said to have two sizes`);
    }
    // What one manifest keeps here must be here, whatever another says.
    if (known === undefined || known.isForeign) blobs.set(blob.digest, blob);
  }
  const all = [...blobs.values()];
  return {
    root,
    manifests: walk.manifests,
    tags: walk.tags,
    blobs: all.filter(({ isForeign }) => !isForeign),
    foreign: all.filter(({ isForeign }) => isForeign),
  };
}

class Walk {
  readonly manifests: Manifest[] = [];
  readonly tags = new Map<string, Manifest>();
  readonly #from: Repository;
  readonly #withReferrers: boolean;
  readonly #seen = new Map<string, Manifest>();
  #bytes = 0;
  #hasApi = true;

  constructor(from: Repository, withReferrers: boolean) {
    this.#from = from;
    this.#withReferrers = withReferrers;
  }

  async root(reference: string): Promise<Manifest> {
    const root = await fetchManifest(this.#from, reference);
    if (root === undefined) {
      return fail('NotFound', `${this.#from.name} has no image ${reference}`);
    }
    await this.#add(root, 0);
    return root;
  }

  async #add(manifest: Manifest, depth: number): Promise<void> {
    if (this.#seen.has(manifest.digest)) return;
    this.#seen.set(manifest.digest, manifest);
    this.#bytes += manifest.bytes.length;
    const isLarge = this.#seen.size > manifestsMax || this.#bytes > manifestsBytesMax;
    if (isLarge || depth > depthMax) {
      fail('LimitExceeded', `${this.#from.name}: an image has too many or too deep manifests`);
    }
    for (const child of manifest.children) await this.#child(child, depth + 1);
    this.manifests.push(manifest);
    if (this.#withReferrers) await this.#referrers(manifest, depth + 1);
  }

  async #child({ digest, sizeBytes }: Descriptor, depth: number): Promise<Manifest> {
    const child = this.#seen.get(digest) ?? (await fetchManifest(this.#from, digest));
    if (child === undefined) {
      return fail('NotFound', `${this.#from.name}: the index names ${digest}, which is missing`);
    }
    if (child.bytes.length !== sizeBytes) {
      fail('ImageInvalid', `${this.#from.name}: ${digest} has not the size that its index says`);
    }
    await this.#add(child, depth);
    return child;
  }

  async #referrers(manifest: Manifest, depth: number): Promise<void> {
    const tag = tagOfDigest(manifest.digest);
    for (const found of await this.#listReferrers(manifest.digest, tag)) {
      const child = await this.#child(found, depth);
      if (child.subject !== manifest.digest) {
        fail('ImageInvalid', `${this.#from.name}: ${child.digest} does not refer to its image`);
      }
    }
    for (const ending of cosignEndings) {
      const signature = await fetchManifest(this.#from, `${tag}${ending}`);
      if (signature === undefined) continue;
      await this.#add(signature, depth);
      this.tags.set(`${tag}${ending}`, signature);
    }
  }

  async #listReferrers(digest: string, tag: string): Promise<readonly Descriptor[]> {
    const listed = this.#hasApi ? await this.#askApi(digest) : undefined;
    if (listed !== undefined) return listed;
    // A registry that has the API answers with an empty list where there is nothing.
    this.#hasApi = false;
    return (await fetchManifest(this.#from, tag))?.children ?? [];
  }

  async #askApi(digest: string): Promise<readonly Descriptor[] | undefined> {
    const found: Descriptor[] = [];
    let path: string | URL | undefined = `referrers/${digest}`;
    for (let page = 0; path !== undefined; page += 1) {
      const what = `${this.#from.name}: the list of referrers`;
      if (page >= pagesMax) fail('LimitExceeded', `${what} has no end`);
      const answer = await this.#from.send({ method: 'GET', path, expected: [200, 404] });
      if (answer.status === 404 || !isIndex(answer.headers['content-type'])) {
        await drain(answer.body);
        return undefined;
      }
      const bytes = await readWhole(answer.body, manifestBytesMax);
      const contentType = answer.headers['content-type'] ?? '';
      found.push(...readManifest({ bytes, contentType, digest: undefined, what }).children);
      const next = /<([^>]+)>\s*;[^,]*rel="?next"?/i.exec(answer.headers['link'] ?? '')?.[1];
      path = next === undefined ? undefined : resolveUrl(next, answer.url, this.#from.name);
    }
    return found;
  }
}

/** Old registries answer unknown paths with a page for people. */
function isIndex(contentType: string | undefined): boolean {
  return contentType?.startsWith('application/vnd.oci.image.index.v1+json') ?? false;
}
