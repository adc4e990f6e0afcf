/** Files and standard input that a command reads whole. */
import * as fs from 'node:fs';
import { fail } from '../base/errors.ts';

/** `BadArgument` when it cannot be read, or is longer than `bytesMax`. */
export async function readInput(path: string, bytesMax: number): Promise<string> {
  const name = path === '-' ? 'standard input' : path;
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    const stream = path === '-' ? process.stdin : fs.createReadStream(path);
    for await (const part of stream as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > bytesMax) break;
      parts.push(part);
    }
  } catch (error) {
    fail('BadArgument', `${name} cannot be read: ${(error as Error).message}`, error);
  }
  if (bytes > bytesMax) fail('BadArgument', `${name} is longer than ${bytesMax} bytes`);
  return Buffer.concat(parts).toString('utf8');
}
