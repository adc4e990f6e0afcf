import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { nameHex } from '../volume/name.ts';
import { chunkOf, createMemoryStore, isGood, joined, within } from './fixture.ts';

const reasonIs = (reason: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === reason;

function storeOf(count: number, bytes?: number) {
  const chunks = Array.from({ length: count }, (_, i) => chunkOf(i, bytes));
  return { chunks, names: chunks.map(({ name }) => name), store: createMemoryStore(chunks) };
}

test('control calls: volumes, leases, errors with their reasons', async () => {
  const { net, east, peer } = await joined();
  const call = <T>(promise: Promise<T>) => within(net.clock, 1000, promise);
  assert.equal((await call(peer.listVolumes()))[0]?.name, 'data');
  const request = { volume: 'data', holder: 'nobody/data', lifeMs: 1000 };
  const grant = await call(peer.grantLease(request));
  assert.deepEqual(grant.recentUse, [{ first: 5, count: 2 }]);
  assert.equal(nameHex(grant.version.root), '07'.repeat(32));
  // The peer may call itself what it likes; east knows it as west.
  assert.equal(east.store.leases.get(grant.leaseId), 'west/data');
  await call(peer.renewLease(grant.leaseId, 1000));
  await call(peer.releaseLease(grant.leaseId));
  await assert.rejects(call(peer.renewLease(grant.leaseId, 1000)), reasonIs('NotFound'));
  const unknown = peer.grantLease({ ...request, volume: 'none' });
  await assert.rejects(call(unknown), /east: no volume none/);
});

test('pull: order, absent names, have, push, path', async () => {
  const { chunks, names, store } = storeOf(300);
  const { net, east, peer } = await joined({ store });
  const source = peer.sourceFor();
  const call = <T>(promise: Promise<T>) => within(net.clock, 5000, promise);
  const absent = chunkOf(9999).name;
  const asked = [...names.slice(0, 150), absent, ...names.slice(150)];
  for (const lane of ['demand', 'background'] as const) {
    const got = await call(source.pull(asked, lane));
    assert.deepEqual(
      got.map(({ name }) => nameHex(name)),
      names.map(nameHex),
      lane,
    );
    assert.ok(got.every(isGood));
  }
  const flags = await call(peer.have([names[0]!, absent, names[1]!]));
  assert.deepEqual(flags, [true, false, true]);
  const bad = { ...chunkOf(701), checksum: 1 };
  const more = Array.from({ length: 700 }, (_, i) => chunkOf(1000 + i));
  assert.equal(await call(peer.push([...more, bad])), 700);
  assert.equal(east.store.chunks.size, chunks.length + 700);
  const path = { root: names[0]!, sizeBytes: 1 << 20, blockBytes: 4096, skipLevels: 0 };
  const found = await call(source.readPath({ ...path, firstBlock: 0, blockCount: 3 }));
  assert.equal(found.length, 3);
  const outside = source.readPath({ ...path, firstBlock: 255, blockCount: 2 });
  await assert.rejects(call(outside), reasonIs('ProtocolError'));
});

test('a link cut at any byte: everything arrives, nothing twice over', async () => {
  const { names, store } = storeOf(64, 512);
  for (let cutAfterBytes = 2000; cutAfterBytes < 40_000; cutAfterBytes += 2777) {
    const { net, peer } = await joined({ store, links: 2 });
    net.faults = { cutAfterBytes, pieceBytes: 1000 };
    for (const link of net.links) link.cut();
    const got = await within(net.clock, 600_000, peer.sourceFor().pull(names, 'background'));
    assert.deepEqual(
      got.map(({ name }) => nameHex(name)),
      names.map(nameHex),
    );
    assert.ok(got.every(isGood));
    assert.ok(net.links.length > 4);
    peer.close();
  }
});

test('a lost answer to a grant does not make a second lease', async () => {
  const { net, east, peer } = await joined({ links: 1 });
  const granting = peer.grantLease({ volume: 'data', holder: 'west/data', lifeMs: 1000 });
  // The request is on the way; the answer will find no link.
  await net.clock.advance(1);
  assert.equal(east.store.leases.size, 1);
  for (const link of net.links) link.cut();
  assert.equal((await within(net.clock, 10_000, granting)).leaseId, 'lease-1');
  assert.equal(east.store.leases.size, 1);
});

test('demand gives up in time, background waits and comes back, state says so', async () => {
  const { names, store } = storeOf(8);
  const { net, peer } = await joined({ store });
  const states: boolean[] = [];
  peer.onState(({ connected }) => states.push(connected));
  net.isUp = false;
  for (const link of net.links) link.cut();
  await net.clock.advance(10);
  assert.equal(peer.status().connected, false);
  assert.match(peer.status().lastError?.message ?? '', /cut|does not answer/);
  const source = peer.sourceFor();
  const behind = source.pull(names, 'background');
  const now = source.pull(names, 'demand');
  const startMs = net.clock.monotonicMs();
  await assert.rejects(within(net.clock, 60_000, now), reasonIs('SourceUnreachable'));
  const waitedMs = net.clock.monotonicMs() - startMs;
  assert.ok(Math.abs(waitedMs - limits.demandTimeoutMs) < 100, `waited ${waitedMs}`);
  await net.clock.advance(600_000);
  net.isUp = true;
  assert.equal((await within(net.clock, limits.peerBackoffMsMax + 1000, behind)).length, 8);
  assert.deepEqual([states[0], states.at(-1)], [false, true]);
});

test('a pull that is taken back waits for no rate, and nobody waits behind it', async () => {
  const { names, store } = storeOf(64, 65_536);
  const { net, peer } = await joined({ store });
  peer.limitIncoming(65_536);
  const source = peer.sourceFor();
  const ending = new AbortController();
  const all = source.pull(names, 'background', ending.signal);
  const isCanceled = assert.rejects(all, reasonIs('Canceled'));
  await net.clock.advance(1000);
  ending.abort(new TransshipError('Canceled', 'not needed'));
  await within(net.clock, 1000, isCanceled);
  const now = await within(net.clock, 1000, source.pull(names.slice(0, 2), 'demand'));
  assert.equal(now.length, 2);
  // Behind what has come already (16 s), not behind all that was asked for (64 s).
  await within(net.clock, 20_000, source.pull(names.slice(0, 1), 'background'));
});

test('closing a source or a peer ends what waits', async () => {
  const { names, store } = storeOf(8);
  const { net, peer } = await joined({ store });
  net.isUp = false;
  for (const link of net.links) link.cut();
  const first = peer.sourceFor();
  const cancelled = first.pull(names, 'background');
  const stopped = peer.sourceFor().pull(names, 'background');
  const isCanceled = assert.rejects(cancelled, reasonIs('Canceled'));
  const isStopped = assert.rejects(stopped, reasonIs('Stopping'));
  await net.clock.advance(10);
  first.close();
  await isCanceled;
  peer.close();
  await isStopped;
});

test('a silent link is given up; the next one is used', async () => {
  const { names, store } = storeOf(4);
  const { net, peer } = await joined({ store, links: 1 });
  // From now on nothing on this link arrives, and nobody says that it is dead.
  const before = net.links.length;
  for (const link of net.links) for (const end of link.ends) end.send = () => true;
  const got = within(net.clock, limits.peerSilenceMs * 3, peer.sourceFor().pull(names, 'demand'));
  assert.equal((await got).length, 4);
  assert.ok(net.clock.monotonicMs() >= limits.peerSilenceMs && net.links.length > before);
});

test('chunks that are gone with their lease are SourceGone, with a lease only absent', async () => {
  const { names, store } = storeOf(2);
  const { net, east, peer } = await joined({ store });
  const lease = { volume: 'data', holder: 'west/data', lifeMs: 1000 };
  const { leaseId } = await within(net.clock, 1000, peer.grantLease(lease));
  const source = peer.sourceFor({ leaseId });
  const asked = [names[0]!, chunkOf(77).name];
  assert.equal((await within(net.clock, 1000, source.pull(asked, 'demand'))).length, 1);
  east.store.leases.clear();
  await net.clock.advance(60_000);
  const gone = within(net.clock, 1000, source.pull(asked, 'demand'));
  await assert.rejects(gone, reasonIs('SourceGone'));
  await assert.rejects(source.pull(names, 'background'), reasonIs('SourceGone'));
});

test('one side without an address: the other is asked over the links it opened', async () => {
  const { net, east, west } = await joined();
  for (let i = 0; i < 3; i++) west.store.chunks.set(nameHex(chunkOf(i).name), chunkOf(i));
  const back = east.cloud.peer('west');
  const { record } = back;
  east.cloud.close();
  // East starts again and cannot dial: only links from west remain.
  const saved = JSON.stringify({ version: 1, peers: [{ ...record, addresses: [] }] });
  const { crc32 } = await import('node:zlib');
  const sum = crc32(saved).toString(16).padStart(8, '0');
  east.disk.files.set('peers.json', Buffer.from(`${saved}\n${sum}\n`));
  east.restart();
  await net.clock.advance(60_000);
  const source = east.cloud.peer('west').sourceFor();
  const names = [0, 1, 2].map((n) => chunkOf(n).name);
  for (const lane of ['demand', 'background'] as const) {
    assert.equal((await within(net.clock, 5000, source.pull(names, lane))).length, 3);
  }
});

test('check measures and says who is there', async () => {
  const { net, peer } = await joined();
  const found = await within(net.clock, 10_000, peer.check());
  assert.equal(found.agentVersion, '0.1.0');
  assert.equal(found.protocol, 1);
  assert.equal(found.roundTripMs, 2);
  assert.ok(Math.abs(found.clockDifferenceMs) <= 1);
  assert.ok(found.bytesPerSecond > 0 && found.probeBytes > 0);
});
