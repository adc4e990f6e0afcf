import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Migration, MigrationSpec, MigrationStatus } from '../../src/api/kinds/migration.ts';
import { resources } from '../../src/api/kinds/resources.ts';
import { createFakeTerminal } from '../../src/cli/fake-ports.ts';
import { itineraries } from '../../src/flow/itineraries.ts';
import { condition, impatient, startWorld, type World } from './world.ts';

const { migrations, plans } = resources;
const at = (name: string) => ({ namespace: 'default', name });
const GiB = 2 ** 30;
const began = '2026-01-01T00:00:00Z';

type Type = keyof typeof itineraries;
type Steps = NonNullable<MigrationStatus['itinerary']>;
type Step = Steps[number];

/** A hub `west` with plan `shop`. */
async function withPlan(spec: object = {}): Promise<World> {
  const world = await startWorld(['east', 'west']);
  await world.client('west').create(plans, {
    metadata: { namespace: 'default', name: 'shop' },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], ...spec },
  });
  return world;
}

/** As a controller writes it: all before `name` is over, `name` is as said, the rest pending. */
function upTo(type: Type, name: string, now: Partial<Step> = {}): Steps {
  const { steps } = itineraries[type];
  const here = steps.findIndex((one) => one.name === name);
  return steps.map((one, index) => {
    const times = { startTime: began, completionTime: '2026-01-01T00:00:03Z' };
    if (index < here) return { name: one.name, state: 'Succeeded', ...times };
    if (index > here) return { name: one.name, state: 'Pending' };
    return { name, state: 'Running', startTime: began, ...now };
  });
}

const running = (type: Type, name: string, now: Partial<Step> = {}) => ({
  step: name,
  itinerary: upTo(type, name, now),
  percent: 47,
  totalBytes: 10 * GiB,
  copiedBytes: 4 * GiB,
  bytesPerSecond: 100 * 2 ** 20,
  display: { source: 'east', target: 'west', progress: '47%' },
  startTime: began,
  conditions: [condition('Ready', 'True', 'Ready'), condition('Succeeded', 'Unknown', 'Running')],
});

const succeeded = (type: Type) => ({
  ...running(type, 'cleanUp', { state: 'Succeeded' }),
  completionTime: '2026-01-01T00:02:00Z',
  downtimeMilliseconds: 4200,
  report: { objects: 7, volumes: 2, images: 1, bytes: 10 * GiB, wireBytes: GiB },
  warnings: ['the operator of db is not there'],
  conditions: [condition('Ready', 'True', 'Ready'), condition('Succeeded', 'True', 'Succeeded')],
});

const failed = (type: Type, name: string, message = 'the mover was killed') => ({
  ...running(type, name, { state: 'Failed', failure: `SourceUnreachable: ${message}` }),
  conditions: [condition('Succeeded', 'False', 'SourceUnreachable', message)],
});

/** All that was begun is back as it was. */
function putBack(type: Type, name: string, reason: string) {
  const itinerary = upTo(type, name).map((one) => {
    if (one.name === name) one = { ...one, failure: 'PoolFull: disk full' };
    return one.state === 'Pending' ? one : { ...one, state: 'Undone' as const };
  });
  return {
    itinerary,
    completionTime: began,
    conditions: [condition('Succeeded', 'False', reason, 'disk full')],
  };
}

async function make(world: World, spec: Omit<MigrationSpec, 'plan'>, status?: object) {
  const name = `shop-${spec.type.toLowerCase()}-1`;
  const west = world.client('west');
  const metadata = { namespace: 'default', name };
  await west.create(migrations, { metadata, spec: { plan: 'shop', ...spec } });
  if (status !== undefined) await west.patchStatus(migrations, at(name), { status });
  return name;
}

const get = async (world: World, name: string) => world.client('west').get(migrations, at(name));

suite('migrate', () => {
  test('makes a Migration with the next free name, and says how to follow it', async () => {
    await using world = await withPlan();
    const first = await world.run('migrate stage shop --cluster west');
    assert.equal(first.code, 0, first.err);
    assert.equal(first.out, 'migration/shop-stage-1 created\n');
    assert.match(first.err, /transship migration watch shop-stage-1 --cluster west/);
    const second = await world.run('migrate stage shop --cluster west');
    assert.equal(second.out, 'migration/shop-stage-2 created\n');
    assert.match(second.err, /shop-stage-1 \(Stage\) of this plan has not ended: .* waits/);
    const words = 'migrate cutover shop --no-quiesce --no-verify --hold-before startDestination';
    const cutover = await world.run(`${words} --cluster west -o json`);
    assert.equal(cutover.code, 0, cutover.err);
    assert.partialDeepStrictEqual(JSON.parse(cutover.out).spec, {
      plan: 'shop',
      type: 'Cutover',
      quiesce: false,
      verify: false,
      holdBefore: 'startDestination',
    });
    await world.run('migrate rollback shop --no-keep-data --name back --cluster west');
    assert.equal((await get(world, 'back'))!.spec.keepData, false);
  });

  test('a rollback needs a cutover that is in effect, which is not deleted', async () => {
    await using world = await withPlan();
    const words = 'migrate rollback shop --cluster west';
    const none = await world.run(words);
    assert.equal(none.code, 6, none.err);
    assert.match(none.err, /no cutover of this plan is in effect/);
    const cutover = await make(world, { type: 'Cutover' }, succeeded('Cutover'));
    const kept = await world.run(`migration delete ${cutover} --yes --cluster west`);
    assert.equal(kept.code, 6);
    assert.match(kept.err, /without it there is no way back[^]*transship plan close shop/);
    const made = await world.run(words);
    assert.equal(made.out, 'migration/shop-rollback-1 created\n', made.err);
    assert.doesNotMatch(made.err, /waits/);
  });

  test('refuses what cannot run, and words that mean nothing', async () => {
    await using world = await withPlan({ closed: true });
    const closed = await world.run('migrate stage shop --cluster west');
    assert.equal(closed.code, 6, closed.err);
    assert.match(closed.err, /plan shop is closed/);
    const none = await world.run('migrate stage crm --cluster west');
    assert.match(none.err, /has no plan default\/crm/);
    const step = await world.run('migrate stage shop --hold-before stopSource --cluster west');
    assert.equal(step.code, 2);
    assert.match(step.err, /no step stopSource; its steps: checkPlan, .*cleanUp/);
  });

  test('--wait shows progress, ends with what came out, and says what may follow', async () => {
    await using world = await withPlan();
    let looks = 0;
    await world.control('west', migrations, () => {
      looks += 1;
      return looks === 1 ? running('Cutover', 'copyLast') : succeeded('Cutover');
    });
    const { code, out, err } = await world.run('migrate cutover shop --wait --cluster west');
    assert.equal(code, 0, err);
    assert.equal(out, 'migration/shop-cutover-1 succeeded\n');
    assert.match(err, /shop-cutover-1 Succeeded 100%/);
    assert.match(err, /7 objects, 2 volumes, 1 image, 10\.0 GiB \(1\.0 GiB on the wire\)/);
    assert.match(err, /down for 4s200ms/);
    assert.match(err, /warning: the operator of db/);
    assert.match(err, /transship plan close shop --cluster west/);
  });

  test('--wait ends with the exit code of the failure, and with what can be done', async () => {
    await using world = await withPlan();
    await world.control('west', migrations, () => failed('Stage', 'copyAhead'));
    const { code, err } = await world.run('migrate stage shop --wait --cluster west');
    assert.equal(code, 1, err);
    assert.match(
      err,
      /error: step copyAhead of migration shop-stage-1 failed: the mover was killed/,
    );
    assert.match(err, /reason: SourceUnreachable/);
    assert.match(err, /transship migration retry shop-stage-1 --cluster west/);
    assert.match(err, /transship migration cancel shop-stage-1 --cluster west/);
  });

  test('--wait with --hold-before ends where it holds', async () => {
    await using world = await withPlan();
    const held = upTo('Cutover', 'startDestination', { state: 'Pending' });
    await world.control('west', migrations, () => ({ itinerary: held }));
    const words = 'migrate cutover shop --hold-before startDestination --wait --cluster west';
    const { code, out, err } = await world.run(words);
    assert.equal(code, 0, err);
    assert.equal(out, 'migration/shop-cutover-1 held\n');
    assert.match(err, /transship migration resume shop-cutover-1/);
  });

  test('Ctrl-C leaves it running and says how to come back', async () => {
    await using world = await withPlan();
    const terminal = createFakeTerminal(true, 100);
    await world.control('west', migrations, () => {
      const progress = ['shop/db: 47%', 'shop/media: 3%'];
      return running('Cutover', 'copyLast', { message: '2 copies', progress });
    });
    const draw = terminal.err.bind(terminal);
    terminal.err = (text) => {
      draw(text);
      if (text.includes('shop/media')) terminal.interrupt();
    };
    const words = ['migrate', 'cutover', 'shop', '--wait', '--cluster', 'west'];
    const { code, err } = await world.run(words, { terminal });
    assert.equal(code, 130, err);
    assert.match(err, /shop-cutover-1 {2}copyLast {2}\[#+\.+\] +47% {2}100\.0 MiB\/s/);
    assert.match(err, /now +copyLast .*: 2 copies\n +shop\/db: 47%\n/);
    assert.match(err, /goes on in the cluster; come back with: transship migration watch/);
    assert.notEqual(await get(world, 'shop-cutover-1'), undefined);
  });

  test('a time-out leaves it running', async () => {
    await using world = await withPlan();
    const words = 'migrate stage shop --timeout 1s --cluster west';
    const { code, err } = await world.run(words, { ports: impatient() });
    assert.equal(code, 5, err);
    assert.notEqual(await get(world, 'shop-stage-1'), undefined);
  });
});

suite('a migration that is there', () => {
  test('list has the columns of kubectl, of one plan where asked', async () => {
    await using world = await withPlan();
    await make(world, { type: 'Cutover' }, running('Cutover', 'copyLast'));
    const all = await world.run('migration list --cluster west');
    assert.match(all.out, /NAME +PLAN +TYPE +READY +STEP +PROGRESS +AGE/);
    assert.match(all.out, /shop-cutover-1 +shop +Cutover +True +copyLast +47%/);
    const none = await world.run('migration list --plan crm --cluster west');
    assert.equal(none.out, '');
    assert.match(none.err, /No migrations/);
  });

  test('show has the steps with what they work on, and what to do after a failure', async () => {
    await using world = await withPlan();
    const status = failed('Cutover', 'copyLast');
    const progress = ['shop/db: 47%'];
    const failure = 'SourceUnreachable: the mover was killed';
    const now = { state: 'Failed', message: 'no', progress, failure } as const;
    const itinerary = upTo('Cutover', 'copyLast', now);
    await make(world, { type: 'Cutover' }, { ...status, itinerary });
    const { code, out, err } = await world.run('migration show shop-cutover-1 --cluster west');
    assert.equal(code, 0, err);
    assert.match(out, /State: +failed: step copyLast failed: the mover was killed/);
    assert.match(out, / {2}stopSource +Succeeded +3s\n/);
    assert.match(out, / {2}copyLast +Failed +\S+ +no\n {4}shop\/db: 47%\n/);
    assert.match(out, /What to do:\n +go on from the step that failed: .* migration retry/);
  });

  test('watch is a stream of objects for programs', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Stage' });
    let looks = 0;
    await world.control('west', migrations, () => {
      looks += 1;
      return looks === 1 ? running('Stage', 'copyAhead') : succeeded('Stage');
    });
    const { code, out, err } = await world.run(`migration watch ${name} --cluster west -o json`);
    assert.equal(code, 0, err);
    const objects = JSON.parse(`[${out.replaceAll('\n}\n{', '\n},\n{')}]`) as Migration[];
    assert.equal(objects.at(-1)?.status?.conditions?.[1]?.status, 'True');
    const versions = objects.map(({ metadata }) => metadata.resourceVersion);
    assert.equal(new Set(versions).size, versions.length);
  });

  test('pause, hold and resume change what is asked, also past a conflict', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Cutover' }, running('Cutover', 'copyLast'));
    const paused = await world.run(`migration pause ${name} --cluster west`);
    assert.equal(paused.out, `migration/${name} paused\n`, paused.err);
    assert.match(paused.err, /Step copyLast comes to its end first/);
    const begun = await world.run(`migration hold ${name} stopSource --cluster west`);
    assert.equal(begun.code, 6);
    assert.match(begun.err, /stopSource has begun already .*not yet: auditVolumes/);
    assert.equal((await world.run(`migration hold ${name} nothing --cluster west`)).code, 2);
    const held = await world.run(`migration hold ${name} startDestination --cluster west`);
    assert.equal(held.out, `migration/${name} held before startDestination\n`);
    const on = await world.run(`migration resume ${name} --cluster west`);
    assert.match(on.err, /hold before startDestination/);
    let { spec } = (await get(world, name))!;
    assert.deepEqual([spec.paused, spec.holdBefore], [false, 'startDestination']);
    await world.run(`migration resume ${name} --cluster west`);
    ({ spec } = (await get(world, name))!);
    assert.equal(spec.holdBefore, undefined);
  });

  test('retry is for what failed and was not put back', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Stage' }, running('Stage', 'copyAhead'));
    const words = `migration retry ${name} --cluster west`;
    assert.match((await world.run(words)).err, /nothing failed: .* has not ended/);
    const set = async (status: object) =>
      world.client('west').patchStatus(migrations, at(name), { status });
    await set({ ...failed('Stage', 'copyAhead'), retried: 2 });
    const { out, err } = await world.run(words);
    assert.equal(out, `migration/${name} retrying\n`, err);
    assert.equal((await get(world, name))!.spec.retry, 3);
    assert.match((await world.run(words)).err, /nothing failed/);
    await set({ ...putBack('Stage', 'copyAhead', 'PoolFull'), retried: 3 });
    const late = await world.run(words);
    assert.equal(late.code, 6);
    assert.match(late.err, /was put back; make a new one: transship migrate stage shop/);
    await set(succeeded('Stage'));
    assert.match((await world.run(words)).err, /nothing failed: .* has succeeded/);
  });
});

suite('the end of a migration', () => {
  test('cancel says what is put back, the last first, and asks', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Cutover' }, running('Cutover', 'copyLast'));
    const words = `migration cancel ${name} --cluster west`;
    const asked = await world.run(words);
    assert.equal(asked.code, 2);
    assert.match(asked.err, /copyLast: the last copies[^]*stopSource: workloads at the source are/);
    assert.doesNotMatch(asked.err, /makeObjects/);
    assert.notEqual((await get(world, name))!.spec.canceled, true);
    await world.control('west', migrations, ({ spec }) => {
      return spec.canceled === true ? putBack('Cutover', 'copyLast', 'Canceled') : undefined;
    });
    const done = await world.run(`${words} --yes --wait`);
    assert.equal(done.code, 0, done.err);
    assert.equal(done.out, `migration/${name} canceled\n`);
  });

  test('past the point of no return only a rollback leads back', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Cutover' }, running('Cutover', 'startDestination'));
    const { code, err } = await world.run(`migration cancel ${name} --yes --cluster west`);
    assert.equal(code, 6);
    assert.match(err, /only this leads back: transship migrate rollback shop --cluster west/);
    assert.notEqual((await get(world, name))!.spec.canceled, true);
  });

  test('delete is for what has ended and is not half way', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Stage' }, running('Stage', 'copyAhead'));
    const words = `migration delete ${name} --yes --cluster west`;
    const early = await world.run(words);
    assert.equal(early.code, 6);
    assert.match(early.err, /has not ended \(Running\); cancel it first/);
    const set = async (status: object) =>
      world.client('west').patchStatus(migrations, at(name), { status });
    await set(failed('Stage', 'copyAhead'));
    assert.match((await world.run(words)).err, /is not put back; cancel it first/);
    await set(succeeded('Stage'));
    const gone = await world.run(`${words} --wait`);
    assert.equal(gone.out, `migration/${name} deleted\n`, gone.err);
    assert.equal(await get(world, name), undefined);
  });

  test('a plan is neither closed nor deleted while migrations of it run', async () => {
    await using world = await withPlan();
    const name = await make(world, { type: 'Cutover' }, running('Cutover', 'copyLast'));
    for (const verb of ['close', 'delete']) {
      const { code, err } = await world.run(`plan ${verb} shop --yes --cluster west`);
      assert.equal(code, 6, err);
      assert.match(
        err,
        /before its migrations have ended[^]*transship migration cancel shop-cutover-1/,
      );
    }
    const status = succeeded('Cutover');
    await world.client('west').patchStatus(migrations, at(name), { status });
    const open = await world.run('plan delete shop --cluster west');
    assert.match(open.err, /undo records stay in both clusters[^]*transship plan close shop/);
    const close = await world.run('plan close shop --cluster west');
    assert.match(close.err, /there is no way back after it/);
    assert.equal((await world.run('plan close shop --yes --cluster west')).code, 0);
  });

  test('rehearsals are made with their suffix, and cleaned', async () => {
    await using world = await withPlan();
    const made = await world.run('plan rehearse shop --suffix -try --cluster west');
    assert.equal(made.out, 'migration/shop-rehearsal-1 created\n', made.err);
    assert.equal((await get(world, 'shop-rehearsal-1'))!.spec.sandbox, '-try');
    assert.equal((await world.run('plan rehearse shop --suffix _ --cluster west')).code, 2);
    const asked = await world.run('plan rehearse shop --clean --cluster west');
    assert.match(asked.err, /shop-rehearsal-1\nand the namespaces they made \(\*-try\)/);
    const gone = await world.run('plan rehearse shop --clean --wait --yes --cluster west');
    assert.equal(gone.out, 'migration/shop-rehearsal-1 deleted\n', gone.err);
    assert.equal(await get(world, 'shop-rehearsal-1'), undefined);
    const none = await world.run('plan rehearse shop --clean --cluster west');
    assert.match(none.err, /has no rehearsal/);
  });
});
