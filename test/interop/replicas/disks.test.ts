// Disks of replicas that are full, and disks that lie: what was acknowledged is not lost, the state
// says what is wrong, and all is whole again when the disk is.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ReplicaView } from '../../../src/api/objects.ts';
import { type Agent, Cloud, startCloud, until } from '../cloud.ts';
import { Ledger } from '../ledger.ts';
import { noDisk, type SmallDisk, smallDisk } from '../small-disk.ts';
import { missing } from '../tools.ts';
import { framesOf, loseFrom, rotFrames, rotSegments } from './rot.ts';
import { alike, goesOn, lead, setOf, takeOver, whole } from './sets.ts';
import { startWriter } from './writer.ts';

const mebibyte = 1024 * 1024;
const timeout = 400_000;
const sizeBytes = 16 * mebibyte;
type Three = readonly [Agent, Agent, Agent];

function seeded(t: TestContext): Ledger {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  return new Ledger(seed, sizeBytes);
}

async function replicaOf(leader: Agent, member: Agent): Promise<ReplicaView> {
  const { replicas } = await setOf(leader, 'db');
  return replicas.find(({ agent }) => agent === member.name)!;
}

/** The agents of the first two have disks of their own. */
async function startOn(cloud: Cloud, disks: readonly SmallDisk[]): Promise<Three> {
  for (let number = 1; number <= 3; number++) {
    const name = number === 1 ? 'rep' : `rep-${number}`;
    const agent = cloud.adopt(name, number === 1 ? undefined : 'rep');
    const disk = disks[number - 1];
    await agent.start(disk === undefined ? {} : { poolDirectory: join(disk.path, 'pool') });
  }
  return (await cloud.joinNodes('rep')) as unknown as Three;
}

test('fio verifies what it writes while disks of a minority are full', {
  skip: noDisk || missing('fio'),
  timeout,
}, async () => {
  await using first = await smallDisk(640 * mebibyte);
  await using second = await smallDisk(640 * mebibyte);
  await using cloud = new Cloud();
  const agents = await startOn(cloud, [first, second]);
  const [leader, follower] = agents;
  await lead(leader, 'db', agents, sizeBytes);
  await using writer = startWriter(leader.uri('db'));
  await goesOn(leader, 'db', writer);
  for (const [disk, agent] of [
    [second, follower],
    [first, leader],
  ] as const) {
    await disk.fill(200 * mebibyte);
    await until('the pool to be full', async () => (await agent.pool()).status.readOnly);
    await until('its replica to say so', async () => {
      const { state, message } = await replicaOf(leader, agent);
      return state !== 'Healthy' && /full/.test(message);
    });
    await goesOn(leader, 'db', writer);
    disk.free();
    await whole(leader, 'db', agents);
  }
  await writer.stop();
  await alike(leader, agents);
});

test('full disks of a majority refuse writes and lose none; space lets them go on', {
  skip: noDisk,
  timeout,
}, async (t) => {
  const ledger = seeded(t);
  await using first = await smallDisk(640 * mebibyte);
  await using second = await smallDisk(640 * mebibyte);
  await using cloud = new Cloud();
  const agents = await startOn(cloud, [first, second]);
  const [leader] = agents;
  await lead(leader, 'db', agents, sizeBytes);
  using client = await leader.connect('db');
  const working = ledger.work(client, () => false);
  await until('some flushes', () => ledger.flushes > 3);
  for (const disk of [first, second]) await disk.fill(200 * mebibyte);
  // Each worker ends with the first refusal.
  await working;
  const refused = await client.write(Buffer.alloc(512), sizeBytes - 512).catch(String);
  assert.match(String(refused), /error (1|28)\b/, 'EPERM or ENOSPC, not EIO');
  await client.read(Buffer.alloc(mebibyte), 0);
  for (const disk of [first, second]) disk.free();
  await whole(leader, 'db', agents);
  const { writes } = ledger;
  await ledger.work(client, () => ledger.writes > writes + 200);
  assert.ok(ledger.writes > writes + 200, 'writes go on');
  await client.flush();
  await ledger.check(client, { answered: true });
  await alike(leader, agents);
});

test('a disk without a single free byte stops its replica only', {
  skip: noDisk || missing('fio'),
  timeout,
}, async (t) => {
  await using disk = await smallDisk(640 * mebibyte);
  await using cloud = new Cloud();
  const agents = await startOn(cloud, [disk]);
  const [first, second] = agents;
  await lead(second, 'db', agents, sizeBytes);
  await using writer = startWriter(second.uri('db'));
  await goesOn(second, 'db', writer);
  await disk.fill(0);
  await until('its replica to say so', async () => {
    const { state, message } = await replicaOf(second, first);
    return state !== 'Healthy' && /full|failed|ENOSPC/.test(message);
  });
  await goesOn(second, 'db', writer);
  disk.free();
  // Whether it noticed before a write failed, or by that: then it begins again from its journal.
  const { phase } = (await first.pool()).status;
  t.diagnostic(`its pool is ${phase}`);
  if (phase === 'Failed') {
    await first.kill();
    await first.start();
  }
  await whole(second, 'db', agents);
  await writer.stop();
  await alike(second, agents);
});

test('segments that rot, in an agent that is away and in one that leads, are healed', {
  timeout,
}, async (t) => {
  const ledger = seeded(t);
  await using cloud = new Cloud();
  const agents = await startSmall(cloud);
  const [leader, follower] = agents;
  await lead(leader, 'db', agents, sizeBytes);
  const client = await leader.connect('db');
  const working = ledger.work(client, () => ledger.writes > 1500);
  await working;
  await client.flush();
  await settled(agents);
  await follower.kill();
  assert.ok(rotSegments(follower.paths.pool, 256 * 1024) > 10);
  assert.ok(rotSegments(leader.paths.pool, 256 * 1024) > 10);
  await ledger.check(client, { answered: true });
  await follower.start();
  // Of segments that its index does not have yet it opens up to the first that is wrong, and misses
  // what came behind: that is made anew. What is wrong in others is seen when it is read.
  await leader.connected(follower.name);
  await whole(leader, 'db', agents);
  client.disconnect();
  await until('its doors to be closed', () => yields(leader));
  await takeOver(follower, 'db', agents);
  await whole(follower, 'db', agents);
  using second = await follower.connect('db');
  await ledger.check(second, { answered: true });
  const healed = await leader.metric('transship_replica_healed_chunks_total');
  t.diagnostic(`${healed} chunks were healed on their way`);
  assert.ok(healed > 0);
  // The one that found them under way said so; a scrub finds that all are good again.
  const conditions = async () => (await leader.pool()).status.conditions.map(({ type }) => type);
  assert.ok((await conditions()).includes('DataDamaged'));
  await leader.job('pool.scrub', {});
  assert.ok(!(await conditions()).includes('DataDamaged'));
  await alike(follower, agents);
});

test('a journal that rots is noticed, and its replica made anew', { timeout }, async (t) => {
  const ledger = seeded(t);
  await using cloud = new Cloud();
  const agents = await startSmall(cloud);
  const [leader, follower, other] = agents;
  await lead(leader, 'db', agents, sizeBytes);
  const client = await leader.connect('db');
  for (const [round, where] of (['header', 'data'] as const).entries()) {
    const { writes } = ledger;
    const working = ledger.work(client, () => ledger.writes > writes + 400);
    await working;
    await follower.kill();
    const frames = framesOf(follower.paths.pool);
    const rotten = rotFrames(frames.slice(frames.length >> 1, -5), where);
    t.diagnostic(`round ${round}: ${rotten} of ${frames.length} frames`);
    assert.ok(rotten > 5);
    await follower.start();
    await whole(leader, 'db', agents);
  }
  // And of the leader, which has no copy of it in memory.
  const { writes } = ledger;
  await ledger.work(client, () => ledger.writes > writes + 400);
  const frames = framesOf(leader.paths.pool);
  assert.ok(rotFrames(frames, 'data') > 5);
  await ledger.check(client, { answered: true });
  await until('the event', () =>
    /replica rep\/main: .*journal fails its checksum/.test(leader.log),
  );
  await alike(leader, agents);
  client.disconnect();
  await until('its doors to be closed', () => yields(leader));
  await takeOver(follower, 'db', agents);
  await whole(follower, 'db', agents);
  await follower.call('replica.yield', { volume: 'db' });
  await takeOver(other, 'db', agents);
  using second = await other.connect('db');
  await ledger.check(second, { answered: true });
});

test('writes that one disk acknowledged and lost come back from the others', {
  timeout,
}, async (t) => {
  const ledger = seeded(t);
  await using cloud = await startCloud([]);
  const agents = (await cloud.startNodes('rep', 3)) as unknown as Three;
  const [first, second] = agents;
  await lead(first, 'db', agents, sizeBytes);
  const leader = first;
  // The disk of a follower, then that of the leader itself.
  for (const liar of [second, first]) {
    const client = await leader.connect('db');
    const { flushes } = ledger;
    const working = ledger.work(client, () => false);
    await until('some flushes', () => ledger.flushes > flushes + 10);
    await liar.kill();
    const frames = framesOf(liar.paths.pool);
    const lost = loseFrom(liar.paths.pool, frames[frames.length >> 1]!.sequence);
    t.diagnostic(`${liar.name} lost ${lost} of ${frames.length} frames`);
    assert.ok(lost > 3);
    if (liar === leader) {
      await working;
      await liar.start();
      // It has forgotten what it acknowledged: whoever leads next must ask the others.
      await takeOver(liar, 'db', agents);
      await whole(liar, 'db', agents);
    } else {
      await liar.start();
      await whole(leader, 'db', agents);
      client.disconnect();
      await working;
      // What was sent before may land until then, and a check takes what it finds for the truth.
      await until('its doors to be closed', async () => {
        return (await leader.volume('db')).status.doors.length === 0;
      });
    }
    using after = await leader.connect('db');
    // Of a leader that goes on, all that it answered.
    await ledger.check(after, { answered: liar !== leader });
  }
  await alike(leader, agents);
});

/** Little of what they read stays in memory. */
async function startSmall(cloud: Cloud): Promise<Three> {
  for (let number = 1; number <= 3; number++) {
    const name = number === 1 ? 'rep' : `rep-${number}`;
    const agent = cloud.adopt(name, number === 1 ? undefined : 'rep');
    await agent.start({ cacheBytes: mebibyte });
  }
  return (await cloud.joinNodes('rep')) as unknown as Three;
}

/** Nothing is in journals only. */
async function settled(agents: readonly Agent[]): Promise<void> {
  for (const agent of agents) {
    await until(`${agent.name} to settle`, async () => {
      return (await agent.volume('db')).status.unsettledBytes === 0;
    });
  }
}

function yields(leader: Agent): Promise<boolean> {
  return leader.call('replica.yield', { volume: 'db' }).then(
    () => true,
    () => false,
  );
}
