/**
 * Copies images from registry to registry, without a disk between them: every platform, signatures
 * and attestations. Content that is there already does not move. The tag comes last, so that an
 * image is never seen before it is whole.
 */
import { asTransshipError, fail, type TransshipError } from '../base/errors.ts';
import { parseImage, type ImageReference } from '../workload/images.ts';
import type { CredentialsFor } from './credentials.ts';
import { isDigest } from './digest.ts';
import { hasBlob, readBlob } from './download.ts';
import type { Descriptor } from './manifest.ts';
import { listReferrers, pushManifest } from './push.ts';
import { type ImagePorts, Repository } from './registry.ts';
import type { RegistryTransport } from './transport.ts';
import { fetchManifest, type ImageTree, readTree } from './tree.ts';
import { copyBlob } from './upload.ts';

export { type CredentialsFor, readDockerConfig, type RegistryCredentials } from './credentials.ts';
export type { ImagePorts } from './registry.ts';
export type { RegistryRequest, RegistryResponse, RegistryTransport } from './transport.ts';

const defaultConcurrency = 4;
const concurrencyMax = 32;

export interface ImageEnd {
  /** As a pod names it: `registry:5000/shop/api:1.4`. */
  readonly image: string;
  /** Where its registry is reached, `host:port`, when not under the name in `image`. */
  readonly address?: string;
  readonly transport: RegistryTransport;
  /** From `readDockerConfig`; absent: ask without. */
  readonly credentials?: CredentialsFor;
}

export interface ImageCopy {
  readonly from: ImageEnd;
  /** Its tag is set last; without one the image can be had by its digest. */
  readonly to: ImageEnd;
  /** Beside the one of `to`. */
  readonly tags?: readonly string[];
  /** Signatures, attestations and whatever else refers to the image; true when absent. */
  readonly referrers?: boolean;
  /** Reads everything again at the destination before the tag is set. */
  readonly verify?: boolean;
  /** Blobs under way at once; 4 when absent. Each takes up to 16 MiB of memory. */
  readonly concurrency?: number;
  /** Repositories at the destination's registry that may have some of the layers. */
  readonly mountFrom?: readonly string[];
  readonly onProgress?: (progress: ImageProgress) => void;
  readonly signal?: AbortSignal;
}

export interface ImageProgress {
  /** Layers and configurations, each once. */
  readonly layers: number;
  /** Of these, those that are at the destination now, and did not move. */
  readonly layersPresent: number;
  readonly layersCopied: number;
  /** Of all layers that did not have to move. */
  readonly presentBytes: number;
  /** Of all layers. */
  readonly totalBytes: number;
  readonly copiedBytes: number;
  /** Bodies of requests and answers at both ends, repetitions included. */
  readonly wireBytes: number;
}

export interface CopiedImage extends ImageProgress {
  readonly digest: string;
  /** Set at the destination, those of signatures included. */
  readonly tags: readonly string[];
  /** May not be passed on: nodes fetch them from where the manifest says. */
  readonly layersForeign: number;
}

/**
 * Run it again after any failure: it goes on with what is missing. `BadArgument`, `NotFound`,
 * `Unsupported` (schema 1), `ImageInvalid` (the content is not what its digest says),
 * `RegistryRefused`, `RegistryUnreachable` and `TooManyRequests` (after several attempts),
 * `LimitExceeded`, `Canceled`.
 */
export async function copyImage(ports: ImagePorts, copy: ImageCopy): Promise<CopiedImage> {
  const from = { ...copy.from, image: imageOf(copy.from.image) };
  const to = { ...copy.to, image: imageOf(copy.to.image) };
  const tags = tagsOf(to.image, copy.tags ?? []);
  const stop = new AbortController();
  const signals = [stop.signal, ...(copy.signal === undefined ? [] : [copy.signal])];
  const signal = AbortSignal.any(signals);
  const source = new Repository(from, { actions: 'pull' }, ports, signal);
  const mountFrom = [...(copy.mountFrom ?? [])];
  const atHome = (from.address ?? from.image.host) === (to.address ?? to.image.host);
  if (atHome && from.image.repository !== to.image.repository) mountFrom.push(source.repository);
  const target = new Repository(to, { actions: 'pull,push', mountFrom }, ports, signal);
  const reference = from.image.digest ?? from.image.tag ?? 'latest';
  const tree = await readTree(source, reference, copy.referrers !== false);
  const { digest } = tree.root;
  if (to.image.digest !== undefined && to.image.digest !== digest) {
    fail('BadArgument', `${copy.from.image} is ${digest}, not ${to.image.digest}`);
  }
  const ends = { source, target, mountFrom };
  const progress = new Progress(tree, () => source.bodyBytes + target.bodyBytes, copy.onProgress);
  const move = (blob: Descriptor) => moveBlob(ends, blob, progress);
  const width = concurrencyOf(copy.concurrency);
  await forAll(tree.blobs, { width, stop }, move);
  for (const manifest of tree.manifests) await pushManifest(target, manifest);
  await listReferrers(target, tree.manifests);
  if (copy.verify === true) await verify(target, tree, { width, stop });
  for (const [tag, manifest] of tree.tags) await pushManifest(target, manifest, tag);
  for (const tag of tags) await pushManifest(target, tree.root, tag);
  return {
    ...progress.tell(),
    digest,
    tags: [...tree.tags.keys(), ...tags],
    layersForeign: tree.foreign.length,
  };
}

function imageOf(text: string): ImageReference {
  const image = parseImage(text);
  if (image === undefined) return fail('BadArgument', `'${text}' is no image reference`);
  if (image.digest !== undefined && !isDigest(image.digest)) {
    return fail('BadArgument', `'${text}' has no sha256 or sha512 digest`);
  }
  return image;
}

function tagsOf({ tag, host, repository }: ImageReference, more: readonly string[]): string[] {
  const tags = [...new Set([...(tag === undefined ? [] : [tag]), ...more])];
  for (const one of tags) {
    if (parseImage(`${host}/${repository}:${one}`)?.tag !== one) {
      fail('BadArgument', `'${one}' is no tag`);
    }
  }
  return tags;
}

function concurrencyOf(wanted = defaultConcurrency): number {
  const isGood = Number.isInteger(wanted) && wanted >= 1 && wanted <= concurrencyMax;
  return isGood ? wanted : fail('BadArgument', `concurrency is from 1 to ${concurrencyMax}`);
}

interface Ends {
  readonly source: Repository;
  readonly target: Repository;
  readonly mountFrom: readonly string[];
}

async function moveBlob(ends: Ends, blob: Descriptor, progress: Progress): Promise<void> {
  const { source: from, target: to, mountFrom } = ends;
  const onBytes = (bytes: number) => progress.moved(bytes);
  const isThere =
    (await hasBlob(to, blob)) || (await copyBlob({ from, to, blob, mountFrom, onBytes }));
  progress.done(isThere ? blob.sizeBytes : undefined);
}

class Progress {
  readonly #tree: ImageTree;
  readonly #wireBytes: () => number;
  readonly #onProgress: ((progress: ImageProgress) => void) | undefined;
  #present = 0;
  #presentBytes = 0;
  #copied = 0;
  #bytes = 0;

  constructor(
    tree: ImageTree,
    wireBytes: () => number,
    onProgress: ((progress: ImageProgress) => void) | undefined,
  ) {
    this.#tree = tree;
    this.#wireBytes = wireBytes;
    this.#onProgress = onProgress;
  }

  moved(bytes: number): void {
    this.#bytes += bytes;
    this.#onProgress?.(this.tell());
  }

  /** `presentBytes` of what did not move. */
  done(presentBytes: number | undefined): void {
    if (presentBytes === undefined) this.#copied += 1;
    else {
      this.#present += 1;
      this.#presentBytes += presentBytes;
    }
    this.#onProgress?.(this.tell());
  }

  tell(): ImageProgress {
    const { blobs } = this.#tree;
    return {
      layers: blobs.length,
      layersPresent: this.#present,
      layersCopied: this.#copied,
      presentBytes: this.#presentBytes,
      totalBytes: blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      copiedBytes: this.#bytes,
      wireBytes: this.#wireBytes(),
    };
  }
}

interface Width {
  readonly width: number;
  readonly stop: AbortController;
}

/** The first failure ends the others, and is the one that is told. */
async function forAll<T>(
  items: readonly T[],
  { width, stop }: Width,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  let failure: TransshipError | undefined;
  const worker = async () => {
    // Workers share the iterator: each item goes to one of them.
    for (const item of waiting) {
      if (failure !== undefined) return;
      try {
        await work(item);
      } catch (error) {
        failure ??= asTransshipError(error);
        stop.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  if (failure !== undefined) throw failure;
}

async function verify(target: Repository, tree: ImageTree, width: Width): Promise<void> {
  for (const { digest } of tree.manifests) {
    if ((await fetchManifest(target, digest)) === undefined) {
      fail('ImageInvalid', `${target.name}: ${digest} was stored and is not there`);
    }
  }
  await forAll(tree.blobs, width, async (blob) => {
    // Reading to the end is what compares.
    for await (const _ of readBlob(target, blob));
  });
}
