import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createEventRecorder } from './events.ts';
import type { EventDraft, EventRecorder } from './api.ts';
import type { Event } from './resources.ts';
import {
  jsonResponse,
  type RecordingLog,
  statusObject,
  testClient,
  TestTime,
  thing,
} from './testing.ts';
import { FakeServer } from './testing-server.ts';

interface World {
  readonly time: TestTime;
  readonly server: FakeServer;
  readonly recorder: EventRecorder;
  readonly log: RecordingLog;
  events(): Event[];
}

function startWorld(): World {
  const time = new TestTime();
  const server = new FakeServer();
  const client = testClient(time, server.transport);
  const recorder = createEventRecorder({
    client,
    reporter: 'transship.dev/test',
    instance: 'host-1',
  });
  const log = client.connection.log as RecordingLog;
  const events = (): Event[] => [...server.objects.values()] as Event[];
  return { time, server, recorder, log, events };
}

const draft = (more: Partial<EventDraft> = {}): EventDraft => ({
  regarding: thing('a', { metadata: { namespace: 'ns', name: 'a', uid: 'u1' } }),
  type: 'Warning',
  reason: 'PoolFull',
  action: 'Fill',
  note: 'the pool is full',
  ...more,
});

suite('events', () => {
  test('say what, why, about whom and by whom', async () => {
    const { time, recorder, events } = startWorld();
    recorder.record(draft());
    await time.settle();
    const [event] = events();
    assert.match(event?.metadata.name ?? '', /^a\.[0-9a-f]{16}$/);
    assert.equal(event?.metadata.namespace, 'ns');
    assert.equal(event?.eventTime, '2023-11-14T22:13:20.000000Z');
    assert.deepEqual(event?.regarding, {
      apiVersion: 'test.dev/v1',
      kind: 'Thing',
      namespace: 'ns',
      name: 'a',
      uid: 'u1',
    });
    const { reason, action, type, note, reportingController, reportingInstance } = event ?? {};
    assert.deepEqual(
      [reason, action, type, note, reportingController, reportingInstance],
      ['PoolFull', 'Fill', 'Warning', 'the pool is full', 'transship.dev/test', 'host-1'],
    );
    await recorder.stop();
  });

  test('about what has no namespace are in the default one; long notes are cut', async () => {
    const { time, recorder, events } = startWorld();
    const regarding = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n'.repeat(253) } };
    recorder.record(draft({ regarding, note: '€'.repeat(1000) }));
    await time.settle();
    const [event] = events();
    assert.equal(event?.metadata.namespace, 'default');
    assert.equal(event?.metadata.name?.length, 253);
    assert.ok(Buffer.byteLength(event?.note ?? '') <= 1024);
    assert.match(event?.note ?? '', /^€+…$/);
    await recorder.stop();
  });

  test('that repeat become a series, written now and then, and at the end', async () => {
    const { time, server, recorder, events } = startWorld();
    for (let i = 0; i < 100; i++) {
      recorder.record(draft());
      await time.advance(1000);
    }
    assert.equal(events().length, 1);
    assert.ok(server.requests.length <= 6, `${server.requests.length} requests`);
    await time.finish(recorder.stop());
    assert.equal(events()[0]?.series?.count, 100);
    assert.equal(events()[0]?.series?.lastObservedTime, '2023-11-14T22:14:59.000000Z');
  });

  test('begin anew after a long pause, for another note, and when the server forgot', async () => {
    const { time, server, recorder, events } = startWorld();
    recorder.record(draft());
    recorder.record(draft({ note: 'another' }));
    await time.settle();
    assert.equal(events().length, 2);
    await time.advance(400_000);
    recorder.record(draft());
    await time.settle();
    assert.equal(events().length, 3);
    server.objects.clear();
    recorder.record(draft());
    await time.settle();
    assert.deepEqual(
      events().map(({ series }) => series?.count),
      [2],
    );
    await recorder.stop();
  });

  test('never fail or delay their teller, and are bounded', async () => {
    const { time, server, recorder, log } = startWorld();
    let isOpen = false;
    server.before = async () => {
      while (!isOpen) await new Promise((resolve) => time.clock().after(1000, () => resolve(0)));
      return undefined;
    };
    for (let i = 0; i < 1000; i++) recorder.record(draft({ note: `n${i}` }));
    await time.settle();
    assert.ok(log.lines.some(({ message }) => /events are dropped/.test(message)));
    isOpen = true;
    await time.until(() => server.objects.size > 200);
    await time.settle();
    assert.ok(server.objects.size > 200 && server.objects.size < 300, `${server.objects.size}`);
    await time.finish(recorder.stop());
    recorder.record(draft({ note: 'late' }));
    await time.settle();
  });

  test('that are forbidden are said once to be so', async () => {
    const { time, server, recorder, log } = startWorld();
    server.before = () => jsonResponse(403, statusObject(403, 'Forbidden', { message: 'no' }));
    for (let i = 0; i < 5; i++) recorder.record(draft({ note: `n${i % 2}` }));
    await time.advance(1000);
    const said = log.lines.filter(({ message }) => /not told/.test(message));
    assert.equal(said.length, 1);
    await time.finish(recorder.stop());
  });

  test('do not keep a process that stops', async () => {
    const { time, server, recorder } = startWorld();
    server.before = () => new Promise(() => undefined);
    recorder.record(draft());
    await time.settle();
    await time.finish(recorder.stop(), 6000);
  });
});
