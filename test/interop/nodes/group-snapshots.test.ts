// Snapshots of volumes of several agents at one moment, while an application writes to one after
// the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlClient } from '../../../src/api/control-client.ts';
import { type Volume, volumes } from '../../../src/api/kinds/volume.ts';
import { asTransshipError } from '../../../src/base/errors.ts';
import { annotations } from '../../../src/controllers/labels.ts';
import { groupServer } from '../../../src/csi/group-server.ts';
import type { AgentDoor } from '../../../src/csi/ports.ts';
import { createClock } from '../../../src/host/clock.ts';
import { connectNbd } from '../../../src/host/nbd-client.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import { control, Nodes, until } from './cluster-of-nodes.ts';

const options = { timeout: 600_000 };
const names = ['e1', 'e2'] as const;
const rounds = 3;
const blockBytes = 4096;

/** The first is written before the second, each time. */
const places = [
  ['first', 'e1'],
  ['second', 'e2'],
  ['third', 'e1'],
] as const;

async function makeVolumes(client: KubeClient): Promise<void> {
  for (const [name, node] of places) {
    const metadata = { name, annotations: { [annotations.selectedNode]: node } };
    await client.create<Volume>(volumes, { metadata, spec: { size: '1Mi' } });
  }
  for (const [name, node] of places) {
    await until(`volume ${name}`, async () => {
      const found = await client.get(volumes, { namespace: '', name });
      const isReady = found?.status?.conditions?.some(({ type, status }) => {
        return type === 'Ready' && status === 'True';
      });
      if (isReady === true) assert.equal(found?.metadata.annotations?.[annotations.agent], node);
      return isReady === true;
    });
  }
}

/** Numbers that rise, to each volume the same, in the order of their names here. */
class Writer {
  #isOver = false;
  #last = 0;
  #begun = 0;
  #ended = Promise.resolve();

  get isOver(): boolean {
    return this.#isOver;
  }

  get last(): number {
    return this.#last;
  }

  /** Rounds of which the first volume has its number. */
  get begun(): number {
    return this.#begun;
  }

  async start(nodes: Nodes): Promise<void> {
    const doors = await Promise.all(
      places.map(([name, node]) => {
        return connectNbd({ exportName: name, socketPath: nodes.nbdSocketOf(node) });
      }),
    );
    const block = Buffer.alloc(blockBytes);
    this.#ended = (async () => {
      while (!this.#isOver) {
        block.writeUInt32BE(this.#last + 1);
        const [first, ...others] = doors;
        await first?.write(block, 0);
        this.#begun++;
        for (const door of others) await door.write(block, 0);
        this.#last++;
      }
      for (const door of doors) door.disconnect();
    })();
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }
}

/**
 * The second agent is asked only when the first has kept its part, and the writer is on again: what
 * it does then must not be in the second's part either.
 */
function lateSecond(nodes: Nodes, writer: Writer): readonly AgentDoor[] {
  let kept = Promise.withResolvers<void>();
  const [first, second] = names.map((name) => nodes.client(name));
  const callFirst: ControlClient['call'] = async (name, request) => {
    if (name === 'volume.hold') kept = Promise.withResolvers();
    const answer = await first!.call(name, request);
    if (name === 'volume.snapshot-held') kept.resolve();
    return answer;
  };
  const callSecond: ControlClient['call'] = async (name, request) => {
    if (name === 'volume.snapshot-held' && !writer.isOver) {
      await kept.promise;
      const before = writer.begun;
      await until('the writer to go on', async () => writer.begun > before);
    }
    return second!.call(name, request);
  };
  return [
    { name: names[0], control: { ...first!, call: callFirst } },
    { name: names[1], control: { ...second!, call: callSecond } },
  ];
}

/** As callers do: what took too long is tried again. */
async function make(server: ReturnType<typeof groupServer>, name: string) {
  const request = { name, sourceVolumeIds: places.map(([volume]) => volume), parameters: {} };
  for (;;) {
    try {
      return (await server.CreateVolumeGroupSnapshot(request)).groupSnapshot;
    } catch (error) {
      if (asTransshipError(error).reason !== 'TimedOut') throw error;
    }
  }
}

/** The number in a snapshot. */
async function numberIn(nodes: Nodes, place: (typeof places)[number], snapshot: string) {
  const [volume, node] = place;
  const agent = nodes.client(node);
  const name = `${volume}-clone`;
  await agent.call('volume.clone', { volume, snapshot, name });
  const door = await connectNbd({ exportName: name, socketPath: nodes.nbdSocketOf(node) });
  const block = Buffer.alloc(blockBytes);
  await door.read(block, 0);
  door.disconnect();
  await until('its door to be closed', async () => {
    const { status } = await agent.call('volume.show', { name });
    return status.doors.length === 0;
  });
  await agent.call('volume.delete', { name });
  return block.readUInt32BE();
}

test('a group snapshot is of one moment, over agents, below a writer', options, async (t) => {
  await using nodes = new Nodes();
  for (const one of names) await nodes.start(one, 'east');
  const agents = names.map((one) => ({ name: one, address: `unix://${nodes.socketOf(one)}` }));
  const { client, stop } = await control('east', agents);
  t.after(stop);
  await makeVolumes(client);
  const writer = new Writer();
  await writer.start(nodes);
  const doors = lateSecond(nodes, writer);
  const server = groupServer({ client, clock: createClock(), agents: async () => doors });
  const made: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const before = writer.last;
    await until('more writes', async () => writer.last > before + 10);
    const group = await make(server, `round ${round}`);
    assert.equal(group?.snapshots?.length, places.length);
    // Asked for once more, it is what was made.
    assert.deepEqual(await make(server, `round ${round}`), group);
    made.push(group?.groupSnapshotId ?? '');
  }
  await writer.stop();
  for (const id of made) {
    const numbers = await Promise.all(places.map((place) => numberIn(nodes, place, id)));
    const [first = 0, , third = 0] = numbers;
    assert.ok(first > 0);
    // Nothing later without what came before it, and no more than the one on its way.
    const isOrdered = numbers.every((one, at) => at === 0 || one <= numbers[at - 1]!);
    assert.ok(isOrdered && first - third <= 1, `${id} has ${numbers.join(', ')}`);
  }
  const [one = ''] = made;
  const other = { groupSnapshotId: one, snapshotIds: ['first@another'] };
  await assert.rejects(server.GetVolumeGroupSnapshot(other), /not one of group snapshot/);
  await server.DeleteVolumeGroupSnapshot({ groupSnapshotId: one, snapshotIds: [] });
  const gone = { groupSnapshotId: one, snapshotIds: [] };
  await assert.rejects(server.GetVolumeGroupSnapshot(gone), /there is no group snapshot/);
  // A part that was left by a cut attempt is of another moment, and is made anew.
  const [, second = ''] = made;
  await nodes.client('e2').call('volume.delete-snapshot', { volume: 'second', name: second });
  const anew = await make(server, 'round 1');
  assert.equal(anew?.snapshots?.length, places.length);
  const numbers = await Promise.all(places.map((place) => numberIn(nodes, place, second)));
  assert.deepEqual(
    numbers,
    places.map(() => writer.last),
  );
});
