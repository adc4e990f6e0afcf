import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { mergePatchOf, withConditions, writeStatus } from './status.ts';
import { testClient, TestTime, type Thing, thing, things } from './testing.ts';
import { FakeServer } from './testing-server.ts';

const place = '/apis/test.dev/v1/namespaces/ns/things/a';

suite('a status', () => {
  test('is written when it differs, and only what differs', async () => {
    const server = new FakeServer();
    const object: Thing = server.put(
      place,
      thing('a', { status: { x: 1, gone: 2, deep: { y: [1] } } }),
    );
    const client = testClient(new TestTime(), server.transport);
    assert.equal(await writeStatus(client, things, object, object.status ?? {}), object);
    assert.equal(server.requests.length, 0);
    const changed = await writeStatus(client, things, object, {
      x: 1,
      deep: { y: [1, 2], z: undefined },
    });
    assert.deepEqual(changed.status, { x: 1, deep: { y: [1, 2] } });
    const [request] = server.requests;
    assert.match(request?.path ?? '', /\/things\/a\/status\?/);
    assert.deepEqual(JSON.parse(Buffer.from(request?.body ?? []).toString()), {
      metadata: { uid: object.metadata.uid },
      status: { gone: null, deep: { y: [1, 2] } },
    });
  });

  test('is not disturbed by other writers, but never meant for a successor', async () => {
    const server = new FakeServer();
    const object: Thing = server.put(place, thing('a'));
    server.put(place, { ...object, metadata: { ...object.metadata, labels: { new: 'label' } } });
    const client = testClient(new TestTime(), server.transport);
    const written = await writeStatus(client, things, object, { x: 1 });
    assert.deepEqual([written.status, written.metadata.labels], [{ x: 1 }, { new: 'label' }]);
    server.remove(place);
    server.put(place, thing('a'));
    await assert.rejects(writeStatus(client, things, written, { x: 2 }), { reason: 'Conflict' });
  });

  test('patched gives what was wanted, whatever was there', () => {
    const leaf = fc.oneof(fc.integer(), fc.string(), fc.array(fc.integer()), fc.boolean());
    const { tree } = fc.letrec<{ tree: Readonly<Record<string, unknown>> }>((tie) => ({
      tree: fc.dictionary(
        fc.constantFrom('a', 'b', 'c'),
        fc.oneof({ depthSize: 'small' }, leaf, tie('tree')),
        {
          noNullPrototype: true,
        },
      ),
    }));
    fc.assert(
      fc.property(tree, tree, (before, now) => {
        const patch = mergePatchOf(before, now);
        assert.deepEqual(patch === undefined ? before : apply(before, patch), now);
      }),
    );
  });
});

/** RFC 7386, section 2. */
function apply(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isMapping = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result = new Map(Object.entries(isMapping ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, apply(result.get(name), value));
  }
  return Object.fromEntries(result);
}

test('conditions keep their place, and their time while the status is the same', () => {
  const first = withConditions(
    undefined,
    [
      { type: 'Ready', status: 'False', reason: 'InUse', message: 'a' },
      { type: 'Succeeded', status: 'Unknown', reason: 'InUse', message: '' },
    ],
    1_700_000_000_000,
  );
  assert.equal(first[0]?.lastTransitionTime, '2023-11-14T22:13:20Z');
  const ready = { type: 'Ready', reason: 'PoolFull', message: 'b', observedGeneration: 2 };
  const same = withConditions(first, [{ ...ready, status: 'False' }], 1_800_000_000_000);
  assert.deepEqual(same, [
    { ...ready, status: 'False', lastTransitionTime: '2023-11-14T22:13:20Z' },
    first[1],
  ]);
  const turned = withConditions(same, [{ ...ready, status: 'True' }], 1_800_000_000_000);
  assert.equal(turned[0]?.lastTransitionTime, '2027-01-15T08:00:00Z');
  assert.equal(turned.length, 2);
});
