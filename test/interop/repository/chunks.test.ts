// Volumes by way of a repository between real agents that have not joined.
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RepositoryPlace } from '../../../src/api/repository-place.ts';
import { type Agent, Cloud, refusal, startCloud, until } from '../cloud.ts';
import { digestOf, writeNoise } from '../content.ts';
import { bucketPlace, directoryPlace, type Place, skipS3 } from './places.ts';

const MiB = 1024 * 1024;
const password = 'of-this-test-alone';
const from = 'repository:between';

interface Scene extends AsyncDisposable {
  readonly cloud: Cloud;
  readonly east: Agent;
  readonly west: Agent;
  readonly place: RepositoryPlace;
}

async function scene(makePlace: (directory: string) => Place | Promise<Place>): Promise<Scene> {
  const cloud = new Cloud();
  const east = await cloud.start('east');
  const west = await cloud.start('west');
  const made = await makePlace(cloud.home);
  for (const agent of [east, west]) {
    await agent.call('repository.add', { name: 'between', password, ...made.place });
  }
  await east.create('db', 64 * MiB);
  using client = await east.connect('db');
  await writeNoise(client, 1, { offset: 3 * MiB, lengthBytes: 24 * MiB });
  const close = async () => {
    await cloud.close();
    await made[Symbol.asyncDispose]();
  };
  return { cloud, east, west, place: made.place, [Symbol.asyncDispose]: close };
}

const inDirectory = () => scene((home) => directoryPlace(join(home, 'between')));
const inBucket = () => scene((home) => bucketPlace(home));

async function digest(agent: Agent, volume: string): Promise<string> {
  using client = await agent.connect(volume);
  return await digestOf(client);
}

async function arrives(west: Agent, version: string, name: string): Promise<void> {
  const start = { cluster: from, volume: 'db', snapshot: version, name };
  const { status } = await west.call('teleport.start', start);
  assert.equal(status.phase, 'Accessible');
  await until(
    `${name} to arrive`,
    async () => (await west.teleport(name)).status.phase === 'Available',
  );
}

async function comesAcross({ east, west }: Scene): Promise<void> {
  const first = await east.job('repository.save', { name: 'between', volume: 'db', version: 'a' });
  assert.ok(Number(first.status.result?.['addedBytes']) > 10 * MiB);
  await arrives(west, 'a', 'db');
  assert.equal(await digest(west, 'db'), await digest(east, 'db'));
  using client = await east.connect('db');
  await writeNoise(client, 100, { offset: 40 * MiB, lengthBytes: MiB });
  const second = await east.job('repository.save', { name: 'between', volume: 'db', version: 'b' });
  assert.ok(Number(second.status.result?.['addedBytes']) < 1.2 * MiB, 'only what changed');
  await arrives(west, 'b', 'db-b');
  const { progress } = (await west.teleport('db-b')).status;
  assert.equal(progress.demandBytes + progress.backgroundBytes, MiB);
  assert.equal(await digest(west, 'db-b'), await digest(east, 'db'));
  const report = await west.job('repository.verify', { name: 'between', deep: true });
  assert.equal(report.passed, true, JSON.stringify(report.findings));
  assert.equal(report.findings.length, 2);
}

test('agents that never joined move a volume through a directory', async () => {
  await using all = await inDirectory();
  await comesAcross(all);
});

test('agents that never joined move a volume through a bucket', { skip: skipS3 }, async () => {
  await using all = await inBucket();
  await comesAcross(all);
});

test('a bucket whose certificate nobody vouches for is refused', { skip: skipS3 }, async () => {
  await using all = await inBucket();
  const { caBundle: _, ...place } = all.place as Exclude<RepositoryPlace, { directory: string }>;
  await all.east.call('repository.add', { name: 'open', password, ...place });
  const problem = await refusal(all.east.call('repository.versions', { name: 'open' }));
  assert.equal(problem.reason, 'RepositoryUnreachable');
  assert.match(problem.message, /certificate/);
});

test('a wrong key to a bucket, and a wrong password, are told as such', {
  skip: skipS3,
}, async () => {
  await using all = await inBucket();
  const { east, west, place } = all;
  await east.job('repository.save', { name: 'between', volume: 'db', version: 'a' });
  await west.call('repository.add', { name: 'between', ...place, password: 'another' });
  const start = { cluster: from, volume: 'db' };
  assert.equal((await refusal(west.call('teleport.start', start))).reason, 'Unauthorized');
  const keys = { ...place, secretAccessKey: 'another' };
  await west.call('repository.add', { name: 'between', password, ...keys });
  const problem = await refusal(west.call('teleport.start', start));
  assert.match(problem.message, /SignatureDoesNotMatch/);
});

test('a killed save and a killed arrival go on where they were', async () => {
  await using all = await inDirectory();
  const { cloud, east, west } = all;
  const packs = join(cloud.home, 'between/packs');
  const slow = { name: 'between', volume: 'db', version: 'a', bytesPerSecond: 4 * MiB };
  const saving = east.job('repository.save', slow).catch(() => undefined);
  await until('a pack', async () => namesIn(packs).length > 0);
  await east.kill();
  await saving;
  await east.start();
  const before = new Set(namesIn(packs));
  const saved = await east.job('repository.save', { name: 'between', volume: 'db', version: 'a' });
  const fresh = namesIn(packs).filter((name) => !before.has(name));
  const bytes = fresh.reduce((sum, name) => sum + statSync(join(packs, name)).size, 0);
  assert.equal(Number(saved.status.result?.['addedBytes']), bytes);
  assert.ok(bytes < 12 * MiB, `${bytes} bytes were sent again`);
  const start = { cluster: from, volume: 'db', snapshot: 'a', bytesPerSecond: 2 * MiB };
  await west.call('teleport.start', start);
  await until('some of it', async () => {
    return (await west.teleport('db')).status.progress.backgroundBytes > MiB;
  });
  await west.kill();
  await west.start();
  await west.call('teleport.fill', { name: 'db', bytesPerSecond: 1024 * MiB });
  await until('db', async () => (await west.teleport('db')).status.phase === 'Available');
  assert.equal(await digest(west, 'db'), await digest(east, 'db'));
  await until('no lock', async () => namesIn(join(cloud.home, 'between/locks')).length <= 1);
});

test('versions are listed, forgotten and swept out; nothing secret is told', async () => {
  await using all = await inDirectory();
  const { cloud, east, west } = all;
  await east.job('repository.save', { name: 'between', volume: 'db', version: 'a' });
  const { items } = await west.call('repository.versions', { name: 'between' });
  assert.deepEqual(
    items.map(({ metadata }) => metadata.name),
    ['db/a'],
  );
  const shown = await west.call('repository.show', { name: 'between' });
  assert.equal(shown.status?.versions, 1);
  assert.ok(!JSON.stringify([shown, items, east.log, west.log]).includes(password));
  const kept = statSync(join(east.paths.directory, 'repositories.json'));
  assert.equal(kept.mode & 0o077, 0);
  await west.call('repository.forget', { name: 'between', volume: 'db', version: 'a' });
  await west.job('repository.prune', { name: 'between' });
  assert.deepEqual(namesIn(join(cloud.home, 'between/packs')), []);
  assert.equal((await refusal(arrives(west, 'a', 'db'))).reason, 'NotFound');
});

test('parts of backups are put, read elsewhere, and forgotten', async () => {
  for (const make of [inDirectory, ...(skipS3 === false ? [inBucket] : [])]) {
    await using all = await make();
    const { east, west } = all;
    const named = { name: 'between', backup: 'shop-1' };
    // As long as a part may be.
    const content = 'c2VjcmV0'.repeat(6 * 1024);
    const none = west.call('repository.backups', { name: 'between' });
    assert.equal((await refusal(none)).reason, 'NotFound');
    await east.call('repository.put-backup', { ...named, part: 1, content });
    assert.deepEqual((await west.call('repository.backups', { name: 'between' })).items, []);
    await east.call('repository.put-backup', { ...named, part: 0, content: 'head' });
    const { items } = await west.call('repository.backups', { name: 'between' });
    assert.deepEqual(
      items.map(({ spec, status }) => [spec.backup, spec.content, status.savedBy]),
      [['shop-1', 'head', 'east']],
    );
    const read = await west.call('repository.read-backup', { ...named, part: 1 });
    assert.equal(read.spec.content, content);
    await west.call('repository.forget-backup', named);
    assert.deepEqual((await east.call('repository.backups', { name: 'between' })).items, []);
    const gone = east.call('repository.read-backup', { ...named, part: 1 });
    assert.equal((await refusal(gone)).reason, 'NotFound');
  }
});

test('the commands: add, check, save, versions, open, verify, forget, prune', async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  const east = cloud.agent('east');
  const on = ['--cluster', 'east'];
  const directory = join(cloud.home, 'between');
  await cloud.must('repository', 'add', 'between', '--directory', directory, ...on);
  assert.equal((await cloud.cli('repository', 'check', 'other', ...on)).code, 1);
  await until('the agent to know it', async () => {
    return (await cloud.cli('repository', 'check', 'between', ...on)).code === 0;
  });
  assert.match(await cloud.must('repository', 'list', ...on), /between +True/);
  await east.create('db', 16 * MiB);
  {
    using client = await east.connect('db');
    await writeNoise(client, 7, { offset: 0, lengthBytes: 2 * MiB });
  }
  const save = ['save', 'db', '--in', 'between', '--version', 'a'];
  assert.match(await cloud.must('repository', ...save, ...on), /^db\/a saved, /);
  assert.match(await cloud.must('repository', 'versions', 'between', ...on), /db\/a +16Mi/);
  await cloud.must('repository', 'verify', 'between', '--deep', ...on);
  const again = ['open', 'db', '--from', 'between', '--name', 'again'];
  assert.match(await cloud.must('repository', ...again, ...on), /again is Accessible/);
  await until('again', async () => (await east.teleport('again')).status.phase === 'Available');
  assert.equal(await digest(east, 'again'), await digest(east, 'db'));
  assert.equal((await cloud.cli('repository', 'forget', 'between', 'db', 'a', ...on)).code, 2);
  await cloud.must('repository', 'forget', 'between', 'db', 'a', '--yes', ...on);
  assert.match(await cloud.must('repository', 'prune', 'between', ...on), /0 versions are kept/);
  assert.deepEqual(namesIn(join(directory, 'transship-chunks/packs')), []);
});

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).filter((name) => !name.startsWith('.'));
  } catch {
    return [];
  }
}
