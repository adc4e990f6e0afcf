/**
 * Manifests and indexes as they come from a registry: read, and refused where they are not what
 * they say (OCI image-spec "manifest" and "image index", Docker manifest v2 schema 2).
 */
import { fail } from '../base/errors.ts';
import { algorithmOf, asDigest, digestOf } from './digest.ts';

export const manifestBytesMax = 4 * 1024 * 1024;
/** Of one image with everything that belongs to it. */
const descriptorsMax = 4096;

const indexTypes: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]);
const manifestTypes: ReadonlySet<string> = new Set([
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]);
export const ociIndexType = 'application/vnd.oci.image.index.v1+json';
export const acceptedTypes = [...indexTypes, ...manifestTypes].join(', ');

/** Layers that their owner does not allow to be passed on; they are fetched from `urls`. */
const foreignPattern =
  /^application\/vnd\.(docker\.image\.rootfs\.foreign\.|oci\.image\.layer\.nondistributable\.)/;

export interface Descriptor {
  readonly digest: string;
  readonly sizeBytes: number;
  readonly mediaType: string;
  readonly isForeign: boolean;
}

export interface Manifest {
  readonly digest: string;
  readonly mediaType: string;
  /** Exactly as received: a digest is over these. */
  readonly bytes: Uint8Array;
  /** Of an index. */
  readonly children: readonly Descriptor[];
  /** Configuration and layers. */
  readonly blobs: readonly Descriptor[];
  /** What this belongs to: a signature to its image. */
  readonly subject: string | undefined;
  /** What an index of referrers says about it beside digest, size and type. */
  readonly about: Readonly<Record<string, unknown>>;
}

export interface ReceivedManifest {
  readonly bytes: Uint8Array;
  readonly contentType: string;
  /** That it was asked for by; undefined for a tag. */
  readonly digest: string | undefined;
  /** For errors: the image. */
  readonly what: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** `ImageInvalid` for damaged or ambiguous ones, `Unsupported` for unknown types and schema 1. */
export function readManifest(received: ReceivedManifest): Manifest {
  const { bytes, what } = received;
  const digest = digestOf(bytes, algorithmOf(received.digest ?? 'sha256:'));
  if (received.digest !== undefined && digest !== received.digest) {
    fail('ImageInvalid', `${what}: the manifest is not what its digest ${received.digest} says`);
  }
  const fields = parseObject(bytes, what);
  const mediaType = typeOf(fields, received);
  const isIndex = indexTypes.has(mediaType);
  if ('manifests' in fields !== isIndex || ('layers' in fields && isIndex)) {
    fail('ImageInvalid', `${what}: it is both a manifest and an index, or neither`);
  }
  const children = isIndex ? descriptorsOf(fields['manifests'], what) : [];
  const layers = isIndex ? [] : descriptorsOf(fields['layers'], what);
  const config = isIndex ? [] : descriptorsOf([fields['config']], what);
  const subject = fields['subject'];
  const { artifactType, annotations } = fields;
  return {
    digest,
    mediaType,
    bytes,
    children,
    blobs: [...config, ...layers],
    subject: isFields(subject) ? asDigest(subject['digest'], `${what}: its subject`) : undefined,
    about: {
      artifactType: artifactType ?? config[0]?.mediaType,
      ...(isFields(annotations) && { annotations }),
    },
  };
}

function parseObject(bytes: Uint8Array, what: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return fail('ImageInvalid', `${what}: the manifest is no JSON`, error);
  }
  return isFields(value) ? value : fail('ImageInvalid', `${what}: the manifest is no object`);
}

/** The content says what it is; the answer's header may repeat it, never contradict. */
function typeOf(fields: Fields, { contentType, what }: ReceivedManifest): string {
  const told = contentType.split(';')[0]?.trim().toLowerCase() ?? '';
  const own = fields['mediaType'];
  if (fields['schemaVersion'] === 1 || /docker\.distribution\.manifest\.v1\+/.test(told)) {
    fail('Unsupported', `${what} has a schema 1 manifest; push it again with a newer client`);
  }
  if (fields['schemaVersion'] !== 2) fail('ImageInvalid', `${what}: unknown schema version`);
  const type = typeof own === 'string' ? own : told;
  const isKnown = (one: string) => indexTypes.has(one) || manifestTypes.has(one);
  if (!isKnown(type)) {
    const shown = /^[\w.+/-]{1,100}$/.test(type) ? type : 'unreadable';
    fail('Unsupported', `${what} is of the unknown type ${shown}`);
  }
  if (isKnown(told) && told !== type) {
    fail('ImageInvalid', `${what}: the registry and the manifest name different types`);
  }
  return type;
}

function descriptorsOf(value: unknown, what: string): Descriptor[] {
  if (!Array.isArray(value) || value.length > descriptorsMax) {
    return fail('ImageInvalid', `${what}: a list of content is missing or too long`);
  }
  return value.map((one: unknown) => {
    if (!isFields(one)) return fail('ImageInvalid', `${what}: a descriptor is no object`);
    const { digest, size, mediaType, urls } = one;
    if (!Number.isSafeInteger(size) || Number(size) < 0 || typeof mediaType !== 'string') {
      return fail('ImageInvalid', `${what}: a descriptor has no size or no type`);
    }
    return {
      digest: asDigest(digest, `${what}: some content`),
      sizeBytes: Number(size),
      mediaType,
      isForeign: foreignPattern.test(mediaType) && Array.isArray(urls) && urls.length > 0,
    };
  });
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
