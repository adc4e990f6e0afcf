// SIGKILL of the agent under load: what a flush acknowledged is there after it starts again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRng } from '../../sim/rng.ts';
import { startCloud } from '../cloud.ts';
import { Ledger } from '../ledger.ts';
import { missing, must } from '../tools.ts';

const mebibyte = 1024 * 1024;

for (const blockBytes of [4096, 65_536]) {
  test(`nothing flushed is lost over kills, blocks of ${blockBytes}`, async (t) => {
    const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`SEED=${seed}`);
    const rng = createRng(seed);
    await using cloud = await startCloud(['east']);
    const agent = cloud.agent('east');
    const sizeBytes = 24 * mebibyte + 4608;
    await agent.create('db', sizeBytes, blockBytes);
    await agent.call('volume.set-policy', { name: 'db', historyPolicy: 'one-hour' });
    const ledger = new Ledger(seed, sizeBytes);
    for (let round = 0; round < 3; round += 1) {
      const client = await agent.connect('db');
      await ledger.check(client);
      const working = ledger.work(client, () => false);
      await sleep(rng.between(200, 1200));
      if (rng.chance(0.5)) await agent.call('volume.snapshot', { volume: 'db' });
      await agent.kill();
      await working;
      await agent.start();
    }
    using client = await agent.connect('db');
    await ledger.check(client);
    assert.ok(ledger.flushes > 4, `${ledger.writes} writes, ${ledger.flushes} flushes`);
    const report = await agent.job('volume.verify', { volume: 'db', deep: true });
    assert.equal(report.passed, true, JSON.stringify(report.findings));
  });
}

test('fio verifies what it wrote before a kill', { skip: missing('fio') }, async () => {
  await using cloud = await startCloud(['east']);
  const agent = cloud.agent('east');
  await agent.create('db', 64 * mebibyte);
  const words = [
    '--name=t',
    '--ioengine=nbd',
    `--uri=${agent.uri('db')}`,
    '--size=32M',
    '--bs=16k',
  ];
  const verify = ['--verify=crc32c', '--verify_fatal=1', '--randseed=11', '--verify_state_save=0'];
  await must('fio', ...words, ...verify, '--rw=randwrite', '--do_verify=0', '--end_fsync=1');
  // Load on another part of the volume while the agent dies.
  const args = [
    ...words,
    '--rw=randwrite',
    '--offset=32M',
    '--iodepth=16',
    '--time_based',
    '--runtime=20',
  ];
  const load = spawn('fio', args, { stdio: 'ignore' });
  const ended = new Promise((resolve) => load.once('exit', resolve));
  await sleep(700);
  await agent.kill();
  await ended;
  await agent.start();
  await must('fio', ...words, ...verify, '--rw=randwrite', '--verify_only=1');
});

test('SIGTERM and SIGINT end an agent cleanly, and it goes on', async () => {
  await using cloud = await startCloud(['east']);
  const agent = cloud.agent('east');
  await agent.create('db', 8 * mebibyte);
  const ledger = new Ledger(5, 8 * mebibyte);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const client = await agent.connect('db');
    const working = ledger.work(client, () => false);
    await sleep(300);
    const { pid } = agent;
    process.kill(pid, signal);
    await working;
    await agent.gone(pid);
    assert.match(agent.log, /agent stopping/);
    await agent.start();
    const again = await agent.connect('db');
    await ledger.check(again);
    again.disconnect();
  }
});
