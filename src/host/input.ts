/** Files and standard input that a command reads: whole, or their ends. */
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

/** The last bytes of a file, from the start of a line on. `NotFound` when there is none. */
export function readEnd(path: string, bytesMax: number): string {
  let file: number;
  try {
    file = fs.openSync(path, 'r');
  } catch (error) {
    fail('NotFound', `${path} cannot be read: ${(error as Error).message}`, error);
  }
  try {
    const { size } = fs.fstatSync(file);
    const start = Math.max(0, size - bytesMax);
    const bytes = Buffer.alloc(size - start);
    const length = fs.readSync(file, bytes, 0, bytes.length, start);
    const text = bytes.toString('utf8', 0, length);
    return start === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    fs.closeSync(file);
  }
}
