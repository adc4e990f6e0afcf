import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createDiscovery } from './discovery.ts';
import { jsonResponse, statusObject, testClient, TestTime } from './testing.ts';
import type { KubeRequest, KubeResponse } from './transport.ts';

const aggregatedCore = {
  kind: 'APIGroupDiscoveryList',
  items: [
    {
      metadata: {},
      versions: [
        {
          version: 'v1',
          resources: [
            {
              resource: 'pods',
              responseKind: { group: '', version: 'v1', kind: 'Pod' },
              scope: 'Namespaced',
              verbs: ['get', 'list'],
              shortNames: ['po'],
              subresources: [{ subresource: 'log' }, { subresource: 'status' }],
            },
          ],
        },
      ],
    },
  ],
};

const aggregatedGroups = {
  kind: 'APIGroupDiscoveryList',
  items: [
    {
      metadata: { name: 'apps' },
      versions: [
        {
          version: 'v1',
          resources: [{ resource: 'deployments', responseKind: { kind: 'Deployment' } }],
        },
        {
          version: 'v1beta1',
          resources: [{ resource: 'deployments', responseKind: { kind: 'Deployment' } }],
        },
      ],
    },
  ],
};

const legacy: Readonly<Record<string, object>> = {
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': {
    kind: 'APIGroupList',
    groups: [
      {
        name: 'apps',
        versions: [{ groupVersion: 'apps/v1beta1' }, { groupVersion: 'apps/v1' }],
        preferredVersion: { groupVersion: 'apps/v1' },
      },
      { name: 'down.example', versions: [{ groupVersion: 'down.example/v1' }] },
    ],
  },
  '/api/v1': {
    kind: 'APIResourceList',
    groupVersion: 'v1',
    resources: [
      { name: 'pods', kind: 'Pod', namespaced: true, verbs: ['get', 'list'], shortNames: ['po'] },
      { name: 'pods/log', kind: 'Pod', namespaced: true, verbs: ['get'] },
      { name: 'pods/status', kind: 'Pod', namespaced: true, verbs: ['get'] },
    ],
  },
  '/apis/apps/v1': {
    groupVersion: 'apps/v1',
    resources: [{ name: 'deployments', kind: 'Deployment' }],
  },
  '/apis/apps/v1beta1': {
    groupVersion: 'apps/v1beta1',
    resources: [{ name: 'deployments', kind: 'Deployment' }],
  },
};

const pods = {
  group: '',
  version: 'v1',
  plural: 'pods',
  kind: 'Pod',
  namespaced: true,
  verbs: ['get', 'list'],
  shortNames: ['po'],
  subresources: ['log', 'status'],
};

function answerAggregated(request: KubeRequest): KubeResponse {
  assert.match(request.headers['accept'] ?? '', /APIGroupDiscoveryList/);
  return jsonResponse(200, request.path === '/api' ? aggregatedCore : aggregatedGroups);
}

function answerLegacy({ path }: KubeRequest): KubeResponse {
  const answer = legacy[path];
  return answer === undefined
    ? jsonResponse(503, statusObject(503, 'ServiceUnavailable'))
    : jsonResponse(200, answer);
}

suite('discovery', () => {
  for (const answer of [answerAggregated, answerLegacy]) {
    test(`finds kinds at their preferred version (${answer.name})`, async () => {
      const time = new TestTime();
      let requests = 0;
      const discovery = createDiscovery(
        testClient(time, async (request) => {
          requests++;
          return answer(request);
        }),
      );
      assert.deepEqual(await time.finish(discovery.find('', 'Pod')), pods);
      assert.equal((await discovery.find('apps', 'Deployment'))?.version, 'v1');
      assert.equal(
        await discovery.serves({ group: 'apps', version: 'v1beta1', plural: 'deployments' }),
        true,
      );
      assert.equal(
        await discovery.serves({ group: 'apps', version: 'v2', plural: 'deployments' }),
        false,
      );
      assert.equal(await discovery.find('x', 'Y'), undefined);
      const before = requests;
      await time.advance(70_000);
      await time.finish(discovery.resources());
      assert.equal(requests, 2 * before);
      discovery.forget();
      await time.finish(discovery.resources());
      assert.equal(requests, 3 * before);
    });
  }

  test('does not remember a failure', async () => {
    const time = new TestTime();
    let isDown = true;
    const discovery = createDiscovery(
      testClient(time, async (request) =>
        isDown ? jsonResponse(401, statusObject(401, 'Unauthorized')) : answerAggregated(request),
      ),
    );
    await assert.rejects(time.finish(discovery.resources()), { reason: 'Unauthorized' });
    isDown = false;
    assert.equal((await time.finish(discovery.resources())).length, 3);
  });

  test('tells the version of the server', async () => {
    const version = {
      major: '1',
      minor: '36',
      gitVersion: 'v1.36.3',
      platform: 'linux/amd64',
      x: 1,
    };
    const client = testClient(new TestTime(), async () => jsonResponse(200, version));
    const { x: _x, ...expected } = version;
    assert.deepEqual(await createDiscovery(client).version(), expected);
  });
});
