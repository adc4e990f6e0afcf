import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import {
  createFrameDecoder,
  encodeFrameHead,
  type Frame,
  frameHeaderBytes,
  type FrameHead,
} from './frame.ts';

const head: FrameHead = { type: 8, lane: 'demand', last: true, number: 7, argument: 9 };

function encode(frame: FrameHead, payload: Uint8Array): Buffer {
  return Buffer.concat([encodeFrameHead(frame, payload.length), payload]);
}

function decode(pieces: readonly Uint8Array[]): Frame[] {
  const frames: Frame[] = [];
  const decoder = createFrameDecoder((frame) => frames.push(frame));
  for (const piece of pieces) {
    const copy = Uint8Array.from(piece);
    decoder.push(copy);
    copy.fill(0xaa);
  }
  return frames;
}

const isProtocolError = (error: unknown): boolean =>
  error instanceof TransshipError && error.reason === 'ProtocolError';

const frames = fc.array(
  fc.record({
    type: fc.constantFrom(1, 2, 8, 0x88, 0xff, 126),
    lane: fc.constantFrom('demand' as const, 'background' as const),
    last: fc.boolean(),
    number: fc.nat(0xffffffff),
    argument: fc.nat(0xffffffff),
    payload: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 6 },
);

test('frames survive any split of the bytes', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(2000), { maxLength: 12 }), (list, cuts) => {
      const bytes = Buffer.concat(list.map(({ payload, ...rest }) => encode(rest, payload)));
      const at = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length];
      at.sort((a, b) => a - b);
      const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
      const found = decode(pieces).map((frame) => ({
        ...frame,
        payload: Uint8Array.from(frame.payload),
      }));
      assert.deepEqual(
        found,
        list.map((frame) => ({ ...frame })),
      );
    }),
  );
});

test('two frames cut in two at every byte, and fed byte by byte', () => {
  const bytes = Buffer.concat([
    encode(head, Buffer.from('payload one')),
    encode({ ...head, last: false, lane: 'background' }, new Uint8Array(0)),
  ]);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const found = decode([bytes.subarray(0, cut), bytes.subarray(cut)]);
    assert.equal(found.length, 2, `cut at ${cut}`);
    assert.equal(Buffer.from(found[0]!.payload).toString(), 'payload one');
  }
  assert.equal(decode(Array.from(bytes, (byte) => Uint8Array.of(byte))).length, 2);
});

test('hostile headers are refused, and nothing after them is read', () => {
  const good = encode(head, Buffer.from('x'));
  const spoil: readonly (readonly [number, number])[] = [
    [3, 0x80], // 2 GiB
    [1, 0xff], // 64 KiB while the sender is a stranger
    [4, 0], // no type
    [4, 127], // its reply would be an error
    [5, 2], // no lane
    [6, 2], // no flag
    [7, 1], // reserved
  ];
  for (const [offset, value] of spoil) {
    const bad = Buffer.from(good);
    bad[offset] = value;
    const found: Frame[] = [];
    const decoder = createFrameDecoder((frame) => found.push(frame));
    assert.throws(() => decoder.push(bad), isProtocolError, `byte ${offset}`);
    decoder.push(good);
    assert.equal(found.length, 0);
  }
});

test('the length limit rises when the sender is known, and still ends', () => {
  const found: Frame[] = [];
  const decoder = createFrameDecoder((frame) => found.push(frame));
  decoder.trust();
  decoder.push(encode(head, new Uint8Array(limits.frameBytesMax)));
  assert.equal(found[0]?.payload.length, limits.frameBytesMax);
  const longer = Buffer.from(encodeFrameHead(head, 0));
  longer.writeUInt32LE(limits.frameBytesMax + 1, 0);
  assert.throws(() => decoder.push(longer), isProtocolError);
});

test('random bytes give frames or a ProtocolError, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        for (const frame of decode([bytes])) assert.ok(frame.payload.length <= bytes.length);
      } catch (error) {
        assert.ok(isProtocolError(error), String(error));
      }
    }),
    { numRuns: 2000 },
  );
  assert.equal(frameHeaderBytes, 16);
});
