import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { TransshipError } from '../base/errors.ts';
import { MemoryDevice } from '../nbd/memory-device.ts';
import { errno, fuseLimits, initFlags, nodes, opcode, sizes, version } from './protocol.ts';
import { FuseSession } from './session.ts';

const deviceBytes = 256 * 1024;

/** A request as the kernel writes it; `body` is what follows the header. */
function request(
  code: number,
  body: Uint8Array = new Uint8Array(),
  at: { readonly unique?: bigint; readonly node?: number } = {},
): Buffer {
  const frame = Buffer.alloc(sizes.inHeader + body.length);
  frame.writeUInt32LE(frame.length, 0);
  frame.writeUInt32LE(code, 4);
  frame.writeBigUInt64LE(at.unique ?? 7n, 8);
  frame.writeBigUInt64LE(BigInt(at.node ?? nodes.file), 16);
  frame.set(body, sizes.inHeader);
  return frame;
}

function transfer(offset: number, length: number, data: Uint8Array = new Uint8Array()): Buffer {
  const body = Buffer.alloc(sizes.transferIn + data.length);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(length, 16);
  body.set(data, sizes.transferIn);
  return body;
}

function allocation(offset: number, length: number, mode: number): Buffer {
  const body = Buffer.alloc(sizes.fallocateIn);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeBigUInt64LE(BigInt(length), 16);
  body.writeUInt32LE(mode, 24);
  return body;
}

function init(major: number, minor: number, flags: number): Buffer {
  const body = Buffer.alloc(sizes.initOut);
  body.writeUInt32LE(major, 0);
  body.writeUInt32LE(minor, 4);
  body.writeUInt32LE(65_536, 8);
  body.writeUInt32LE(flags, 12);
  return body;
}

const text = (name: string): Buffer => Buffer.from(`${name}\0`);

interface Answer {
  readonly error: number;
  readonly unique: bigint;
  readonly body: Buffer;
}

class Kernel {
  readonly device = new MemoryDevice({ sizeBytes: deviceBytes, blockSizeBytes: 4096 });
  readonly answers: Answer[] = [];
  readonly errors: unknown[] = [];
  readonly session = new FuseSession({
    device: this.device,
    send: (reply) => {
      const bytes = Buffer.from(reply);
      assert.equal(bytes.readUInt32LE(0), bytes.length, 'the length is that of the answer');
      const [error, unique] = [0 - bytes.readInt32LE(4), bytes.readBigUInt64LE(8)];
      this.answers.push({ error, unique, body: bytes.subarray(sizes.outHeader) });
    },
    onError: (error) => this.errors.push(error),
  });

  /** The only answer to one request. */
  async ask(frame: Uint8Array): Promise<Answer> {
    this.answers.length = 0;
    this.session.receive(frame);
    // The memory is the caller's again.
    frame.fill(0xdd);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assert.equal(this.answers.length, 1);
    return this.answers[0]!;
  }
}

suite('a device as a file of a mount', () => {
  test('agrees with the kernel on large requests, and on nothing it does not know', async () => {
    const kernel = new Kernel();
    const asked = initFlags.maxPages | initFlags.bigWrites | (1 << 30);
    const { error, body } = await kernel.ask(request(opcode.init, init(7, 45, asked)));
    assert.equal(error, 0);
    assert.equal(body.length, sizes.initOut);
    assert.deepEqual([body.readUInt32LE(0), body.readUInt32LE(4)], [version.major, version.minor]);
    assert.equal(body.readUInt32LE(12), initFlags.maxPages | initFlags.bigWrites);
    assert.equal(body.readUInt32LE(20), fuseLimits.dataBytesMax);
    assert.equal(body.readUInt16LE(28) * 4096, fuseLimits.dataBytesMax);
    const older = await kernel.ask(request(opcode.init, init(7, 29, asked)));
    assert.equal(older.body.readUInt32LE(4), 29);
    assert.equal((await kernel.ask(request(opcode.init, init(7, 27, 0)))).error, errno.invalid);
    assert.equal((await kernel.ask(request(opcode.init, init(8, 0, 0)))).error, errno.invalid);
  });

  test('has one file, as long as the device is at that moment', async () => {
    const kernel = new Kernel();
    const directory = { node: nodes.directory };
    const found = await kernel.ask(request(opcode.lookup, text('disk'), directory));
    assert.equal(found.body.readBigUInt64LE(0), BigInt(nodes.file));
    // Nothing of it may be remembered.
    assert.deepEqual(found.body.subarray(16, 40), Buffer.alloc(24));
    assert.equal(found.body.readBigUInt64LE(40 + 8), BigInt(deviceBytes));
    assert.equal(found.body.readUInt32LE(40 + 60), 0o100_600);
    const other = await kernel.ask(request(opcode.lookup, text('other'), directory));
    assert.equal(other.error, errno.notFound);
    assert.equal((await kernel.ask(request(opcode.lookup, text('disk')))).error, errno.notFound);
    (kernel.device as { sizeBytes: number }).sizeBytes = 2 * deviceBytes;
    const grown = await kernel.ask(request(opcode.getattr, new Uint8Array(16)));
    assert.equal(grown.body.readBigUInt64LE(16 + 8), BigInt(2 * deviceBytes));
    assert.equal(grown.body.readBigUInt64LE(0), 0n);
    const root = await kernel.ask(request(opcode.getattr, new Uint8Array(16), directory));
    assert.equal(root.body.readUInt32LE(16 + 60), 0o040_500);
  });

  test('a file of a read-only device says so, and refuses', async () => {
    const kernel = new Kernel();
    kernel.device.readOnly = true;
    const seen = await kernel.ask(request(opcode.getattr, new Uint8Array(16)));
    assert.equal(seen.body.readUInt32LE(16 + 60), 0o100_400);
    const write = await kernel.ask(request(opcode.write, transfer(0, 3, Buffer.from('abc'))));
    assert.equal(write.error, errno.readOnly);
    const punch = await kernel.ask(request(opcode.fallocate, allocation(0, 4096, 3)));
    assert.equal(punch.error, errno.readOnly);
  });

  test('what is written is read, up to the end', async () => {
    const kernel = new Kernel();
    const data = Buffer.alloc(5000, 'x');
    const at = deviceBytes - data.length;
    const written = await kernel.ask(request(opcode.write, transfer(at, data.length, data)));
    assert.deepEqual([written.error, written.body.readUInt32LE(0)], [0, data.length]);
    const read = await kernel.ask(request(opcode.read, transfer(at - 1, 8192)));
    assert.deepEqual(read.body, Buffer.concat([Buffer.of(0), data]));
    const past = await kernel.ask(request(opcode.read, transfer(deviceBytes + 4096, 4096)));
    assert.deepEqual([past.error, past.body.length], [0, 0]);
    const more = await kernel.ask(request(opcode.write, transfer(at + 1, data.length, data)));
    assert.equal(more.error, errno.noSpace);
  });

  test('zeroes and holes are zeroes; other ways to allocate are not there', async () => {
    const kernel = new Kernel();
    kernel.device.bytes.fill(1);
    for (const mode of [1 | 2, 1 | 16]) {
      const at = mode * 4096;
      const answer = await kernel.ask(request(opcode.fallocate, allocation(at, 4096, mode)));
      assert.equal(answer.error, 0);
      assert.deepEqual(kernel.device.bytes.slice(at - 1, at + 2), Uint8Array.of(1, 0, 0));
      assert.deepEqual(kernel.device.bytes.slice(at + 4095, at + 4097), Uint8Array.of(0, 1));
    }
    const plain = await kernel.ask(request(opcode.fallocate, allocation(0, 4096, 0)));
    assert.equal(plain.error, errno.notSupported);
    const past = await kernel.ask(request(opcode.fallocate, allocation(deviceBytes, 4096, 3)));
    assert.equal(past.error, errno.noSpace);
  });

  test('fsync is answered when the device is durable, and not before', async () => {
    const kernel = new Kernel();
    let finish = (): void => undefined;
    kernel.device.flush = () =>
      new Promise((resolve) => {
        finish = resolve;
      });
    kernel.session.receive(request(opcode.fsync, new Uint8Array(16)));
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assert.equal(kernel.answers.length, 0);
    finish();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    assert.equal(kernel.answers[0]?.error, 0);
  });

  test('errors of the device are errors of the request, by their numbers', async () => {
    const kernel = new Kernel();
    kernel.device.write = () => Promise.reject(new TransshipError('PoolFull', 'no room'));
    kernel.device.flush = () => Promise.reject(new TransshipError('DiskFailed', 'the disk'));
    kernel.device.read = () => {
      throw new TransshipError('SourceUnreachable', 'away');
    };
    const write = await kernel.ask(request(opcode.write, transfer(0, 1, Buffer.of(1))));
    assert.equal(write.error, errno.noSpace);
    assert.equal((await kernel.ask(request(opcode.fsync, new Uint8Array(16)))).error, errno.io);
    assert.equal((await kernel.ask(request(opcode.read, transfer(0, 1)))).error, errno.io);
    assert.equal(kernel.errors.length, 3);
  });

  test('discards of a loop device are possible for each sector', async () => {
    const kernel = new Kernel();
    const { body } = await kernel.ask(request(opcode.statfs));
    assert.equal(body.length, 80);
    assert.equal(body.readBigUInt64LE(0), BigInt(deviceBytes / 512));
    assert.deepEqual([body.readUInt32LE(40), body.readUInt32LE(48)], [512, 512]);
  });

  test('the directory lists its file, once', async () => {
    const kernel = new Kernel();
    const directory = { node: nodes.directory };
    const all = await kernel.ask(request(opcode.readdir, transfer(0, 4096), directory));
    assert.equal(all.body.length, 32 + 32 + 32);
    assert.equal(all.body.subarray(64 + 24, 64 + 28).toString(), 'disk');
    const rest = await kernel.ask(request(opcode.readdir, transfer(3, 4096), directory));
    assert.equal(rest.body.length, 0);
  });

  test('what is not there is said not to be there; what wants no answer gets none', async () => {
    const kernel = new Kernel();
    for (const code of [4, 22, 39, 46, 52, 4096]) {
      assert.equal((await kernel.ask(request(code))).error, errno.notImplemented);
    }
    kernel.answers.length = 0;
    for (const code of [opcode.forget, opcode.batchForget, opcode.interrupt]) {
      kernel.session.receive(request(code, new Uint8Array(16)));
    }
    assert.deepEqual(kernel.answers, []);
  });
});

suite('malformed requests', () => {
  test('a request that is cut off is answered as invalid, or not at all', async () => {
    const kernel = new Kernel();
    const { read, write, fallocate } = opcode;
    for (const code of [read, write, fallocate, opcode.init]) {
      assert.equal((await kernel.ask(request(code, new Uint8Array(8)))).error, errno.invalid);
    }
    const short = transfer(0, 100, new Uint8Array(99));
    assert.equal((await kernel.ask(request(write, short))).error, errno.invalid);
    const far = transfer(0, 1, Buffer.of(1));
    far.fill(0xff, 8, 16);
    assert.equal((await kernel.ask(request(write, far))).error, errno.invalid);
    const long = transfer(0, fuseLimits.dataBytesMax + 1);
    assert.equal((await kernel.ask(request(read, long))).error, errno.invalid);
    kernel.answers.length = 0;
    kernel.session.receive(request(read).subarray(0, 39));
    const lying = request(read, transfer(0, 1));
    lying.writeUInt32LE(lying.length + 1, 0);
    kernel.session.receive(lying);
    assert.deepEqual(kernel.answers, []);
    assert.deepEqual(kernel.device.bytes, new Uint8Array(deviceBytes));
  });

  test('no bytes break a session: at most one answer each, to who asked', async () => {
    const frame = fc.record({
      code: fc.oneof(fc.constantFrom(...Object.values(opcode)), fc.integer({ min: 0, max: 60 })),
      body: fc.uint8Array({ maxLength: 160 }),
      unique: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      node: fc.integer({ min: 0, max: 3 }),
    });
    const property = fc.asyncProperty(fc.array(frame, { maxLength: 20 }), async (frames) => {
      const kernel = new Kernel();
      for (const { code, body, ...at } of frames) {
        kernel.answers.length = 0;
        kernel.session.receive(request(code, body, at));
        for (let turn = 0; turn < 10; turn++) await Promise.resolve();
        assert.ok(kernel.answers.length <= 1);
        for (const { unique } of kernel.answers) assert.equal(unique, at.unique);
      }
      assert.deepEqual(kernel.errors, []);
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
