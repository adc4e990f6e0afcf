// What happens to a volume transfer, step by step, for those who crash its controllers.
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { isTrue } from '../../src/controllers/status.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../src/kube/resources.ts';
import { isBound, makeForeignClaim, type Scenario, type Step } from './scenarios.ts';
import {
  change,
  isCleanedUp,
  isComplete,
  makeTransfer,
  phaseOf,
  remove,
  transfer,
} from './transfers.ts';
import type { World } from './world.ts';

const atOnce = async (): Promise<boolean> => true;

const begin = (pass: 'Ahead' | 'Last', name?: string): Step => ({
  when: atOnce,
  act: (world) => makeTransfer(world, { spec: { pass }, ...(name === undefined ? {} : { name }) }),
});

async function teleportsThere(world: World): Promise<number> {
  return (await world.list('west', teleports)).length;
}

const isAccessible = async (world: World): Promise<boolean> => {
  const [made] = await world.list('west', volumes);
  return isTrue(made, 'Ready');
};

async function isEmptyThere(world: World): Promise<boolean> {
  const bound = await world.list('west', persistentVolumes);
  const claims = await world.list('west', persistentVolumeClaims);
  const made = await world.list('west', volumes);
  const { state } = world.cloud.find('west');
  return bound.length + claims.length + made.length + state.volumes.size === 0;
}

const discardWhenDone: Step = {
  when: async (world) => (await phaseOf(world)) === 'Succeeded',
  act: (world) => change(world, { canceled: true, discard: true }),
};

export const transferScenarios: readonly Scenario[] = [
  {
    name: 'a stage and then the last copy',
    steps: [
      begin('Ahead'),
      {
        when: async (world) => (await phaseOf(world)) === 'Running' && (await isAccessible(world)),
        act: async (world) => {
          world.fetchBytes = 8 * 1024 * 1024;
        },
      },
      {
        when: (world) => isComplete(world),
        act: (world) => makeTransfer(world, { name: 'last', spec: { pass: 'Last' } }),
      },
    ],
    isOver: async (world) =>
      (await isComplete(world, 'last')) && (await teleportsThere(world)) === 1,
  },
  {
    name: 'a stage canceled while it fills',
    steps: [
      begin('Ahead'),
      { when: isAccessible, act: (world) => change(world, { canceled: true }) },
    ],
    isOver: async (world) => (await isCleanedUp(world)) && (await isEmptyThere(world)),
  },
  {
    name: 'a last copy that is discarded after it was done',
    steps: [begin('Last'), discardWhenDone],
    isOver: async (world) => (await phaseOf(world)) === 'Canceled' && (await isEmptyThere(world)),
  },
  {
    name: 'a last copy that is deleted after it was done',
    steps: [
      begin('Last'),
      {
        when: async (world) => (await phaseOf(world)) === 'Succeeded',
        act: (world) => remove(world),
      },
    ],
    isOver: async (world) => {
      const [made] = await world.list('west', volumes);
      const isGone = (await transfer(world)) === undefined && (await teleportsThere(world)) === 0;
      return isGone && isTrue(made, 'Complete');
    },
  },
  {
    name: 'a clone within one cluster, and then discarded',
    steps: [
      {
        when: atOnce,
        act: (world) => {
          const destination = { cluster: 'east', claim: 'clone' };
          return makeTransfer(world, { spec: { pass: 'Last' }, destination });
        },
      },
      discardWhenDone,
    ],
    isOver: async (world) =>
      (await phaseOf(world)) === 'Canceled' && (await world.list('east', volumes)).length === 1,
  },
  {
    name: 'a network volume moved, and then taken back',
    steps: [
      {
        when: atOnce,
        act: async (world) => {
          const nfs = { server: 'files.example.org', path: '/shop' };
          await makeForeignClaim(world, 'files', { nfs, persistentVolumeReclaimPolicy: 'Delete' });
        },
      },
      {
        when: (world) => isBound(world, 'east', { namespace: 'shop', name: 'files' }),
        act: (world) => {
          const claim = { claim: 'files' };
          const spec = { action: 'Move', pass: 'Last' };
          return makeTransfer(world, { spec, source: claim, destination: claim });
        },
      },
      discardWhenDone,
    ],
    isOver: async (world) => (await phaseOf(world)) === 'Canceled' && (await isEmptyThere(world)),
  },
];
