import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../base/limits.ts';
import type { Clock } from '../base/ports.ts';
import { type LeaseDocument, Leases } from './leases.ts';

const hourMs = 3600 * 1000;
const dayMs = 24 * hourMs;

function setUp() {
  const at = { wallMs: Date.UTC(2026, 0, 1), monotonicMs: 5, isRefusing: false };
  const clock: Clock = {
    wallMs: () => at.wallMs,
    monotonicMs: () => at.monotonicMs,
    after: () => ({ cancel: () => undefined }),
  };
  const lease: LeaseDocument = {
    leaseId: 'l1',
    volumeId: 'v1',
    volume: 'db',
    holder: 'west/db',
    root: '00',
    sizeBytes: 4096,
    blockBytes: 4096,
    allocatedBlocks: 1,
    expiresMs: at.wallMs + limits.leaseMs,
  };
  let saved: readonly LeaseDocument[] = [];
  const open = (): Leases => {
    const leases: Leases = new Leases(clock, () => {
      if (at.isRefusing) throw new Error('EIO');
      saved = leases.list();
    });
    leases.load(saved);
    return leases;
  };
  return { at, lease, open };
}

test('a lease ends when its time has passed', () => {
  const { at, lease, open } = setUp();
  const leases = open();
  leases.grant(lease);
  at.monotonicMs += limits.leaseMs - 1;
  assert.equal(leases.list().length, 1);
  at.monotonicMs += 1;
  assert.equal(leases.list().length, 0);
  assert.throws(() => leases.renew('l1', hourMs), /has ended/);
});

test('a wall clock that jumps ends no lease, and prolongs none', () => {
  const { at, lease, open } = setUp();
  const leases = open();
  leases.grant(lease);
  at.wallMs += 400 * dayMs;
  assert.equal(leases.of('v1').length, 1);
  at.wallMs -= 900 * dayMs;
  at.monotonicMs += limits.leaseMs;
  assert.equal(leases.of('v1').length, 0);
});

test('after a start, however late, there is time to renew', () => {
  const { at, lease, open } = setUp();
  open().grant(lease);
  at.wallMs += 30 * dayMs;
  const leases = open();
  assert.equal(leases.list().length, 1);
  leases.renew('l1', limits.leaseMs);
  at.monotonicMs += 2 * hourMs;
  assert.equal(leases.list().length, 1);
});

test('a lease that nobody renews after a start ends', () => {
  const { at, lease, open } = setUp();
  open().grant(lease);
  at.wallMs += 30 * dayMs;
  const leases = open();
  at.monotonicMs += hourMs;
  assert.equal(leases.list().length, 0);
});

test('a clock that was set back while the agent was down makes no lease longer', () => {
  const { at, lease, open } = setUp();
  open().grant(lease);
  at.wallMs -= 300 * dayMs;
  const leases = open();
  at.monotonicMs += limits.leaseMs;
  assert.equal(leases.list().length, 0);
});

test('what was given back before it was granted is not granted any more', () => {
  const { lease, open } = setUp();
  const leases = open();
  leases.release('l1');
  assert.throws(() => leases.grant(lease), /gave lease l1 back/);
  assert.equal(leases.list().length, 0);
  leases.grant({ ...lease, leaseId: 'l2' });
  leases.release('l2');
  assert.throws(() => leases.grant({ ...lease, leaseId: 'l2' }), /gave lease l2 back/);
});

test('only so many that were given back are remembered, the latest ones', () => {
  const { lease, open } = setUp();
  const leases = open();
  for (let i = 0; i < 5000; i += 1) leases.release(`r${i}`);
  assert.throws(() => leases.grant({ ...lease, leaseId: 'r1000' }), /gave lease r1000 back/);
  leases.grant({ ...lease, leaseId: 'r0' });
  assert.equal(leases.list().length, 1);
});

test('what was given back while the disk refused to keep that is kept with the next', () => {
  const { at, lease, open } = setUp();
  const leases = open();
  leases.grant(lease);
  at.isRefusing = true;
  assert.throws(() => leases.release(lease.leaseId), /EIO/);
  at.isRefusing = false;
  leases.release(lease.leaseId);
  assert.deepEqual(open().list(), []);
});
