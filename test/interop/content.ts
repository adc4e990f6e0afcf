// Content of volumes that can be told from any other, and what a volume holds.
import { createHash } from 'node:crypto';
import type { NbdClient } from '../../src/nbd/client.ts';
import { createRng } from '../sim/rng.ts';

const pieceBytes = 1024 * 1024;

/** Every other word is zero: compresses about 2:1 and repeats nowhere. */
export function noise(seed: number, lengthBytes: number): Buffer {
  const rng = createRng(seed);
  const words = new Uint32Array(Math.ceil(lengthBytes / 4));
  for (let at = 0; at < words.length; at += 2) words[at] = rng.u32();
  return Buffer.from(words.buffer, 0, lengthBytes);
}

/** Writes `lengthBytes` of noise at the offset and flushes. */
export async function writeNoise(
  client: NbdClient,
  seed: number,
  range: { readonly offset: number; readonly lengthBytes: number },
): Promise<void> {
  const { offset, lengthBytes } = range;
  for (let at = 0; at < lengthBytes; at += pieceBytes) {
    const length = Math.min(pieceBytes, lengthBytes - at);
    await client.write(noise(seed + at / pieceBytes, length), offset + at);
  }
  await client.flush();
}

/** SHA-256 of all the export's bytes. */
export async function digestOf(client: NbdClient): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(4 * pieceBytes);
  for (let at = 0; at < client.sizeBytes; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, client.sizeBytes - at));
    await client.read(part, at);
    hash.update(part);
  }
  return hash.digest('hex');
}
