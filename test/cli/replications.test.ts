import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Replication } from '../../src/api/kinds/replication.ts';
import { resources } from '../../src/api/kinds/resources.ts';
import { createFakeTerminal } from '../../src/cli/fake-ports.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { condition, startWorld, type World } from './world.ts';

const { replications } = resources;
const key = { namespace: 'default', name: 'shop' };
const begin = ['replicate', 'run', 'shop', '--from', 'east', '--to', 'west'] as const;

const find = (world: World): Promise<Replication | undefined> =>
  world.client('west').get(replications, key);

/** The controller of few words has seen it. */
async function isHalted(world: World): Promise<void> {
  const client = world.client('west');
  const informer = createInformer(client, replications);
  const { promise, resolve } = Promise.withResolvers<void>();
  informer.onChange(({ now }) => {
    if (now?.status?.phase === 'Halted') resolve();
  });
  await promise;
  await informer.stop();
}

/** One that types this. */
const typing = (answer: string) => Object.assign(createFakeTerminal(true), { answer });

const halted = (runs: number) => ({
  phase: 'Halted',
  display: { from: 'east', to: 'west' },
  state: 'Error',
  runs,
  jobId: `12345678-${runs}`,
  compatible: 30,
  actionable: 1,
  incompatible: 1,
  offers: ['Remediate', 'Recheck', 'ProceedAnyway', 'Stop'],
  checks: [
    { name: 'PlanConflict', result: 'Compatible' },
    {
      name: 'NamespaceMissing',
      result: 'Actionable',
      message: 'cluster west has no namespace shop',
      fix: 'namespace shop is made',
      remedy: 'Make the namespace.',
    },
    {
      name: 'ExistingObjects',
      result: 'Incompatible',
      message: 'ConfigMap shop/a is there',
      remedy: 'Delete it.',
    },
  ],
  conditions: [condition('Succeeded', 'Unknown', 'ChecksFailed', 'choose')],
});

const time = '2026-01-01T00:00:00Z';

const done = {
  phase: 'Done',
  state: 'Success',
  runs: 1,
  report: { objects: 7, volumes: 2, bytes: 1024, wireBytes: 512, seconds: 5 },
  notes: ['ConfigMap shop/b stays.'],
  conditions: [condition('Succeeded', 'True', 'Completed')],
};

suite('replicate', () => {
  test('run makes one of what was said', async () => {
    await using world = await startWorld(['east', 'west']);
    const words = [...begin.slice(0, 3), 'shop:market', 'data', ...begin.slice(3)];
    const options = [
      '--workloads',
      'Standby',
      '--continuous',
      '5m',
      '--no-volumes',
      '--rate',
      '1Mi',
    ];
    const { code, err } = await world.run(['-c', 'west', ...words, ...options, '--remediate']);
    assert.equal(code, 0, err);
    assert.deepEqual((await find(world))?.spec, {
      source: 'east',
      destination: 'west',
      namespaces: [{ name: 'shop', to: 'market' }, { name: 'data' }],
      workloads: 'Standby',
      continuous: '5m',
      volumes: 'Exclude',
      bandwidth: '1Mi',
      onlyCheck: false,
      decision: 'Remediate',
      run: 1,
    });
    assert.match(err, /replicate show shop --cluster west/);
  });

  test('a new one needs both clusters; one that is there begins again', async () => {
    await using world = await startWorld(['east', 'west']);
    const missing = await world.run(['-c', 'west', 'replicate', 'run', 'shop', '--from', 'east']);
    assert.equal(missing.code, 2);
    assert.match(missing.err, /give --from and --to/);
    await world.run(['-c', 'west', ...begin]);
    assert.equal((await world.run(['-c', 'west', 'replicate', 'run', 'shop'])).code, 0);
    assert.equal((await find(world))?.spec.run, 2);
    const other = await world.run(['-c', 'west', 'replicate', 'run', 'shop', 'data']);
    assert.equal(other.code, 6);
    assert.match(other.err, /is of other namespaces/);
  });

  test('with --wait it ends as the replication does', async () => {
    await using world = await startWorld(['east', 'west']);
    await world.control('west', replications, () => done);
    const { code, out, err } = await world.run(['-c', 'west', ...begin, '--wait']);
    assert.equal(code, 0, err);
    assert.match(out, /replication\/shop replicated/);
    assert.match(err, /7 objects, 2 volumes, 1.0 KiB \(512 B on the wire\), in 5/);
    assert.match(err, /note: ConfigMap shop\/b stays\./);
  });

  test('halted it shows the checks and what can be decided, and exits with 3', async () => {
    await using world = await startWorld(['east', 'west']);
    await world.control('west', replications, () => halted(1));
    const { code, err } = await world.run(['-c', 'west', ...begin, '--wait']);
    assert.equal(code, 3);
    assert.match(err, /30 compatible, 1 actionable, 1 incompatible/);
    assert.match(err, /NamespaceMissing +Actionable +cluster west has no .* fix: namespace shop/);
    assert.match(err, /replicate decide shop remediate --cluster west/);
    assert.match(err, /replicate decide shop proceed-anyway/);
    assert.doesNotMatch(err, /PlanConflict/);
  });

  test('check only checks, and says so with its exit code', async () => {
    await using world = await startWorld(['east', 'west']);
    await world.control('west', replications, () => ({
      ...halted(1),
      actionable: 0,
      incompatible: 0,
    }));
    const words = ['replicate', 'check', 'shop', '--from', 'east', '--to', 'west'];
    const { code, out, err } = await world.run(['-c', 'west', ...words]);
    assert.equal(code, 0, err);
    assert.match(out, /replication\/shop checked/);
    assert.equal((await find(world))?.spec.onlyCheck, true);
  });

  test('decide takes what is offered, and nothing else', async () => {
    await using world = await startWorld(['east', 'west']);
    await world.control('west', replications, () => ({
      ...halted(1),
      offers: ['Recheck', 'Stop'],
    }));
    await world.run(['-c', 'west', ...begin]);
    await isHalted(world);
    const refused = await world.run(['-c', 'west', 'replicate', 'decide', 'shop', 'remediate']);
    assert.equal(refused.code, 6);
    assert.match(refused.err, /it offers recheck, stop/);
    const unknown = await world.run(['-c', 'west', 'replicate', 'decide', 'shop', 'maybe']);
    assert.equal(unknown.code, 2);
    const { code, err } = await world.run(['-c', 'west', 'replicate', 'decide', 'shop', 'stop']);
    assert.equal(code, 0, err);
    assert.equal((await find(world))?.spec.decision, 'Stop');
  });

  test('list and show say how it stands', async () => {
    await using world = await startWorld(['east', 'west']);
    await world.control('west', replications, () => halted(1));
    await world.run(['-c', 'west', ...begin]);
    await isHalted(world);
    const list = await world.run(['-c', 'west', 'replicate', 'list']);
    assert.match(list.out, /shop +east +west +Error +Halted/);
    const show = await world.run(['-c', 'west', 'replicate', 'show', 'shop']);
    assert.match(show.out, /Job: +12345678-1/);
    assert.match(
      show.out,
      /ExistingObjects +Incompatible +ConfigMap shop\/a is there +Delete it\./,
    );
    assert.match(show.out, /What to do:\n.*replicate decide shop remediate/);
    const all = await world.run(['-c', 'west', 'replicate', 'show', 'shop', '--checks']);
    assert.match(all.out, /PlanConflict +Compatible/);
    const json = await world.run(['-c', 'west', 'replicate', 'show', 'shop', '-o', 'json']);
    assert.equal(JSON.parse(json.out).status.actionable, 1);
  });

  test('delete needs the word DELETE typed, or --yes', async () => {
    await using world = await startWorld(['east', 'west']);
    await world.run(['-c', 'west', ...begin]);
    const words = ['-c', 'west', 'replicate', 'delete', 'shop'];
    const wrong = await world.run(words, {
      terminal: typing('y'),
    });
    assert.equal(wrong.code, 130);
    assert.match(wrong.err, /what replication shop made in shop of west, with its\ndata\./);
    assert.ok((await find(world)) !== undefined);
    const typed = await world.run(words, {
      terminal: typing('DELETE'),
    });
    assert.equal(typed.code, 0, typed.err);
    assert.equal(await find(world), undefined);
    await world.run(['-c', 'west', ...begin]);
    assert.equal((await world.run([...words, '--yes'])).code, 0);
  });

  test('with one cluster and a repository it is a backup, or restores one', async () => {
    await using world = await startWorld(['east', 'west']);
    const run = (...words: readonly string[]) => world.run(['-c', 'west', 'replicate', ...words]);
    const into = ['--from', 'east', '--repository', 'store', '--keep', '3'];
    const made = await run('run', 'shop', ...into, '--continuous', '24h');
    assert.equal(made.code, 0, made.err);
    const { source, destination, repository, keep } = (await find(world))?.spec ?? {};
    assert.deepEqual([source, destination, repository, keep], ['east', undefined, 'store', 3]);
    const gone = await world.run(['-c', 'west', 'replicate', 'delete', 'shop'], {
      terminal: typing('DELETE'),
    });
    assert.match(gone.err, /deletes all backups .* of shop in repository store; it keeps 0 now/);
    const backups = [
      { name: 'nightly-1', time, objects: 5, volumes: 1, bytes: 1024, addedBytes: 512 },
    ];
    await world.control('west', replications, () => ({ ...done, backups, restored: 'nightly-1' }));
    const out = ['--to', 'west', '--repository', 'store', '--version', 'nightly-1'];
    const back = await run('run', 'shop', ...out, '--wait');
    assert.equal(back.code, 0, back.err);
    assert.equal((await find(world))?.spec.version, 'nightly-1');
    const show = await run('show', 'shop');
    assert.match(show.out, /From: +repository store\n *To: +west/);
    assert.match(show.out, /Restored: +nightly-1/);
    assert.match(show.out, /nightly-1 +2026-01-01T00:00:00Z +5 +1 +1.0 KiB +512 B/);
    assert.equal((await run('run', 'other', '--repository', 'store')).code, 2);
    assert.equal((await run('run', 'other', ...into.slice(0, 4), '--keep', '0')).code, 2);
  });
});
