// Copies by pods: how they are begun, and what is there of them.
import {
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
  services,
} from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import { makeTransfer, transfer } from './transfers.ts';
import { names, type World } from './world.ts';

/** By the method Filesystem. */
export const begin = (world: World, name?: string, spec: object = {}): Promise<void> =>
  makeTransfer(world, {
    ...(name === undefined ? {} : { name }),
    spec: { method: 'Filesystem', ...spec },
  });

export const isCopying = async (world: World): Promise<boolean> =>
  ((await transfer(world))?.status?.copiedBytes ?? 0) > 0;

/** What transfers made for themselves, in both clusters. */
export async function helpersOf(world: World): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of names) {
    for (const type of [pods, secrets, services]) {
      const all = await world.list(name, type as typeof pods);
      found.push(
        ...all.flatMap(({ kind, metadata }) =>
          metadata.labels?.['transship.dev/transfer'] === undefined ? [] : [`${name} ${kind}`],
        ),
      );
    }
  }
  return found;
}

export const isNothingThere = async (world: World): Promise<boolean> =>
  (await world.list('west', persistentVolumeClaims)).length === 0 &&
  (await world.list('west', persistentVolumes)).length === 0 &&
  (await helpersOf(world)).length === 0;
