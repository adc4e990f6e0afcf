// Links that are cut, slow or silent, and agents that are killed, while volumes teleport.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRng } from '../../sim/rng.ts';
import { type Agent, type Cloud, refusal, startCloud, until } from '../cloud.ts';
import { digestOf, noise, writeNoise } from '../content.ts';
import { Ledger } from '../ledger.ts';

const mebibyte = 1024 * 1024;
const blockBytes = 65_536;
const start = { cluster: 'east', volume: 'db' } as const;

/** Volume `db` at east with data from its ninth MiB on. */
async function withData(cloud: Cloud, dataBytes: number): Promise<[Agent, Agent]> {
  const [east, west] = [cloud.agent('east'), cloud.agent('west')];
  await east.create('db', 8 * mebibyte + dataBytes + mebibyte);
  using client = await east.connect('db');
  await writeNoise(client, 1, { offset: 8 * mebibyte, lengthBytes: dataBytes });
  return [east, west];
}

async function conditionOf(agent: Agent, type: string): Promise<string | undefined> {
  const { status } = await agent.volume('db');
  return status.conditions.find((one) => one.type === type)?.status;
}

async function digest(agent: Agent, volume: string): Promise<string> {
  using client = await agent.connect(volume);
  return await digestOf(client);
}

// Most of these wait for time-outs: they wait together.
suite('links and kills', { concurrency: true }, () => {
  test('a cut link is shown, local data is served, and all goes on after it', cutAndRestore);
  test('a fetch that was cut goes on where it was', goOnAfterCut);
  test('kills of both sides at any moment: nothing lost, hardly anything fetched twice', killBoth);
  test('clone, snapshot and onward teleport of a volume that is still arriving', onward);
});

async function cutAndRestore(): Promise<void> {
  await using cloud = await startCloud(['east', 'west'], { relays: true });
  const [east, west] = await withData(cloud, 8 * mebibyte);
  await west.call('teleport.start', { ...start, thin: true });
  using client = await west.connect('db');
  const here = Buffer.alloc(blockBytes);
  await client.read(here, 8 * mebibyte);
  cloud.cut();
  await until('the cut to be shown', async () => {
    return (await conditionOf(west, 'SourceConnected')) === 'False';
  });
  const { status } = await west.teleport('db');
  assert.equal(status.phase, 'Accessible');
  const shown = status.conditions.find(({ type }) => type === 'SourceConnected');
  assert.equal(shown?.status, 'False');
  assert.equal(shown?.reason, 'SourceUnreachable');
  await client.read(here, 8 * mebibyte);
  assert.ok(here.equals(noise(1, mebibyte).subarray(0, blockBytes)));
  await client.write(noise(77, 4096), 12 * mebibyte);
  await client.flush();
  // Part of a block that is not here: its written sector is, the rest waits in vain.
  const sector = Buffer.alloc(4096);
  const distant = refusal(client.read(Buffer.alloc(blockBytes), 12 * mebibyte));
  await client.read(sector, 12 * mebibyte);
  assert.ok(sector.equals(noise(77, 4096)));
  const problem = await distant;
  assert.match(problem.message, /error 5/);
  assert.match(problem.message, /east/);
  assert.equal((await west.teleport('db')).status.phase, 'Accessible');
  cloud.restore();
  const block = Buffer.alloc(blockBytes);
  await client.read(block, 12 * mebibyte);
  assert.ok(block.subarray(4096).equals(noise(5, mebibyte).subarray(4096, blockBytes)));
  await until('the link to be shown', async () => {
    return (await conditionOf(west, 'SourceConnected')) === 'True';
  });
  await west.call('teleport.fill', { name: 'db' });
  await west.phase('db', 'Available');
  using source = await east.connect('db');
  await source.write(noise(77, 4096), 12 * mebibyte);
  assert.equal(await digestOf(client), await digestOf(source));
}

async function goOnAfterCut(): Promise<void> {
  await using cloud = await startCloud(['east', 'west'], { relays: true });
  const dataBytes = 24 * mebibyte;
  const [east, west] = await withData(cloud, dataBytes);
  // By what has passed, not by the clock: three times this is less than what is stored.
  const pieceBytes = dataBytes / 8;
  let wasCut = cloud.cutAfter(pieceBytes);
  await west.call('teleport.start', { ...start, bytesPerSecond: 3 * mebibyte });
  for (let cuts = 1; cuts <= 3; cuts += 1) {
    await wasCut;
    await west.connected('east', false);
    const before = (await west.teleport('db')).status;
    assert.equal(before.phase, 'Accessible');
    assert.ok(before.progress.missingBytes > 0);
    await sleep(400);
    assert.equal((await west.teleport('db')).status.phase, 'Accessible');
    if (cuts < 3) wasCut = cloud.cutAfter(pieceBytes);
    cloud.restore();
  }
  const done = await west.phase('db', 'Available');
  assert.equal(await digest(west, 'db'), await digest(east, 'db'));
  assert.equal(done.status.root, (await east.volume('db')).status.root);
  assert.equal(done.status.progress.backgroundBytes, dataBytes);
  // What travelled over all links, encrypted and framed, beside what is stored at the source.
  const storedBytes = (await east.pool()).status.storedBytes;
  const relayed = east.relay!.bytes() + west.relay!.bytes();
  // A cut takes along what is on its way.
  const lostBytes = 3 * mebibyte;
  const most = storedBytes * 1.15 + mebibyte + lostBytes;
  assert.ok(relayed < most, `${relayed} bytes for ${storedBytes}`);
}

async function killBoth(t: { diagnostic(message: string): void }): Promise<void> {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  const rng = createRng(seed);
  await using cloud = await startCloud(['east', 'west'], { relays: true });
  const [east, west] = await withData(cloud, 32 * mebibyte);
  const atStart = await digestOf(await east.connect('db'));
  await west.call('teleport.start', { ...start, bytesPerSecond: 3 * mebibyte });
  const ledgers = [new Ledger(seed, 8 * mebibyte), new Ledger(seed + 1, 8 * mebibyte)] as const;
  for (let round = 0; round < 5; round += 1) {
    const clients = [await east.connect('db'), await west.connect('db')] as const;
    let isOver = false;
    const work = clients.map((client, i) => ledgers[i]!.work(client, () => isOver, 2));
    await sleep(rng.between(100, 1500));
    const killed = rng.pick([[west], [east], [east, west]]);
    for (const agent of killed) await agent.kill();
    isOver = true;
    await Promise.all(work);
    for (const client of clients) client.disconnect();
    for (const agent of killed) await agent.start();
    for (const [i, agent] of [east, west].entries()) {
      using client = await agent.connect('db');
      await ledgers[i]!.check(client);
    }
  }
  await west.phase('db', 'Available');
  // Undoes what the clients wrote: what is left is what the source held at the start.
  for (const agent of [east, west]) {
    using client = await agent.connect('db');
    await client.writeZeroes(0, 8 * mebibyte);
    assert.equal(await digestOf(client), atStart);
  }
  const report = await west.job('volume.verify', { volume: 'db', deep: true });
  assert.equal(report.passed, true, JSON.stringify(report.findings));
  await until('the source to be released', async () => {
    const freed = await east.call('volume.delete', { name: 'db' }).catch(() => undefined);
    return freed !== undefined;
  });
  const storedBytes = 32 * mebibyte * 0.56;
  const relayed = east.relay!.bytes() + west.relay!.bytes();
  t.diagnostic(`${relayed} bytes travelled for about ${storedBytes}`);
  // A kill takes along what is on its way.
  assert.ok(relayed < storedBytes * 1.15 + 5 * 2 * mebibyte, `${relayed} bytes`);
}

async function onward(): Promise<void> {
  await using cloud = await startCloud(['east', 'west', 'south'], { relays: true });
  const [east, west] = await withData(cloud, 12 * mebibyte);
  const south = cloud.agent('south');
  const before = await digest(east, 'db');
  await west.call('teleport.start', { ...start, thin: true });
  using client = await west.connect('db');
  await client.read(Buffer.alloc(mebibyte), 9 * mebibyte);
  await west.call('volume.snapshot', { volume: 'db', name: 'early' });
  await client.write(noise(55, mebibyte), 10 * mebibyte);
  await client.flush();
  await west.call('volume.clone', { volume: 'db', name: 'copy', snapshot: 'early' });
  await south.call('teleport.start', { cluster: 'west', volume: 'db' });
  await south.call('teleport.start', { cluster: 'west', volume: 'copy' });
  await south.phase('db', 'Available');
  await south.phase('copy', 'Available');
  assert.equal(await digest(south, 'copy'), before);
  assert.equal(await digest(south, 'db'), await digestOf(client));
  const source = await east.connect('db');
  await source.write(noise(55, mebibyte), 10 * mebibyte);
  assert.equal(await digest(south, 'db'), await digestOf(source));
  source.disconnect();
  await west.call('teleport.fill', { name: 'db' });
  await west.phase('db', 'Available');
  await until('the copy to stand alone', async () => {
    return (await west.volume('copy')).status.phase === 'Available';
  });
  cloud.cut();
  assert.equal(await digest(west, 'copy'), before);
  const report = await west.job('volume.verify', { volume: 'copy', deep: true });
  assert.equal(report.passed, true, JSON.stringify(report.findings));
}
