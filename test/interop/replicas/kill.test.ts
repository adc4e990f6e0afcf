// SIGKILL of any agent of a replicated volume while it is written: nothing flushed is lost, and a
// client whose own agent lives notices nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRng } from '../../sim/rng.ts';
import { type Agent, refusal, startCloud } from '../cloud.ts';
import { digestOf } from '../content.ts';
import { Ledger } from '../ledger.ts';
import { missing } from '../tools.ts';
import { lead, missed, takeOver, whole } from './sets.ts';

const mebibyte = 1024 * 1024;
/** Starts, kills and rebuilds of processes beside everything else that runs here. */
const timeout = 400_000;
type Three = readonly [Agent, Agent, Agent];

test('fio verifies what it writes while followers are killed', {
  skip: missing('fio'),
  timeout,
}, async (t) => {
  await using cloud = await startCloud([]);
  const agents = (await cloud.startNodes('rep', 3)) as unknown as Three;
  const [leader, ...followers] = agents;
  await lead(leader, 'db', agents, 64 * mebibyte);
  const words = [
    ...'--name=t --ioengine=nbd'.split(' '),
    // An option of the engine, which has to be known by then.
    `--uri=${leader.uri('db')}`,
    ...'--size=16M --bs=16k --rw=randwrite --iodepth=8'.split(' '),
    ...'--fsync=32 --rate_iops=,60 --verify=crc32c --verify_fatal=1'.split(' '),
    ...'--verify_state_save=0 --randseed=7'.split(' '),
  ];
  const load = spawn('fio', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  load.stdout.on('data', (text: Buffer) => (said += text.toString()));
  load.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const ended = new Promise<number>((resolve) => load.once('exit', (code) => resolve(code ?? -1)));
  let kills = 0;
  const isOver = () => load.exitCode !== null;
  for (let round = 0; round < 2 && !isOver(); round++) {
    const victim = followers[round % followers.length]!;
    await sleep(500);
    await victim.kill();
    kills += isOver() ? 0 : 1;
    await missed(leader, 'db', victim).catch((error: unknown) => {
      const state = isOver() ? `ended with ${load.exitCode}` : 'still writes';
      throw new Error(`${(error as Error).message}; fio ${state}: ${said}`, { cause: error });
    });
    await victim.start();
    await whole(leader, 'db', agents);
  }
  assert.equal(await ended, 0, said);
  assert.ok(kills > 0, 'nobody was killed while it wrote');
  t.diagnostic(`${kills} kills while fio wrote`);
});

test('nothing flushed is lost when the leader is killed, again and again', {
  timeout,
}, async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  const rng = createRng(seed);
  await using cloud = await startCloud([]);
  const agents = (await cloud.startNodes('rep', 3)) as unknown as Three;
  const sizeBytes = 16 * mebibyte;
  await lead(agents[0], 'db', agents, sizeBytes);
  const ledger = new Ledger(seed, sizeBytes);
  for (let round = 0; round < 3; round++) {
    const leader = agents[round % 3]!;
    const next = agents[(round + 1) % 3]!;
    const client = await leader.connect('db');
    await ledger.check(client);
    const working = ledger.work(client, () => false);
    await sleep(rng.between(300, 1500));
    await leader.kill();
    await working;
    await takeOver(next, 'db', agents);
    {
      using survivor = await next.connect('db');
      await ledger.check(survivor);
    }
    await leader.start();
    await whole(next, 'db', agents);
    const refused = await refusal(leader.connect('db'));
    t.diagnostic(`the old leader says: ${refused.message}`);
  }
  assert.ok(ledger.flushes > 4, `${ledger.writes} writes, ${ledger.flushes} flushes`);
});

test('each replica has every byte: any two can be lost after the other is whole', {
  timeout,
}, async () => {
  await using cloud = await startCloud([]);
  const agents = (await cloud.startNodes('rep', 3)) as unknown as Three;
  const [first, second, third] = agents;
  await lead(first, 'db', [first], 8 * mebibyte);
  const ledger = new Ledger(3, 8 * mebibyte);
  const stop = { now: false };
  const client = await first.connect('db');
  const working = ledger.work(client, () => stop.now);
  await lead(first, 'db', [first, second]);
  await lead(first, 'db', [second, first, third]);
  await lead(first, 'db', [first, third]);
  stop.now = true;
  await working;
  await client.flush();
  const digest = await digestOf(client);
  await ledger.check(client);
  client.disconnect();
  await lead(first, 'db', [first, second, third]);
  await first.call('replica.yield', { volume: 'db' });
  await takeOver(third, 'db', agents);
  using door = await third.connect('db');
  assert.equal(await digestOf(door), digest);
  await ledger.check(door);
});
