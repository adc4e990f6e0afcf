import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameKey, type ObjectName } from './names.ts';
import { orderForApply, orderForDelete, type Orderable } from './order.ts';

const named = (kind: string, name: string, group = ''): ObjectName => ({
  group,
  kind,
  namespace: 'shop',
  name,
});

const object = (name: ObjectName, ...to: readonly ObjectName[]): Orderable => ({
  name,
  references: to.map((one) => ({ to: one, field: 'spec', optional: false })),
});

test('kinds decide where nothing is named, and webhooks come last', () => {
  const all = [
    object(named('ValidatingWebhookConfiguration', 'w', 'admissionregistration.k8s.io')),
    object(named('Deployment', 'd', 'apps')),
    object(named('Widget', 'x', 'acme.example.com')),
    object(named('Secret', 's')),
    object(named('CustomResourceDefinition', 'c', 'apiextensions.k8s.io')),
    object(named('Namespace', 'n')),
  ];
  const kinds = orderForApply(all).order.map(({ name }) => name.kind);
  const expected = ['Namespace', 'CustomResourceDefinition', 'Secret', 'Widget', 'Deployment'];
  assert.deepEqual(kinds, [...expected, 'ValidatingWebhookConfiguration']);
  assert.deepEqual(
    orderForDelete(all).map(({ name }) => name.kind),
    kinds.toReversed(),
  );
});

test('objects that name each other are made all the same, and told', () => {
  const [a, b] = [named('Widget', 'a', 'x.example.com'), named('Widget', 'b', 'x.example.com')];
  const { order, cycles } = orderForApply([object(a, b), object(b, a)]);
  assert.equal(order.length, 2);
  assert.deepEqual(cycles, [{ from: b, to: a }]);
});

test('without cycles everything comes after what it names, whatever the order it came in', () => {
  const kinds = ['Secret', 'ConfigMap', 'Service', 'Pod', 'Widget'];
  const edges = fc.array(fc.tuple(fc.nat(29), fc.nat(29)), { maxLength: 60 });
  fc.assert(
    fc.property(edges, fc.nat(1000), (pairs, seed) => {
      const names = Array.from({ length: 30 }, (_, i) =>
        named(kinds[(i * 7 + seed) % kinds.length] ?? '', `o${i}`),
      );
      const all = names.map((name, i) =>
        object(name, ...pairs.filter(([a, b]) => a === i && b < i).map(([, b]) => names[b]!)),
      );
      const { order, cycles } = orderForApply(all);
      assert.deepEqual(cycles, []);
      const at = new Map(order.map(({ name }, i) => [nameKey(name), i]));
      for (const { name, references } of all) {
        for (const { to } of references) {
          assert(at.get(nameKey(to))! < at.get(nameKey(name))!);
        }
      }
      assert.deepEqual(orderForApply(all.toReversed()).order, order);
    }),
    { numRuns: 50 },
  );
});
