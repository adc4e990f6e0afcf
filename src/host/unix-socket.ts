/** Unix sockets that only their owner may use, and that replace what a dead process left. */
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fail } from '../base/errors.ts';

/** `sun_path` of Linux without its closing NUL. */
const pathBytesMax = 107;

/**
 * Listens at `socketPath` with mode 0600; makes its directory (0700) when absent. `InUse` when
 * a living process listens there, `AlreadyExists` when something else than a socket is there.
 */
export async function listenPrivately(server: net.Server, socketPath: string): Promise<void> {
  if (Buffer.byteLength(socketPath) > pathBytesMax) {
    fail('BadArgument', `socket path ${socketPath} is longer than ${pathBytesMax} bytes`);
  }
  fs.mkdirSync(path.dirname(socketPath), { recursive: true, mode: 0o700 });
  await removeStale(socketPath);
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => {
      server.off('error', reject);
      resolve();
    });
  });
  // The socket is made inside `listen`, so nobody can connect before its mode is right.
  const umask = process.umask(0o177);
  try {
    server.listen({ path: socketPath });
  } finally {
    process.umask(umask);
  }
  try {
    await listening;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EADDRINUSE') fail('InUse', `another process listens at ${socketPath}`, error);
    fail('BadArgument', `cannot listen at ${socketPath}: ${(error as Error).message}`, error);
  }
}

async function removeStale(socketPath: string): Promise<void> {
  const stat = fs.lstatSync(socketPath, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) fail('AlreadyExists', `${socketPath} exists and is not a socket`);
  if (await answers(socketPath)) fail('InUse', `another process listens at ${socketPath}`);
  fs.rmSync(socketPath, { force: true });
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path: socketPath });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      // Anything but a clear refusal may be a living process: a full backlog gives EAGAIN.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
