import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Cluster } from '../../api/kinds/cluster.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { Pod } from '../../kube/workloads.ts';
import { agentPlaces } from './agent-pods.ts';

const agentPods = { namespace: 'system', selector: 'component=agent', port: 7443 };

function clusterWith(spec: Partial<Cluster['spec']>): Cluster {
  const head = { apiVersion: 'transship.dev/v1alpha1', kind: 'Cluster' } as const;
  return { ...head, metadata: { name: 'here' }, spec: { local: true, ...spec } };
}

function podOn(
  nodeName: string | undefined,
  status: Pod['status'],
  deletionTimestamp?: string,
): Pod {
  const metadata = { name: 'x', ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) };
  const spec = { containers: [], ...(nodeName === undefined ? {} : { nodeName }) };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec, ...(status && { status }) };
}

/** Answers a list of pods, and keeps what was asked for. */
function clientWith(found: readonly Pod[], asked: object[] = []): KubeClient {
  const client = {
    list: async function* (_type: unknown, selectors: object) {
      asked.push(selectors);
      yield* found;
    },
  };
  return client as unknown as KubeClient;
}

suite('where agents are', () => {
  test('pods that run are agents of their nodes; others are not yet, or no more', async () => {
    const asked: object[] = [];
    const client = clientWith(
      [
        podOn('n2', { phase: 'Running', podIP: '10.0.0.2' }),
        podOn('n1', { phase: 'Running', podIP: 'fd00::1' }),
        podOn('n3', { phase: 'Pending' }),
        podOn(undefined, { phase: 'Pending' }),
        podOn('n4', { phase: 'Running', podIP: '10.0.0.4' }, '2026-01-01T00:00:00Z'),
      ],
      asked,
    );
    assert.deepEqual(await agentPlaces(client, clusterWith({ agentPods })), [
      { name: 'n1', address: 'https://[fd00::1]:7443' },
      { name: 'n2', address: 'https://10.0.0.2:7443' },
    ]);
    assert.deepEqual(asked, [{ namespace: 'system', labels: 'component=agent' }]);
  });

  test('a place named by hand wins', async () => {
    const client = clientWith([podOn('n1', { phase: 'Running', podIP: '10.0.0.1' })]);
    const agents = [{ name: 'n1', address: 'unix:///run/control.sock' }];
    assert.deepEqual(await agentPlaces(client, clusterWith({ agents, agentPods })), agents);
    assert.deepEqual(await agentPlaces(client, undefined), []);
  });

  test('pods are not asked for unless the object says which', async () => {
    const asked: object[] = [];
    const agents = [{ name: 'n1', address: 'unix:///run/control.sock' }];
    const places = await agentPlaces(clientWith([], asked), clusterWith({ agents }));
    assert.deepEqual([places, asked], [agents, []]);
  });
});
