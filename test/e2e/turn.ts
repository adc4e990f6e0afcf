/** Machines of a run have addresses and names of their own, which another run's would have, too. */
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Of no file: the kernel lets it go with the process, however that ends. */
const name = '\0transship-e2e';
const pollMs = 1_000;
const patienceMs = 15 * 60_000;

/** Resolves when no other run is on this machine; what it gives ends the turn. */
export async function takeTurn(onWait: () => void): Promise<() => void> {
  const deadline = performance.now() + patienceMs;
  for (let isFirst = true; ; isFirst = false) {
    const end = await take();
    if (end !== undefined) return end;
    if (isFirst) onWait();
    if (performance.now() > deadline) throw new Error('another run of e2e does not end');
    await sleep(pollMs);
  }
}

function take(): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(name, () => {
      server.unref();
      resolve(() => server.close());
    });
  });
}
