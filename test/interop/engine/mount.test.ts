// Volumes mounted through the agent: databases and repositories on them, and kills.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fuseProcesses } from '../../../src/host/attach-steps.ts';
import { loopDevicesOf, mounts } from '../../../src/host/block-probe.ts';
import { type Agent, type Cloud, startCloud, until } from '../cloud.ts';
import { cannotAttach } from '../suite-attach.ts';
import { missing, must, run } from '../tools.ts';

const mebibyte = 1024 * 1024;

interface Place {
  readonly cloud: Cloud;
  readonly agent: Agent;
  readonly mount: string;
}

function on(
  name: string,
  tools: readonly string[],
  body: (place: Place, t: { diagnostic(message: string): void }) => Promise<void>,
): void {
  const skip = cannotAttach() || missing(...tools);
  test(name, { skip }, async (t) => {
    await using cloud = await startCloud(['east']);
    const agent = cloud.agent('east');
    const mount = join(cloud.home, 'mnt');
    await agent.create('vol', 400 * mebibyte);
    try {
      await body({ cloud, agent, mount }, t);
      await agent.call('volume.detach', { volume: 'vol' });
      assertNothingLeft(agent, mount);
    } finally {
      await agent.start();
      await agent.call('volume.detach', { volume: 'vol' }).catch(() => undefined);
      await run('umount', '-l', mount);
    }
  });
}

function assertNothingLeft(agent: Agent, mount: string): void {
  const { attachments } = agent.paths;
  assert.deepEqual(existsSync(attachments) ? readdirSync(attachments) : [], []);
  const ours = (path: string): boolean => path === mount || path.startsWith(attachments);
  assert.deepEqual(
    mounts().filter(({ path }) => ours(path)),
    [],
  );
  const fuse = join(attachments, 'vol', 'fuse');
  assert.deepEqual(loopDevicesOf(join(fuse, 'disk')), []);
  assert.deepEqual(fuseProcesses(fuse), []);
}

const attachment = (mount: string, format?: string) => {
  const formatted = format === undefined ? {} : { format };
  return { volume: 'vol', mount, ...formatted };
};

/** The agent dies and comes back; what hung on it is taken away and attached again. */
async function killAndReattach({ agent, mount }: Place): Promise<void> {
  await agent.kill();
  await agent.start();
  await agent.call('volume.detach', { volume: 'vol' });
  assertNothingLeft(agent, mount);
}

for (const format of ['ext4', 'xfs'] as const) {
  on(
    `${format} is sound after use and after a kill of the agent`,
    [`mkfs.${format}`],
    async (place) => {
      const { agent, mount } = place;
      await agent.call('volume.attach', attachment(mount, format));
      await must('cp', '-r', join(import.meta.dirname, '../..'), mount);
      await must('sync', '-f', mount);
      await agent.call('volume.detach', { volume: 'vol' });
      await checkFileSystem(agent, format);
      await agent.call('volume.attach', attachment(mount));
      const copying = run(
        'cp',
        '-r',
        join(import.meta.dirname, '../../../src'),
        join(mount, 'more'),
      );
      await sleep(150);
      await agent.kill();
      await copying;
      await agent.start();
      await agent.call('volume.detach', { volume: 'vol' });
      // Mounting replays the file system's own journal; then it must be sound.
      await agent.call('volume.attach', attachment(mount));
      const name = join(mount, 'test', 'stages.ts');
      const original = readFileSync(join(import.meta.dirname, '../../stages.ts'), 'utf8');
      assert.equal(await must('cat', name), original);
      await agent.call('volume.detach', { volume: 'vol' });
      await checkFileSystem(agent, format);
    },
  );
}

async function checkFileSystem(agent: Agent, format: 'ext4' | 'xfs'): Promise<void> {
  const { status } = await agent.call('volume.attach', { volume: 'vol' });
  if (format === 'ext4') await must('e2fsck', '-f', '-n', status.device!);
  else await must('xfs_repair', '-n', status.device!);
  await agent.call('volume.detach', { volume: 'vol' });
}

/**
 * Inserts rows one by one and prints the number of each that is committed. EXTRA, because with FULL
 * a rollback journal that was deleted may come back after a power failure, as SQLite's manual says,
 * and take the last row with it: to the file system, a killed agent is a power failure.
 */
const writerScript = `
import { DatabaseSync } from 'node:sqlite';
const database = new DatabaseSync(process.argv[1]);
database.exec('PRAGMA journal_mode=' + process.argv[2]);
database.exec('PRAGMA synchronous=EXTRA');
database.exec('CREATE TABLE IF NOT EXISTS ledger (id INTEGER PRIMARY KEY, text TEXT)');
const insert = database.prepare('INSERT INTO ledger (text) VALUES (?)');
for (;;) {
  const { lastInsertRowid } = insert.run('row '.repeat(1 + Math.random() * 400));
  process.stdout.write(lastInsertRowid + '\\n');
}
`;

/** In a process of its own: a call on a mount whose agent is gone may not come back soon. */
async function writeRows(
  file: string,
  mode: string,
  forMs: number,
): Promise<() => Promise<number>> {
  const args = ['--no-warnings', '--input-type=module', '-e', writerScript, file, mode];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  await until('a first row', () => said.includes('\n'));
  await sleep(forMs);
  return async () => {
    child.kill('SIGKILL');
    await ended;
    return Number(said.split('\n').at(-2));
  };
}

const countScript = `
import { DatabaseSync } from 'node:sqlite';
const database = new DatabaseSync(process.argv[1]);
const [check] = database.prepare('PRAGMA integrity_check').all();
const { rows } = database.prepare('SELECT count(*) AS rows FROM ledger').get();
process.stdout.write(JSON.stringify({ check: check.integrity_check, rows }));
`;

for (const mode of ['DELETE', 'WAL'] as const) {
  on(`committed rows of SQLite (${mode}) survive kills of the agent`, [], async (place, t) => {
    const { agent, mount } = place;
    const file = join(mount, 'ledger.db');
    await agent.call('volume.attach', attachment(mount, 'ext4'));
    for (const round of [1, 2]) {
      const stopWriter = await writeRows(file, mode, 700);
      const killing = killAndReattach(place);
      const committed = await stopWriter();
      await killing;
      await agent.call('volume.attach', attachment(mount));
      const args = ['--no-warnings', '--input-type=module', '-e', countScript, file];
      const found = JSON.parse(await must(process.execPath, ...args));
      assert.equal(found.check, 'ok');
      assert.ok(found.rows >= committed, `${found.rows} rows, ${committed} were committed`);
      t.diagnostic(`round ${round}: ${committed} rows committed, ${found.rows} found`);
    }
  });
}

on('a Git repository is sound over a kill', ['git'], async (place) => {
  const { agent, mount } = place;
  await agent.call('volume.attach', attachment(mount, 'ext4'));
  const work = join(mount, 'work');
  const git = (...words: string[]) =>
    must('git', '-C', work, '-c', 'user.name=t', '-c', 'user.email=t@example.com', ...words);
  await must('git', 'init', '--quiet', work);
  await git('config', 'core.fsync', 'all');
  // Git does not sync what `init` makes.
  await must('sync', '-f', mount);
  let kept = '';
  for (const part of ['base', 'volume', 'nbd', 'peer']) {
    await must('cp', '-r', join(import.meta.dirname, '../../../src', part), work);
    await git('add', '--all');
    await git('commit', '--quiet', '--message', part);
    kept = (await git('rev-parse', 'HEAD')).trim();
  }
  await git('fsck', '--full', '--strict');
  const adding = run('git', '-C', work, 'gc', '--quiet');
  await sleep(100);
  await agent.kill();
  await adding;
  await agent.start();
  await agent.call('volume.detach', { volume: 'vol' });
  await agent.call('volume.attach', attachment(mount));
  await git('fsck', '--full', '--strict');
  assert.equal((await git('rev-parse', 'HEAD')).trim(), kept);
  assert.equal((await git('rev-list', '--count', 'HEAD')).trim(), '4');
});

on('nbdfuse that is killed leaves nothing after detach', ['nbdfuse'], async (place) => {
  const { agent, mount } = place;
  mkdirSync(mount);
  await agent.call('volume.attach', attachment(mount, 'ext4'));
  const processes = fuseProcesses(join(agent.paths.attachments, 'vol', 'fuse'));
  assert.ok(processes.length > 0);
  for (const pid of processes) process.kill(pid, 'SIGKILL');
  const { code, stderr } = await place.cloud.cli('volume', 'detach', 'vol', '--cluster', 'east');
  assert.equal(code, 0, stderr);
  assertNothingLeft(agent, mount);
  assert.equal(existsSync(mount), true, 'a directory that was there stays');
  // The volume is free: no door is left open.
  await until(
    'the door to close',
    async () => (await agent.volume('vol')).status.doors.length === 0,
  );
});

on('an attached volume is not deleted, and its user is named', [], async (place) => {
  const { agent, cloud, mount } = place;
  await agent.call('volume.attach', attachment(mount, 'ext4'));
  await cloud.startPlanes(['east']);
  await cloud.adopted('east', 'vol');
  const { code, stderr } = await cloud.cli('volume', 'delete', 'vol', '--yes', '--cluster', 'east');
  assert.equal(code, 6, stderr);
  assert.match(stderr, /used by|attached/);
  assert.equal((await agent.volume('vol')).metadata.name, 'vol');
});

test('a volume may be called like a file of the agent', { skip: cannotAttach() }, async () => {
  await using cloud = await startCloud(['east']);
  const agent = cloud.agent('east');
  for (const volume of ['pool', 'agent.log', 'control.sock', 'attachments']) {
    await agent.create(volume, 8 * mebibyte);
    await agent.call('volume.attach', { volume });
    await agent.call('volume.detach', { volume });
  }
  assert.deepEqual(readdirSync(agent.paths.attachments), []);
});
