// The keeper of devices ends when it has none, but not below one that is being opened.
import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcesses } from '../../../src/host/block-probe.ts';
import { closeKept, openKept } from '../../../src/host/door-keeper.ts';
import { connectNbd, parseNbdUri } from '../../../src/host/nbd-client.ts';
import { createNbdServer } from '../../../src/host/nbd-server.ts';
import { MemoryDevice } from '../../../src/nbd/memory-device.ts';
import { until } from '../cloud.ts';
import { silent } from '../nbd/memory.ts';
import { scratch } from '../tools.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
/** Longer than a keeper without devices waits. */
const slowMs = 4_000;

test('a device that is opened slowly behind the last one is kept', async () => {
  using at = scratch();
  const directory = at.path;
  const device = new MemoryDevice({ sizeBytes: 1024 * 1024 });
  const agent = join(directory, 'agent.sock');
  const exports = { find: () => device, list: () => ['a', 'b'] };
  const server = await createNbdServer({ socketPath: agent, exports, ...silent });
  const slow = createServer((socket) => {
    void sleep(slowMs).then(() => {
      const inner = connect({ path: agent });
      socket.pipe(inner).pipe(socket);
      for (const one of [socket, inner]) one.on('error', () => one.destroy());
    });
  });
  const slowPath = join(directory, 'slow.sock');
  await new Promise<void>((resolve) => slow.listen(slowPath, resolve));
  const place = { directory, mainPath };
  await openKept(place, { name: 'a', socketPath: agent });
  await closeKept(directory, 'a');
  const uri = await openKept(place, { name: 'b', socketPath: slowPath });
  const { socketPath = '' } = parseNbdUri(uri);
  const client = await connectNbd({ exportName: 'b', socketPath });
  const into = new Uint8Array(4096).fill(7);
  await client.read(into, 0);
  assert.deepEqual(into, new Uint8Array(4096));
  client.disconnect();
  await closeKept(directory, 'b');
  await until('the keeper to end', () => {
    const isOurs = (words: readonly string[]) => words.includes(directory);
    return findProcesses((words) => words.includes('door-keeper') && isOurs(words)).length === 0;
  });
  slow.close();
  await server.close();
});
