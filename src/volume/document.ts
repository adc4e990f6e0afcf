/** Small JSON documents that are replaced as a whole (docs/formats/pool.md, "Documents"). */
import { crc32 } from 'node:zlib';
import { fail } from '../base/errors.ts';
import type { Disk } from '../base/ports.ts';

function encode(value: unknown): Uint8Array {
  const json = JSON.stringify(value);
  const sum = crc32(json).toString(16).padStart(8, '0');
  return Buffer.from(`${json}\n${sum}\n`);
}

/** The document, or undefined when there is none. Damage is `DataCorrupt`. */
export function readDocument(disk: Disk, path: string): unknown {
  if (!disk.exists(path)) return undefined;
  const file = disk.open(path);
  const bytes = Buffer.alloc(file.sizeBytes());
  try {
    file.read(bytes, 0);
  } finally {
    file.close();
  }
  const text = bytes.toString();
  const [json, sum] = [text.slice(0, -10), text.slice(-9, -1)];
  if (text.length < 11 || crc32(json).toString(16).padStart(8, '0') !== sum) {
    fail('DataCorrupt', `document ${path} fails its checksum`);
  }
  return JSON.parse(json);
}

/** Durable when it returns; a crash leaves the old or the new one, never a mixture. */
export function replaceDocument(disk: Disk, path: string, value: unknown): void {
  const fresh = `${path}.new`;
  const file = disk.open(fresh, { create: true });
  try {
    file.truncate(0);
    file.write([encode(value)], 0);
    file.sync();
  } finally {
    file.close();
  }
  disk.rename(fresh, path);
  disk.syncDirectory(path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.');
}

export function removeDocument(disk: Disk, path: string): void {
  if (!disk.exists(path)) return;
  disk.remove(path);
  disk.syncDirectory(path.slice(0, path.lastIndexOf('/')));
}
