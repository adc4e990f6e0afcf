// Teleports between real agents: what arrives, what is refused, what is kept and for how long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TeleportObject } from '../../../src/api/objects.ts';
import { type Agent, type Cloud, refusal, runCli, startCloud, until } from '../cloud.ts';
import { digestOf, noise, writeNoise } from '../content.ts';

const mebibyte = 1024 * 1024;
const slow = 2 * mebibyte;

interface Pair extends AsyncDisposable {
  readonly cloud: Cloud;
  readonly east: Agent;
  readonly west: Agent;
}

/** Two joined agents, and their control planes; volume `db` of 64 MiB with some data at east. */
async function pair(dataBytes = 8 * mebibyte, planes = true): Promise<Pair> {
  const cloud = await startCloud(['east', 'west'], { planes });
  const east = cloud.agent('east');
  await east.create('db', 64 * mebibyte);
  if (planes) await cloud.adopted('east', 'db');
  using client = await east.connect('db');
  await writeNoise(client, 1, { offset: 5 * mebibyte, lengthBytes: dataBytes });
  const close = () => cloud.close();
  return { cloud, east, west: cloud.agent('west'), [Symbol.asyncDispose]: close };
}

async function digest(agent: Agent, volume: string): Promise<string> {
  using client = await agent.connect(volume);
  return await digestOf(client);
}

const start = { cluster: 'east', volume: 'db' } as const;

/** Every byte of the data is accounted for exactly once. */
function assertAccounted({ status }: TeleportObject): void {
  const { totalBytes, presentBytes, demandBytes, backgroundBytes, missingBytes } = status.progress;
  assert.equal(missingBytes, 0);
  assert.equal(presentBytes + demandBytes + backgroundBytes, totalBytes);
}

test('a full teleport is equal byte for byte and by root', async () => {
  await using set = await pair();
  const { cloud, east, west } = set;
  await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west', '--wait');
  const done = await west.teleport('db');
  assert.equal(done.status.phase, 'Available');
  assertAccounted(done);
  assert.equal(done.status.progress.totalBytes, 8 * mebibyte);
  assert.equal(done.status.progress.backgroundBytes, 8 * mebibyte);
  assert.ok(done.status.progress.wireBytes > 3 * mebibyte);
  assert.ok(done.status.progress.wireBytes < 6 * mebibyte);
  assert.equal(await digest(west, 'db'), await digest(east, 'db'));
  const roots = [await east.volume('db'), await west.volume('db')].map((one) => one.status.root);
  assert.equal(roots[0], roots[1]);
  await cloud.must('volume', 'verify', 'db', '--with', 'east', '--cluster', 'west', '--deep');
  // The source is free again.
  await until('the lease to be released', async () => {
    return (await cloud.cli('volume', 'delete', 'db', '--yes', '--cluster', 'east')).code === 0;
  });
});

test('to another name, with another policy, then only the difference', async () => {
  await using set = await pair(8 * mebibyte, false);
  const { east, west } = set;
  const first = await west.call('teleport.start', {
    ...start,
    name: 'db-copy',
    historyPolicy: 'one-hour',
  });
  await west.phase(first.metadata.name, 'Available');
  const { spec } = await west.volume('db-copy');
  assert.equal(spec.historyPolicy, 'one-hour');
  using client = await east.connect('db');
  await writeNoise(client, 500, { offset: 6 * mebibyte, lengthBytes: mebibyte });
  const second = await west.call('teleport.start', { ...start, name: 'db-second' });
  const done = await west.phase(second.metadata.name, 'Available');
  assertAccounted(done);
  assert.equal(done.status.progress.backgroundBytes, mebibyte);
  assert.equal(done.status.progress.presentBytes, 7 * mebibyte);
  assert.equal(await digest(west, 'db-second'), await digest(east, 'db'));
});

test('thin fetches what is touched, and all when it is told to', async () => {
  await using set = await pair();
  const { cloud, east, west } = set;
  await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west', '--thin', '--wait');
  const name = (await west.teleport('db')).metadata.name;
  using client = await west.connect('db');
  const block = Buffer.alloc(65_536);
  await client.read(block, 5 * mebibyte);
  assert.ok(block.equals(noise(1, mebibyte).subarray(0, block.length)));
  await client.read(block, 0);
  assert.ok(block.equals(Buffer.alloc(block.length)));
  const touched = await west.teleport(name);
  assert.equal(touched.status.phase, 'Accessible');
  assert.ok(touched.status.progress.demandBytes > 0);
  assert.ok(touched.status.progress.missingBytes > 7 * mebibyte);
  await client.write(noise(9, 4096), 5 * mebibyte);
  await cloud.must('teleport', 'fill', 'db', '--cluster', 'west');
  assertAccounted(await west.phase(name, 'Available'));
  using source = await east.connect('db');
  await source.write(noise(9, 4096), 5 * mebibyte);
  assert.equal(await digestOf(client), await digestOf(source));
});

test('from a moment of the past and from a snapshot', async () => {
  await using set = await pair();
  const { cloud, east, west } = set;
  await cloud.must('history-policy', 'assign', 'db', 'one-hour', '--cluster', 'east');
  await east.call('volume.snapshot', { volume: 'db', name: 'kept' });
  const before = await digest(east, 'db');
  await sleep(1500);
  const at = new Date().toISOString();
  await sleep(1500);
  using client = await east.connect('db');
  await writeNoise(client, 70, { offset: 0, lengthBytes: 4 * mebibyte });
  const words = ['teleport', 'db', '--from', 'east', '--to', 'west', '--wait'];
  await cloud.must(...words, '--at', at, '--name', 'past');
  await cloud.must(...words, '--snapshot', 'kept', '--name', 'kept');
  await cloud.must(...words, '--name', 'now');
  assert.equal(await digest(west, 'past'), before);
  assert.equal(await digest(west, 'kept'), before);
  assert.equal(await digest(west, 'now'), await digestOf(client));
  const never = await cloud.cli(...words, '--at', '2h', '--name', 'never');
  assert.equal(never.code, 1);
  assert.match(never.stderr, /history|oldest|kept/i);
  assert.deepEqual(await west.volumeNames(), ['kept', 'now', 'past']);
});

test('a name that is taken is refused, and nothing changed at either side', async () => {
  await using set = await pair();
  const { cloud, east, west } = set;
  await west.create('db', 4 * mebibyte);
  await cloud.adopted('west', 'db');
  using client = await west.connect('db');
  await client.write(noise(3, mebibyte), 0);
  const { code, stderr } = await cloud.cli('teleport', 'db', '--from', 'east', '--to', 'west');
  assert.equal(code, 6, stderr);
  assert.match(stderr, /exists/);
  assert.match(stderr, /--name/);
  assert.deepEqual((await west.call('teleport.list', {})).items, []);
  assert.equal((await west.volume('db')).status.sizeBytes, 4 * mebibyte);
  const back = Buffer.alloc(mebibyte);
  await client.read(back, 0);
  assert.ok(back.equals(noise(3, mebibyte)));
  // No lease was left at the source.
  await cloud.must('volume', 'delete', 'db', '--yes', '--cluster', 'east');
  assert.deepEqual(await east.volumeNames(), []);
});

test('what does not exist is refused with what there is', async () => {
  await using set = await pair();
  const { cloud, west } = set;
  const volume = await cloud.cli('teleport', 'dbb', '--from', 'east', '--to', 'west');
  assert.equal(volume.code, 1);
  assert.match(volume.stderr, /no volume.*db/);
  const peer = await cloud.cli('teleport', 'db', '--from', 'est', '--to', 'west');
  assert.equal(peer.code, 1);
  assert.match(peer.stderr, /east/);
  assert.deepEqual(await west.volumeNames(), []);
});

test('progress grows, says what is left, and cancel takes it all back', async () => {
  await using set = await pair(16 * mebibyte);
  const { cloud, east, west } = set;
  const rate = ['--rate', `${slow / mebibyte}MiB/s`];
  await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west', ...rate);
  const seen: TeleportObject[] = [];
  await until('half of it to be there', async () => {
    seen.push(await west.teleport('db'));
    const { missingBytes } = seen.at(-1)!.status.progress;
    return missingBytes < 10 * mebibyte;
  });
  for (const [at, { status }] of seen.entries()) {
    assert.equal(status.phase, 'Accessible');
    assert.equal(status.progress.totalBytes, 16 * mebibyte);
    const before = seen[at - 1]?.status.progress.missingBytes ?? Number.POSITIVE_INFINITY;
    assert.ok(status.progress.missingBytes <= before);
  }
  const last = seen.at(-1)!.status.progress;
  assert.ok(last.bytesPerSecond > 0);
  assert.ok((last.etaMs ?? 0) > 0);
  const refused = await cloud.cli('volume', 'delete', 'db', '--yes', '--cluster', 'east');
  assert.equal(refused.code, 3, refused.stderr);
  assert.match(refused.stderr, /west/);
  assert.match(refused.stderr, /force/);
  await cloud.must('teleport', 'cancel', 'db', '--yes', '--cluster', 'west');
  assert.deepEqual(await west.volumeNames(), []);
  const canceled = await west.teleport(seen[0]!.metadata.name);
  assert.equal(canceled.status.phase, 'Canceled');
  await until('the source to be released', async () => {
    return (await cloud.cli('volume', 'delete', 'db', '--yes', '--cluster', 'east')).code === 0;
  });
  assert.deepEqual(await east.volumeNames(), []);
});

test('Ctrl-C ends the watching, not the teleport; stopped agents go on later', async () => {
  await using set = await pair(16 * mebibyte);
  const { cloud, east, west } = set;
  const words = ['teleport', 'db', '--from', 'east', '--to', 'west', '--rate', '3MiB/s', '--wait'];
  const watched = await runCli(cloud.home, words, (child) => {
    void until('it to be under way', async () => {
      const { items } = await west.call('teleport.list', {});
      const [first] = items.map(({ status }) => status);
      const left = first?.progress.missingBytes ?? 0;
      return first?.phase === 'Accessible' && left < 14 * mebibyte;
    }).then(() => child.kill('SIGINT'));
  });
  assert.equal(watched.code, 130, watched.stderr);
  assert.match(watched.stderr, /goes on|teleport watch/);
  await cloud.must('down', 'west', 'east');
  assert.doesNotMatch(west.log, /cut short|did not end cleanly/);
  await cloud.must('up', 'east', 'west', '--detach');
  await west.phase('db', 'Available');
  assert.equal(await digest(west, 'db'), await digest(east, 'db'));
});

test('a source deleted by force stays until the teleport has it, then goes', async () => {
  await using set = await pair();
  const { cloud, east, west } = set;
  const wanted = await digest(east, 'db');
  await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west', '--thin', '--wait');
  const refused = await cloud.cli('volume', 'delete', 'db', '--yes', '--cluster', 'east');
  assert.equal(refused.code, 3, refused.stderr);
  await cloud.must('volume', 'delete', 'db', '--yes', '--force', '--cluster', 'east');
  assert.deepEqual(await east.volumeNames(), []);
  const kept = (await east.pool()).status.chunks;
  await cloud.must('pool', 'collect', '--cluster', 'east');
  assert.ok((await east.pool()).status.chunks >= 128, `${kept} chunks before`);
  await cloud.must('teleport', 'fill', 'db', '--cluster', 'west');
  await west.phase('db', 'Available');
  assert.equal(await digest(west, 'db'), wanted);
  // What was handed out lately is pinned for some minutes in memory: a restart forgets that.
  await east.stop();
  await east.start();
  await until('the source to forget', async () => {
    await east.job('pool.collect', {});
    return (await east.pool()).status.chunks === 0;
  });
});

test('an unsettled volume that is written to meanwhile arrives as it was', async () => {
  await using set = await pair(8 * mebibyte, false);
  const { east, west } = set;
  using source = await east.connect('db');
  const before = await digestOf(source);
  const begun = await west.call('teleport.start', { ...start, bytesPerSecond: slow });
  for (let at = 0; at < 12; at += 1) await source.write(noise(900 + at, mebibyte), at * mebibyte);
  using arrived = await west.connect('db');
  await arrived.write(noise(3, 10_000), 7 * mebibyte + 100);
  const back = Buffer.alloc(10_000);
  await west.phase(begun.metadata.name, 'Available');
  await arrived.read(back, 7 * mebibyte + 100);
  assert.ok(back.equals(noise(3, 10_000)));
  const original = Buffer.alloc(10_000);
  noise(1 + 2, mebibyte).copy(original, 0, 100, 10_100);
  await arrived.write(original, 7 * mebibyte + 100);
  assert.equal(await digestOf(arrived), before);
});

test('names with odd characters are refused in words, and change nothing', async () => {
  await using set = await pair(mebibyte, false);
  const { cloud, west } = set;
  for (const name of ['UPPER', 'a b', '../up', 'a/b', '-rf', '', 'ü', 'x'.repeat(64), 'a\nb']) {
    const problem = await refusal(west.call('teleport.start', { ...start, name }));
    assert.ok(['BadName', 'BadArgument'].includes(problem.reason), `${name}: ${problem.message}`);
    const made = await refusal(west.call('volume.create', { name, sizeBytes: mebibyte }));
    assert.ok(['BadName', 'BadArgument'].includes(made.reason), `${name}: ${made.message}`);
  }
  const { code, stderr } = await cloud.cli('volume', 'create', 'Übel/..', '--size', '1Mi');
  assert.equal(code, 2);
  assert.match(stderr, /lower-case/);
  assert.deepEqual(await west.volumeNames(), []);
});
