import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { TransshipError } from '../base/errors.ts';
import type { Outcome, WorkQueue } from './api.ts';
import { createWorkQueue, type QueueRetry, type WorkQueueOptions } from './queue.ts';
import { testRandom, TestTime } from './testing.ts';

interface Bench {
  readonly time: TestTime;
  readonly queue: WorkQueue;
  readonly ran: string[];
  /** At work now, and how each ends. */
  readonly open: Map<string, (end: Outcome | Error) => void>;
  readonly retries: QueueRetry[];
}

/** Work that ends when the test says so; at once with `instant`. */
function startQueue(
  options: Partial<WorkQueueOptions> & { readonly instant?: () => Outcome } = {},
): Bench {
  const time = new TestTime();
  const ran: string[] = [];
  const open = new Map<string, (end: Outcome | Error) => void>();
  const retries: QueueRetry[] = [];
  const { instant, ...others } = options;
  const queue = createWorkQueue({
    clock: time.clock(),
    random: testRandom(),
    concurrency: 1,
    run: (key) => {
      ran.push(key);
      if (instant !== undefined) return (async () => instant())();
      assert.ok(!open.has(key), `${key} is worked on twice at once`);
      return new Promise((resolve, reject) => {
        open.set(key, (end) => {
          open.delete(key);
          if (end instanceof Error) reject(end);
          else resolve(end);
        });
      });
    },
    onError: (_key, _error, retry) => void retries.push(retry),
    ...others,
  });
  return { time, queue, ran, open, retries };
}

const failure = new TransshipError('ApiUnreachable', 'down');

suite('a work queue', () => {
  test('takes a key once however often it is added, in the order of coming', async () => {
    const { time, queue, ran, open } = startQueue();
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    assert.equal(queue.size, 3);
    for (const key of ['a', 'b', 'c']) {
      await time.settle();
      assert.deepEqual([...open.keys()], [key]);
      open.get(key)?.({});
    }
    await time.settle();
    assert.deepEqual(ran, ['a', 'b', 'c']);
    assert.equal(queue.size, 0);
    await queue.stop();
  });

  test('works once more on a key that was added while at work, behind the others', async () => {
    const { time, queue, ran, open } = startQueue();
    queue.add('a');
    await time.settle();
    queue.add('b');
    queue.add('a');
    queue.add('a');
    open.get('a')?.({});
    await time.settle();
    open.get('b')?.({});
    await time.settle();
    open.get('a')?.({});
    await time.settle();
    assert.deepEqual(ran, ['a', 'b', 'a']);
    await queue.stop();
  });

  test('works on as many keys as it may', async () => {
    const { time, queue, open } = startQueue({ concurrency: 3 });
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    await time.settle();
    assert.deepEqual([...open.keys()], ['a', 'b', 'c']);
    open.get('b')?.({});
    await time.settle();
    assert.deepEqual([...open.keys()], ['a', 'c', 'd']);
    for (const end of open.values()) end({});
    await queue.stop();
  });

  test('brings a failing key back later and later, up to a limit', async () => {
    const backoff = { minMs: 100, maxMs: 3000 };
    const { time, queue, open, retries } = startQueue({ backoff });
    queue.add('a');
    for (let i = 0; i < 9; i++) {
      await time.until(() => open.has('a'));
      open.get('a')?.(failure);
      await time.settle();
    }
    for (const [i, { failures, againAfterMs }] of retries.entries()) {
      assert.equal(failures, i + 1);
      const plain = Math.min(3000, 100 * 2 ** i);
      assert.ok(againAfterMs >= plain / 2 && againAfterMs <= Math.min(3000, plain * 1.5));
    }
    await time.until(() => open.has('a'));
    open.get('a')?.({});
    await time.settle();
    queue.add('a');
    await time.settle();
    open.get('a')?.(failure);
    await time.settle();
    assert.equal(retries.at(-1)?.failures, 1);
    await queue.stop();
    assert.equal(time.timers, 0);
  });

  test('does not wait with a failing key when something about it changed', async () => {
    const { time, queue, ran, open } = startQueue({ backoff: { minMs: 60_000, maxMs: 60_000 } });
    queue.add('a');
    await time.settle();
    open.get('a')?.(failure);
    await time.settle();
    queue.add('a');
    await time.settle();
    assert.deepEqual(ran, ['a', 'a']);
    open.get('a')?.({});
    await time.advance(200_000);
    assert.deepEqual(ran, ['a', 'a']);
    await queue.stop();
  });

  test('keeps the earliest time that was asked for', async () => {
    const { time, queue, ran } = startQueue({ instant: () => ({}) });
    queue.addAfter('a', 5000);
    queue.addAfter('a', 1000);
    queue.addAfter('a', 3000);
    await time.advance(999);
    assert.deepEqual(ran, []);
    await time.advance(1);
    await time.settle();
    assert.deepEqual(ran, ['a']);
    await time.advance(10_000);
    assert.deepEqual(ran, ['a']);
    await queue.stop();
  });

  test('comes back when the outcome says so; a run before that decides anew', async () => {
    let againAfterMs: number | undefined = 1000;
    const { time, queue, ran } = startQueue({
      instant: () => (againAfterMs === undefined ? {} : { againAfterMs }),
    });
    queue.add('a');
    await time.advance(2500);
    assert.equal(ran.length, 3);
    againAfterMs = undefined;
    queue.add('a');
    await time.advance(5000);
    assert.equal(ran.length, 4);
    await queue.stop();
  });

  test('stops: nothing new begins, what runs may end', async () => {
    const { time, queue, ran, open } = startQueue();
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    await time.settle();
    let isStopped = false;
    const stopped = queue.stop().then(() => {
      isStopped = true;
    });
    await time.advance(1000);
    assert.equal(isStopped, false);
    open.get('a')?.({ againAfterMs: 5 });
    await stopped;
    queue.add('d');
    queue.addAfter('e', 5);
    await time.advance(1000);
    assert.deepEqual(ran, ['a']);
    assert.equal(time.timers, 0);
  });

  test('loses no wish, whatever comes in between', async () => {
    const step = fc.oneof(
      fc.record({ add: fc.nat(4) }, { noNullPrototype: true }),
      fc.record({ end: fc.nat(4), fails: fc.boolean() }, { noNullPrototype: true }),
      fc.record({ ms: fc.nat(2000) }, { noNullPrototype: true }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { time, queue, ran, open } = startQueue({ concurrency: 2 });
        const wished = new Map<string, number>();
        for (const one of steps) {
          if ('add' in one) {
            const key = `k${one.add}`;
            wished.set(key, ran.length);
            queue.add(key);
          } else if ('end' in one) open.get(`k${one.end}`)?.(one.fails ? failure : {});
          else await time.advance(one.ms);
          await time.settle();
        }
        while (open.size > 0) {
          for (const end of open.values()) end({});
          await time.advance(600_000);
        }
        for (const [key, since] of wished) {
          assert.ok(ran.lastIndexOf(key) >= since, `${key} was not worked on after its last wish`);
        }
        await queue.stop();
      }),
      { numRuns: 60 },
    );
  });
});
