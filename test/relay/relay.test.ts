import assert from 'node:assert/strict';
import * as net from 'node:net';
import { after, test } from 'node:test';
import { type Relay, startRelay } from './relay.ts';

const cleanups: (() => unknown)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function echoServer(): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  cleanups.push(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

async function relayTo(port: number, more: { delayMs: number; bytesPerSecond?: number }) {
  const relay = await startRelay({ host: '127.0.0.1', port, ...more });
  cleanups.push(() => relay.close());
  return relay;
}

async function send(relay: Relay, payload: Buffer): Promise<{ ms: number; got: Buffer }> {
  const socket = net.connect({ host: '127.0.0.1', port: relay.port, noDelay: true });
  await new Promise((resolve) => {
    socket.once('connect', resolve);
  });
  const started = performance.now();
  const parts: Buffer[] = [];
  let bytes = 0;
  const got = new Promise<Buffer>((resolve, reject) => {
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes >= payload.length) resolve(Buffer.concat(parts));
    });
    socket.once('close', () => reject(new Error('closed')));
  });
  socket.write(payload);
  try {
    return { got: await got, ms: performance.now() - started };
  } finally {
    socket.destroy();
  }
}

test('a round trip takes the delay twice, and nothing is changed', async () => {
  const relay = await relayTo(await echoServer(), { delayMs: 20 });
  const payload = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
  const { ms, got } = await send(relay, payload);
  assert.ok(got.equals(payload));
  assert.ok(ms >= 39, `${ms} ms`);
  assert.equal(relay.bytes(), 600_000);
});

test('the rate is a limit', async () => {
  const relay = await relayTo(await echoServer(), { delayMs: 1, bytesPerSecond: 1_000_000 });
  const { ms } = await send(relay, Buffer.alloc(300_000));
  assert.ok(ms >= 200, `${ms} ms`);
});

test('a cut link ends and comes back', async () => {
  const relay = await relayTo(await echoServer(), { delayMs: 1 });
  relay.cut();
  await assert.rejects(send(relay, Buffer.alloc(10)));
  relay.restore();
  assert.equal((await send(relay, Buffer.alloc(10))).got.length, 10);
});
