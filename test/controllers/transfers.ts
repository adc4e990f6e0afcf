// What the tests of volume transfers have in common: objects, and what is asked of them.
import { type VolumeTransfer, volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { migrations } from '../../src/api/kinds/migration.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import type { World } from './world.ts';

export const copy = { namespace: 'shop', name: 'copy' };

export interface TransferWish {
  readonly name?: string;
  /** Beside source and destination. */
  readonly spec?: object;
  readonly source?: object;
  readonly destination?: object;
}

/** Of claim `shop/db` in east to west, at the hub in west. */
export async function makeTransfer(world: World, wish: TransferWish = {}): Promise<void> {
  const { name = copy.name, spec = {}, source = {}, destination = {} } = wish;
  const claim = { namespace: 'shop', claim: 'db' };
  await world.admin('west').create(volumeTransfers, {
    metadata: { namespace: 'shop', name },
    spec: {
      source: { cluster: 'east', ...claim, ...source },
      destination: { cluster: 'west', ...claim, ...destination },
      ...spec,
    },
  } as never);
}

export function transfer(world: World, name = copy.name): Promise<VolumeTransfer | undefined> {
  return world.find('west', volumeTransfers, { namespace: 'shop', name });
}

export async function change(world: World, spec: object, name = copy.name): Promise<void> {
  await world.admin('west').patch(volumeTransfers, { namespace: 'shop', name }, { spec });
}

export async function remove(world: World, name = copy.name): Promise<void> {
  await world.admin('west').delete(volumeTransfers, { namespace: 'shop', name });
}

export async function phaseOf(world: World, name = copy.name): Promise<string | undefined> {
  return (await transfer(world, name))?.status?.phase;
}

export async function messageOf(world: World, name = copy.name): Promise<string> {
  const { reason, message } = conditionOf(await transfer(world, name), 'Succeeded') ?? {};
  return `${reason}: ${message}`;
}

/** The phase in which it ended. */
export async function untilEnded(world: World, name = copy.name, withinMs = 120_000) {
  const ended = ['Succeeded', 'Failed', 'Canceled'];
  await world.until(
    `${name} ends`,
    async () => ended.includes((await phaseOf(world, name)) ?? ''),
    withinMs,
  );
  return phaseOf(world, name);
}

export async function isCleanedUp(world: World, name = copy.name): Promise<boolean> {
  return conditionOf(await transfer(world, name), 'CleanedUp')?.status === 'True';
}

export async function isComplete(world: World, name = copy.name): Promise<boolean> {
  return conditionOf(await transfer(world, name), 'Complete')?.status === 'True';
}

export async function untilComplete(world: World, name = copy.name): Promise<void> {
  await world.until(`all of ${name} is there`, () => isComplete(world, name));
}

export async function untilCleanedUp(world: World, name = copy.name): Promise<void> {
  await world.until(`helpers of ${name} are gone`, () => isCleanedUp(world, name));
}

/** A plan and a migration for transfers to belong to; the uid of the plan. */
export async function makeMigration(world: World, type: string): Promise<string> {
  const client = world.admin('west');
  const plan = await client.create(plans, {
    metadata: { namespace: 'shop', name: 'plan' },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }] },
  } as never);
  await client.create(migrations, {
    metadata: { namespace: 'shop', name: 'run' },
    // Nothing but what the test asks for is to happen.
    spec: { plan: 'plan', type, paused: true },
  } as never);
  return plan.metadata.uid ?? '';
}
