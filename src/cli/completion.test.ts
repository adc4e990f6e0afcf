import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type JobObject, listOf } from '../api/objects.ts';
import { createFakeWorld, type FakeAnswers, jobObject } from './fake-ports.ts';
import { runCli } from './program.ts';

const answers: FakeAnswers = {
  'job.list': () => listOf<JobObject>('Job', [jobObject('import-1'), jobObject('scrub-2')]),
};

async function complete(...words: readonly string[]): Promise<readonly string[]> {
  const { ports, terminal } = createFakeWorld(answers, { clusters: ['east'] });
  assert.equal(await runCli(['__complete', '--', ...words], ports), 0);
  assert.equal(terminal.written.err, '');
  const lines = terminal.written.out.trimEnd().split('\n');
  return lines.map((line) => line.split('\t')[0]!);
}

test('commands, options, values and names from the agent', async () => {
  assert.deepEqual(await complete('vol'), ['volume', ':4']);
  assert.deepEqual(await complete('volume', 'res'), ['resize', 'restore', ':4']);
  assert.deepEqual(await complete('job', 'watch', ''), ['import-1', 'scrub-2', ':4']);
  assert.deepEqual(await complete('job', 'cancel', 's'), ['scrub-2', ':4']);
  assert.deepEqual(await complete('volume', 'create', 'x', '--bl'), ['--block-size', ':4']);
  assert.deepEqual(await complete('volume', 'list', '-o', 'ya'), ['yaml', ':4']);
  assert.deepEqual(await complete('volume', 'attach', 'db', '--format', ''), ['ext4', 'xfs', ':4']);
  assert.deepEqual(await complete('volume', 'list', '--cluster', ''), ['east', ':4']);
});

test('teleport VOLUME is teleport start VOLUME here too', async () => {
  assert.deepEqual(await complete('teleport', 'db', '--fr'), ['--from', '--from-image', ':4']);
  assert.deepEqual(await complete('teleport', '--from', 'e'), ['east', ':4']);
});

test('steps are those of what would run', async () => {
  const stage = await complete('migrate', 'stage', 'shop', '--hold-before', 'c');
  assert.deepEqual(stage, ['checkPlan', 'copyImages', 'copyAhead', 'cleanUp', ':4']);
  const hold = await complete('migration', 'hold', 'shop-cutover-1', 'stop');
  assert.deepEqual(hold, ['stopSource', 'stopDestination', ':4']);
});

test('paths are left to the shell', async () => {
  assert.deepEqual(await complete('volume', 'import', 'x', ''), [':0']);
});

test('nothing fails when no agent answers or the words make no sense', async () => {
  assert.deepEqual(await complete('volume', 'show', ''), [':4']);
  assert.deepEqual(await complete('volume', 'snapshot', 'db', ''), [':4']);
  assert.deepEqual(await complete('no', 'such', 'thing', '--x', ''), [':4']);
  assert.ok((await complete()).at(-1) === ':4');
});

test('each shell has a script that asks the program', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { ports, terminal } = createFakeWorld({});
    assert.equal(await runCli(['completion', shell], ports), 0);
    assert.match(terminal.written.out, /transship __complete -- /);
  }
});
