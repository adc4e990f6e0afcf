/** The round trip of a relay as an ordinary program sees it: one byte there and back. */
import * as net from 'node:net';
import { startRelay } from '../test/relay/relay.ts';
import { median } from './stats.ts';

const tries = 20;

/** Median in milliseconds. */
export async function measureRoundTrip(roundTripMs: number): Promise<number> {
  const server = net.createServer({ noDelay: true }, (socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => {
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = server.address() as net.AddressInfo;
  const relay = await startRelay({ host: '127.0.0.1', port, delayMs: roundTripMs / 2 });
  const socket = net.connect({ host: '127.0.0.1', port: relay.port, noDelay: true });
  const times: number[] = [];
  for (let i = 0; i < tries; i++) {
    const started = performance.now();
    const answered = new Promise((resolve) => {
      socket.once('data', resolve);
    });
    socket.write('x');
    await answered;
    times.push(performance.now() - started);
  }
  socket.destroy();
  await relay.close();
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return median(times);
}
