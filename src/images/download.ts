/** Blobs as they come from a registry: never more than was promised, and what the digest says. */
import { fail } from '../base/errors.ts';
import { drain } from './bodies.ts';
import { hasherOf } from './digest.ts';
import type { Descriptor } from './manifest.ts';
import { type Answer, type Repository } from './registry.ts';

/** Whether a blob of this size is there. */
export async function hasBlob(at: Repository, { digest, sizeBytes }: Descriptor): Promise<boolean> {
  const path = `blobs/${digest}`;
  const answer = await at.send({ method: 'HEAD', path, expected: [200, 404] });
  await drain(answer.body);
  const length = answer.headers['content-length'];
  return answer.status === 200 && (length === undefined || Number(length) === sizeBytes);
}

/**
 * The content in order, each byte once, however often the connection is cut. The last step throws
 * `ImageInvalid` when the whole is not what the digest says: until it is done nothing is trusted.
 */
export async function* readBlob(
  from: Repository,
  blob: Descriptor,
): AsyncGenerator<Uint8Array, void> {
  const hash = hasherOf(blob.digest);
  const what = `${from.name}: blob ${blob.digest}`;
  const retry = from.retry();
  let received = 0;
  while (received < blob.sizeBytes) {
    try {
      let skip = 0;
      const answer = await open(from, blob, received);
      if (answer.status === 200) skip = received;
      else requireBeginning(answer, received, what);
      for await (const whole of answer.body) {
        const piece = whole.subarray(Math.min(skip, whole.length));
        skip -= whole.length - piece.length;
        if (piece.length === 0) continue;
        received += piece.length;
        if (received > blob.sizeBytes) fail('ImageInvalid', `${what} is longer than its size`);
        hash.update(piece);
        retry.progressed();
        yield piece;
      }
      // A proxy on the way may have ended it: the rest is asked for like after a cut.
      if (received < blob.sizeBytes) fail('RegistryUnreachable', `${what} ends before its size`);
    } catch (error) {
      await retry.after(error);
    }
  }
  if (`${blob.digest.split(':')[0]}:${hash.digest('hex')}` !== blob.digest) {
    fail('ImageInvalid', `${what} is not what its digest says`);
  }
}

function open(from: Repository, { digest }: Descriptor, at: number): Promise<Answer> {
  return from.send({
    method: 'GET',
    path: `blobs/${digest}`,
    // Compressed on the way it would have another length.
    headers: { 'accept-encoding': 'identity', ...(at > 0 && { range: `bytes=${at}-` }) },
    expected: at > 0 ? [200, 206] : [200],
    isRepeated: false,
  });
}

function requireBeginning(answer: Answer, at: number, what: string): void {
  const begins = /^bytes (\d+)-/.exec(answer.headers['content-range'] ?? '')?.[1];
  if (Number(begins) !== at) fail('ImageInvalid', `${what}: the registry sends another range`);
}
