/**
 * Replicas with real agents, over both kinds of API servers: scaled up and down, moved, drained,
 * and an agent killed. A cluster gets two agents more for it, so these run alone.
 */
import assert from 'node:assert/strict';
import { resources } from '../../../src/api/kinds/resources.ts';
import { writeNoise } from '../../interop/content.ts';
import { Ledger } from '../../interop/ledger.ts';
import { until } from '../../interop/cloud.ts';
import { fleetCases } from './case.ts';
import { MiB } from './context.ts';
import { poolNames, withNodes } from './replica-nodes.ts';

const { pools, volumeReplicas, volumes } = resources;
const sizeBytes = 24 * MiB;
const scaling = 'ScalingVolumeReplicas';
const [one, two, three] = poolNames;

export const replicaCases = fleetCases({
  'a third replica is reconstructed, then Healthy, and one goes, under a writer': {
    alone: true,
    long: true,
    run: (t) =>
      withNodes(t, async (nodes) => {
        const { client } = t.east;
        await nodes.make('walk', [one, two], { rebuildBandwidth: '2Mi' });
        const ledger = new Ledger(Date.now() % 1e6, sizeBytes / 3);
        const leader = await nodes.leader('walk');
        using door = await leader.connect('walk');
        let isOver = false;
        // So much that its way can be seen.
        await writeNoise(door, 7, { offset: sizeBytes / 3, lengthBytes: (2 * sizeBytes) / 3 });
        const working = ledger.work(door, () => isOver);
        await until('some writes', () => ledger.writes > 200);
        await nodes.edit('walk', [one, two, three]);
        await t.until('it is being made', async () => {
          const name = `walk-${three}`;
          const view = await client.get(volumeReplicas, { namespace: '', name });
          return view?.status?.phase === 'ReconstructingNewReplica' ? true : undefined;
        });
        await nodes.settled('walk', [one, two, three]);
        await nodes.isTold('walk', scaling, 'Normal successfully scaled volume replicas to 3');
        const before = ledger.writes;
        await nodes.edit('walk', [one, three]);
        await nodes.settled('walk', [one, three]);
        await nodes.isTold(
          'walk',
          scaling,
          'Warning Scaling down volume replicas from 3 to 2 is in progress',
        );
        await nodes.isTold('walk', scaling, 'Normal successfully scaled volume replicas to 2');
        await t.gone(t.east, volumeReplicas, `walk-${two}`);
        await until('writes go on', () => ledger.writes > before);
        isOver = true;
        await working;
        await door.flush();
        await ledger.check(door);
        door.disconnect();
        await nodes.delete('walk');
      }),
  },

  'a volume with one replica moves, and is read where it came to': {
    alone: true,
    long: true,
    run: (t) =>
      withNodes(t, async (nodes) => {
        await nodes.make('mover', [one]);
        await t.fill(t.east, 'mover', 8 * MiB);
        const before = await t.digest(t.east, 'mover');
        await nodes.edit('mover', [three]);
        await nodes.settled('mover', [three]);
        // Nobody uses it, so the agent that has it leads it.
        const leader = await nodes.leader('mover', (agent) => agent === 'east-3');
        const now = await t.until('it is open there', async () => {
          return t.digest({ ...t.east, agent: leader }, 'mover');
        });
        assert.equal(now, before);
        await nodes.delete('mover');
      }),
  },

  'a pool is drained while controllers die, and takes replicas again': {
    alone: true,
    long: true,
    run: (t) =>
      withNodes(t, async (nodes) => {
        const { client, controller } = t.east;
        const names = ['drain-a', 'drain-b', 'drain-c'];
        for (const name of names) await nodes.make(name, name === 'drain-c' ? [two] : [one, two]);
        const key = { namespace: '', name: two };
        await client.patch(pools, key, { spec: { drain: {} } });
        await controller.end('SIGKILL');
        await controller.start();
        await nodes.drained(two);
        for (const name of names) {
          // What its volume says may be from before the controllers came back.
          await t.until(`${name} to be elsewhere`, async () => {
            const { status } = await t.object(t.east, volumes, name);
            return status?.replicas?.every(({ pool }) => pool !== two) === true || undefined;
          });
        }
        await client.patch(pools, key, { spec: { drain: null } });
        for (const name of names) await nodes.delete(name);
      }),
  },

  'the agent that leads is killed: another does, with every acknowledged byte': {
    alone: true,
    long: true,
    run: (t) =>
      withNodes(t, async (nodes) => {
        await nodes.make('lost', [two, three, one]);
        const first = await nodes.leader('lost');
        assert.equal(first.name, 'east-2');
        const ledger = new Ledger(Date.now() % 1e6, sizeBytes);
        const door = await first.connect('lost');
        const working = ledger.work(door, () => false);
        await until('some writes', () => ledger.writes > 200);
        await first.kill();
        await working;
        const next = await nodes.leader('lost', (agent) => agent !== first.name);
        const told = await t.until('it is told', async () => {
          const [note] = await nodes.told('lost', 'ReplicaLeaderMoved');
          return note;
        });
        assert.match(told, /^Warning agent east(-3)? leads .* instead of agent east-2/);
        using again = await next.connect('lost');
        await ledger.check(again, { answered: true });
        again.disconnect();
        await first.start();
        await nodes.settled('lost', [two, three, one]);
        assert.equal((await nodes.leader('lost')).name, next.name);
        await nodes.delete('lost');
      }),
  },
});
