import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { decodeJson, encodeJson } from '../json-fields.ts';
import type { ReplicaStatus, SealedVersion } from './api.ts';
import {
  decodeLimits,
  decodeSealed,
  decodeStatus,
  decodeWrite,
  encodeLimits,
  encodeSealed,
  encodeStatus,
  encodeWrite,
} from './codec.ts';

const member = { agent: 'a', pool: 'main' };
const mark = { epoch: 3, sequence: 2 ** 40 };
const root = 'ab'.repeat(32);
const policy = { secondsMs: 1, minutesMs: 2, hoursMs: 3, daysMs: 4 };
const snapshot = { name: 's', root, sizeBytes: 4096, allocatedBlocks: 1, atMs: 7 };
const configuration = { epoch: 3, version: 9, voters: [member], learners: [] };

const status: ReplicaStatus = {
  member,
  volume: 'db',
  set: 'cd'.repeat(16),
  promised: { epoch: 4_000_000_000, term: '0f'.repeat(16), leader: 'a' },
  configuration,
  phase: 'Filling',
  mark,
  durable: { epoch: 3, sequence: 5 },
  points: 8,
  fallback: { mark, points: 7, root, sizeBytes: 4096, allocatedBlocks: 1, snapshots: [snapshot] },
  sizeBytes: 2 ** 46,
  blockBytes: 65_536,
  root,
  allocatedBlocks: 12,
  policy,
  snapshots: [{ ...snapshot, hasTrace: true }],
  fill: {
    totalBytes: 10,
    missingBytes: 5,
    bytesPerSecond: 1.5,
    wireBytes: 3,
    complete: false,
    fromNothing: true,
    problem: 'slow',
  },
  presentBytes: 77,
  problem: '',
  damage: '',
};

const sealed: SealedVersion = {
  source: member,
  leaseId: 'l',
  mark,
  points: 8,
  root,
  sizeBytes: 2 ** 46,
  blockBytes: 4096,
  allocatedBlocks: 3,
  snapshots: [snapshot],
  policy,
  recentUse: [
    { first: 1, count: 2 },
    { first: 9, count: 1 },
  ],
};

const write = {
  volume: 'db',
  term: { epoch: 4_000_000_000, term: '0f'.repeat(16) },
  batch: {
    first: 2 ** 40,
    joins: true,
    records: [
      { firstSector: 2 ** 33, sectors: 1, data: new Uint8Array(4096).fill(1) },
      { firstSector: 5, sectors: 1000, data: undefined },
      { firstSector: 0, sectors: 2, data: new Uint8Array(8192).fill(2) },
    ],
  },
};

suite('messages of replicas', () => {
  test('say at the other side what was said', () => {
    const there = (value: object) => decodeJson(encodeJson(value));
    assert.deepEqual(decodeStatus(there(encodeStatus(status))), status);
    const whole = { ...status, fallback: undefined, fill: undefined };
    assert.deepEqual(decodeStatus(there(encodeStatus(whole))), whole);
    assert.deepEqual(decodeSealed(there(encodeSealed(sealed))), sealed);
    for (const limits of [
      { bytesPerSecond: undefined, share: 0.25 },
      { bytesPerSecond: 5, share: 1 },
    ]) {
      assert.deepEqual(decodeLimits(there(encodeLimits(limits))), limits);
    }
  });

  test('a batch of writes arrives as it was sent', () => {
    const bytes = new Uint8Array(Buffer.concat(encodeWrite(write)));
    assert.deepEqual(decodeWrite(bytes), write);
  });

  test('a batch that is cut, padded or of no shape is refused, whatever byte is wrong', () => {
    const good = new Uint8Array(Buffer.concat(encodeWrite(write)));
    for (const length of [0, 39, 41, 60, 100, good.length - 1]) {
      assert.throws(() => decodeWrite(good.slice(0, length)), { reason: 'ProtocolError' });
    }
    const padded = new Uint8Array(good.length + 1);
    padded.set(good);
    assert.throws(() => decodeWrite(padded), { reason: 'ProtocolError' });
    // Any byte of the heads: a refusal or another batch, never another error.
    for (let at = 0; at < 90; at++) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const bytes = good.slice();
        bytes[at] = value;
        try {
          decodeWrite(bytes);
        } catch (error) {
          assert.equal((error as { reason?: string }).reason, 'ProtocolError', `byte ${at}`);
        }
      }
    }
  });
});
