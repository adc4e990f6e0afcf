import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import { crc32, zstdCompressSync } from 'node:zlib';
import { isZeroName } from './name.ts';
import { createInlinePacker, isZero, nameOf, packBlock, unpackChunk } from './pack.ts';
import { codecs, type StoredChunk } from './types.ts';

const KiB = 1024;

function text(length: number): Uint8Array {
  return Buffer.alloc(length, 'the quick brown fox jumps over the lazy dog; ');
}

/** Does not compress, and is the same in every run. */
function noise(length: number): Buffer {
  const parts = Array.from({ length: length / 32 }, (_, at) => hash('sha256', `${at}`, 'buffer'));
  return Buffer.concat(parts);
}

function stored(block: Uint8Array): StoredChunk {
  const { bytes, ...rest } = packBlock(block);
  assert.ok(bytes !== undefined);
  return { ...rest, bytes, kind: 'block', rawBytes: block.length };
}

test('zero test: any one bit is found wherever it is', () => {
  for (const length of [0, 1, 7, 4 * KiB, 64 * KiB, 300 * KiB]) {
    const bytes = new Uint8Array(length);
    assert.equal(isZero(bytes), true);
    for (const at of [0, length >> 1, length - 2, length - 1]) {
      if (at < 0 || at >= length) continue;
      bytes[at] = 1;
      assert.equal(isZero(bytes), false, `${at} of ${length}`);
      bytes[at] = 0;
    }
  }
});

test('a name is the SHA-256 of the content', () => {
  const expected = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  assert.equal(Buffer.from(nameOf(Buffer.from('abc'))).toString('hex'), expected);
});

test('text is compressed, noise is stored as it is, zeroes are not stored', () => {
  assert.equal(stored(text(64 * KiB)).codec, codecs.zstd);
  const block = noise(16 * KiB);
  assert.equal(stored(block).codec, codecs.raw);
  assert.equal(stored(block).bytes, block);
  const zero = packBlock(new Uint8Array(4 * KiB));
  assert.ok(isZeroName(zero.name) && zero.bytes === undefined);
});

test('what was packed unpacks to the same content', () => {
  for (const length of [4 * KiB, 8 * KiB, 64 * KiB, 128 * KiB]) {
    for (const block of [text(length), noise(length)]) {
      assert.deepEqual(Buffer.from(unpackChunk(stored(block)) ?? []), Buffer.from(block));
    }
  }
});

test('a chunk with anything wrong is absent', () => {
  const good = stored(text(4 * KiB));
  const flipped = new Uint8Array(good.bytes);
  flipped[9]! ^= 1;
  const wrong: Record<string, Partial<StoredChunk>> = {
    checksum: { checksum: good.checksum ^ 1 },
    bytes: { bytes: flipped },
    'bytes with their checksum': { bytes: flipped, checksum: crc32(flipped) },
    name: { name: nameOf(Buffer.from('other')) },
    length: { rawBytes: 4 * KiB - 1 },
    'large length': { rawBytes: 2 ** 31 },
    codec: { codec: 7 },
    'raw instead': { codec: codecs.raw },
    empty: { bytes: new Uint8Array(0), checksum: 0 },
  };
  for (const [what, change] of Object.entries(wrong)) {
    assert.equal(unpackChunk({ ...good, ...change }), undefined, what);
  }
});

test('a few bytes that claim to be gigabytes are refused', () => {
  const bytes = zstdCompressSync(new Uint8Array(64 * KiB * KiB));
  const bomb = { name: nameOf(bytes), codec: codecs.zstd, rawBytes: 64 * KiB, bytes };
  assert.equal(unpackChunk({ ...bomb, checksum: crc32(bytes) }), undefined);
});

test('inline packer: known names come without bytes, and no result shares the input', async () => {
  const packer = createInlinePacker();
  const raw = noise(4 * KiB);
  const blocks = Buffer.concat([text(4 * KiB), raw, new Uint8Array(4 * KiB)]);
  const [first, second, third] = await packer.pack(blocks, 4 * KiB);
  assert.ok(first?.bytes !== undefined && second?.bytes !== undefined);
  assert.equal(third?.bytes, undefined);
  blocks.fill(0xee);
  assert.deepEqual(Buffer.from(second.bytes), raw);
  const again = await packer.pack(Buffer.from(raw), 4 * KiB, () => true);
  assert.equal(again[0]?.bytes, undefined);
  assert.deepEqual(again[0]?.name, second.name);
});
