import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { Metrics } from '../base/ports.ts';
import { createInformer } from './informer.ts';
import {
  controllerKey,
  createReconciler,
  type Reconciler,
  type Source,
  watching,
} from './reconciler.ts';
import {
  testConnection,
  type TestConnection,
  TestTime,
  type Thing,
  thing,
  things,
} from './testing.ts';
import { FakeServer } from './testing-server.ts';

const root = '/apis/test.dev/v1/namespaces/ns/things';

class CountingMetrics implements Metrics {
  readonly counts = new Map<string, number>();

  add(name: string, value: number, labels: Readonly<Record<string, string>> = {}): void {
    const series = [name, ...Object.values(labels)].join(' ');
    this.counts.set(series, (this.counts.get(series) ?? 0) + value);
  }

  set(name: string, value: number): void {
    this.counts.set(name, value);
  }

  observe(): void {
    // Times are of no interest here.
  }
}

interface World {
  readonly time: TestTime;
  readonly server: FakeServer;
  readonly connection: TestConnection;
  readonly metrics: CountingMetrics;
  readonly ran: string[];
  readonly reconciler: Reconciler;
  /** How the next runs end. */
  outcome: () => object;
  stop(): Promise<void>;
}

function startWorld(more: readonly Source[] = []): World {
  const time = new TestTime();
  const server = new FakeServer();
  const connection = testConnection(time, server.transport);
  const informer = createInformer({ connection }, things);
  const metrics = new CountingMetrics();
  const ran: string[] = [];
  const reconciler = createReconciler({
    name: 'Thing',
    client: { connection },
    sources: [watching(informer), ...more],
    metrics,
    log: connection.log,
    reconcile: async (key) => {
      ran.push(key);
      return world.outcome();
    },
  });
  const stop = async (): Promise<void> => {
    await reconciler.stop();
    await informer.stop();
  };
  const world: World = {
    time,
    server,
    connection,
    metrics,
    ran,
    reconciler,
    outcome: () => ({}),
    stop,
  };
  return world;
}

const raise = (reason: 'ApiUnreachable' | 'Forbidden' | 'Conflict') => (): never => {
  throw new TransshipError(reason, `it is ${reason}`);
};

suite('a reconciler', () => {
  test('begins when all its sources are listed, with all there is', async () => {
    const late = Promise.withResolvers<void>();
    const { time, server, ran, reconciler, stop } = startWorld([
      { synced: late.promise, subscribe: () => () => undefined },
    ]);
    server.put(`${root}/a`, thing('a'));
    await time.settle();
    server.put(`${root}/b`, thing('b'));
    await time.advance(10_000);
    assert.deepEqual(ran, []);
    late.resolve();
    await time.finish(reconciler.started);
    await time.settle();
    assert.deepEqual(ran, ['ns/a', 'ns/b']);
    server.remove(`${root}/a`);
    await time.settle();
    assert.deepEqual(ran, ['ns/a', 'ns/b', 'ns/a']);
    await stop();
  });

  test('tries again what may pass, says it once per change, and counts', async () => {
    const failing = startFailing('ApiUnreachable');
    await failing.time.until(() => failing.ran.length >= 6);
    const said = failing.connection.log.lines.filter(({ message }) =>
      message.startsWith('reconcile'),
    );
    assert.equal(said.length, 1);
    assert.equal(said[0]?.level, 'warn');
    assert.equal(said[0]?.fields['reason'], 'ApiUnreachable');
    failing.server.put(`${root}/a`, thing('a', { spec: { x: 1 } }));
    await failing.time.settle();
    assert.equal(
      failing.connection.log.lines.filter(({ message }) => message.startsWith('reconcile')).length,
      2,
    );
    failing.outcome = () => ({});
    await failing.time.until(
      () => (failing.metrics.counts.get('transship_reconcile_total Thing ok') ?? 0) === 1,
    );
    const errors = failing.metrics.counts.get('transship_reconcile_total Thing error') ?? 0;
    assert.equal(errors, failing.ran.length - 1);
    assert.equal(failing.metrics.counts.get('transship_reconcile_queue_depth'), 0);
    await failing.stop();
  });

  test('waits for a change after what no retry helps, and looks again after long', async () => {
    const world = startFailing('Forbidden');
    await world.time.until(() => world.ran.length === 1);
    await world.time.advance(500_000);
    assert.equal(world.ran.length, 1);
    world.server.put(`${root}/a`, thing('a', { spec: { x: 1 } }));
    await world.time.settle();
    assert.equal(world.ran.length, 2);
    await world.time.advance(700_000);
    assert.equal(world.ran.length, 3);
    assert.equal(world.metrics.counts.get('transship_reconcile_total Thing terminal'), 3);
    await world.stop();
  });

  test('does not make a noise about conflicts', async () => {
    const world = startFailing('Conflict');
    await world.time.until(() => world.ran.length > 3);
    const levels = world.connection.log.lines.map(({ level }) => level);
    assert.deepEqual(levels, ['debug']);
    await world.stop();
  });

  test('stops without another run', async () => {
    const world = startFailing('ApiUnreachable');
    await world.time.until(() => world.ran.length === 2);
    await world.stop();
    world.server.put(`${root}/b`, thing('b'));
    await world.time.advance(600_000);
    assert.equal(world.ran.length, 2);
    assert.equal(world.time.timers, 0);
  });
});

function startFailing(reason: Parameters<typeof raise>[0]): World {
  const world = startWorld();
  world.server.put(`${root}/a`, thing('a'));
  world.outcome = raise(reason);
  return world;
}

test('keys of owners: the controlling one, of the right kind and group, before and after', () => {
  const owned = (name: string, more: object = {}): Thing =>
    thing('x', {
      metadata: {
        namespace: 'ns',
        name: 'x',
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'Deployment', name, uid: 'u', controller: true, ...more },
        ],
      },
    });
  const keys = controllerKey('Deployment', 'apps');
  const key = { namespace: 'ns', name: 'x' };
  assert.deepEqual(keys({ key, before: owned('a'), now: owned('b') }), ['ns/a', 'ns/b']);
  assert.deepEqual(keys({ key, before: owned('a'), now: undefined }), ['ns/a']);
  assert.deepEqual(keys({ key, before: undefined, now: owned('a', { controller: false }) }), []);
  assert.deepEqual(keys({ key, before: undefined, now: owned('a', { apiVersion: 'x/v1' }) }), []);
  assert.deepEqual(keys({ key, before: undefined, now: thing('x') }), []);
});
