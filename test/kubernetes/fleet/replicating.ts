/** Replications of the clusters of a fleet, made, answered and followed. */
import assert from 'node:assert/strict';
import {
  type Decision,
  type Replication,
  replications,
  type ReplicationSpec,
} from '../../../src/api/kinds/replication.ts';
import type { ResourceType } from '../../../src/kube/objects.ts';
import type { FleetContext } from './context.ts';
import { hubNamespace } from './migrating.ts';
import { shopOf } from './shop.ts';

type Status = NonNullable<Replication['status']>;

const core = { group: '', version: 'v1', namespaced: true };
export const quotas: ResourceType = { ...core, plural: 'resourcequotas', kind: 'ResourceQuota' };
/** They wait for each other, too. */
const endMs = 240_000;

export async function replicate(
  t: FleetContext,
  spec: Partial<ReplicationSpec> = {},
): Promise<void> {
  const { east, west, namespace } = t;
  await east.client.create<Replication>(replications, {
    metadata: { namespace: hubNamespace, name: namespace },
    spec: {
      source: east.name,
      destination: west.name,
      namespaces: [{ name: shopOf(t) }],
      ...spec,
    },
  });
}

const keyOf = (name: string) => ({ namespace: hubNamespace, name });

export async function change(t: FleetContext, spec: object, name = t.namespace): Promise<void> {
  await t.east.client.patch<Replication>(replications, keyOf(name), { spec });
}

/** Until it is in that phase in that run; what it says is in the error. */
export async function reached(
  t: FleetContext,
  phase: Status['phase'],
  runs = 1,
  name = t.namespace,
): Promise<Status> {
  let last: Replication | undefined;
  const deadline = performance.now() + endMs;
  for (;;) {
    last = await t.east.client.get(replications, keyOf(name)).catch(() => last);
    const { status, spec } = last ?? {};
    const isThere = status?.phase === phase && (status?.runs ?? 0) >= runs;
    if (isThere && spec?.decision === undefined) return status ?? {};
    if (performance.now() > deadline) {
      throw new Error(`it is not ${phase}: ${JSON.stringify(status, null, 1)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function succeeded(t: FleetContext, runs = 1, name = t.namespace): Promise<Status> {
  const status = await reached(t, 'Done', runs, name);
  assert.equal(status.state, 'Success', JSON.stringify(status, null, 1));
  return status;
}

export async function decided(t: FleetContext, decision: Decision): Promise<void> {
  await change(t, { decision });
}

export async function removed(t: FleetContext, name = t.namespace): Promise<void> {
  await t.east.client.delete(replications, keyOf(name));
  await t.until('the replication to be gone', async () => {
    return (await t.east.client.get(replications, keyOf(name))) === undefined ? true : undefined;
  });
}
