// The mount of ours that kept devices are files of, as devices of this machine.
import { connectNbd } from '../../../src/host/nbd-client.ts';
import { startFuseMount } from '../../../src/host/fuse-mount.ts';
import { startMemoryNbd, silent } from '../nbd/memory.ts';
import { attachSuite } from '../suite-attach.ts';

attachSuite(
  () => startMemoryNbd({ sizeBytes: 320 * 1024 * 1024 }),
  async ({ socketPath, exportName }, directory) => {
    const device = await connectNbd({ exportName, socketPath });
    await startFuseMount({ directory, device, log: silent.log });
    return process.pid;
  },
);
