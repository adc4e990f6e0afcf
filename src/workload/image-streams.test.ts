import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/objects.ts';
import { imagesOfStream } from './image-streams.ts';
import { transform } from './transform.ts';

const inside = 'image-registry.svc:5000';

const stream = (fields: object) =>
  ({
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStream',
    metadata: { namespace: 'shop', name: 'web' },
    ...fields,
  }) as KubeObject;

const context = { id: 'plan', namespaces: { shop: 'store' }, registries: [inside] };

test('a stream keeps what it follows elsewhere, and says nothing of the registry it was in', () => {
  const tag = (name: string, from?: object) => ({ name, ...(from && { from }), annotations: null });
  const elsewhere = { kind: 'DockerImage', name: 'quay.io/shop/web:1' };
  const { object, notes } = transform(
    stream({
      spec: {
        dockerImageRepository: `${inside}/shop/web`,
        lookupPolicy: { local: true },
        tags: [
          tag('followed', elsewhere),
          tag('pushed', {
            kind: 'DockerImage',
            name: `${inside}/shop/web@sha256:${'a'.repeat(64)}`,
          }),
          tag('alias', { kind: 'ImageStreamTag', name: 'other:1', namespace: 'shop' }),
        ],
      },
      status: { dockerImageRepository: `${inside}/shop/web` },
    }),
    context,
  );
  const { spec, status } = object as unknown as { readonly spec: object; readonly status: unknown };
  assert.deepEqual(spec, {
    lookupPolicy: { local: true },
    tags: [
      tag('followed', elsewhere),
      tag('pushed'),
      tag('alias', { kind: 'ImageStreamTag', name: 'other:1', namespace: 'store' }),
    ],
  });
  assert.equal(status, undefined);
  assert.equal(object?.metadata.namespace, 'store');
  const mapped = notes.filter(({ kind }) => kind === 'Mapped').map(({ field }) => field);
  assert.ok(mapped.includes('spec.dockerImageRepository'));
  assert.ok(mapped.includes('spec.tags'));
});

test('the newest image of each tag is told', () => {
  const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
  const item = (letter: string) => ({
    image: digest(letter),
    dockerImageReference: `${inside}/shop/web@${digest(letter)}`,
  });
  const found = imagesOfStream(
    stream({
      status: {
        tags: [
          { tag: '1', items: [item('b'), item('a')] },
          { tag: 'empty', items: [] },
          { tag: 'latest', items: null },
        ],
      },
    }),
  );
  assert.deepEqual(found, [
    { tag: '1', digest: digest('b'), from: item('b').dockerImageReference },
  ]);
});
