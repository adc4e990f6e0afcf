/** Digests of content (OCI image-spec, "Digests"). Algorithms without collisions only. */
import { createHash, type Hash } from 'node:crypto';
import { fail } from '../base/errors.ts';

const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 };

export function isDigest(text: unknown): text is string {
  if (typeof text !== 'string') return false;
  const [algorithm = '', hex = '', ...rest] = text.split(':');
  const isKnown = Object.hasOwn(hexLengths, algorithm) && rest.length === 0;
  return isKnown && hex.length === hexLengths[algorithm] && /^[0-9a-f]+$/.test(hex);
}

/** `ImageInvalid` for what is no sha256 or sha512 digest. */
export function asDigest(text: unknown, what: string): string {
  if (isDigest(text)) return text;
  return fail('ImageInvalid', `${what} is not named by a sha256 or sha512 digest`);
}

export function hasherOf(digest: string): Hash {
  return createHash(algorithmOf(digest));
}

export function algorithmOf(digest: string): string {
  return digest.slice(0, digest.indexOf(':'));
}

export function digestOf(bytes: Uint8Array, algorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** The tag under which registries without a referrers API keep what belongs to a digest. */
export function tagOfDigest(digest: string): string {
  // The distribution spec cuts both parts so that they fit into a tag.
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${algorithm.slice(0, 32)}-${hex.slice(0, 64)}`;
}
