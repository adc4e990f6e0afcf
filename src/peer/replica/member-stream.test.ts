import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import type { SectorRecord } from '../../volume/replica-types.ts';
import { createManualClock } from '../manual-clock.ts';
import type { ReplicaPort, WriteBatch } from './api.ts';
import { sector } from './fixture.ts';
import { type Batch, MemberStream } from './member-stream.ts';

interface Sent {
  readonly batch: WriteBatch;
  readonly answer: PromiseWithResolvers<void>;
}

function openStream() {
  const clock = createManualClock();
  const sent: Sent[] = [];
  const write = (_term: unknown, batch: WriteBatch): Promise<void> => {
    const answer = Promise.withResolvers<void>();
    sent.push({ batch, answer });
    return answer.promise;
  };
  const port = { member: { agent: 'west', pool: 'main' }, isLocal: false, write };
  const term = { epoch: 1, term: '0'.repeat(32), leader: 'east' };
  const events = { onProgress: () => undefined, onOut: () => undefined };
  const stream = new MemberStream(port as unknown as ReplicaPort, term, clock, events);
  stream.start(0, 'InStep');
  return { clock, sent, stream };
}

/** Write number n writes sector n. */
function batchOf(first: number, count: number): Batch {
  const records: SectorRecord[] = Array.from({ length: count }, (_, i) => {
    return { firstSector: first + i, sectors: 1, data: sector(first + i) };
  });
  return { first, records, bytes: count * 4096, atMs: 0 };
}

test('each write keeps its number when one before it was refused for want of space', async () => {
  const { clock, sent, stream } = openStream();
  stream.push(batchOf(1, 2));
  stream.push(batchOf(3, 4));
  assert.equal(sent.length, 2);
  sent[0]!.answer.reject(new TransshipError('ReadOnly', 'the pool is full'));
  await clock.advance(1);
  assert.notEqual(stream.full, undefined);
  // What comes now waits beside what was refused, and 3 to 6 are still on their way.
  stream.push(batchOf(7, 2));
  stream.push(batchOf(9, 1));
  await clock.advance(1000);
  assert.ok(sent.length > 2, 'sent again');
  for (const { batch } of sent) {
    const numbers = batch.records.map(({ firstSector }) => firstSector);
    assert.deepEqual(
      numbers,
      batch.records.map((_, i) => batch.first + i),
    );
  }
  for (const { answer } of sent.slice(1)) answer.resolve();
  await clock.advance(1000);
  for (const { answer } of sent) answer.resolve();
  await clock.advance(1);
  assert.equal(stream.applied, 9);
});
