import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VolumeOrigin } from '../volume/api.ts';
import { nameHex } from '../volume/name.ts';
import { createTestPool } from '../volume/testing.ts';
import { joined, within } from './fixture.ts';
import { TeleportRun } from './teleport-run.ts';

const MiB = 1024 * 1024;
const blockBytes = 65_536;

test('a slow teleport ends when readers have fetched all of it', async () => {
  const east = await createTestPool();
  const data = east.random.bytes(8 * MiB);
  const made = await east.pool.createVolume({ name: 'db', sizeBytes: 64 * MiB });
  await made.write(data, 0);
  const { net, peer } = await joined({ store: east.pool as never });
  const call = <T>(promise: Promise<T>) => within(net.clock, 60_000, promise);
  peer.limitIncoming(65_536);
  const request = { volume: 'db', holder: 'west/db', lifeMs: 3600_000 };
  const { leaseId, version } = await call(peer.grantLease(request));
  const { sizeBytes, allocatedBlocks } = version;
  const shape = { root: nameHex(version.root), sizeBytes, blockBytes, allocatedBlocks };
  const from = { cluster: 'east', volume: 'db', leaseId, thin: false, teleport: 'db-1' };
  const origin: VolumeOrigin = { ...from, ...shape };
  const west = await createTestPool({ onDemand: (_volume, arrived) => run.noteDemand(arrived) });
  const isComplete = Promise.withResolvers<void>();
  const run = new TeleportRun({
    clock: net.clock,
    origin,
    peer,
    pool: () => west.pool,
    onLink: () => undefined,
    onProgress: () => undefined,
    onTrouble: (_run, problem) => isComplete.reject(problem),
    onComplete: async () => isComplete.resolve(),
  });
  await call(west.pool.createFromVersion({ name: 'db', version, origin, source: run.source }));
  run.fill([]);
  await net.clock.advance(1000);
  const found = new Uint8Array(data.length);
  await call(Promise.resolve(west.pool.volume('db').read(found, 0)));
  assert.ok(Buffer.from(found).equals(data));
  // Two minutes at its rate.
  await within(net.clock, 10_000, isComplete.promise);
  assert.equal(run.progress().missingBytes, 0);
  run.stop();
  peer.close();
});
