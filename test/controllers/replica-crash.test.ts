// Controllers die after each of their effects, or an answer is lost, while replicas are scaled,
// moved and drained: in the end there is what is there when nothing goes wrong.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { pools } from '../../src/api/kinds/pool.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { volumeReplicas } from '../../src/api/kinds/volume-replica.ts';
import { isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { Fuse, type Mishap } from './process.ts';
import { ReplicaWorld, saveNodes } from './replica-world.ts';

const library = createSchemaLibrary();
const MiB = 1024 * 1024;
const restartMs = 2_000;
/** Statuses that are held back are written by then. */
const settleMs = 25_000;
const key = (name: string) => ({ namespace: '', name });

interface Story {
  readonly name: string;
  readonly act: (world: ReplicaWorld) => Promise<void>;
  /** Done once, when it holds. */
  readonly then?: {
    readonly when: (world: ReplicaWorld) => Promise<boolean>;
    readonly act: (world: ReplicaWorld) => Promise<void>;
  };
  readonly isOver: (world: ReplicaWorld) => Promise<boolean>;
}

const stories: readonly Story[] = [
  {
    name: 'a volume of two replicas is made',
    act: (world) => world.makeVolume('new', ['p3', 'p4']),
    isOver: (world) => world.isSettled('new', ['p3', 'p4']),
  },
  {
    name: 'scaled up, and down from another pool',
    act: (world) => world.edit('db', ['p1', 'p2', 'p3', 'p4']),
    then: {
      when: (world) => world.isSettled('db', ['p1', 'p2', 'p3', 'p4']),
      act: (world) => world.edit('db', ['p2', 'p3', 'p4']),
    },
    isOver: async (world) => {
      const led = (await world.find(volumes, 'db'))?.status?.replicaSet?.leader;
      return (await world.isSettled('db', ['p2', 'p3', 'p4'])) && led !== 'n1';
    },
  },
  {
    name: 'a plain volume moves',
    act: (world) => world.edit('one', ['p4']),
    isOver: async (world) => {
      const led = (await world.find(volumes, 'one'))?.status?.replicaSet?.leader;
      return (await world.isSettled('one', ['p4'])) && led === 'n4';
    },
  },
  {
    name: 'a drain',
    act: async (world) => {
      await world.client.patch(pools, key('p1'), { spec: { drain: {} } });
    },
    isOver: async (world) => isTrue(await world.find(pools, 'p1'), 'Drained'),
  },
  {
    name: 'the leader is lost, and comes back',
    act: async (world) => world.nodes.stop('n1'),
    then: {
      when: async (world) => {
        return (await world.find(volumes, 'db'))?.status?.replicaSet?.leader === 'n2';
      },
      act: async (world) => world.nodes.start('n1'),
    },
    isOver: (world) => world.isSettled('db', ['p1', 'p2', 'p3']),
  },
  {
    name: 'deleted',
    act: async (world) => void (await world.client.delete(volumes, key('db'))),
    isOver: async (world) => (await world.find(volumes, 'db')) === undefined,
  },
];

const saved = await saveNodes(library, async (world) => {
  await world.run(3_000);
  await world.makeVolume('db', ['p1', 'p2', 'p3']);
  await world.makeVolume('one', ['p1']);
  await world.until('three', () => world.isSettled('db', ['p1', 'p2', 'p3']));
  for (const name of ['db', 'one']) world.nodes.volume(name).dataBytes = 4 * MiB;
  await world.run(20_000);
});

interface Result {
  readonly left: string;
  readonly log: readonly string[];
}

async function run(story: Story, mishap: Mishap, afterEffects: number): Promise<Result> {
  const world = new ReplicaWorld(library, saved);
  world.stepMs = 1_000;
  const fuse = new Fuse(afterEffects, mishap);
  world.start(fuse);
  await world.run(3_000);
  let diedMs: number | undefined;
  fuse.onDeath = () => {
    world.kill();
    diedMs = world.clock.monotonicMs();
  };
  // What a restart brings is no part of it.
  fuse.log.length = 0;
  fuse.effects = 0;
  await story.act(world);
  let { then } = story;
  world.onStep = async () => {
    if (diedMs !== undefined && world.clock.monotonicMs() >= diedMs + restartMs) {
      diedMs = undefined;
      world.start();
    }
    if (then !== undefined && (await then.when(world))) {
      const { act } = then;
      then = undefined;
      await act(world);
    }
  };
  await world.until(`${story.name}, ${mishap} after ${afterEffects}`, async () => {
    return then === undefined && diedMs === undefined && (await story.isOver(world));
  });
  await world.run(settleMs);
  const left = await leftIn(world);
  world.kill();
  return { left, log: [...fuse.log] };
}

async function leftIn(world: ReplicaWorld): Promise<string> {
  const lines: string[] = [];
  for (const { metadata, spec, status } of await world.list(volumes)) {
    const conditions = (status?.conditions ?? [])
      .map(({ type, status: is, reason }) => `${type}=${is}/${reason}`)
      .toSorted();
    const replicas = status?.replicas?.map(({ pool, state, voter }) => `${pool} ${state} ${voter}`);
    const { epoch: _epoch, ...set } = status?.replicaSet ?? {};
    const { name, annotations, finalizers } = metadata;
    lines.push(JSON.stringify([name, annotations, finalizers, spec, conditions, replicas, set]));
  }
  for (const { metadata, status } of await world.list(volumeReplicas)) {
    lines.push(`${metadata.name} ${status?.phase} ${status?.used}`);
  }
  for (const { metadata, status } of await world.list(pools)) {
    lines.push(`${metadata.name} ${status?.phase} ${status?.volumes}`);
  }
  for (const { name, set } of world.nodes.state.volumes.values()) {
    lines.push(`${name} ${[...(set?.members.keys() ?? [])].toSorted()} led by ${set?.leader}`);
  }
  return [...lines, ...world.nodes.state.strays].toSorted().join('\n');
}

async function firstDifference(story: Story): Promise<string | undefined> {
  const whole = await run(story, 'death', Number.POSITIVE_INFINITY);
  if (whole.log.length === 0) return 'it has no effects';
  for (const [before, effect] of whole.log.entries()) {
    const mishaps: Mishap[] = effect.startsWith('PATCH') ? ['death'] : ['death', 'lost answer'];
    for (const mishap of mishaps) {
      const { left } = await run(story, mishap, before + 1);
      if (left === whole.left) continue;
      return `${mishap} at effect ${before + 1}, ${effect}\n${left}\ninstead of\n${whole.left}`;
    }
  }
  return undefined;
}

// Before the first test is declared, for the runner follows every promise from then on.
const differences = new Map<string, string | undefined>();
for (const story of stories) {
  differences.set(story.name, await firstDifference(story).catch(String));
}

suite('controllers of replicas that die, or lose an answer', () => {
  for (const { name } of stories) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
