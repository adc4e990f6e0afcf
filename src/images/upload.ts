/**
 * Blobs into a registry: in chunks, going on after a cut where the registry says it stopped
 * (distribution-spec 1.1, "Pushing a blob in chunks"), or whole where it takes no chunks.
 */
import { fail, TransshipError } from '../base/errors.ts';
import { drain } from './bodies.ts';
import { hasBlob, readBlob } from './download.ts';
import type { Descriptor } from './manifest.ts';
import { type Answer, type Repository, resolveUrl, statusOf } from './registry.ts';

/** Two of them are held for each blob under way: one is sent while the next is received. */
const chunkBytes = 8 * 1024 * 1024;
/** A registry that wants larger ones gets the blob whole. */
const chunkBytesMax = 64 * 1024 * 1024;
/** Uploads that a registry lost, one after another, before it is an error. */
const lossesMax = 4;

export interface BlobCopy {
  readonly from: Repository;
  readonly to: Repository;
  readonly blob: Descriptor;
  /** Repositories of the destination's registry that may have it. */
  readonly mountFrom: readonly string[];
  readonly onBytes: (bytes: number) => void;
}

/** The registry has forgotten an upload: only a new one helps. */
class UploadLost extends Error {}
/** The registry takes blobs whole only. */
class ChunksRefused extends Error {}

/** Copies a blob that is not there; true when it was mounted and no byte moved. */
export async function copyBlob(copy: BlobCopy): Promise<boolean> {
  const { to, blob } = copy;
  for (const other of copy.mountFrom) {
    if (await mount(to, blob, other)) return true;
  }
  let isWhole = blob.sizeBytes <= chunkBytes;
  for (let losses = 0; ; ) {
    try {
      const start = await startUpload(to);
      if (blob.sizeBytes <= chunkBytes) await sendSmall(copy, start.location);
      else if (isWhole || start.chunkBytes > chunkBytesMax) await sendWhole(copy, start.location);
      else await sendChunks(copy, start);
      return false;
    } catch (error) {
      if (error instanceof ChunksRefused && !isWhole) {
        isWhole = true;
        continue;
      }
      const isLost = error instanceof UploadLost;
      if (!isLost && !(error instanceof TransshipError && error.retryable)) throw error;
      losses += 1;
      // The answer to the last request may have been lost, not what it did.
      if (await hasBlob(to, blob)) return false;
      if (losses >= lossesMax) {
        fail('RegistryUnreachable', `${to.name}: uploads of ${blob.digest} are lost`, error);
      }
    }
  }
}

async function mount(to: Repository, { digest }: Descriptor, other: string): Promise<boolean> {
  const query = new URLSearchParams({ mount: digest, from: other });
  const path = `blobs/uploads/?${query.toString()}`;
  const headers = { 'content-length': '0' };
  const call = { method: 'POST', path, headers, expected: [201, 202, 401, 403, 404, 405] } as const;
  const answer = await to.send(call);
  await drain(answer.body);
  if (answer.status === 202) await cancel(to, locationOf(answer, to));
  return answer.status === 201;
}

interface Start {
  readonly location: URL;
  readonly chunkBytes: number;
}

async function startUpload(to: Repository): Promise<Start> {
  const headers = { 'content-length': '0' };
  const call = { method: 'POST', path: 'blobs/uploads/', headers, expected: [202] } as const;
  const answer = await to.send(call);
  await drain(answer.body);
  const least = Number(answer.headers['oci-chunk-min-length'] ?? 0);
  const wanted = Number.isFinite(least) ? Math.max(chunkBytes, least) : chunkBytes;
  return { location: locationOf(answer, to), chunkBytes: wanted };
}

function locationOf(answer: Answer, to: Repository): URL {
  const location = answer.headers['location'];
  if (location === undefined) fail('ImageInvalid', `${to.name}: the upload has no address`);
  return resolveUrl(location, answer.url, to.name);
}

async function sendSmall({ from, to, blob, onBytes }: BlobCopy, location: URL): Promise<void> {
  const parts: Uint8Array[] = [];
  for await (const piece of readBlob(from, blob)) parts.push(piece);
  await finish(to, { location, digest: blob.digest }, Buffer.concat(parts));
  onBytes(blob.sizeBytes);
}

async function sendWhole({ from, to, blob, onBytes }: BlobCopy, location: URL): Promise<void> {
  const headers = { 'content-length': String(blob.sizeBytes) };
  const body = counted(readBlob(from, blob), onBytes);
  await finish(to, { location, digest: blob.digest }, body, headers);
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    yield piece;
    onBytes(piece.length);
  }
}

async function sendChunks(copy: BlobCopy, start: Start): Promise<void> {
  const { from, to, blob } = copy;
  const upload = { location: start.location, sentBytes: 0, digest: blob.digest };
  const chunks = chunksOf(readBlob(from, blob), Math.min(start.chunkBytes, blob.sizeBytes));
  let next = chunks.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done === true) break;
      next = chunks.next();
      // It is awaited in the next turn; until then its failure is nobody's.
      next.catch(() => undefined);
      await sendChunk(to, upload, value);
      copy.onBytes(value.length);
    }
  } catch (error) {
    await cancel(to, upload.location);
    await next.catch(() => undefined);
    throw error;
  } finally {
    await chunks.return(undefined);
  }
  await finish(to, upload, new Uint8Array(0));
}

async function* chunksOf(
  pieces: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array, undefined> {
  let chunk = Buffer.allocUnsafe(bytes);
  let filled = 0;
  for await (let piece of pieces) {
    while (piece.length > 0) {
      const part = piece.subarray(0, bytes - filled);
      chunk.set(part, filled);
      filled += part.length;
      piece = piece.subarray(part.length);
      if (filled < bytes) continue;
      yield chunk;
      chunk = Buffer.allocUnsafe(bytes);
      filled = 0;
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled);
  return undefined;
}

interface Upload {
  location: URL;
  sentBytes: number;
  readonly digest: string;
}

async function sendChunk(to: Repository, upload: Upload, chunk: Uint8Array): Promise<void> {
  const begin = upload.sentBytes;
  const end = begin + chunk.length;
  const retry = to.retry();
  while (upload.sentBytes < end) {
    const before = upload.sentBytes;
    try {
      const answer = await to.send({
        method: 'PATCH',
        path: upload.location,
        headers: {
          'content-type': 'application/octet-stream',
          'content-range': `${before}-${end - 1}`,
        },
        body: chunk.subarray(before - begin),
        expected: [202, 201, 204],
        isRepeated: false,
      });
      await drain(answer.body);
      accept(upload, answer, { to, least: before + 1, most: end });
    } catch (error) {
      const status = statusOf(error);
      const isRefused = status !== undefined && [400, 404, 405, 411, 415, 501].includes(status);
      if (isRefused && before === 0) throw new ChunksRefused();
      if (status === 404) throw new UploadLost();
      if (status !== 416) await retry.after(error);
      await askStatus(to, upload, { least: begin, most: end });
    }
    if (upload.sentBytes > before) retry.progressed();
  }
}

interface Bounds {
  readonly least: number;
  readonly most: number;
}

/**
 * Where the registry stopped; its range is the same for no byte and for one. docker-registry 2.8
 * forgets an upload whose chunk was cut (404 BLOB_UPLOAD_INVALID): then the blob begins anew.
 */
async function askStatus(to: Repository, upload: Upload, bounds: Bounds): Promise<void> {
  let answer: Answer;
  try {
    const call = { method: 'GET', path: upload.location, expected: [204, 202] } as const;
    answer = await to.send(call);
  } catch (error) {
    if (error instanceof TransshipError && error.reason === 'Canceled') throw error;
    throw new UploadLost();
  }
  await drain(answer.body);
  accept(upload, answer, { to, ...bounds });
}

function accept(upload: Upload, answer: Answer, { to, least, most }: Bounds & { to: Repository }) {
  const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.headers['range'] ?? '')?.[1];
  const sent = last === undefined ? most : last === '0' ? 0 : Number(last) + 1;
  if (answer.headers['location'] !== undefined) upload.location = locationOf(answer, to);
  if (sent < least || sent > most) throw new UploadLost();
  upload.sentBytes = sent;
}

async function finish(
  to: Repository,
  { location, digest }: Pick<Upload, 'location' | 'digest'>,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const url = new URL(location);
  url.searchParams.set('digest', digest);
  const type = { 'content-type': 'application/octet-stream' };
  const call = { method: 'PUT', path: url, headers: { ...type, ...headers }, body } as const;
  const answer = await to.send({ ...call, expected: [201, 204], isRepeated: false });
  await drain(answer.body);
  const told = answer.headers['docker-content-digest'];
  if (told !== undefined && told !== digest && told.split(':')[0] === digest.split(':')[0]) {
    fail('ImageInvalid', `${to.name}: the registry stored something else than ${digest}`);
  }
}

/** Gives the registry its space back. It would also do so by itself, later. */
async function cancel(to: Repository, location: URL): Promise<void> {
  try {
    const call = { method: 'DELETE', path: location, expected: [202, 204, 404, 405] } as const;
    await drain((await to.send({ ...call, isRepeated: false })).body);
  } catch {
    // What went wrong before is what the caller wants to know.
  }
}
