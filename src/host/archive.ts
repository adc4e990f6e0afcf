/** Files of text as one gzipped tar (POSIX.1-1988 "ustar"), as `tar xzf` reads it. */
import * as fs from 'node:fs';
import { gzipSync } from 'node:zlib';
import { fail } from '../base/errors.ts';
import type { ArchiveFile } from '../cli/ports.ts';

const block = 512;
const nameBytesMax = 100;
/** What goes into memory at once. */
const archiveBytesMax = 1024 ** 3;

/** `AlreadyExists` when the file is there; readable by its owner only. */
export function writeArchive(path: string, files: readonly ArchiveFile[], nowMs: number): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  for (const file of files) {
    const content = Buffer.from(file.text, 'utf8');
    bytes += content.length;
    if (bytes > archiveBytesMax) fail('LimitExceeded', `more than ${archiveBytesMax} bytes`);
    const padding = Buffer.alloc((block - (content.length % block)) % block);
    parts.push(headerOf(file.path, content.length, nowMs), content, padding);
  }
  parts.push(Buffer.alloc(2 * block));
  const archive = gzipSync(Buffer.concat(parts));
  try {
    fs.writeFileSync(path, archive, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') fail('AlreadyExists', `${path} is there already`, error);
    fail('BadArgument', `${path} cannot be written: ${message}`, error);
  }
}

/** Offsets and lengths are those of the standard. */
function headerOf(path: string, size: number, nowMs: number): Buffer {
  const header = Buffer.alloc(block);
  const name = Buffer.from(path, 'utf8');
  if (name.length > nameBytesMax) fail('BadArgument', `the name ${path} is too long for a tar`);
  name.copy(header, 0);
  const octal = (value: number, length: number): string => {
    return `${Math.floor(value)
      .toString(8)
      .padStart(length - 1, '0')}\0`;
  };
  header.write(octal(0o600, 8), 100);
  header.write(octal(0, 8), 108);
  header.write(octal(0, 8), 116);
  header.write(octal(size, 12), 124);
  header.write(octal(nowMs / 1000, 12), 136);
  header.fill(' ', 148, 156);
  header.write('0', 156);
  header.write('ustar\0', 257);
  header.write('00', 263);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
