// Who no longer leads must not put an older state of a run in the place of a newer one.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { type Migration, migrationKind, migrations } from '../../src/api/kinds/migration.ts';
import type { Context } from '../../src/controllers/context.ts';
import { Saved } from '../../src/controllers/migration/saved.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { customResourceDefinitions, namespaces } from '../../src/kube/resources.ts';
import { startServer } from '../workload/shop.ts';

const library = createSchemaLibrary();
const key = { namespace: 'moves', name: 'go' };
const running = (name: string) => [{ name, state: 'Running' as const }];

async function begin(): Promise<{ client: KubeClient; context: Context; made: Migration }> {
  const client = startServer(library, 'hub');
  const { metadata, spec } = crdOf(migrationKind);
  await client.create(customResourceDefinitions, { metadata, spec } as never);
  await client.create(namespaces, { metadata: { name: 'moves' } });
  const made = await client.create(migrations, {
    metadata: key,
    spec: { plan: 'shop', type: 'Stage' },
  } as never);
  const { clock } = client.connection;
  const ports = {
    clock,
    events: { record: () => undefined },
    metrics: { add: () => undefined, observe: () => undefined, set: () => undefined },
  };
  return { client, context: { client, ports } as unknown as Context, made };
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
