import assert from 'node:assert/strict';
import { test } from 'node:test';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { createZstd, plainZstd, type Zstd } from './zstd.ts';

const kinds: readonly (readonly [string, Zstd])[] = [
  ['plain', plainZstd],
  ['reusing', createZstd()],
];

test('contexts are used again with this Node', () => {
  assert.notEqual(createZstd(), plainZstd);
});

for (const [name, zstd] of kinds) {
  test(`${name}: frames are those of zstd, one after another`, () => {
    const contents = fc.array(fc.uint8Array({ maxLength: 9000 }), { maxLength: 4 });
    fc.assert(
      fc.property(contents, (blocks) => {
        for (const block of blocks) {
          const frame = Buffer.from(zstd.compress(block));
          assert.deepEqual(zstdDecompressSync(frame), Buffer.from(block));
          const content = zstd.decompress(frame, Math.max(1, block.length));
          assert.deepEqual(Buffer.from(content ?? [0]), Buffer.from(block));
        }
      }),
    );
  });

  test(`${name}: what is no whole frame is refused and leaves no trace`, () => {
    const block = Buffer.alloc(65_536, 'some content ');
    const frame = zstdCompressSync(block);
    const bad = [
      frame.subarray(0, frame.length - 1),
      frame.subarray(0, 5),
      Buffer.alloc(100, 7),
      Buffer.concat([frame.subarray(0, 8), Buffer.alloc(50, 0xff)]),
      // More content than is allowed.
      zstdCompressSync(Buffer.alloc(65_537)),
      zstdCompressSync(Buffer.alloc(50_000_000)),
    ];
    for (const bytes of bad) {
      const content = zstd.decompress(bytes, block.length);
      assert.ok(content === undefined || content.length < block.length);
      assert.deepEqual(Buffer.from(zstd.decompress(frame, block.length) ?? []), block);
    }
  });
  test(`${name}: a frame cut off behind its content does not harm the next one`, () => {
    const block = Buffer.alloc(65_536, 'other content ');
    const params = { [constants.ZSTD_c_checksumFlag]: 1 };
    const sealed = zstdCompressSync(block, { params });
    const frame = zstdCompressSync(block);
    for (const cut of [1, 4]) {
      zstd.decompress(sealed.subarray(0, sealed.length - cut), block.length);
      assert.deepEqual(Buffer.from(zstd.decompress(frame, block.length) ?? []), block);
      assert.deepEqual(Buffer.from(zstd.decompress(sealed, block.length) ?? []), block);
    }
  });
}
