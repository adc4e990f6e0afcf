import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { hooks, type HookSpec } from '../../src/api/kinds/hook.ts';
import { type Migration, migrations } from '../../src/api/kinds/migration.ts';
import type { Plan } from '../../src/api/kinds/plan.ts';
import { TransshipError } from '../../src/base/errors.ts';
import type { Run } from '../../src/controllers/migration/run.ts';
import { hasHooks, hookSteps, removeHooks } from '../../src/controllers/migration/steps/hooks.ts';
import type { Observation, Step } from '../../src/flow/flow.ts';
import { eventually, TestCluster } from '../../src/host/control-plane/runtime-fixture.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { jobs } from '../../src/kube/jobs.ts';
import { configMaps, customResourceDefinitions } from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import { isOurs } from '../../src/workload/ours.ts';

const namespace = 'default';
const cluster = new TestCluster();
const place = mkdtempSync(join(tmpdir(), 'transship-hooks-'));

type Named = NonNullable<Plan['spec']['hooks']>[number];

let count = 0;

async function makeHook(name: string, script: string, spec: Partial<HookSpec> = {}) {
  await cluster.client.create(hooks, {
    metadata: { namespace, name },
    spec: { command: ['sh', '-c', script], target: 'Source', namespace, ...spec },
  } as never);
}

/** A run whose both sides and hub are one cluster. */
async function makeRun(named: readonly Named[], client: KubeClient = cluster.client) {
  const name = `move-${++count}`;
  const made = await cluster.client.create(migrations, {
    metadata: { namespace, name },
    spec: { plan: 'shop', type: 'Cutover' },
  } as never);
  return (retry = 0, through: KubeClient = client): Run => {
    const migration: Migration = { ...made, spec: { ...made.spec, retry } };
    const plan = {
      metadata: { namespace, name: 'shop', uid: 'p' },
      spec: {
        source: 'east',
        destination: 'west',
        namespaces: [{ name: 'shop', to: 'store' }],
        hooks: named,
      },
    } as unknown as Plan;
    return {
      context: { client: through },
      migration,
      plan,
      source: { name: 'east', client: through },
      destination: { name: 'west', client: through },
      type: 'Namespace',
      warn: () => undefined,
    } as unknown as Run;
  };
}

function stepOf(phase: Named['phase']): Step<Run> {
  const found = hookSteps.find(({ name }) => name === `hook${phase}`);
  assert.ok(found);
  return found;
}

/** As the runner does: looks, and acts when there is something to do. */
async function drive(run: () => Run, step: Step<Run>): Promise<Observation> {
  return eventually(async () => {
    const seen = await step.observe(run());
    if (seen.kind === 'done' || seen.kind === 'failed') return seen;
    if (seen.kind === 'notStarted') await step.ensure(run());
    return undefined;
  });
}

const lines = (file: string): readonly string[] =>
  existsSync(join(place, file)) ? readFileSync(join(place, file), 'utf8').trim().split('\n') : [];

const note = (file: string, text: string): string => `echo "${text}" >> ${join(place, file)}`;

/** ConfigMaps with what hooks of the migration printed, by hook. */
async function records({ migration }: Run) {
  const found = new Map<string, Readonly<Record<string, string>>>();
  const labels = `transship.dev/migration=${migration.metadata.uid}`;
  for await (const one of cluster.client.list(configMaps, { namespace, labels })) {
    const isRecord = one.metadata.ownerReferences?.some(({ kind }) => kind === 'Migration');
    if (isRecord === true) found.set(one.data?.['hook'] ?? '', one.data ?? {});
  }
  return found;
}

async function jobsOf({ migration }: Run) {
  return (await cluster.list(jobs)).filter(({ metadata }) => {
    return metadata.labels?.['transship.dev/migration'] === migration.metadata.uid;
  });
}

const named = (hook: string, phase: Named['phase'] = 'PreBackup', order = 0): Named => ({
  hook,
  phase,
  order,
});

suite('hooks of a migration', { timeout: 240_000 }, () => {
  before(async () => {
    await cluster.start();
    for (const kind of kinds) {
      const { metadata, spec } = crdOf(kind);
      await cluster.client.create(customResourceDefinitions, { metadata, spec } as never);
    }
  });

  after(async () => {
    await cluster.end();
    rmSync(place, { recursive: true });
  });

  test('they run in order, are told the facts, and what they print is kept', async () => {
    const facts = '$TRANSSHIP_PLAN $TRANSSHIP_PHASE $TRANSSHIP_SOURCE_NAMESPACES';
    await makeHook('late', `${note('order', 'late')}; echo late`);
    await makeHook(
      'early',
      `sleep 0.2; ${note('order', 'early')}; echo ${facts} $MIGRATION_NAMESPACES`,
    );
    await makeHook('other', note('order', 'other'), { target: 'Destination' });
    const all = [named('late', 'PreBackup', 2), named('early'), named('other', 'PostRestore')];
    const run = await makeRun(all);
    const step = stepOf('PreBackup');
    assert.equal(await step.isNeeded?.(run()), true);
    assert.equal(await stepOf('PreRestore').isNeeded?.(run()), false);
    assert.deepEqual(await drive(run, step), { kind: 'done' });
    assert.deepEqual(lines('order'), ['early', 'late']);
    const kept = await records(run());
    assert.equal(kept.get('early')?.['log'], 'shop PreBackup shop shop\n');
    assert.equal(kept.get('late')?.['state'], 'Succeeded');
    const made = [...(await jobsOf(run())), ...(await cluster.list(pods))];
    for (const one of made) assert.ok(isOurs(one), `${one.kind} ${one.metadata.name}`);

    // Its Job is gone: that it ran is known nevertheless.
    assert.equal(await hasHooks(run()), true);
    await removeHooks(run());
    await eventually(async () => !(await hasHooks(run())));
    assert.deepEqual(await jobsOf(run()), []);
    assert.deepEqual(await drive(run, step), { kind: 'done' });
    assert.deepEqual(lines('order'), ['early', 'late']);
  });

  test('one that fails fails the step with its last lines, and alone runs again', async () => {
    await makeHook('first', note('failing', 'first'));
    const flag = join(place, 'mended');
    const noisy =
      'i=0; while [ $i -lt 3000 ]; do echo line $i of the hook that fails; i=$((i+1)); done';
    await makeHook('second', `${note('failing', 'second')}; ${noisy}; test -e ${flag} || exit 7`);
    await makeHook('third', note('failing', 'third'));
    const run = await makeRun([named('first'), named('second'), named('third')]);
    const step = stepOf('PreBackup');
    const seen = await drive(run, step);
    assert.ok(seen.kind === 'failed');
    assert.equal(seen.reason, 'HookFailed');
    assert.match(seen.message, /hook second failed in default of east .*exit code 7/);
    assert.match(seen.message, /line 2998 of the hook that fails \| line 2999/);
    const log = (await records(run())).get('second')?.['log'] ?? '';
    assert.ok(log.length <= 64 * 1024, `${log.length}`);
    assert.match(log, /^line \d+ of/);
    assert.match(log, /line 2999 of the hook that fails\n$/);
    assert.deepEqual(lines('failing'), ['first', 'second']);

    writeFileSync(flag, '');
    assert.deepEqual(await drive(() => run(1), step), { kind: 'done' });
    assert.deepEqual(lines('failing'), ['first', 'second', 'second', 'third']);
  });

  test('a process that dies anywhere makes no hook run twice', async () => {
    for (let at = 1; ; at++) {
      const file = `crash-${at}`;
      await makeHook(`a-${at}`, note(file, 'a'));
      await makeHook(`b-${at}`, note(file, 'b'));
      const run = await makeRun([named(`a-${at}`), named(`b-${at}`)]);
      const step = stepOf('PreBackup');
      const fuse = { effects: 0, at };
      const dying = blowing(cluster.client, fuse);
      await drive(() => run(0, dying), step).catch((error: unknown) => {
        assert.ok(error instanceof TransshipError && error.reason === 'Stopping', String(error));
      });
      assert.deepEqual(await drive(run, step), { kind: 'done' });
      assert.deepEqual(lines(file), ['a', 'b'], `killed after effect ${at}`);
      if (fuse.effects < at) break;
    }
  });

  test('taking back ends a hook that runs', async () => {
    await makeHook('slow', `${note('slow', '$$')}; exec sleep 100000`);
    const run = await makeRun([named('slow')]);
    const step = stepOf('PreBackup');
    await step.ensure(run());
    await eventually(async () => lines('slow').length > 0);
    assert.equal((await step.observe(run())).kind, 'running');
    await eventually(async () => (await step.undo?.(run()))?.kind === 'done');
    assert.deepEqual(await jobsOf(run()), []);
    const [pid] = lines('slow');
    await eventually(async () => !existsSync(`/proc/${pid}`));
  });

  test('what the plan does not name any more is ended and taken away all the same', async () => {
    await makeHook('broken', 'exit 3');
    await makeHook('hangs', `${note('hangs', '$$')}; exec sleep 100000`);
    const run = await makeRun([named('broken'), named('hangs', 'PostBackup')]);
    const without = (): Run => {
      const { plan, ...rest } = run(1);
      return { ...rest, plan: { ...plan, spec: { ...plan.spec, hooks: [] } } };
    };
    assert.equal((await drive(run, stepOf('PreBackup'))).kind, 'failed');
    await stepOf('PostBackup').ensure(run());
    await eventually(async () => lines('hangs').length > 0);
    assert.equal((await stepOf('PreBackup').undo?.(without()))?.kind, 'done');
    assert.equal((await jobsOf(run())).length, 2, 'that of another phase runs on');
    await eventually(async () => (await stepOf('PostBackup').undo?.(without()))?.kind === 'done');
    assert.equal((await jobsOf(run())).length, 1);
    assert.equal(await hasHooks(without()), true);
    await removeHooks(without());
    await eventually(async () => !(await hasHooks(without())));
    assert.deepEqual(await jobsOf(run()), []);
    assert.deepEqual([...(await records(run())).keys()].toSorted(), ['broken', 'hangs']);
  });

  test('a hook is ended at its deadline, and what it printed until then is kept', async () => {
    await makeHook('endless', 'echo begun; exec sleep 100000', { deadline: '1s' });
    const run = await makeRun([named('endless', 'PostRestore')]);
    const seen = await drive(run, stepOf('PostRestore'));
    assert.ok(seen.kind === 'failed');
    assert.match(seen.message, /at its deadline\); it printed: begun/);
  });

  test('a playbook is mounted where its command looks for it', async () => {
    const playbook = '- hosts: all\n  tasks: []\n';
    await cluster.client.create(hooks, {
      metadata: { namespace, name: 'play' },
      spec: { playbook, target: 'Destination', namespace },
    } as never);
    const run = await makeRun([named('play', 'PostBackup')]);
    await stepOf('PostBackup').ensure(run());
    const [job] = await jobsOf(run());
    const { containers = [], volumes = [] } = job?.spec?.template?.spec ?? {};
    const map = volumes[0]?.configMap?.name ?? '';
    assert.equal((await cluster.get(configMaps, map))?.data?.['playbook.yml'], playbook);
    const [mount] = containers[0]?.volumeMounts ?? [];
    assert.equal(mount?.name, volumes[0]?.name);
    assert.match(containers[0]?.command?.[2] ?? '', /^exec ansible-playbook .*\/playbook\.yml"$/);
    assert.ok(containers[0]?.command?.[2]?.includes(`${mount?.mountPath}}/playbook.yml`));
    await eventually(async () => (await stepOf('PostBackup').undo?.(run()))?.kind === 'done');
  });

  test('a hook that is missing, or has no namespace, is named', async () => {
    const missing = await makeRun([named('nowhere')]);
    await assert.rejects(stepOf('PreBackup').ensure(missing()), { reason: 'NotFound' });
    await makeHook('lost', 'true', { namespace: 'no-such-place' });
    const lost = await makeRun([named('lost')]);
    await assert.rejects(stepOf('PreBackup').ensure(lost()), /no namespace no-such-place/);
  });
});

/** Dies after so many effects: those were done, and nobody heard of it. */
function blowing(client: KubeClient, fuse: { effects: number; readonly at: number }): KubeClient {
  const writes: readonly (string | symbol)[] = ['create', 'apply', 'patch', 'replace', 'delete'];
  return new Proxy(client, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      const call = value.bind(target) as (...args: unknown[]) => unknown;
      if (!writes.includes(name)) return call;
      return async (...args: unknown[]) => {
        const answer = await call(...args);
        fuse.effects += 1;
        if (fuse.effects === fuse.at) throw new TransshipError('Stopping', 'killed');
        return answer;
      };
    },
  });
}
