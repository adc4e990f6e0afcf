/** Properties: any cut of a stream means the same, and no bytes from outside can break a server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { joinBytes, packFields } from './bytes.ts';
import { NbdClient } from './client.ts';
import { ClientHandshake } from './client-handshake.ts';
import { MemoryDevice } from './memory-device.ts';
import { command, option, requestHeaderBytes } from './protocol.ts';
import {
  LateDevice,
  RecordingConnection,
  clientFlags,
  exportsOf,
  goFrame,
  loopback,
  nameField,
  optionFrame,
  requestFrame,
  sessionOn,
  settled,
  transmitting,
} from './testing.ts';

const deviceBytes = 256 * 1024;

const operations = fc.array(
  fc.record({
    type: fc.constantFrom(command.read, command.write, command.trim, command.writeZeroes),
    offset: fc.nat(deviceBytes - 1),
    length: fc.oneof(fc.nat(70_000), fc.nat(600)),
    fill: fc.integer({ min: 1, max: 255 }),
    flags: fc.constantFrom(0, 1),
  }),
  { maxLength: 30 },
);

type Operation = typeof operations extends fc.Arbitrary<(infer One)[]> ? One : never;

function frameOf(operation: Operation, cookie: number): Uint8Array {
  const { type, offset, flags } = operation;
  const length = Math.min(operation.length, deviceBytes - offset);
  if (type !== command.write) return requestFrame({ type, flags, cookie, offset, length });
  const payload = new Uint8Array(length).fill(operation.fill);
  return requestFrame({ type, flags, cookie, offset, payload });
}

/** Cuts `bytes` at the given sizes, again and again. */
function* pieces(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const size = sizes[index % sizes.length] ?? bytes.length;
    const piece = bytes.slice(at, at + size);
    yield piece;
    // The transport reuses its memory at once.
    piece.fill(0xdd);
    at += size;
  }
}

test('a stream means the same however it is cut', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 });
  const property = fc.asyncProperty(operations, sizes, async (list, cuts) => {
    const whole = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
    const cut = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
    const stream = joinBytes(list.map((operation, cookie) => frameOf(operation, cookie)));
    const one = transmitting(whole);
    one.session.receive(stream);
    const many = transmitting(cut);
    for (const piece of pieces(stream, cuts)) {
      many.session.receive(piece);
      await settled();
    }
    await settled();
    assert.deepEqual(cut.bytes, whole.bytes);
    assert.equal(many.connection.taken().length, one.connection.taken().length);
  });
  await fc.assert(property, { numRuns: 150 });
});

test('a transport that gives what was left again means the same', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 8 });
  const limit = fc.constantFrom(100, 8192, 65536, 1 << 20);
  const property = fc.asyncProperty(operations, sizes, limit, async (list, cuts, redeliver) => {
    const whole = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
    const again = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
    const stream = joinBytes(list.map((operation, cookie) => frameOf(operation, cookie)));
    const one = transmitting(whole);
    one.session.receive(stream);
    const many = transmitting(again);
    let left: Uint8Array = new Uint8Array(0);
    for (const piece of pieces(stream, cuts)) {
      const given = joinBytes([left, piece]);
      const taken = many.session.receive(given, redeliver);
      left = given.slice(taken);
      assert.ok(left.length < redeliver);
      given.fill(0xcc);
    }
    await settled();
    assert.equal(left.length, 0);
    assert.deepEqual(again.bytes, whole.bytes);
    assert.equal(many.connection.taken().length, one.connection.taken().length);
  });
  await fc.assert(property, { numRuns: 150 });
});

test('no bytes make the negotiation throw or its memory grow', () => {
  const opening = fc.constantFrom(
    clientFlags,
    goFrame('vol'),
    optionFrame(option.structuredReply),
    optionFrame(option.list),
    optionFrame(option.setMetaContext, [...nameField('vol'), ...nameField('base:allocation')]),
    optionFrame(option.startTls),
    optionFrame(option.exportName),
  );
  const part = fc.oneof(opening, fc.uint8Array({ maxLength: 64 }));
  const property = fc.property(fc.array(part, { maxLength: 12 }), fc.boolean(), (parts, greet) => {
    const connection = new RecordingConnection();
    const device = new MemoryDevice({ sizeBytes: deviceBytes });
    const session = sessionOn(connection, exportsOf({ vol: device }));
    if (greet) session.receive(clientFlags);
    for (const bytes of parts) session.receive(bytes);
    session.closed();
  });
  fc.assert(property, { numRuns: 2000 });
});

test('no bytes make the transmission throw, and damaged frames change only what they name', () => {
  const damage = fc.record({ at: fc.nat(requestHeaderBytes * 4), value: fc.nat(255) });
  const property = fc.property(operations, fc.array(damage), fc.boolean(), (list, damages, sr) => {
    const device = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
    const { session, connection } = transmitting(device, { structured: sr });
    const stream = joinBytes(list.map((operation, cookie) => frameOf(operation, cookie)));
    for (const { at, value } of damages) if (at < stream.length) stream[at] = value;
    session.receive(stream);
    session.closed();
    assert.ok(connection.taken().length < 64 * 2 ** 20);
  });
  fc.assert(property, { numRuns: 500 });
});

test('late devices answer in any order and every request once', async () => {
  const property = fc.asyncProperty(
    operations,
    fc.array(fc.nat(100), { minLength: 1 }),
    async (list, order) => {
      const device = new LateDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
      const { session, connection } = transmitting(device);
      let expected = 0;
      for (const [cookie, operation] of list.entries()) {
        session.receive(frameOf(operation, cookie));
        const isRead = operation.type === command.read;
        const length = Math.min(operation.length, deviceBytes - operation.offset);
        expected += 16 + (isRead ? length : 0);
      }
      for (let turn = 0; device.waiting > 0 || turn < 3; turn += 1) {
        device.answer((order[turn % order.length] ?? 0) % Math.max(1, device.waiting));
        await settled();
      }
      assert.equal(connection.taken().length, expected);
    },
  );
  await fc.assert(property, { numRuns: 100 });
});

test('our client and our server agree over a pipe that cuts at every byte', async () => {
  const property = fc.asyncProperty(
    operations,
    fc.integer({ min: 1, max: 5000 }),
    async (list, size) => {
      const device = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
      const model = new Uint8Array(deviceBytes);
      const { client } = await loopback(device, () => size);
      for (const { type, offset, length: asked, fill } of list) {
        const length = Math.min(asked, deviceBytes - offset);
        if (type === command.read) {
          const into = new Uint8Array(length);
          await client.read(into, offset);
          assert.deepEqual(into, model.slice(offset, offset + length));
        } else if (type === command.write) {
          await client.write(new Uint8Array(length).fill(fill), offset);
          model.fill(fill, offset, offset + length);
        } else {
          await client.writeZeroes(offset, length);
          model.fill(0, offset, offset + length);
        }
      }
      assert.deepEqual(device.bytes, model);
      let zeroes = 0;
      for (const extent of await client.extents(0, deviceBytes)) {
        const content = model.subarray(zeroes, zeroes + extent.lengthBytes);
        if (extent.hole) assert.ok(content.every((byte) => byte === 0));
        zeroes += extent.lengthBytes;
      }
      assert.equal(zeroes, deviceBytes);
    },
  );
  await fc.assert(property, { numRuns: 60 });
});

test('no server can make the client throw, hang or take what it did not ask for', async () => {
  const description = {
    sizeBytes: deviceBytes,
    flags: 0xfff,
    preferredBlockBytes: 4096,
    requestBytesMax: 2 ** 25,
    structuredReplies: true,
    allocationId: 1,
  };
  const property = fc.asyncProperty(fc.array(serverChunk(), { maxLength: 6 }), async (chunks) => {
    const connection = new RecordingConnection();
    const client = new NbdClient(connection, description);
    const into = new Uint8Array(64);
    const guard = new Uint8Array(into.buffer);
    const all = Promise.allSettled([client.read(into, 0), client.extents(0, 4096)]);
    for (const chunk of chunks) client.receive(chunk);
    client.closed();
    for (const result of await all) {
      if (result.status === 'rejected') assert.equal(result.reason.name, 'TransshipError');
    }
    assert.equal(guard.length, 64);
  });
  await fc.assert(property, { numRuns: 1500 });
});

/** Replies, true and false ones, to the cookies 1 and 2. */
function serverChunk(): fc.Arbitrary<Uint8Array> {
  const word = fc.oneof(fc.nat(80), fc.integer({ min: 0, max: 0xffffffff }));
  return fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc
      .record({
        kind: fc.constantFrom(0, 1, 2, 5, 0x8001, 0x8002, 77),
        done: fc.constantFrom(0, 1),
        cookie: fc.integer({ min: 0, max: 3 }),
        length: fc.oneof(fc.nat(80), word),
        body: fc.uint8Array({ maxLength: 80 }),
      })
      .map(({ kind, done, cookie, length, body }) =>
        packFields([
          { bits: 32, value: 0x668e33ef },
          { bits: 16, value: done },
          { bits: 16, value: kind },
          { bits: 64, value: cookie },
          { bits: 32, value: length },
          body,
        ]),
      ),
  );
}

test('no server can make the handshake of the client throw anything but our errors', () => {
  const greeting = Buffer.from('NBDMAGICIHAVEOPT\0\u0003', 'latin1');
  const answer = fc
    .record({ code: fc.constantFrom(8, 10, 7), kind: fc.constantFrom(1, 3, 4, 0x80000001) })
    .chain(({ code, kind }) =>
      fc
        .uint8Array({ maxLength: 20 })
        .map((data) =>
          packFields([
            { bits: 64, value: 0x3e889045565a9 },
            { bits: 32, value: code },
            { bits: 32, value: kind },
            { bits: 32, value: data.length },
            data,
          ]),
        ),
    );
  const property = fc.property(fc.array(answer), fc.uint8Array(), (answers, noise) => {
    const connection = new RecordingConnection();
    const handshake = new ClientHandshake({ connection, exportName: 'vol', tls: false });
    try {
      handshake.receive(joinBytes([greeting, ...answers, noise]));
    } catch (error) {
      assert.equal((error as Error).name, 'TransshipError');
    }
  });
  fc.assert(property, { numRuns: 2000 });
});
