import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import type { Plan } from '../../src/api/kinds/plan.ts';
import { createFakeTerminal, type FakeTerminal } from '../../src/cli/fake-ports.ts';
import {
  configMaps,
  namespaces,
  persistentVolumeClaims,
  services,
} from '../../src/kube/resources.ts';
import { condition, impatient, startWorld, type World } from './world.ts';

const { hooks, plans } = resources;
const key = { namespace: 'default', name: 'move' };
const line = 'plan create move shop --from east --to west';

/** Namespace `shop` at east, with a claim and a ConfigMap. */
async function twoClusters(): Promise<World> {
  const world = await startWorld(['east', 'west']);
  const east = world.client('east');
  await east.create(namespaces, { metadata: { name: 'shop' } });
  await east.create(configMaps, {
    metadata: { namespace: 'shop', name: 'settings' },
    data: { colour: 'blue' },
  });
  await east.create(persistentVolumeClaims, {
    metadata: { namespace: 'shop', name: 'db' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
  });
  return world;
}

const found = (isReady: boolean) => (plan: Plan) => ({
  observedGeneration: plan.metadata.generation,
  type: 'Namespace',
  volumes: [
    {
      namespace: 'shop',
      claim: 'db',
      storageClass: 'old',
      capacityBytes: 2 ** 30,
      method: 'Filesystem',
      declined: [{ method: 'Teleport', reason: 'NoSnapshots', message: 'the class makes none' }],
    },
  ],
  checks: [
    { id: 'clusters', category: 'Critical', result: 'Passed' },
    {
      id: 'rights',
      category: 'Error',
      result: isReady ? 'Passed' : 'Failed',
      message: 'secrets cannot be read',
      remedy: 'grant get on secrets',
    },
  ],
  totals: { namespaces: 1, resources: 7, volumes: 1, images: 2, bytes: 2 ** 31 },
  estimate: { bytesToMove: 2 ** 29, seconds: 90, downtimeSeconds: 4 },
  conditions: [
    {
      ...condition('Ready', isReady ? 'True' : 'False', isReady ? 'Ready' : 'Forbidden'),
      observedGeneration: plan.metadata.generation,
    },
  ],
});

async function planAt(world: World): Promise<Plan | undefined> {
  return world.client('west').get(plans, key);
}

/** A person who answers by pieces of questions, and takes the default elsewhere. */
function person(answers: readonly (readonly [RegExp, string])[]): FakeTerminal {
  const left = [...answers];
  const terminal = createFakeTerminal(true);
  terminal.ask = async (question) => (left[0]?.[0].test(question) ? left.shift()![1] : '');
  return terminal;
}

suite('plan create', () => {
  test('flags become a Plan at the destination; a dry run shows the same', async () => {
    await using world = await twoClusters();
    const words = `${line} --volume shop/db=filesystem,size=2Gi --storage-class old=new`;
    const dry = await world.run(`${words} --dry-run -o json`);
    assert.equal(dry.code, 0, dry.err);
    assert.equal(await planAt(world), undefined);
    const { code, out, err } = await world.run(words);
    assert.equal(code, 0, err);
    assert.equal(out, 'plan/move created\n');
    const { spec } = (await planAt(world))!;
    const { source, destination, namespaces: moving, volumes, mappings } = spec;
    const shown = { source, destination, namespaces: moving, mappings };
    const { volumes: dryVolumes, ...dryRest } = JSON.parse(dry.out).spec;
    assert.deepEqual(shown, dryRest);
    assert.partialDeepStrictEqual(volumes, dryVolumes);
    assert.deepEqual(mappings, { storageClasses: [{ from: 'old', to: 'new' }] });
  });

  test('a file is a beginning, and flags win', async () => {
    await using world = await twoClusters();
    const ports = {
      readInput: async () =>
        'apiVersion: transship.dev/v1alpha1\nkind: Plan\nmetadata: {name: move}\n' +
        'spec: {source: east, destination: west, namespaces: [{name: shop}], quiesce: true}\n',
    };
    const { code, err } = await world.run('plan create -f plan.yaml --no-quiesce', { ports });
    assert.equal(code, 0, err);
    assert.equal((await planAt(world))!.spec.quiesce, false);
  });

  test('the wizard asks, makes the plan and prints its checks; refusals exit 3', async () => {
    await using world = await twoClusters();
    await world.control('west', plans, found(false));
    const terminal = person([
      [/^Name of the plan/, 'move'],
      [/^Name of shop/, 'shop2'],
    ]);
    const { code, out, err } = await world.run('plan create --cluster west', { terminal });
    assert.equal(code, 3, err);
    assert.match(out, /Failed {3}rights: secrets cannot be read\n +try: grant get on secrets\n/);
    assert.match(err, / {2}shop +db +transship +1Gi +Filesystem +Copy/);
    assert.deepEqual((await planAt(world))!.spec.namespaces, [{ name: 'shop', to: 'shop2' }]);
  });

  test('a name that somebody takes meanwhile is asked again, nothing else', async () => {
    await using world = await twoClusters();
    await world.control('west', plans, found(true));
    const terminal = person([[/^Name of the plan/, 'other']]);
    const spec = { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }] };
    const ask = terminal.ask.bind(terminal);
    terminal.ask = async (question) => {
      if (!question.startsWith('Make it')) return ask(question);
      await world.client('west').create(plans, { metadata: key, spec });
      return 'yes';
    };
    const words = 'plan create move --from east --to west';
    const { code, out, err } = await world.run(words, { terminal });
    assert.equal(code, 0, err);
    assert.match(out, /plan\/other ready\n/);
  });

  test('what is left at the wizard before its end makes nothing', async () => {
    await using world = await twoClusters();
    const terminal = person([
      [/^Cluster that keeps/, 'west'],
      [/^Make it/, 'no'],
    ]);
    const { code, err } = await world.run('plan create move shop --from east', { terminal });
    assert.equal(code, 130, err);
    assert.equal(await planAt(world), undefined);
  });
});

suite('a plan that is there', () => {
  test('show says what was found, what declines, what was checked and what it takes', async () => {
    await using world = await twoClusters();
    await world.control('west', plans, found(false));
    await world.run(line);
    const checked = await world.run('plan check move --cluster west');
    assert.equal(checked.code, 3, checked.err);
    const { code, out, err } = await world.run('plan show move --cluster west');
    assert.equal(code, 0, err);
    assert.match(out, /Ready: +no: Forbidden: so it is/);
    assert.match(out, /Estimate: +512\.0 MiB to send, 1m30s in all, 4s of downtime/);
    assert.match(out, /shop +db +old +1\.0 GiB +<none> +Copy +Filesystem/);
    assert.match(out, /shop\/db: not by Teleport: NoSnapshots: the class makes none/);
    assert.match(out, / {2}Error:\n {4}Failed {3}rights/);
  });

  test('checks of an older version of it do not count', async () => {
    await using world = await twoClusters();
    await world.control('west', plans, (plan) => ({ ...found(true)(plan), observedGeneration: 0 }));
    await world.run(line);
    const words = 'plan check move --cluster west --timeout 1s';
    const { code, err } = await world.run(words, { ports: impatient() });
    assert.equal(code, 5, err);
  });

  test('edit keeps what others write meanwhile; close and delete ask', async () => {
    await using world = await twoClusters();
    await world.run(line);
    const west = world.client('west');
    let isFirst = true;
    const open = async () => ({
      endpoint: { server: '', authorityPem: undefined },
      client: {
        ...west,
        get: west.get.bind(west),
        replace: (async (type, object) => {
          if (isFirst) {
            isFirst = false;
            await west.patch(plans, key, { spec: { bandwidth: '7Mi' } });
          }
          return west.replace(type, object);
        }) as typeof west.replace,
      },
    });
    const fake = { ports: { planes: { open, isRunning: () => true } as never } };
    const edited = await world.run('plan edit move shop:eu --cluster west --no-quiesce', fake);
    assert.equal(edited.code, 0, edited.err);
    const { spec } = (await planAt(world))!;
    assert.equal(spec.bandwidth, '7Mi');
    assert.equal(spec.quiesce, false);
    assert.deepEqual(spec.namespaces, [{ name: 'shop', to: 'eu' }]);
    assert.equal((await world.run('plan close move --cluster west')).code, 2);
    const closed = await world.run('plan close move --cluster west --yes');
    assert.equal(closed.out, 'plan/move closed\n', closed.err);
    assert.equal((await planAt(world))!.spec.closed, true);
    const gone = await world.run('plan delete move --cluster west --yes');
    assert.equal(gone.out, 'plan/move deleted\n', gone.err);
    assert.equal(await planAt(world), undefined);
  });

  test('manifests are what will be applied, with notes beside them', async () => {
    await using world = await twoClusters();
    await world.client('east').create(services, {
      metadata: { namespace: 'shop', name: 'front' },
      spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }] },
    });
    await world.run('plan create move shop:eu --from east --to west');
    const { code, out, err } = await world.run('plan show move --manifests --cluster west');
    assert.equal(code, 0, err);
    assert.match(out, /^---\napiVersion: v1\nkind: /);
    assert.match(out, /kind: ConfigMap[^]*namespace: eu[^]*colour: blue/);
    assert.doesNotMatch(out, /resourceVersion|uid:/);
    assert.match(err, /# Service shop\/front: Stripped spec\.clusterIP/);
    assert.match(err, /# \d+ of \d+ objects will be made/);
  });
});

test('hooks are made from commands and playbooks', async () => {
  await using world = await startWorld(['east']);
  const made = await world.run([
    ...'hook create quiet --target Source --in shop --deadline 5m --'.split(' '),
    'sh',
    '-c',
    'app pause',
  ]);
  assert.equal(made.code, 0, made.err);
  const hook = await world.client('east').get(hooks, { namespace: 'default', name: 'quiet' });
  assert.deepEqual(hook!.spec, {
    target: 'Source',
    namespace: 'shop',
    command: ['sh', '-c', 'app pause'],
    deadline: '300s',
  });
  assert.equal((await world.run('hook create none --target Source --in shop')).code, 2);
  assert.match((await world.run('hook list')).out, /quiet +Source +shop +300s/);
});
