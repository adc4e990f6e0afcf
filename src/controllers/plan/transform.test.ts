import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan, PlanSpec } from '../../api/kinds/plan.ts';
import { transformContextOf } from './transform.ts';

const plan = (spec: Partial<PlanSpec>): Plan =>
  ({
    metadata: { namespace: 'default', name: 'move', uid: 'p' },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], ...spec },
  }) as unknown as Plan;

const nowhere = { source: undefined, destination: undefined };

test('a transformation is told all that the plan changes, and nothing else', () => {
  assert.deepEqual(transformContextOf(plan({}), nowhere), {
    id: 'p',
    namespaces: { shop: 'shop' },
    storageClasses: {},
    ingressClasses: {},
    priorityClasses: {},
    hosts: {},
    images: [],
    registries: [],
    claims: {},
    rules: [],
    serviceNames: false,
  });
  const pair = (from: string, to: string) => ({ from, to });
  const labelSelector = { matchLabels: { tier: 'web' } };
  const operation = { op: 'remove', path: '/spec/replicas' };
  const said = plan({
    namespaces: [{ name: 'shop', to: 'store' }, { name: 'bar' }],
    volumes: [
      { namespace: 'shop', claim: 'db', name: 'data', storageClass: 'fast', action: 'Copy' },
      { namespace: 'bar', claim: 'db', accessModes: ['ReadWriteMany'], volumeMode: 'Block' },
    ],
    mappings: {
      storageClasses: [pair('old', 'new')],
      ingressClasses: [pair('nginx', 'haproxy')],
      priorityClasses: [pair('high', 'higher')],
      hosts: [pair('.east', '.west')],
      images: [pair('from.example', 'to.example')],
    },
    patches: [{ kind: 'Deployment', labelSelector, patch: JSON.stringify([operation]) }],
    serviceNames: true,
  } as Partial<PlanSpec>);
  assert.deepEqual(transformContextOf(said, nowhere), {
    id: 'p',
    namespaces: { shop: 'store', bar: 'bar' },
    storageClasses: { old: 'new' },
    ingressClasses: { nginx: 'haproxy' },
    priorityClasses: { high: 'higher' },
    hosts: { '.east': '.west' },
    images: [pair('from.example', 'to.example')],
    registries: [],
    claims: {
      'shop/db': { name: 'data', storageClass: 'fast' },
      'bar/db': { accessModes: ['ReadWriteMany'], volumeMode: 'Block' },
    },
    rules: [{ kind: 'Deployment', labels: labelSelector, patch: [operation] }],
    serviceNames: true,
  });
});

test('a patch that is no list of operations is refused, and named by its place', () => {
  const good = { kind: 'Pod', patch: '[]' };
  for (const patch of ['{', '{}', '[1]']) {
    const bad = plan({ patches: [good, { kind: 'Pod', patch }] });
    const refused = { reason: 'BadArgument', message: /^patch 2 / };
    assert.throws(() => transformContextOf(bad, nowhere), refused);
  }
});
