// What users do, step by step, and when it is over. Each is run to its end without trouble, and
// again with a crash after each of its effects.
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { historyPolicies } from '../../src/api/kinds/history-policy.ts';
import { conditionOf, isTrue } from '../../src/controllers/status.ts';
import {
  configMaps,
  persistentVolumeClaims,
  persistentVolumes,
  volumeAttributesClasses,
} from '../../src/kube/resources.ts';
import type { Name, World } from './world.ts';

export interface Step {
  readonly when: (world: World) => Promise<boolean>;
  readonly act: (world: World) => Promise<void>;
}

export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly isOver: (world: World) => Promise<boolean>;
}

const db = { namespace: 'shop', name: 'db' };
const fleeting = { namespace: 'shop', name: 'fleeting' };
const impossible = { 'transship.dev/history-policy': 'not-there' };
const move = { namespace: 'shop', name: 'move' };
const MiB = 1024 * 1024;

const atOnce = async (): Promise<boolean> => true;

export async function makeClaim(
  world: World,
  cluster: Name,
  key: { readonly namespace: string; readonly name: string } = db,
  extra: {
    readonly annotations?: Record<string, string>;
    readonly dataSource?: object;
    readonly storage?: string;
  } = {},
): Promise<void> {
  const { annotations = {}, dataSource, storage = '16Mi' } = extra;
  await world.admin(cluster).create(persistentVolumeClaims, {
    metadata: { ...key, annotations },
    spec: {
      storageClassName: 'transship',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage } },
      ...(dataSource === undefined ? {} : { dataSource }),
    },
  } as never);
}

/** A ConfigMap of `shop` at the source: an object that runs nothing. */
export const settings = { namespace: 'shop', name: 'settings' };

export async function makeSettings(world: World): Promise<void> {
  await world.admin('east').create(configMaps, { metadata: settings, data: { a: '1' } });
}

/** A claim of `shop` at the source, bound to a volume that is none of ours. */
export async function makeForeignClaim(world: World, name: string, volume: object): Promise<void> {
  const client = world.admin('east');
  const accessModes = ['ReadWriteOnce'] as const;
  await client.create(persistentVolumes, {
    metadata: { name },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes,
      storageClassName: '',
      claimRef: { namespace: 'shop', name },
      ...volume,
    },
  });
  await client.create(persistentVolumeClaims, {
    metadata: { namespace: 'shop', name },
    spec: {
      accessModes,
      storageClassName: '',
      volumeName: name,
      resources: { requests: { storage: '1Gi' } },
    },
  });
}

export async function isBound(world: World, cluster: Name, key = db): Promise<boolean> {
  const claim = await world.find(cluster, persistentVolumeClaims, key);
  return claim?.status?.phase === 'Bound';
}

/** A claim with data in it, at the source of the teleports. */
export async function withData(world: World): Promise<void> {
  await makeClaim(world, 'east');
  await world.until('the source is bound', () => isBound(world, 'east'));
  for (const volume of world.cloud.find('east').state.volumes.values()) {
    volume.dataBytes = 8 * MiB;
  }
  await world.run(10_000);
}

export async function makeTeleport(world: World, more: object = {}): Promise<void> {
  const source = { cluster: 'east', ...db, claim: 'db', name: undefined };
  const destination = { cluster: 'west', ...db, claim: 'db', name: undefined };
  await world.admin('west').create(teleports, {
    metadata: move,
    spec: { source, destination, ...more },
  } as never);
}

export function teleport(world: World) {
  return world.find('west', teleports, move);
}

const start: Step = { when: atOnce, act: (world) => makeTeleport(world) };

const isUsable = async (world: World) => isTrue(await teleport(world), 'Ready');

async function isEnded(world: World): Promise<boolean> {
  const object = await teleport(world);
  const succeeded = conditionOf(object, 'Succeeded');
  const isHeld = (object?.metadata.finalizers ?? []).length > 0;
  return succeeded !== undefined && succeeded.status !== 'Unknown' && !isHeld;
}

async function isEmpty(world: World, cluster: Name): Promise<boolean> {
  const bound = await world.list(cluster, persistentVolumes);
  const made = await world.list(cluster, volumes);
  return (
    bound.length === 0 && made.length === 0 && world.cloud.find(cluster).state.volumes.size === 0
  );
}

export const scenarios: readonly Scenario[] = [
  { name: 'a teleport to its end', steps: [start], isOver: isEnded },
  {
    name: 'a teleport cancelled by deleting the claim',
    steps: [
      start,
      {
        when: isUsable,
        act: async (world) => void (await world.admin('west').delete(persistentVolumeClaims, db)),
      },
    ],
    isOver: async (world) => (await isEnded(world)) && isEmpty(world, 'west'),
  },
  {
    name: 'a teleport deleted while the source cannot be reached',
    steps: [
      {
        when: atOnce,
        act: async (world) => {
          world.cloud.find('west').isCut = true;
          await makeTeleport(world);
        },
      },
      {
        when: async (world) => {
          const [made] = await world.list('west', volumes);
          return conditionOf(made, 'Ready')?.reason === 'SourceUnreachable';
        },
        act: async (world) => void (await world.admin('west').delete(teleports, move)),
      },
      {
        when: async (world) => (await teleport(world)) === undefined,
        act: async (world) => {
          world.cloud.find('west').isCut = false;
        },
      },
    ],
    isOver: (world) => isEmpty(world, 'west'),
  },
  {
    name: 'a teleport deleted while data still comes',
    steps: [
      start,
      {
        when: isUsable,
        act: async (world) => void (await world.admin('west').delete(teleports, move)),
      },
    ],
    isOver: async (world) => {
      const [made] = await world.list('west', volumes);
      return (await teleport(world)) === undefined && isTrue(made, 'Complete');
    },
  },
  {
    name: 'the source claim deleted during a teleport',
    steps: [
      start,
      {
        when: isUsable,
        act: async (world) => void (await world.admin('east').delete(persistentVolumeClaims, db)),
      },
    ],
    isOver: async (world) => (await isEnded(world)) && isEmpty(world, 'east'),
  },
  {
    name: 'a claim made, cloned, grown and deleted',
    steps: [
      {
        when: atOnce,
        act: (world) =>
          makeClaim(
            world,
            'east',
            { namespace: 'shop', name: 'copy' },
            {
              annotations: { 'transship.dev/source-claim': 'db' },
            },
          ),
      },
      {
        when: (world) => isBound(world, 'east', { namespace: 'shop', name: 'copy' }),
        act: async (world) => {
          const spec = { resources: { requests: { storage: '32Mi' } } };
          await world.admin('east').patch(persistentVolumeClaims, db, { spec });
        },
      },
      {
        when: async (world) => {
          const claim = await world.find('east', persistentVolumeClaims, db);
          return claim?.status?.capacity?.storage === '32Mi';
        },
        act: async (world) => void (await world.admin('east').delete(persistentVolumeClaims, db)),
      },
    ],
    isOver: async (world) => {
      const bound = await world.list('east', persistentVolumes);
      return bound.length === 1 && world.cloud.find('east').state.volumes.size === 1;
    },
  },
  {
    name: 'a claim that asks for a class of attributes before there is one',
    steps: [
      {
        when: atOnce,
        act: async (world) => {
          const spec = { volumeAttributesClassName: 'kept' };
          await world.admin('east').patch(persistentVolumeClaims, db, { spec });
        },
      },
      {
        when: async (world) => {
          const claim = await world.find('east', persistentVolumeClaims, db);
          return claim?.status?.modifyVolumeStatus?.status === 'Pending';
        },
        act: async (world) => {
          await world.admin('east').create(volumeAttributesClasses, {
            metadata: { name: 'kept' },
            driverName: 'transship.dev',
            parameters: { historyPolicy: 'one-hour' },
          });
        },
      },
    ],
    isOver: async (world) => {
      const claim = await world.find('east', persistentVolumeClaims, db);
      const { currentVolumeAttributesClassName, modifyVolumeStatus } = claim?.status ?? {};
      return currentVolumeAttributesClassName === 'kept' && modifyVolumeStatus === undefined;
    },
  },
  {
    name: 'a claim deleted while its volume cannot be made',
    steps: [
      {
        when: atOnce,
        act: (world) => makeClaim(world, 'east', fleeting, { annotations: impossible }),
      },
      {
        when: async (world) => {
          const all = await world.list('east', volumes);
          return all.some((one) => conditionOf(one, 'Ready')?.reason === 'NotFound');
        },
        act: async (world) => {
          await world.admin('east').delete(persistentVolumeClaims, fleeting);
        },
      },
    ],
    isOver: async (world) => (await world.list('east', volumes)).length === 1,
  },
  {
    name: 'a history policy made, used, and deleted',
    steps: [
      {
        when: atOnce,
        act: async (world) => {
          await world.admin('east').create(historyPolicies, {
            metadata: { name: 'careful' },
            spec: { seconds: '2h' },
          } as never);
        },
      },
      {
        when: async (world) => {
          const policy = await world.find('east', historyPolicies, { name: 'careful' });
          return isTrue(policy, 'Ready');
        },
        act: async (world) => {
          const [volume] = await world.list('east', volumes);
          const key = { namespace: '', name: volume?.metadata.name ?? '' };
          await world.admin('east').patch(volumes, key, { spec: { historyPolicy: 'careful' } });
          await world.admin('east').delete(historyPolicies, { namespace: '', name: 'careful' });
        },
      },
      {
        when: async (world) => {
          const policy = await world.find('east', historyPolicies, { name: 'careful' });
          return conditionOf(policy, 'Deleting')?.reason === 'InUse';
        },
        act: async (world) => {
          const [volume] = await world.list('east', volumes);
          const key = { namespace: '', name: volume?.metadata.name ?? '' };
          await world.admin('east').patch(volumes, key, { spec: { historyPolicy: 'none' } });
        },
      },
    ],
    isOver: async (world) =>
      (await world.find('east', historyPolicies, { name: 'careful' })) === undefined &&
      !world.cloud.find('east').state.policies.has('careful'),
  },
];
