import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../../api/kinds/cluster.ts';
import type { ClusterObject } from '../../api/objects.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import { type LocalSight, localReport } from './report.ts';

interface Seen {
  readonly memberOf?: string;
  readonly local?: boolean;
  readonly connected?: boolean;
}

function sees(agent: string, others: Readonly<Record<string, Seen>>): AgentMirror {
  const views = Object.entries(others).map(
    ([name, { memberOf, local = false, connected = true }]) => {
      const spec = { local, address: '', fingerprint: '', ...(memberOf && { memberOf }) };
      const status = { connected, health: 'None', reasons: [] };
      return [name, { kind: 'Cluster', metadata: { name }, spec, status } as never] as const;
    },
  );
  const clusters = new Map<string, ClusterObject>(views);
  const place = { name: agent, address: 'unix:///a' };
  return {
    place,
    usable: true,
    clusters,
    pools: new Map(),
    volumes: new Map(),
    status: undefined,
  } as never;
}

function peersSeenBy(...agents: readonly AgentMirror[]) {
  const object = { metadata: { name: 'east' }, spec: { local: true } } as Cluster;
  const sight = { object, facts: {}, problem: undefined, agents } as unknown as LocalSight;
  return (localReport(sight).fields as Cluster['status'] & object).peers;
}

test('peers are clusters, whatever their agents are called', () => {
  const own = { 'east-1': { memberOf: 'east', local: true }, 'east-2': { memberOf: 'east' } };
  const far = { 'west-1': { memberOf: 'west', connected: false }, north: { connected: false } };
  assert.deepEqual(peersSeenBy(sees('east-1', { ...own, ...far })), [
    { name: 'west', connected: false },
    { name: 'north', connected: false },
  ]);
});

test('one agent of a peer that is reached is enough', () => {
  const first = sees('east-1', { 'west-1': { memberOf: 'west' } });
  const second = sees('east-2', { 'west-2': { memberOf: 'west', connected: false } });
  assert.deepEqual(peersSeenBy(first, second), [{ name: 'west', connected: true }]);
});

test('other agents of the cluster are no peers, also when one has the name of the cluster', () => {
  const first = sees('east', { east: { local: true }, 'east-2': { memberOf: 'east' } });
  assert.deepEqual(peersSeenBy(first), []);
});
