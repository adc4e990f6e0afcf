import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { joinBytes, viewOf } from './bytes.ts';
import { MemoryDevice } from './memory-device.ts';
import { command, commandFlags, errno, nbdLimits } from './protocol.ts';
import { newCounters } from './counters.ts';
import {
  type FrameFields,
  LateDevice,
  type RecordingConnection,
  requestFrame,
  settled,
  transmitting,
} from './testing.ts';

const mebibyte = 1024 * 1024;
const { read, write, flush, trim, writeZeroes, blockStatus, cache } = command;

function memory(sizeBytes = mebibyte): MemoryDevice {
  return new MemoryDevice({ sizeBytes, blockSizeBytes: 4096 });
}

/** Simple replies without data: cookie to error. */
function errors(connection: RecordingConnection): Record<number, number> {
  const bytes = connection.taken();
  const view = viewOf(bytes);
  const found: Record<number, number> = {};
  for (let at = 0; at < bytes.length; at += 16) {
    assert.equal(view.getUint32(at), 0x67446698);
    found[view.getUint32(at + 12)] = view.getUint32(at + 4);
  }
  return found;
}

function errorOf(device: MemoryDevice, fields: FrameFields): number | undefined {
  const { session, connection } = transmitting(device);
  session.receive(requestFrame({ cookie: 7, ...fields }));
  return errors(connection)[7];
}

test('what was written is read back, in one send for all requests of one event', async () => {
  const { session, connection } = transmitting(memory());
  const payload = new Uint8Array(5000).fill(9);
  const before = connection.writes;
  session.receive(
    joinBytes([
      requestFrame({ type: write, cookie: 1, offset: 100, payload }),
      requestFrame({ type: read, cookie: 2, offset: 100, length: 5000 }),
    ]),
  );
  assert.equal(connection.writes, before + 1);
  const sent = connection.taken();
  assert.equal(sent.length, 16 + 16 + 5000);
  assert.deepEqual(sent.slice(32), payload);
  await settled();
});

test('requests outside the device, and bad flags, have the errors of the specification', () => {
  const end = mebibyte - 10;
  assert.equal(errorOf(memory(), { type: read, offset: end, length: 11 }), errno.invalid);
  const payload = new Uint8Array(11);
  assert.equal(errorOf(memory(), { type: write, offset: end, payload }), errno.noSpace);
  assert.equal(errorOf(memory(), { type: writeZeroes, offset: end, length: 11 }), errno.noSpace);
  assert.equal(errorOf(memory(), { type: trim, offset: end, length: 11 }), errno.invalid);
  assert.equal(errorOf(memory(), { type: cache, offset: end, length: 11 }), errno.invalid);
  assert.equal(errorOf(memory(), { type: read, offset: 2 ** 60, length: 1 }), errno.invalid);
  assert.equal(errorOf(memory(), { type: 99 }), errno.invalid);
  assert.equal(errorOf(memory(), { type: read, length: 1, flags: 0x80 }), errno.invalid);
  assert.equal(errorOf(memory(), { type: blockStatus, length: 512 }), errno.invalid);
  const large = { type: read, length: nbdLimits.requestBytesMax + 1 };
  const huge = memory(2 * nbdLimits.requestBytesMax);
  assert.equal(errorOf(huge, large), errno.invalid);
  assert.equal(errorOf(huge, { ...large, flags: commandFlags.dontFragment }), errno.overflow);
});

test('a read-only export refuses every change, and the stream stays in step', () => {
  const device = new MemoryDevice({ sizeBytes: 8192, readOnly: true });
  const { session, connection } = transmitting(device);
  session.receive(
    joinBytes([
      requestFrame({ type: write, cookie: 1, payload: new Uint8Array(100) }),
      requestFrame({ type: trim, cookie: 2, length: 100 }),
      requestFrame({ type: writeZeroes, cookie: 3, length: 100 }),
      requestFrame({ type: read, cookie: 4, length: 0 }),
    ]),
  );
  const { permission } = errno;
  assert.deepEqual(errors(connection), { 1: permission, 2: permission, 3: permission, 4: 0 });
});

test('a write that is too large is skipped and refused; an absurd one ends the connection', () => {
  const device = memory(2 * nbdLimits.requestBytesMax);
  const { session, connection } = transmitting(device);
  const length = nbdLimits.requestBytesMax + 1;
  session.receive(requestFrame({ type: write, cookie: 1, length }));
  for (let left = length; left > 0; left -= mebibyte) {
    session.receive(new Uint8Array(Math.min(left, mebibyte)));
  }
  session.receive(requestFrame({ type: read, cookie: 2 }));
  assert.deepEqual(errors(connection), { 1: errno.invalid, 2: 0 });
  session.receive(requestFrame({ type: write, cookie: 3, length: 0xffffffff }));
  assert.equal(connection.closed, true);
});

test('a wrong magic ends the connection after what came before was answered', () => {
  const { session, connection } = transmitting(memory());
  const nonsense = new Uint8Array(28).fill(0x25);
  session.receive(joinBytes([requestFrame({ type: read, cookie: 1 }), nonsense]));
  assert.deepEqual(errors(connection), { 1: 0 });
  assert.equal(connection.closed, true);
});

test('writes of one event share a cork and their FUAs and flushes share a flush', async () => {
  const device = memory();
  const { session, connection } = transmitting(device);
  const payload = new Uint8Array(512);
  const flags = commandFlags.fua;
  session.receive(
    joinBytes([
      requestFrame({ type: write, cookie: 1, flags, payload }),
      requestFrame({ type: write, cookie: 2, flags, payload }),
      requestFrame({ type: flush, cookie: 3 }),
      requestFrame({ type: write, cookie: 4, payload }),
    ]),
  );
  assert.deepEqual(errors(connection), { 4: 0 });
  assert.equal(device.corks, 1);
  await settled();
  assert.deepEqual(errors(connection), { 1: 0, 2: 0, 3: 0 });
  assert.equal(device.flushes, 1);
});

test('when uncork fails no write of the event is acknowledged, its reads are', async () => {
  class Failing extends MemoryDevice {
    override uncork(): void {
      super.uncork();
      throw new TransshipError('PoolFull', 'no space');
    }
  }
  const { session, connection } = transmitting(new Failing({ sizeBytes: mebibyte }));
  const payload = new Uint8Array(512);
  session.receive(
    joinBytes([
      requestFrame({ type: write, cookie: 1, payload }),
      requestFrame({ type: read, cookie: 2 }),
      requestFrame({ type: write, cookie: 3, flags: commandFlags.fua, payload }),
      requestFrame({ type: trim, cookie: 4, length: 5 }),
    ]),
  );
  await settled();
  const { noSpace } = errno;
  assert.deepEqual(errors(connection), { 1: noSpace, 2: 0, 3: noSpace, 4: noSpace });
});

test('late answers are sent in the order they come, and none overwrites another', async () => {
  const device = new LateDevice({ sizeBytes: mebibyte });
  device.bytes.fill(1, 0, 4096).fill(2, 4096, 8192).fill(3, 8192, 12288);
  const { session, connection } = transmitting(device);
  for (const cookie of [0, 1, 2]) {
    const offset = cookie * 4096;
    session.receive(requestFrame({ type: read, cookie, offset, length: 4096 }));
  }
  assert.equal(connection.taken().length, 0);
  const order: number[] = [];
  for (const index of [2, 0, 0]) {
    device.answer(index);
    await settled();
    const sent = connection.taken();
    const cookie = viewOf(sent).getUint32(12);
    assert.deepEqual(sent.slice(16), new Uint8Array(4096).fill(cookie + 1));
    order.push(cookie);
  }
  assert.deepEqual(order, [2, 0, 1]);
});

test('errors of the device reach the client by their reason, with the message', async () => {
  const device = new LateDevice({ sizeBytes: mebibyte });
  const { session, connection } = transmitting(device, { structured: true });
  device.failure = new TransshipError('DataMissing', 'the source is away'.padEnd(400, 'é'));
  session.receive(requestFrame({ type: read, cookie: 5, length: 4096 }));
  device.answerAll();
  await settled();
  const sent = connection.taken();
  const view = viewOf(sent);
  assert.equal(view.getUint16(6), 0x8001);
  assert.equal(view.getUint32(20), errno.io);
  assert.ok(sent.length <= nbdLimits.plainReplyBytes);
  const text = new TextDecoder('utf-8', { fatal: true }).decode(sent.subarray(26));
  assert.match(text, /^the source is away/);
});

test('too much in flight pauses reading, and nothing is lost', async () => {
  const device = new LateDevice({ sizeBytes: mebibyte });
  const { session, connection } = transmitting(device);
  const length = nbdLimits.requestsInFlightMax + 100;
  const frames = Array.from({ length }, (_, cookie) => requestFrame({ type: flush, cookie }));
  for (const frame of frames) session.receive(frame);
  assert.equal(connection.paused, true);
  while (device.waiting > 0) {
    device.answerAll();
    await settled();
  }
  assert.equal(connection.paused, false);
  assert.equal(Object.keys(errors(connection)).length, length);
});

test('a client that does not read its replies is not read from either', async () => {
  const device = memory(nbdLimits.requestBytesMax);
  const { session, connection } = transmitting(device);
  connection.flushing = false;
  const request = { type: read, length: nbdLimits.requestBytesMax };
  for (let cookie = 1; cookie <= 4; cookie += 1)
    session.receive(requestFrame({ ...request, cookie }));
  assert.equal(connection.paused, true);
  const answered = connection.taken().length / (16 + request.length);
  assert.ok(answered < 3, `${answered} replies of 32 MiB wait in memory`);
  for (let turn = 0; turn < 8; turn += 1) {
    connection.flush();
    await settled();
  }
  assert.equal(connection.paused, false);
  assert.equal(answered + connection.taken().length / (16 + request.length), 4);
});

test('a clean goodbye waits for what is in flight; later requests are not looked at', async () => {
  const device = new LateDevice({ sizeBytes: mebibyte });
  let ended = 0;
  const onEnd = () => {
    ended += 1;
  };
  const { session, connection } = transmitting(device, { onEnd });
  const frames = [
    requestFrame({ type: write, cookie: 1, payload: new Uint8Array(10).fill(4) }),
    requestFrame({ type: command.disconnect }),
    requestFrame({ type: write, cookie: 2, payload: new Uint8Array(10).fill(5) }),
  ];
  session.receive(joinBytes(frames));
  assert.equal(connection.closed, false);
  device.answerAll();
  await settled();
  assert.deepEqual(errors(connection), { 1: 0 });
  assert.deepEqual([connection.closed, ended, device.bytes[0]], [true, 1, 4]);
});

test('a connection that is lost half way through a write changes nothing', () => {
  const device = memory();
  const { session } = transmitting(device);
  const payload = new Uint8Array(4096).fill(1);
  session.receive(requestFrame({ type: write, payload }).subarray(0, 4000));
  session.closed();
  session.receive(payload);
  assert.equal(
    device.bytes.every((byte) => byte === 0),
    true,
  );
});

test('stop answers what is in flight and takes nothing more', async () => {
  const device = new LateDevice({ sizeBytes: mebibyte });
  const { session, connection } = transmitting(device);
  session.receive(requestFrame({ type: flush, cookie: 1 }));
  session.stop();
  session.receive(requestFrame({ type: flush, cookie: 2 }));
  device.answerAll();
  await settled();
  assert.deepEqual(errors(connection), { 1: 0 });
  assert.equal(connection.closed, true);
});

test('block status tells holes from data, and only one extent when one was asked for', async () => {
  const device = memory();
  void device.write(new Uint8Array(4096), 8192);
  const { session, connection } = transmitting(device, { structured: true });
  const request = { type: blockStatus, offset: 4096, length: 16384 };
  session.receive(requestFrame(request));
  await settled();
  const view = viewOf(connection.taken());
  const extents = [0, 1, 2].map((index) => [
    view.getUint32(24 + 8 * index),
    view.getUint32(28 + 8 * index),
  ]);
  assert.deepEqual(extents, [
    [4096, 3],
    [4096, 0],
    [8192, 3],
  ]);
  session.receive(requestFrame({ ...request, flags: commandFlags.requestOne }));
  await settled();
  assert.equal(connection.taken().length, 24 + 8);
});

test('everything served is counted by its command', () => {
  const counters = newCounters();
  const { session } = transmitting(memory(), { counters });
  session.receive(requestFrame({ type: write, payload: new Uint8Array(10) }));
  session.receive(requestFrame({ type: read, length: 20 }));
  session.receive(requestFrame({ type: read, offset: mebibyte, length: 20 }));
  session.receive(requestFrame({ type: 77 }));
  assert.deepEqual([counters.bytesRead, counters.bytesWritten], [20, 10]);
  assert.deepEqual([counters.requests[read], counters.errors[read]], [1, 1]);
  assert.equal(counters.errors.at(-1), 1);
});
