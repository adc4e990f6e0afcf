// Who no longer leads must not put an older state of a run in the place of a newer one.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { type Migration, migrationKind, migrations } from '../../src/api/kinds/migration.ts';
import type { Context } from '../../src/controllers/context.ts';
import { Saved } from '../../src/controllers/migration/saved.ts';
import { TransshipError } from '../../src/base/errors.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { customResourceDefinitions, namespaces } from '../../src/kube/resources.ts';
import { startServer } from '../workload/shop.ts';

const library = createSchemaLibrary();
const key = { namespace: 'moves', name: 'go' };
const running = (name: string) => [{ name, state: 'Running' as const }];

interface Begun {
  readonly client: KubeClient;
  readonly context: Context;
  readonly made: Migration;
  /** Reasons of events. */
  readonly events: readonly string[];
}

async function begin(): Promise<Begun> {
  const client = startServer(library, 'hub');
  const { metadata, spec } = crdOf(migrationKind);
  await client.create(customResourceDefinitions, { metadata, spec } as never);
  await client.create(namespaces, { metadata: { name: 'moves' } });
  const made = await client.create(migrations, {
    metadata: key,
    spec: { plan: 'shop', type: 'Stage' },
  } as never);
  const { clock } = client.connection;
  const events: string[] = [];
  const ports = {
    clock,
    events: { record: ({ reason }: { reason: string }) => void events.push(reason) },
    metrics: { add: () => undefined, observe: () => undefined, set: () => undefined },
  };
  return { client, context: { client, ports } as unknown as Context, made, events };
}

suite('the state of a migration', () => {
  test('is not written over a newer one', async () => {
    const { client, context, made } = await begin();
    const [leader, stale] = [new Saved(context, made), new Saved(context, made)];
    await leader.write({ itinerary: running('copyAhead') });
    const late = stale.write({ itinerary: running('checkPlan') });
    await assert.rejects(late, { reason: 'Conflict', message: /driven on elsewhere/ });
    const now = await client.get(migrations, key);
    assert.equal(now?.status?.itinerary?.[0]?.name, 'copyAhead');
  });

  test('is written although a person changed the spec meanwhile', async () => {
    const { client, context, made } = await begin();
    const saved = new Saved(context, made);
    await client.patch(migrations, key, { spec: { paused: true } });
    await saved.write({ itinerary: running('checkPlan') });
    assert.equal(saved.object.spec.paused, true);
    assert.equal(saved.object.status?.itinerary?.[0]?.name, 'checkPlan');
  });

  test('is not written to another migration of that name', async () => {
    const { client, context, made } = await begin();
    const saved = new Saved(context, made);
    await client.delete(migrations, key);
    await client.create(migrations, {
      metadata: key,
      spec: { plan: 'shop', type: 'Stage' },
    } as never);
    await assert.rejects(saved.write({ itinerary: running('checkPlan') }), { reason: 'Conflict' });
    assert.deepEqual((await client.get(migrations, key))?.status?.itinerary ?? [], []);
  });

  test('is told when a step changes, and only then', async () => {
    const { context, made, events } = await begin();
    const saved = new Saved(context, made);
    await saved.write({ itinerary: running('copyAhead') });
    await saved.write({ itinerary: running('copyAhead') });
    await saved.write({ retried: 1 });
    assert.deepEqual(events, ['StepStarted']);
  });

  test('is not written again when nothing of it changed', async () => {
    const { client, context, made } = await begin();
    const saved = new Saved(context, made);
    await saved.write({ retried: 1 });
    const before = client.counts.get('patch');
    await saved.write({ retried: 1 });
    assert.equal(client.counts.get('patch'), before);
  });

  test('is given up when somebody is quicker each time', async () => {
    const { client, context, made } = await begin();
    let tries = 0;
    const busy = Object.assign(Object.create(client) as KubeClient, {
      patchStatus: async () => {
        // For ever would be a test that hangs.
        if (++tries > 50) throw new Error('tried for ever');
        throw new TransshipError('Conflict', 'the object was changed');
      },
      get: (...asked: Parameters<KubeClient['get']>) => client.get(...asked),
    });
    const saved = new Saved({ ...context, client: busy } as Context, made);
    await assert.rejects(saved.write({ retried: 1 }), { reason: 'Conflict' });
    assert.equal(tries, 6);
  });

  test('a report replaces conditions and numbers of the one before', async () => {
    const { client, context, made } = await begin();
    const saved = new Saved(context, made);
    const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'm' } as const;
    const staged = { type: 'Staged', status: 'False', reason: 'NotYet', message: 'm' } as const;
    await saved.report({ conditions: [ready, staged], fields: { step: 'copyAhead', percent: 3 } });
    const first = (await client.get(migrations, key))?.status;
    assert.deepEqual(
      first?.conditions?.map((one) => one.observedGeneration),
      [1, 1],
    );
    assert.equal(first?.observedGeneration, 1);
    await saved.say({ ...ready, status: 'False', reason: 'InUse' });
    await saved.report({ conditions: [ready], fields: { percent: 5 } });
    const last = (await client.get(migrations, key))?.status;
    assert.deepEqual([last?.step, last?.percent], [undefined, 5]);
    assert.deepEqual(
      last?.conditions?.map(({ type }) => type),
      ['Ready'],
    );
  });

  test('one condition is said beside the others', async () => {
    const { context, made } = await begin();
    const saved = new Saved(context, made);
    const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'm' } as const;
    const staged = { type: 'Staged', status: 'False', reason: 'NotYet', message: 'm' } as const;
    await saved.report({ conditions: [ready, staged], fields: {} });
    await saved.say({ ...ready, status: 'False', reason: 'InUse' });
    const told = saved.object.status?.conditions ?? [];
    assert.deepEqual(
      told.map(({ type, reason, observedGeneration }) => [type, reason, observedGeneration]),
      [
        ['Ready', 'InUse', 1],
        ['Staged', 'NotYet', 1],
      ],
    );
  });

  test('warnings have an end, each and all of them', async () => {
    const { context, made } = await begin();
    const saved = new Saved(context, made);
    saved.warn('x'.repeat(5000));
    for (let i = 0; i < 300; i++) saved.warn(`warning ${i}`);
    await saved.write({ retried: 1 });
    const { warnings = [] } = saved.object.status ?? {};
    assert.deepEqual([warnings.length, warnings[0]?.length], [100, 1000]);
    const next = new Saved(context, saved.object);
    next.warn('one more');
    await next.write({ retried: 2 });
    assert.equal(next.object.status?.warnings?.[0]?.length, 1000);
  });

  test('keeps each warning once', async () => {
    const { context, made } = await begin();
    const saved = new Saved(context, made);
    saved.warn('Claim shop/tmp is not copied.');
    saved.warn('Claim shop/tmp is not copied.');
    await saved.write({ itinerary: running('copyAhead') });
    assert.deepEqual(saved.object.status?.warnings, ['Claim shop/tmp is not copied.']);
    const next = new Saved(context, saved.object);
    next.warn('Claim shop/tmp is not copied.');
    await next.write({ itinerary: running('copyLast') });
    assert.equal(next.object.status?.warnings?.length, 1);
  });
});
