/** Bodies of answers, read to their end or to a limit. */
import { fail } from '../base/errors.ts';

/** What a refusal may say. */
export const refusalBytesMax = 64 * 1024;

/** `LimitExceeded` for a body that is longer. */
export async function readWhole(
  body: AsyncIterable<Uint8Array>,
  bytesMax: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > bytesMax) fail('LimitExceeded', `an answer is longer than ${bytesMax} bytes`);
    parts.push(piece);
  }
  return Buffer.concat(parts);
}

/** Small bodies are read so that the connection can be used again. */
export async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > refusalBytesMax) return;
  }
}
