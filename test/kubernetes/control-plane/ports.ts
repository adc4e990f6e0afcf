import { createServer } from 'node:net';

/**
 * Below the ports that kernels give to outgoing connections: a server that is started again must
 * find its port free.
 */
const firstPort = 20_000;
const ports = 12_000;
const attemptsMax = 100;

/** Ports of 127.0.0.1 that nobody listens on now, all different. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found = new Set<number>();
  for (let attempt = 0; found.size < count; attempt++) {
    if (attempt === attemptsMax) throw new Error(`no ${count} free ports in ${attempt} attempts`);
    const port = firstPort + Math.floor(Math.random() * ports);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () =>
      server.close(() => resolve(true)),
    );
  });
}
