import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, test } from 'node:test';
import { createInlinePacker } from '../volume/pack.ts';
import type { PackedBlock, StoredChunk } from '../volume/types.ts';
import { createPacker } from './packer.ts';

const KiB = 1024;
const packer = createPacker({ threads: 2 });
const inline = createInlinePacker();
after(() => packer.close());

/** Blocks that shrink, do not shrink, are zero, and repeat. */
function mixture(blockBytes: number, count: number): Uint8Array {
  const blocks = Array.from({ length: count }, (_, at) => {
    if (at % 4 === 0) return Buffer.alloc(blockBytes);
    if (at % 4 === 1) return randomBytes(blockBytes);
    return Buffer.alloc(blockBytes, `line ${at % 16} of a text that repeats itself; `);
  });
  return Buffer.concat(blocks);
}

function plain(packed: readonly PackedBlock[]) {
  return packed.map(({ name, codec, checksum, bytes }) => ({
    name: Buffer.from(name).toString('hex'),
    codec,
    checksum,
    bytes: bytes === undefined ? 'none' : Buffer.from(bytes).toString('base64'),
  }));
}

function plainBytes(content: Uint8Array | undefined): string {
  return content === undefined ? 'none' : Buffer.from(content).toString('base64');
}

function storedOf(packed: readonly PackedBlock[], rawBytes: number): StoredChunk[] {
  return packed.flatMap(({ bytes, ...rest }) =>
    bytes === undefined ? [] : [{ ...rest, bytes, rawBytes, kind: 'block' as const }],
  );
}

test('threads give exactly what the plain functions give, for every block size', async () => {
  for (const blockBytes of [4, 8, 16, 32, 64, 128].map((size) => size * KiB)) {
    for (const count of [1, 3, 17, 200]) {
      const blocks = mixture(blockBytes, count);
      const threaded = await packer.pack(blocks, blockBytes);
      assert.deepEqual(plain(threaded), plain(await inline.pack(blocks, blockBytes)));
    }
  }
});

test('the caller may reuse its buffer, also a shared one', async () => {
  const blocks = new Uint8Array(new SharedArrayBuffer(256 * KiB));
  blocks.set(mixture(64 * KiB, 4));
  const expected = plain(await inline.pack(blocks, 64 * KiB));
  const packed = await packer.pack(blocks, 64 * KiB);
  blocks.fill(1);
  assert.deepEqual(plain(packed), expected);
});

test('known names come without bytes, whatever the recent hit rate', async () => {
  const blocks = mixture(4 * KiB, 256);
  const everything = await inline.pack(blocks, 4 * KiB);
  const some = new Set(plain(everything.filter((_, at) => at % 8 < 4)).map(({ name }) => name));
  const known = (name: Uint8Array) => some.has(Buffer.from(name).toString('hex'));
  const expected = plain(await inline.pack(blocks, 4 * KiB, known));
  for (let round = 0; round < 30; round += 1) {
    if (round % 10 > 0) await packer.pack(mixture(4 * KiB, 256), 4 * KiB, () => round > 20);
    assert.deepEqual(plain(await packer.pack(blocks, 4 * KiB, known)), expected);
  }
});

test('unpack: contents in order, bad chunks absent, in groups that fit', async () => {
  const blockBytes = 16 * KiB;
  const blocks = mixture(blockBytes, 300);
  const chunks = storedOf(await packer.pack(blocks, blockBytes), blockBytes).map((chunk, at) => {
    if (at % 10 === 3) return { ...chunk, checksum: chunk.checksum ^ 1 };
    if (at % 10 === 5) return { ...chunk, rawBytes: 2 ** 31 };
    if (at % 10 === 7) return { ...chunk, bytes: new Uint8Array(200 * KiB) };
    return chunk;
  });
  const contents = await packer.unpack(chunks);
  assert.equal(contents.length, chunks.length);
  assert.deepEqual(contents.map(plainBytes), (await inline.unpack(chunks)).map(plainBytes));
  assert.equal(contents.filter((content) => content === undefined).length, 3 * 22 + 1);
  assert.equal((await packer.unpack(chunks.slice(0, 1)))[0]?.length, blockBytes);
});

test('many calls at once share the threads, and none is lost', async () => {
  const calls = Array.from({ length: 50 }, (_, at) => mixture(8 * KiB, 2 + at));
  const results = await Promise.all(calls.map((blocks) => packer.pack(blocks, 8 * KiB)));
  for (const [at, result] of results.entries()) {
    assert.deepEqual(plain(result), plain(await inline.pack(calls[at]!, 8 * KiB)));
  }
});

test('closing fails what is unfinished instead of leaving it waiting', async () => {
  const closing = createPacker({ threads: 1 });
  const calls = Array.from({ length: 8 }, () => closing.pack(mixture(64 * KiB, 16), 64 * KiB));
  const outcome = Promise.allSettled(calls);
  await closing.close();
  const failed = (await outcome).filter(({ status }) => status === 'rejected');
  assert.ok(failed.length > 0);
  for (const result of failed)
    assert.equal((result as PromiseRejectedResult).reason.reason, 'Stopping');
});
