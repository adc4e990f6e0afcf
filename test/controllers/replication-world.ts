// What the tests of replications have in common: one from east to west, decisions, and its end.
import {
  type Decision,
  type Replication,
  replications,
  type ReplicationSpec,
} from '../../src/api/kinds/replication.ts';
import { repositories } from '../../src/api/kinds/repository.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { persistentVolumeClaims, secrets } from '../../src/kube/resources.ts';
import type { Name, World } from './world.ts';

export const namespace = 'shop';
export const there = 'market';

export async function makeReplication(
  world: World,
  spec: Partial<ReplicationSpec> = {},
  name = 'copy',
): Promise<void> {
  await world.admin('east').create(replications, {
    metadata: { namespace, name },
    spec: {
      source: 'east',
      destination: 'west',
      namespaces: [{ name: 'shop', to: there }],
      ...spec,
    },
  } as never);
}

/** A Repository `store`, which fake agents take as one. */
export async function makeStore(world: World): Promise<void> {
  const hub = world.admin('east');
  const keys = { namespace, name: 'keys' };
  const data = { accessKeyId: 'aWQ=', secretAccessKey: 'c2VjcmV0' };
  await hub.create(secrets, { metadata: keys, data } as never);
  const s3 = { endpoint: 'https://s3.example.org', bucket: 'store', credentialsSecretRef: keys };
  await hub.create(repositories, { metadata: { name: 'store' }, spec: { s3 } } as never);
}

export async function replication(world: World, name = 'copy'): Promise<Replication | undefined> {
  return world.find('east', replications, { namespace, name });
}

export async function change(world: World, spec: object, name = 'copy'): Promise<void> {
  await world.admin('east').patch(replications, { namespace, name }, { spec });
}

export async function decide(world: World, decision: Decision, name = 'copy'): Promise<void> {
  await change(world, { decision }, name);
}

/** Until it is in that phase, having begun so many runs; then as it is. */
export async function reached(
  world: World,
  phase: NonNullable<NonNullable<Replication['status']>['phase']>,
  { runs = 1, name = 'copy', withinMs = 300_000 } = {},
): Promise<Replication> {
  let last: Replication | undefined;
  const look = async () => {
    last = await replication(world, name);
    const { status } = last ?? {};
    return status?.phase === phase && (status.runs ?? 0) >= runs;
  };
  try {
    await world.until(`${name} is ${phase}`, look, withinMs);
  } catch (error) {
    throw new Error(JSON.stringify(last?.status, undefined, 1), { cause: error });
  }
  return last!;
}

export function resultOf(one: Replication, name: string): string | undefined {
  return one.status?.checks?.find((check) => check.name === name)?.result;
}

export function checkOf(one: Replication, name: string) {
  return one.status?.checks?.find((check) => check.name === name);
}

export function saidBy(one: Replication | undefined): string {
  const found = conditionOf(one, 'Succeeded');
  return `${found?.reason}: ${found?.message}`;
}

export async function claimsAt(world: World, cluster: Name): Promise<readonly string[]> {
  const all = await world.list(cluster, persistentVolumeClaims);
  return all.map(({ metadata, status }) => {
    return `${metadata.namespace}/${metadata.name} ${status?.phase}`;
  });
}
