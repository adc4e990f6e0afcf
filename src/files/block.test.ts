// Whole copies between both sides, in memory: what travels, what is refused, what a cut leaves.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { createManualClock } from '../peer/manual-clock.ts';
import {
  blockNoise,
  createMemoryBlockLinks,
  createMemoryRawDevice,
  type MemoryRawDevice,
} from './block-memory.ts';
import { isZeroName, namesOf } from './block-names.ts';
import type { BlockSummary, RawDevice } from './block-ports.ts';
import { type ReceiveOptions, receiveBlocks } from './block-receive.ts';
import { type SendOptions, sendBlocks } from './block-send.ts';
import { shapeOf } from './block-shape.ts';

const kib = 1024;
const mib = 1024 * kib;

interface Copy {
  readonly source: RawDevice;
  readonly destination: RawDevice;
  readonly cutAfterBytes?: number;
  readonly send?: Partial<SendOptions>;
  readonly receive?: Partial<ReceiveOptions>;
}

interface Outcome {
  readonly sent: PromiseSettledResult<BlockSummary>;
  readonly received: PromiseSettledResult<BlockSummary>;
  readonly sentBytes: readonly [number, number];
}

async function copy({ source, destination, cutAfterBytes, ...more }: Copy): Promise<Outcome> {
  const links = createMemoryBlockLinks(cutAfterBytes);
  const [near, far] = links.ends;
  const clock = createManualClock();
  const [sent, received] = await Promise.allSettled([
    sendBlocks({ device: source, link: near, clock, ...more.send }),
    receiveBlocks({ device: destination, link: far, clock, ...more.receive }),
  ]);
  return { sent, received, sentBytes: links.sentBytes };
}

function valueOf(result: PromiseSettledResult<BlockSummary>): BlockSummary {
  if (result.status === 'rejected') throw result.reason;
  return result.value;
}

function reasonOf(result: PromiseSettledResult<BlockSummary>): string {
  assert.equal(result.status, 'rejected');
  assert.ok(result.reason instanceof TransshipError, String(result.reason));
  return result.reason.reason;
}

/** Noise with holes: every third piece of 100 KiB is zero. */
function content(bytes: number): Uint8Array {
  const made = blockNoise(bytes);
  for (let at = 0; at < bytes; at += 300 * kib) made.fill(0, at, Math.min(bytes, at + 100 * kib));
  return made;
}

/** In one word: a diff of megabytes helps nobody. */
function assertSame(found: Uint8Array, expected: Uint8Array): void {
  assert.equal(Buffer.compare(found, expected), 0, 'the same bytes');
}

function device(bytes: Uint8Array): MemoryRawDevice {
  return createMemoryRawDevice(bytes);
}

test('an empty destination becomes equal, and holes neither travel nor are written', async () => {
  const source = device(content(9 * mib + 777));
  const destination = device(Buffer.alloc(source.sizeBytes));
  const { sent, received } = await copy({ source, destination });
  assertSame(destination.bytes, source.bytes);
  const summary = valueOf(sent);
  assert.equal(summary.digest, valueOf(received).digest);
  const names = namesOf(source.bytes, 64 * kib);
  assert.equal(summary.digest, createHash('sha256').update(names).digest('hex'));
  assert.equal(summary.settledBytes, source.sizeBytes);
  assert.equal(summary.changedBytes, destination.writtenBytes);
  assert.ok(summary.changedBytes < source.sizeBytes, 'whole blocks of the holes are left out');
  assert.equal(destination.flushes, 1);
});

test('only blocks that differ travel; equal devices are not written at all', async () => {
  const source = device(content(8 * mib));
  const destination = device(Uint8Array.from(source.bytes));
  const first = await copy({ source, destination });
  assert.equal(valueOf(first.sent).changedBytes, 0);
  assert.equal(destination.writtenBytes, 0);
  source.bytes[5 * mib + 5]! ^= 1;
  source.bytes.fill(0, 2 * mib, 2 * mib + 128 * kib);
  const { sent, sentBytes } = await copy({ source, destination });
  assertSame(destination.bytes, source.bytes);
  const summary = valueOf(sent);
  assert.equal(summary.changedBytes, 64 * kib);
  assert.ok(summary.zeroedBytes > 0 && summary.zeroedBytes <= 128 * kib);
  assert.ok(sentBytes[0] < 70 * kib, `${sentBytes[0]} bytes for one block of noise`);
});

test('what shrinks travels compressed', async () => {
  const source = device(Buffer.from('transship '.repeat(200_000)));
  const destination = device(new Uint8Array(source.sizeBytes));
  const { sent } = await copy({ source, destination });
  assertSame(destination.bytes, source.bytes);
  assert.ok(valueOf(sent).sentBytes < source.sizeBytes / 20);
});

test('what shrinks travels compressed also behind what does not', async () => {
  const text = Buffer.from('transship '.repeat(8_000_000));
  const source = device(Buffer.concat([blockNoise(8 * mib), text]));
  const destination = device(new Uint8Array(source.sizeBytes));
  const { sent } = await copy({ source, destination });
  assertSame(destination.bytes, source.bytes);
  assert.ok(valueOf(sent).sentBytes < source.sizeBytes / 2, `${valueOf(sent).sentBytes} bytes`);
});

for (const blockBytes of [4 * kib, 1 * mib]) {
  test(`blocks of ${blockBytes} bytes, and sizes around their ends`, async () => {
    for (const bytes of [1, blockBytes - 1, blockBytes, 3 * blockBytes + 1]) {
      const source = device(blockNoise(bytes));
      const destination = device(blockNoise(bytes, 'other'));
      const { sent } = await copy({ source, destination, send: { blockBytes } });
      assert.equal(valueOf(sent).settledBytes, bytes);
      assertSame(destination.bytes, source.bytes);
    }
  });
}

test('a smaller destination is refused at both sides before anything is written', async () => {
  const source = device(content(2 * mib));
  const destination = device(new Uint8Array(2 * mib - 1));
  const { sent, received } = await copy({ source, destination });
  assert.equal(reasonOf(sent), 'BadSize');
  assert.equal(reasonOf(received), 'BadSize');
  assert.equal(destination.writtenBytes, 0);
});

test('an empty file grows to the size of the source', async () => {
  const source = device(content(2 * mib));
  let grown = device(new Uint8Array(0));
  const destination: RawDevice = {
    get sizeBytes() {
      return grown.sizeBytes;
    },
    grow: async (sizeBytes) => {
      grown = device(new Uint8Array(sizeBytes));
    },
    read: (into, position) => grown.read(into, position),
    write: (from, position) => grown.write(from, position),
    zero: (position, lengthBytes) => grown.zero(position, lengthBytes),
    flush: () => grown.flush(),
  };
  valueOf((await copy({ source, destination })).received);
  assertSame(grown.bytes, source.bytes);
});

test('the tail of a larger destination becomes zero, or stays when told so', async () => {
  const source = device(content(1 * mib + 10));
  const before = blockNoise(4 * mib);
  const kept = device(Uint8Array.from(before));
  valueOf((await copy({ source, destination: kept, receive: { tail: 'keep' } })).sent);
  assertSame(kept.bytes.subarray(0, source.sizeBytes), source.bytes);
  assertSame(kept.bytes.subarray(source.sizeBytes), before.subarray(source.sizeBytes));
  const cleared = device(Uint8Array.from(before));
  valueOf((await copy({ source, destination: cleared })).sent);
  assertSame(cleared.bytes.subarray(0, source.sizeBytes), source.bytes);
  assert.ok(cleared.bytes.subarray(source.sizeBytes).every((byte) => byte === 0));
});

test('after a cut the copy starts again and what had arrived is not sent again', async () => {
  const source = device(blockNoise(24 * mib));
  const destination = device(new Uint8Array(source.sizeBytes));
  const cut = await copy({ source, destination, cutAfterBytes: 16 * mib });
  assert.equal(reasonOf(cut.sent), 'SourceUnreachable');
  assert.equal(reasonOf(cut.received), 'SourceUnreachable');
  const arrived = destination.writtenBytes;
  assert.ok(arrived > 4 * mib, `${arrived} bytes were written before the cut`);
  const { sent } = await copy({ source, destination });
  assert.equal(valueOf(sent).changedBytes, source.sizeBytes - arrived);
  assertSame(destination.bytes, source.bytes);
});

test('a device that loses what it was given fails the audit when it is read again', async () => {
  const source = device(blockNoise(3 * mib));
  const honest = device(new Uint8Array(source.sizeBytes));
  const destination: RawDevice = { ...honest, write: async () => undefined };
  const { sent, received } = await copy({ source, destination, receive: { reread: true } });
  assert.equal(reasonOf(received), 'DataCorrupt');
  assert.equal(reasonOf(sent), 'DataCorrupt');
});

test('what a device refuses is the error at both sides', async () => {
  const source = device(blockNoise(3 * mib));
  const honest = device(new Uint8Array(source.sizeBytes));
  const write = async () => {
    throw new TransshipError('DiskFailed', 'cannot write /dev/x: EIO');
  };
  const { sent, received } = await copy({ source, destination: { ...honest, write } });
  assert.equal(reasonOf(received), 'DiskFailed');
  assert.equal(reasonOf(sent), 'DiskFailed');
});

test('a signal cancels both sides', async () => {
  const source = device(blockNoise(8 * mib));
  const destination = device(new Uint8Array(source.sizeBytes));
  const stop = new AbortController();
  const onProgress = () => stop.abort();
  const send = { signal: stop.signal, onProgress };
  const { sent, received } = await copy({ source, destination, send });
  assert.equal(reasonOf(sent), 'Canceled');
  assert.equal(reasonOf(received), 'Canceled');
});

test('a receiver that says nothing ends the wait of the sender', async () => {
  const clock = createManualClock();
  const [near] = createMemoryBlockLinks().ends;
  const sending = sendBlocks({ device: device(blockNoise(9)), link: near, clock, stallMs: 1000 });
  await clock.advance(1001);
  await assert.rejects(sending, { reason: 'SourceUnreachable' });
});

test('progress only grows, and reaches the end', async () => {
  const source = device(content(5 * mib + 1));
  const destination = device(new Uint8Array(source.sizeBytes));
  const seen: number[] = [];
  const onProgress = ({ settledBytes }: { readonly settledBytes: number }) => {
    seen.push(settledBytes);
  };
  await copy({ source, destination, send: { onProgress } });
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  assert.equal(seen.at(-1), source.sizeBytes);
});

test('sizes go to 64 TiB, and blocks are powers of two', () => {
  const tib = 2 ** 40;
  assert.equal(shapeOf(64 * tib, 4 * kib).blockCount, 2 ** 34);
  for (const [size, block] of [
    [64 * tib + 1, 65_536],
    [0, 65_536],
    [mib, 2 * mib],
    [mib, 2048],
    [mib, 5000],
  ] as const) {
    assert.throws(() => shapeOf(size, block), { reason: 'BadSize' }, `${size} ${block}`);
  }
  assert.ok(isZeroName(namesOf(new Uint8Array(10), 4 * kib)));
});
