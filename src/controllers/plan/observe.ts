/** Everything that a plan is judged by, looked at now: for its controller and for migrations. */
import type { Hook } from '../../api/kinds/hook.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import type { Context } from '../context.ts';
import { registryOf } from '../image-transfer/place.ts';
import { type ClusterAccess, isSynced, troubleOf } from '../remotes/access.ts';
import { lookAtDestination, lookAtSource } from './look.ts';
import { migrationsOf } from './migrations.ts';
import type { Observation, Side } from './observation.ts';
import { lookAtRepository } from './repository.ts';
import { findMissingRights } from './rights.ts';

/** Errors as the reads have them; a side that cannot be asked is no error but is told. */
export async function observePlan(context: Context, plan: Plan): Promise<Observation> {
  const found = hooksOf(context, plan);
  const base = {
    plan,
    source: sideOf(context, plan.spec.source),
    destination: sideOf(context, plan.spec.destination),
    others: othersOf(context, plan),
    hooks: found,
    migrations: migrationsOf(context, plan),
  };
  const source = accessTo(context, base.source);
  const destination = accessTo(context, base.destination);
  const seenSource = source && (await lookAtSource(plan, found, { source, destination }));
  const survey = seenSource?.survey;
  const seenDestination =
    destination && (await lookAtDestination(plan, found, { access: destination, survey }));
  const missingRights =
    source === undefined || destination === undefined || survey === undefined
      ? undefined
      : await findMissingRights(plan, survey, {
          source: source.client,
          destination: destination.client,
          hub: context.client,
        });
  const repository = await lookAtRepository(context, plan, [source, destination]);
  const seen = repository === undefined ? {} : { repository };
  return { ...base, ...seen, seenSource, seenDestination, missingRights };
}

function sideOf({ informers, remotes }: Context, name: string): Side {
  const object = informers.clusters.get({ namespace: '', name });
  const registry = object && registryOf(object);
  const peers = object?.status?.peers;
  return {
    name,
    exists: object !== undefined,
    trouble: wayTo(name, remotes.find(name)),
    version: object?.status?.version,
    capabilities: object?.status?.capabilities ?? [],
    nodes: object?.status?.nodes,
    ...(registry === undefined ? {} : { registry }),
    ...(peers === undefined ? {} : { peers: peers.map((peer) => peer.name) }),
  };
}

function accessTo(
  { remotes }: Context,
  { name, exists, trouble }: Side,
): ClusterAccess | undefined {
  return exists && trouble === undefined ? remotes.find(name) : undefined;
}

function othersOf({ informers }: Context, { metadata }: Plan): readonly Plan[] {
  return [...informers.plans.list()].filter((other) => {
    return other.metadata.uid !== metadata.uid && other.spec.closed !== true;
  });
}

function hooksOf({ informers }: Context, { metadata, spec }: Plan): ReadonlyMap<string, Hook> {
  const { namespace = '' } = metadata;
  const found = new Map<string, Hook>();
  for (const name of new Set((spec.hooks ?? []).map(({ hook }) => hook))) {
    const hook = informers.hooks.get({ namespace, name });
    if (hook !== undefined) found.set(name, hook);
  }
  return found;
}

/** Why a cluster cannot be asked. What was seen before a trouble is as good as it was. */
export function wayTo(name: string, access: ClusterAccess | undefined): Side['trouble'] {
  if (access === undefined) {
    return { reason: 'ApiUnreachable', message: `cluster ${name} is not connected` };
  }
  if (isSynced(access)) return troubleOf(access);
  return troubleOf(access) ?? { reason: 'ApiUnreachable', message: 'it has not answered yet' };
}
