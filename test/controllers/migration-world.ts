// What the tests of migrations have in common: a plan from east to west, and runs of it.
import { type Migration, migrations, type MigrationSpec } from '../../src/api/kinds/migration.ts';
import { plans, type PlanSpec } from '../../src/api/kinds/plan.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { persistentVolumes, secrets } from '../../src/kube/resources.ts';
import type { Name, World } from './world.ts';

const namespace = 'shop';
/** The plan. */
export const move = { namespace, name: 'move' };

export async function makePlan(world: World, spec: Partial<PlanSpec> = {}): Promise<void> {
  await world.admin('east').create(plans, {
    metadata: move,
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], ...spec },
  } as never);
}

export async function makeMigration(
  world: World,
  name: string,
  spec: Partial<MigrationSpec> & Pick<MigrationSpec, 'type'>,
): Promise<void> {
  await world.admin('east').create(migrations, {
    metadata: { namespace, name },
    spec: { plan: 'move', ...spec },
  } as never);
}

export function migration(world: World, name: string): Promise<Migration | undefined> {
  return world.find('east', migrations, { namespace, name });
}

export async function change(world: World, name: string, spec: object): Promise<void> {
  await world.admin('east').patch(migrations, { namespace, name }, { spec });
}

export function stepOf(one: Migration | undefined, name: string) {
  return one?.status?.itinerary?.find((entry) => entry.name === name);
}

export function endOf(one: Migration | undefined): string {
  const succeeded = conditionOf(one, 'Succeeded');
  return one?.status?.completionTime === undefined ? 'open' : `${succeeded?.reason}`;
}

/** Until it is over; then as it is. */
export async function ended(world: World, name: string, withinMs = 300_000): Promise<Migration> {
  let last: Migration | undefined;
  const look = async () => {
    last = await migration(world, name);
    return endOf(last) !== 'open';
  };
  try {
    await world.until(`${name} ends`, look, withinMs);
  } catch (error) {
    throw new Error(`${JSON.stringify(last?.status, undefined, 1)}`, { cause: error });
  }
  return last!;
}

/** Until it waits, or has ended, for this reason; returns what it says of it. */
export async function says(world: World, name: string, reason: string): Promise<string> {
  const look = async () => conditionOf(await migration(world, name), 'Succeeded');
  await world.until(`${name} says ${reason}`, async () => (await look())?.reason === reason);
  return (await look())?.message ?? '';
}

export async function closePlan(world: World): Promise<void> {
  await world.admin('east').patch(plans, move, { spec: { closed: true } });
  await world.until('it is closed', async () => {
    return conditionOf(await world.find('east', plans, move), 'Ready')?.reason === 'Closed';
  });
}

/** Names of what was written down for a rollback. */
export async function undoRecords(world: World): Promise<readonly string[]> {
  const all = [...(await world.list('east', secrets)), ...(await world.list('west', secrets))];
  const names = all.map(({ metadata }) => metadata.name ?? '');
  return names.filter((name) => name.startsWith('transship-undo-'));
}

export async function reclaimPolicies(world: World, cluster: Name): Promise<readonly string[]> {
  const all = await world.list(cluster, persistentVolumes);
  return all.map(({ spec }) => spec?.persistentVolumeReclaimPolicy ?? '');
}
