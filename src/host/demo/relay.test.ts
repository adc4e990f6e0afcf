import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { suite, test, type TestContext } from 'node:test';
import { openRelay, type Relay } from './relay.ts';

async function echoServer(t: TestContext): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as net.AddressInfo).port;
}

async function relayTo(t: TestContext, port: number, delayMs: number): Promise<Relay> {
  const relay = await openRelay(port, delayMs);
  t.after(async () => relay.close());
  return relay;
}

async function connected(t: TestContext, port: number): Promise<net.Socket> {
  const socket = net.connect({ host: '127.0.0.1', port });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

suite('the relay', () => {
  test('passes bytes in order, later by its delay', async (t) => {
    const relay = await relayTo(t, await echoServer(t), 30);
    const socket = await connected(t, relay.port);
    const beganMs = performance.now();
    for (let index = 0; index < 100; index++) socket.write(`${index},`);
    let got = '';
    socket.on('data', (bytes: Buffer) => (got += bytes.toString()));
    socket.end();
    await once(socket, 'close');
    assert.equal(got, [...Array(100).keys()].map((index) => `${index},`).join(''));
    assert.ok(performance.now() - beganMs >= 60, 'both directions are late');
  });

  test('ends what runs when it is cut, and takes nothing until it is restored', async (t) => {
    const relay = await relayTo(t, await echoServer(t), 0);
    const before = await connected(t, relay.port);
    relay.cut();
    await once(before, 'close');
    const during = await connected(t, relay.port);
    await once(during, 'close');
    relay.restore();
    const after = await connected(t, relay.port);
    after.write('x');
    const [bytes] = (await once(after, 'data')) as [Buffer];
    assert.equal(bytes.toString(), 'x');
  });
});
