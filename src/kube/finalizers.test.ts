import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { KubeClient } from './api.ts';
import { ensureFinalizer, removeFinalizer } from './finalizers.ts';
import {
  jsonResponse,
  statusObject,
  testClient,
  TestTime,
  type Thing,
  thing,
  things,
} from './testing.ts';
import { FakeServer } from './testing-server.ts';

const place = '/apis/test.dev/v1/namespaces/ns/things/a';
const ours = 'transship.dev/data';

interface World {
  readonly server: FakeServer;
  readonly client: KubeClient;
  readonly object: Thing;
  finalizers(): readonly string[] | undefined;
}

function startWorld(finalizers: readonly string[], more: object = {}): World {
  const server = new FakeServer();
  const metadata = { namespace: 'ns', name: 'a', finalizers, ...more };
  const object = server.put(place, thing('a', { metadata }));
  return {
    server,
    client: testClient(new TestTime(), server.transport),
    object,
    finalizers: () => server.objects.get(place)?.metadata.finalizers,
  };
}

/** Somebody else's finalizer, written just before the next patch arrives. */
function interfere({ server, object }: World, finalizers: readonly string[], times: number): void {
  let left = times;
  server.before = (request) => {
    if (request.method === 'PATCH' && left-- > 0) {
      server.put(place, { ...object, metadata: { ...object.metadata, finalizers } });
    }
    return undefined;
  };
}

suite('a finalizer', () => {
  test('is added once, beside others, also to what is known by an old version', async () => {
    const world = startWorld(['other']);
    const changed = await ensureFinalizer(world.client, things, world.object, ours);
    assert.deepEqual(changed.metadata.finalizers, ['other', ours]);
    assert.equal(await ensureFinalizer(world.client, things, changed, ours), changed);
    assert.equal(world.server.requests.length, 1);
    await ensureFinalizer(world.client, things, world.object, ours);
    assert.deepEqual(world.finalizers(), ['other', ours]);
  });

  test('never undoes what somebody else wrote meanwhile', async () => {
    const world = startWorld([]);
    interfere(world, ['theirs'], 1);
    await ensureFinalizer(world.client, things, world.object, ours);
    assert.deepEqual(world.finalizers(), ['theirs', ours]);
    const held = startWorld(['theirs', ours]);
    interfere(held, ['theirs', ours, 'third'], 2);
    await removeFinalizer(held.client, things, held.object, ours);
    assert.deepEqual(held.finalizers(), ['theirs', 'third']);
  });

  test('gives up when others write without end', async () => {
    const world = startWorld([]);
    interfere(world, ['theirs'], Number.MAX_SAFE_INTEGER);
    const adding = ensureFinalizer(world.client, things, world.object, ours);
    await assert.rejects(adding, { reason: 'Conflict' });
    assert.equal(world.server.requests.filter(({ method }) => method === 'PATCH').length, 6);
  });

  test('comes to nothing that is being deleted', async () => {
    const world = startWorld([], { deletionTimestamp: '2026-01-01T00:00:00Z' });
    const adding = ensureFinalizer(world.client, things, world.object, ours);
    await assert.rejects(adding, { reason: 'Conflict', message: /is being deleted/ });
    assert.equal(world.server.requests.length, 0);
  });

  test('of an object that is gone, or was replaced, is no concern', async () => {
    const gone = startWorld([ours]);
    gone.server.remove(place);
    assert.equal(await removeFinalizer(gone.client, things, gone.object, ours), undefined);
    const replaced = startWorld([ours]);
    replaced.server.remove(place);
    replaced.server.put(
      place,
      thing('a', { metadata: { namespace: 'ns', name: 'a', finalizers: [ours] } }),
    );
    assert.equal(await removeFinalizer(replaced.client, things, replaced.object, ours), undefined);
    assert.deepEqual(replaced.finalizers(), [ours]);
    const adding = ensureFinalizer(gone.client, things, gone.object, 'another');
    await assert.rejects(adding, { reason: 'NotFound' });
  });

  test("other trouble is the caller's to know", async () => {
    const world = startWorld([]);
    world.server.before = () => jsonResponse(403, statusObject(403, 'Forbidden'));
    const adding = ensureFinalizer(world.client, things, world.object, ours);
    await assert.rejects(adding, { reason: 'Forbidden' });
  });
});
