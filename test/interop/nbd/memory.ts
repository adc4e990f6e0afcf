// Our server over a device in memory: the protocol alone.
import { join } from 'node:path';
import { createNbdServer, type NbdServerOptions } from '../../../src/host/nbd-server.ts';
import { unixNbdUri } from '../../../src/host/nbd-client.ts';
import { MemoryDevice } from '../../../src/nbd/memory-device.ts';
import { type NbdTarget } from '../suite-nbd.ts';
import { scratch } from '../tools.ts';

export const silent = {
  log: { log: () => undefined },
  metrics: { add: () => undefined, set: () => undefined, observe: () => undefined },
};

export async function startMemoryNbd(
  options: Partial<NbdServerOptions> & { readonly sizeBytes?: number } = {},
): Promise<NbdTarget & { readonly device: MemoryDevice; readonly tcpPort: number | undefined }> {
  const directory = scratch();
  const socketPath = join(directory.path, 'nbd.sock');
  const sizeBytes = options.sizeBytes ?? 80 * 1024 * 1024 + 512;
  const device = new MemoryDevice({ sizeBytes });
  const server = await createNbdServer({
    socketPath,
    exports: { find: (name) => (name === 'vol' ? device : undefined), list: () => ['vol'] },
    ...silent,
    ...options,
  });
  return {
    uri: unixNbdUri('vol', socketPath),
    socketPath,
    exportName: 'vol',
    device,
    tcpPort: server.tcpPort,
    async close() {
      await server.close();
      directory[Symbol.dispose]();
    },
  };
}
