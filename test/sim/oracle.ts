/** The tree format once more (docs/formats/tree.md), written without the engine's help. */
import { createHash } from 'node:crypto';
import { unpackChunk } from '../../src/volume/pack.ts';
import type { Name, PeerStore, Version } from '../../src/volume/types.ts';
import { Mismatch } from './model.ts';

const pageNames = 256;
const nameBytes = 32;

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function isZero(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && bytes.every((byte) => byte === 0);
}

function depthOf(sizeBytes: number, blockBytes: number): number {
  let depth = 1;
  while (pageNames ** depth < Math.ceil(sizeBytes / blockBytes)) depth += 1;
  return depth;
}

/** The root that this content must have, in hex. */
export function rootOf(bytes: Uint8Array, blockBytes: number): string {
  let names: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = new Uint8Array(blockBytes);
    block.set(bytes.subarray(at, at + blockBytes));
    names.push(isZero(block) ? Buffer.alloc(nameBytes) : sha256(block));
  }
  for (let level = 0; level < depthOf(bytes.length, blockBytes); level += 1) {
    const pages: Buffer[] = [];
    for (let at = 0; at < names.length; at += pageNames) {
      const page = Buffer.alloc(pageNames * nameBytes);
      Buffer.concat(names.slice(at, at + pageNames)).copy(page);
      pages.push(isZero(page) ? Buffer.alloc(nameBytes) : sha256(page));
    }
    names = pages;
  }
  return names[0]!.toString('hex');
}

/** Reads a whole version chunk by chunk; a chunk that is absent or wrong is a `Mismatch`. */
export async function readVersion(
  pool: PeerStore,
  version: Version,
  what: string,
): Promise<Uint8Array> {
  const { sizeBytes, blockBytes } = version;
  let names: Name[] = [version.root];
  for (let level = depthOf(sizeBytes, blockBytes); level > 0; level -= 1) {
    const pages = await fetchAll(pool, names, pageNames * nameBytes, `${what}, level ${level}`);
    names = pages.flatMap((page) =>
      Array.from({ length: pageNames }, (_, at) =>
        page.subarray(at * nameBytes, (at + 1) * nameBytes),
      ),
    );
    names.length = Math.min(
      names.length,
      Math.ceil(Math.ceil(sizeBytes / blockBytes) / pageNames ** (level - 1)),
    );
  }
  const blocks = await fetchAll(pool, names, blockBytes, what);
  return Buffer.concat(blocks).subarray(0, sizeBytes);
}

async function fetchAll(
  pool: PeerStore,
  names: readonly Name[],
  bytes: number,
  what: string,
): Promise<Uint8Array[]> {
  const wanted = new Map(
    names.filter((name) => !isZero(name)).map((name) => [Buffer.from(name).toString('hex'), name]),
  );
  const contents = new Map<string, Uint8Array>();
  for (const chunk of await pool.readStored([...wanted.values()])) {
    const content = unpackChunk(chunk);
    if (content !== undefined) contents.set(Buffer.from(chunk.name).toString('hex'), content);
  }
  return names.map((name) => {
    if (isZero(name)) return new Uint8Array(bytes);
    const key = Buffer.from(name).toString('hex');
    const content = contents.get(key);
    if (content === undefined) throw new Mismatch(`${what}: chunk ${key.slice(0, 16)} is missing`);
    if (content.length !== bytes) throw new Mismatch(`${what}: chunk of ${content.length} bytes`);
    return content;
  });
}
