import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Link } from '../../src/peer/link.ts';
import { createRng } from './rng.ts';
import { Scheduler } from './scheduler.ts';
import { SimNetwork } from './sim-network.ts';

const here = { address: 'east:1', fingerprint: 'e' };
const there = { address: 'west:1', fingerprint: 'w' };

function network(seed: number) {
  const rng = createRng(seed);
  const scheduler = new Scheduler({ rng: rng.fork('scheduler') });
  const options = { delayMs: 10, jitterMs: 50, bufferBytes: 1000, connectTimeoutMs: 5000 };
  return { scheduler, net: new SimNetwork(scheduler, rng.fork('network'), options) };
}

/** Records what a link says. */
function listenTo(link: Link) {
  const heard = { bytes: [] as number[], closed: [] as (string | undefined)[], drained: 0 };
  link.start({
    onBytes: (bytes) => void heard.bytes.push(...bytes),
    onDrain: () => void (heard.drained += 1),
    onClose: (error) => void heard.closed.push(error?.reason),
  });
  return heard;
}

async function connected(seed: number) {
  const { scheduler, net } = network(seed);
  const accepted: Link[] = [];
  net.listen(there.address, there.fingerprint, (link) => void accepted.push(link));
  const first = await scheduler.drive(net.dialer(here).connect(there));
  return { scheduler, net, first, second: accepted[0]! };
}

test('bytes arrive in order whatever the delays, also those sent before the start', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const { scheduler, first, second } = await connected(seed);
    listenTo(first);
    const sent = Array.from({ length: 200 }, (_, at) => at);
    for (const at of sent) first.send([Uint8Array.of(at), new Uint8Array(0)]);
    await scheduler.idle(seed * 10);
    const heard = listenTo(second);
    first.close();
    await scheduler.idle(1000);
    assert.deepEqual(heard.bytes, sent);
    assert.deepEqual(heard.closed, [undefined]);
    assert.equal(second.remote.fingerprint, here.fingerprint);
  }
});

test('a full link says wait, and later that there is room', async () => {
  const { scheduler, first, second } = await connected(1);
  const heard = listenTo(first);
  listenTo(second);
  assert.equal(first.send([new Uint8Array(900)]), true);
  assert.equal(first.send([new Uint8Array(900)]), false);
  await scheduler.idle(500);
  assert.equal(heard.drained, 1);
});

test('a cut is noticed by both ends once; silence by nobody', async () => {
  const { scheduler, net, first, second } = await connected(2);
  const heard = [listenTo(first), listenTo(second)];
  net.state = 'silent';
  first.send([new Uint8Array(10)]);
  await scheduler.idle(10_000);
  assert.deepEqual(
    heard.map(({ bytes, closed }) => bytes.length + closed.length),
    [0, 0],
  );
  net.state = 'up';
  net.cut();
  net.cut();
  await scheduler.idle(1000);
  assert.deepEqual(
    heard.map(({ closed }) => closed),
    [['SourceUnreachable'], ['SourceUnreachable']],
  );
});

test('nobody there, somebody else there, and a silent network are different errors', async () => {
  const { scheduler, net } = network(3);
  const dialer = net.dialer(here);
  const unreachable = { reason: 'SourceUnreachable' };
  await assert.rejects(scheduler.drive(dialer.connect(there)), unreachable);
  net.listen(there.address, 'x', () => {});
  await assert.rejects(scheduler.drive(dialer.connect(there)), { reason: 'NotTrusted' });
  net.state = 'silent';
  const before = scheduler.nowMs;
  await assert.rejects(scheduler.drive(dialer.connect(there)), unreachable);
  assert.ok(scheduler.nowMs - before >= 5000);
});
