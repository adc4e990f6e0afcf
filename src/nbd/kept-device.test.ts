import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import { type KeptConnection, KeptDevice } from './kept-device.ts';
import { MemoryDevice } from './memory-device.ts';

/** Time that passes only when somebody waits. */
function idleClock(): Clock {
  let nowMs = 0;
  return {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: (ms, run) => {
      nowMs += ms;
      void turns().then(run);
      return { cancel: () => undefined };
    },
  };
}

/** Long enough for everything that waits for nothing but others' promises. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

/** A server over one memory device: its connections break when told, its requests may hang. */
class Server {
  readonly device = new MemoryDevice({ sizeBytes: 1024 * 1024 });
  isUp = true;
  /** So often it answers that nobody leads the volume there yet. */
  refusals = 0;
  /** Writes carried out but not answered, as when the process dies before the reply. */
  holdsAnswers = false;
  /** The disk below is broken. */
  fails = false;
  connects = 0;
  /** Connections that said goodbye. */
  goodbyes = 0;
  /** New connections hear of it. */
  sizeBytes = this.device.sizeBytes;
  #open: { break: () => void; answer: () => void }[] = [];

  async connect(): Promise<KeptConnection> {
    if (!this.isUp) throw new TransshipError('SourceUnreachable', 'nobody answers');
    if (this.refusals-- > 0) throw new TransshipError('NotFound', 'no such export');
    this.connects++;
    const { device } = this;
    const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
    const connection = { isBroken: false };
    const answered = async <T>(value: T | Promise<T>): Promise<T> => {
      const result = await value;
      if (this.fails) throw new TransshipError('DataCorrupt', 'a chunk fails its check');
      if (!this.holdsAnswers) return result;
      return new Promise((resolve, reject) => {
        waiting.push({ resolve: () => resolve(result), reject });
      });
    };
    this.#open.push({
      break: () => {
        connection.isBroken = true;
        const error = new TransshipError('SourceUnreachable', 'broken');
        for (const { reject } of waiting) reject(error);
      },
      answer: () => {
        for (const { resolve } of waiting.splice(0)) resolve();
      },
    });
    return Object.assign(connection, {
      sizeBytes: Math.min(this.sizeBytes, device.sizeBytes),
      blockSizeBytes: device.blockSizeBytes,
      readOnly: false,
      read: (into: Uint8Array, at: number) => answered(device.read(into, at)),
      write: (from: Uint8Array, at: number) => answered(device.write(from, at)),
      writeZeroes: (at: number, bytes: number) => answered(device.writeZeroes(at, bytes)),
      flush: () => answered(device.flush()),
      prefetch: async () => undefined,
      extents: (at: number, bytes: number) => device.extents(at, bytes),
      cork: () => undefined,
      uncork: () => undefined,
      disconnect: () => {
        this.goodbyes++;
      },
    });
  }

  answer(): void {
    for (const one of this.#open) one.answer();
  }

  kill(): void {
    this.isUp = false;
    for (const one of this.#open.splice(0)) one.break();
  }
}

const open = (server: Server, waitMs = 60_000): Promise<KeptDevice> =>
  KeptDevice.open({ connect: () => server.connect(), clock: idleClock(), waitMs });

suite('a device that outlives its server', () => {
  test('requests without an answer are sent again, with the data of their call', async () => {
    const server = new Server();
    const device = await open(server);
    server.holdsAnswers = true;
    const data = new Uint8Array(4096).fill(7);
    const written = device.write(data, 8192);
    // The caller uses its buffer again before the answer.
    data.fill(9);
    await turns();
    await server.device.write(new Uint8Array(4096), 8192);
    server.kill();
    server.holdsAnswers = false;
    await turns();
    server.isUp = true;
    await written;
    const back = new Uint8Array(4096);
    await device.read(back, 8192);
    assert.deepEqual(back, new Uint8Array(4096).fill(7));
  });

  test('all requests that wait come back over one connection', async () => {
    const server = new Server();
    const device = await open(server);
    server.kill();
    const reads = Array.from({ length: 20 }, () => device.read(new Uint8Array(512), 0));
    server.isUp = true;
    await Promise.all(reads);
    assert.equal(server.connects, 2);
  });

  test('an error of the server is told at once', async () => {
    const server = new Server();
    const device = await open(server);
    server.fails = true;
    await assert.rejects(device.read(new Uint8Array(512), 0), { reason: 'DataCorrupt' });
    assert.equal(server.connects, 1);
  });

  test('a server that stays away fails the request, and the next one waits', async () => {
    const server = new Server();
    const device = await open(server, 1000);
    server.kill();
    await assert.rejects(device.flush(), { reason: 'SourceUnreachable' });
    const later = device.flush();
    server.isUp = true;
    await later;
  });

  test('a server that is back before its export is waited for as well', async () => {
    const server = new Server();
    const device = await open(server);
    server.kill();
    server.refusals = 3;
    server.isUp = true;
    await device.flush();
    assert.equal(server.connects, 2);
  });

  test('another export in its place is refused', async () => {
    const server = new Server();
    const device = await open(server);
    server.kill();
    Object.assign(server, { device: new MemoryDevice({ sizeBytes: 512 * 1024 }), isUp: true });
    await assert.rejects(device.flush(), { reason: 'Conflict' });
  });

  test('asked again, it is as large as the export is now, and never smaller', async () => {
    const server = new Server();
    server.sizeBytes = 512 * 1024;
    const device = await open(server);
    server.sizeBytes = 1024 * 1024;
    assert.equal(device.sizeBytes, 512 * 1024);
    await device.refresh();
    assert.equal(device.sizeBytes, 1024 * 1024);
    await device.write(new Uint8Array(512).fill(3), 1024 * 1024 - 512);
    assert.equal(server.device.bytes.at(-1), 3);
    assert.equal(server.goodbyes, 1);
    server.sizeBytes = 512 * 1024;
    await assert.rejects(device.refresh(), { reason: 'Conflict' });
    assert.equal(device.sizeBytes, 1024 * 1024);
    await device.flush();
  });

  test('what is on its way when it is asked again is answered where it was sent', async () => {
    const server = new Server();
    const device = await open(server);
    server.holdsAnswers = true;
    const written = device.write(new Uint8Array(512).fill(5), 0);
    await turns();
    server.holdsAnswers = false;
    await device.refresh();
    assert.equal(server.goodbyes, 0);
    server.answer();
    await written;
    assert.equal(server.connects, 2);
    assert.equal(server.goodbyes, 1);
  });

  test('what was on its way over a connection that then breaks is sent over the next', async () => {
    const server = new Server();
    const device = await open(server);
    server.holdsAnswers = true;
    const written = device.write(new Uint8Array(512).fill(5), 0);
    await turns();
    await device.refresh();
    server.kill();
    server.holdsAnswers = false;
    server.isUp = true;
    await written;
    assert.equal(server.connects, 3);
  });

  test('asking while the server is away fails at once; the device waits as before', async () => {
    const server = new Server();
    const device = await open(server);
    server.kill();
    await assert.rejects(device.refresh(), { reason: 'SourceUnreachable' });
    const waiting = device.flush();
    server.isUp = true;
    await waiting;
  });

  test('closing ends what waits', async () => {
    const server = new Server();
    const device = await open(server);
    server.kill();
    const waiting = device.flush();
    device.close();
    await assert.rejects(waiting, { reason: 'Stopping' });
  });
});
