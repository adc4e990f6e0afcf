import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster, ClusterSpec } from '../../api/kinds/cluster.ts';
import type { Plan, PlanSpec } from '../../api/kinds/plan.ts';
import { createImageRewriter } from '../../workload/images.ts';
import { imageRulesOf, registriesOf, wishesOf } from './image-rules.ts';

const cluster = (name: string, registry?: ClusterSpec['registry']): Cluster =>
  ({ metadata: { name }, spec: { ...(registry && { registry }) } }) as unknown as Cluster;

const plan = (spec: Partial<PlanSpec> = {}): Plan => ({ spec }) as unknown as Plan;

const inside = 'image-registry.svc:5000';
const registries = registriesOf({
  source: cluster('east', { host: inside, exposedHost: 'east.example' }),
  destination: cluster('west', { host: 'west.svc:5000', exposedHost: 'west.example' }),
});
const names = { shop: 'store', bar: 'bar' };

test('a registry is reached under its outer name, and pods know the inner one', () => {
  const { source } = registries;
  assert.equal(source?.address, 'east.example');
  assert.deepEqual(source?.hosts, [inside, 'east.example']);
  const only = registriesOf({
    source: cluster('a', { exposedHost: 'a.example' }),
    destination: cluster('b'),
  });
  assert.equal(only.source?.host, 'a.example');
  assert.equal(only.destination, undefined);
});

test('images of the source are called after the destination, namespaces by their new names', () => {
  const rewrite = createImageRewriter(imageRulesOf(plan(), registries, names));
  const there: Readonly<Record<string, string | undefined>> = {
    [`${inside}/shop/api:1`]: 'west.svc:5000/store/api:1',
    'east.example/shop/api:1': 'west.svc:5000/store/api:1',
    [`${inside}/shopping/api:1`]: 'west.svc:5000/shopping/api:1',
    [`${inside}/bar/api`]: 'west.svc:5000/bar/api',
    [`${inside}/tool`]: 'west.svc:5000/tool',
    'nginx:1': undefined,
    'east.example.org/shop/api:1': undefined,
  };
  for (const [from, to] of Object.entries(there)) assert.equal(rewrite(from), to, from);
});

test('what users map is theirs, and nothing of ours stands in its way', () => {
  const images = [
    { from: `${inside}/`, to: 'mirror.example' },
    { from: 'east.example/shop/api', to: 'elsewhere.example/api' },
  ];
  const said = plan({ mappings: { images } });
  const rewrite = createImageRewriter(imageRulesOf(said, registries, names));
  assert.equal(rewrite(`${inside}/shop/api:1`), 'mirror.example/shop/api:1');
  assert.equal(rewrite('east.example/shop/api:1'), 'elsewhere.example/api:1');
  assert.equal(rewrite('east.example/shop/web:1'), 'west.svc:5000/store/web:1');
  const texts = [`${inside}/shop/api:1`, 'east.example/shop/api:1', 'east.example/shop/web:1'];
  assert.deepEqual(wishesOf(said, registries, names, texts), [
    { source: 'shop/web:1', destination: 'store/web:1' },
  ]);
  const skipping = plan({ images: 'Skip' });
  assert.deepEqual(imageRulesOf(skipping, registries, names), []);
});

test('each image is copied once, and not to where it is', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const texts = [
    `${inside}/shop/api:1`,
    'east.example/shop/api:1',
    `${inside}/shop/api`,
    `${inside}/shop/api@${digest}`,
    'nginx',
    'not an image',
  ];
  assert.deepEqual(wishesOf(plan(), registries, names, texts), [
    { source: 'shop/api:1', destination: 'store/api:1' },
    { source: 'shop/api:latest', destination: 'store/api:latest' },
    { source: `shop/api@${digest}`, destination: `store/api@${digest}` },
  ]);
  const same = { source: registries.source, destination: registries.source };
  assert.deepEqual(wishesOf(plan(), same, names, [`${inside}/bar/api:1`]), []);
  assert.equal(wishesOf(plan(), same, names, [`${inside}/shop/api:1`]).length, 1);
});
