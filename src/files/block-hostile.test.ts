// What a hostile or broken peer can do to either side: end the copy, and nothing else.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { TransshipError } from '../base/errors.ts';
import { createManualClock } from '../peer/manual-clock.ts';
import {
  encodeCount,
  encodeData,
  encodeHello,
  encodeWelcome,
  frame,
  payloadBytesMax,
} from './block-frame.ts';
import { blockNoise, createMemoryBlockLinks, createMemoryRawDevice } from './block-memory.ts';
import { namesOf } from './block-names.ts';
import type { BlockLink } from './block-ports.ts';
import { receiveBlocks } from './block-receive.ts';
import { sendBlocks } from './block-send.ts';

const blockBytes = 4096;
const blocks = 4;
const sizeBytes = blocks * blockBytes;
const hello = { versionMin: 1, versionMax: 1, blockBytes, sizeBytes };

type Parts = readonly Uint8Array[];

/** Sends a frame that may never be answered. */
async function say(link: BlockLink, parts: Parts): Promise<void> {
  await link.send(parts).catch(() => undefined);
}

/** Reads so many bytes, or all there are until the end. */
async function hear(link: BlockLink, bytes: number): Promise<void> {
  let heard = 0;
  while (heard < bytes) {
    const piece = await link.receive();
    if (piece === undefined) return;
    heard += piece.length;
  }
}

interface Ended {
  readonly error: TransshipError | undefined;
  readonly written: Uint8Array;
  readonly writtenBytes: number;
}

const old = blockNoise(sizeBytes, 'old');
const fresh = blockNoise(sizeBytes);
const freshNames = namesOf(fresh, blockBytes);
const freshDigest = createHash('sha256').update(freshNames).digest();
/** Welcome and one frame with all names. */
const announcedBytes = 8 + 20 + 8 + blocks * 32;

/** A receiver against somebody who greets well, hears the names, then says these bytes and ends. */
async function toReceiver(then: Uint8Array, greeting: Parts = encodeHello(hello)): Promise<Ended> {
  const [near, far] = createMemoryBlockLinks().ends;
  const device = createMemoryRawDevice(Uint8Array.from(old));
  const receiving = receiveBlocks({ device, link: far, clock: createManualClock() }).then(
    () => undefined,
    (error: unknown) => error,
  );
  await say(near, greeting);
  await hear(near, announcedBytes);
  await say(near, [then]);
  near.close();
  return ended(await receiving, device);
}

function ended(
  error: unknown,
  device: { readonly bytes: Uint8Array; readonly writtenBytes: number },
): Ended {
  if (error !== undefined) assert.ok(error instanceof TransshipError, String(error));
  return { error, written: device.bytes, writtenBytes: device.writtenBytes };
}

const whole = (...frames: readonly Parts[]) => Buffer.concat(frames.flat());

async function honest(): Promise<Buffer> {
  return whole(await encodeData(freshNames, fresh), frame('end', freshDigest));
}

test('the honest words of these tests make a copy', async () => {
  const { error, written } = await toReceiver(await honest());
  assert.equal(error, undefined);
  assert.equal(Buffer.compare(written, fresh), 0);
});

test('a stream that ends at any byte changes whole valid blocks only', async () => {
  const half = fresh.subarray(0, sizeBytes / 2);
  const parts = whole(await encodeData(freshNames.subarray(0, 64), half), encodeCount('zeros', 2));
  const first = parts.length - 12;
  for (let cut = 0; cut < parts.length; cut += cut > 200 && cut < first - 9 ? 97 : 1) {
    const { error, written, writtenBytes } = await toReceiver(parts.subarray(0, cut));
    assert.equal(error?.reason, 'SourceUnreachable', `cut at ${cut}`);
    assert.equal(writtenBytes, cut < first ? 0 : half.length, `cut at ${cut}`);
    const rest = written.subarray(writtenBytes);
    assert.equal(Buffer.compare(rest, old.subarray(writtenBytes)), 0, `cut at ${cut}`);
  }
});

test('a greeting that ends at any byte writes nothing', async () => {
  const greeting = whole(encodeHello(hello));
  for (let cut = 0; cut < greeting.length; cut++) {
    const [near, far] = createMemoryBlockLinks().ends;
    const device = createMemoryRawDevice(Uint8Array.from(old));
    const receiving = receiveBlocks({ device, link: far, clock: createManualClock() });
    const refused = assert.rejects(receiving, { reason: 'SourceUnreachable' });
    await say(near, [greeting.subarray(0, cut)]);
    near.close();
    await refused;
    assert.equal(device.writtenBytes, 0);
  }
});

const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));
const wrongName = Buffer.from(freshNames);
wrongName[96]! ^= 1;

function dataOf(head: Partial<{ count: number; codec: number }>, stored: Uint8Array): Parts {
  const words = Buffer.alloc(8);
  words.writeUInt32LE(head.count ?? blocks);
  words.writeUInt8(head.codec ?? 0, 4);
  return frame('data', words, freshNames, stored);
}

function headerOf(bytes: number, type: number): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(bytes);
  header.writeUInt8(type, 4);
  return header;
}

const toRefuse: readonly (readonly [what: string, reason: string, says: () => Parts])[] = [
  ['noise', 'ProtocolError', () => [Buffer.alloc(64, 0xa5)]],
  ['a frame that is too long', 'ProtocolError', () => [headerOf(payloadBytesMax + 1, 6)]],
  ['a frame of 4 GiB', 'ProtocolError', () => [headerOf(0xffff_ffff, 6)]],
  ['an unknown type', 'ProtocolError', () => [headerOf(0, 77)]],
  ['a second hello', 'ProtocolError', () => encodeHello(hello)],
  ['what only receivers say', 'ProtocolError', () => frame('done', freshDigest)],
  ['no block', 'ProtocolError', () => encodeCount('zeros', 0)],
  ['more blocks than there are', 'ProtocolError', () => encodeCount('zeros', blocks + 1)],
  ['more blocks than can be', 'ProtocolError', () => encodeCount('same', 0xffff_ffff)],
  ['a count of the wrong length', 'ProtocolError', () => frame('same', Buffer.alloc(5, 1))],
  ['an end too early', 'ProtocolError', () => frame('end', freshDigest)],
  ['half a digest', 'ProtocolError', () => frame('end', freshDigest.subarray(16))],
  ['data without blocks', 'ProtocolError', () => dataOf({}, Buffer.alloc(0))],
  ['data that is too short', 'ProtocolError', () => dataOf({}, fresh.subarray(1))],
  ['data that is too long', 'ProtocolError', () => dataOf({}, Buffer.concat([fresh, fresh]))],
  ['an unknown codec', 'ProtocolError', () => dataOf({ codec: 2 }, fresh)],
  ['zstd that is none', 'ProtocolError', () => dataOf({ codec: 1 }, fresh)],
  ['zstd of 64 MiB', 'ProtocolError', () => dataOf({ codec: 1 }, bomb)],
  ['a count beyond its frame', 'ProtocolError', () => dataOf({ count: 0xffff_ffff }, fresh)],
  ['blocks of another name', 'DataCorrupt', () => dataOf({}, old)],
  ['an error without words', 'ProtocolError', () => frame('error', Buffer.from('{'))],
  [
    'an error of its own',
    'DiskFailed',
    () => frame('error', Buffer.from('{"reason":"DiskFailed","message":"EIO"}')),
  ],
];

for (const [what, reason, says] of toRefuse) {
  test(`a receiver refuses ${what} and writes nothing`, async () => {
    const { error, writtenBytes } = await toReceiver(whole(says()));
    assert.equal(error?.reason, reason, error?.message);
    assert.equal(writtenBytes, 0);
  });
}

test('of blocks with one wrong name none is written', async () => {
  const { error, writtenBytes } = await toReceiver(whole(await encodeData(wrongName, fresh)));
  assert.equal(error?.reason, 'DataCorrupt');
  assert.equal(writtenBytes, 0);
});

test('a sender whose digest is another gets no success', async () => {
  const data = await encodeData(freshNames, fresh);
  const { error } = await toReceiver(whole(data, frame('end', blockNoise(32))));
  assert.equal(error?.reason, 'DataCorrupt');
  const lied = await toReceiver(whole(encodeCount('same', blocks), frame('end', freshDigest)));
  assert.equal(lied.error?.reason, 'DataCorrupt');
});

const greetings: readonly (readonly [what: string, reason: string, hello: Parts])[] = [
  ['noise', 'ProtocolError', [Buffer.alloc(64, 0xa5)]],
  ['a long hello', 'ProtocolError', [headerOf(5000, 1)]],
  ['a hello of something else', 'ProtocolError', frame('hello', Buffer.alloc(24))],
  ['later versions', 'ProtocolError', encodeHello({ ...hello, versionMin: 2, versionMax: 9 })],
  ['versions in disorder', 'ProtocolError', encodeHello({ ...hello, versionMin: 3 })],
  ['odd blocks', 'BadSize', encodeHello({ ...hello, blockBytes: 5000 })],
  ['no bytes', 'BadSize', encodeHello({ ...hello, sizeBytes: 0 })],
  ['more than 64 TiB', 'BadSize', encodeHello({ ...hello, sizeBytes: 2 ** 46 + 1 })],
  ['more than the destination', 'BadSize', encodeHello({ ...hello, sizeBytes: sizeBytes + 1 })],
  ['blocks before a hello', 'ProtocolError', encodeCount('zeros', 1)],
];

for (const [what, reason, greeting] of greetings) {
  test(`a receiver refuses a greeting with ${what}`, async () => {
    const { error, writtenBytes } = await toReceiver(Buffer.alloc(0), greeting);
    assert.equal(error?.reason, reason, error?.message);
    assert.equal(writtenBytes, 0);
  });
}

/** A sender against somebody who says these bytes and ends. */
async function toSender(says: Uint8Array): Promise<TransshipError> {
  const [near, far] = createMemoryBlockLinks().ends;
  const device = createMemoryRawDevice(Uint8Array.from(fresh));
  const sending = sendBlocks({ device, link: near, clock: createManualClock(), blockBytes }).then(
    () => assert.fail('nobody made this copy'),
    (error: unknown) => error,
  );
  await say(far, [says]);
  // What it says until it gives up.
  await hear(far, Infinity).catch(() => undefined);
  const error = await sending;
  assert.ok(error instanceof TransshipError, String(error));
  return error;
}

const welcome = (size = sizeBytes, version = 1) => encodeWelcome({ version, sizeBytes: size });
const names = (count: number) => frame('names', Buffer.alloc(count * 32, 1));

const toSenders: readonly (readonly [what: string, reason: string, says: readonly Parts[]])[] = [
  ['noise for a welcome', 'ProtocolError', [[Buffer.alloc(64, 0xa5)]]],
  ['a version it did not offer', 'ProtocolError', [welcome(sizeBytes, 2)]],
  ['a smaller destination', 'BadSize', [welcome(sizeBytes - 1)]],
  ['names before the welcome', 'ProtocolError', [names(1)]],
  ['names of more blocks than there are', 'ProtocolError', [welcome(), names(blocks + 1)]],
  ['zeros without end', 'ProtocolError', [welcome(), encodeCount('zeros', 0xffff_ffff)]],
  ['part of a name', 'ProtocolError', [welcome(), frame('names', Buffer.alloc(33))]],
  ['no name', 'ProtocolError', [welcome(), names(0)]],
  ['what only senders say', 'ProtocolError', [welcome(), frame('end', freshDigest)]],
  ['done before the end', 'ProtocolError', [welcome(), frame('done', freshDigest)]],
  ['noise after names', 'ProtocolError', [welcome(), names(1), [Buffer.alloc(64, 0xa5)]]],
];

for (const [what, reason, says] of toSenders) {
  test(`a sender refuses ${what}`, async () => {
    const error = await toSender(whole(...says));
    assert.equal(error.reason, reason, error.message);
  });
}

test('a sender does not believe a receiver with another digest', async () => {
  const [near, far] = createMemoryBlockLinks().ends;
  const device = createMemoryRawDevice(Uint8Array.from(fresh));
  const sending = sendBlocks({ device, link: near, clock: createManualClock(), blockBytes });
  const refused = assert.rejects(sending, { reason: 'DataCorrupt' });
  await say(far, [...welcome(), ...names(blocks)]);
  const data = await encodeData(freshNames, fresh);
  await hear(far, whole(encodeHello(hello), data, frame('end', freshDigest)).length);
  await say(far, frame('done', blockNoise(32)));
  await refused;
});

test('words of the other side are shown without control characters', async () => {
  const message = `bad\u001b[31m ${'x'.repeat(200)}`;
  const words = JSON.stringify({ reason: 'PoolFull', message });
  const error = await toSender(whole(frame('error', Buffer.from(words))));
  assert.equal(error.reason, 'PoolFull');
  assert.ok(!error.message.includes('\u001b') && error.message.length > 200, error.message);
});
