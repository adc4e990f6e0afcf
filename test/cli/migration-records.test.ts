// What a migration leaves to be read: its report and what was said while it ran.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import { labels } from '../../src/controllers/labels.ts';
import { type KubeClient, ownerReference } from '../../src/kube/api.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { configMaps, events } from '../../src/kube/resources.ts';
import { condition, startWorld, type World } from './world.ts';

const { imageTransfers, migrations, plans, volumeTransfers } = resources;
const namespace = 'default';
const began = '2026-01-01T00:00:00Z';
const ended = '2026-01-01T00:00:10Z';
const MiB = 2 ** 20;

/** A cutover of `shop` that copied one volume twice and one image. */
async function moved(): Promise<World> {
  const world = await startWorld(['east', 'west']);
  const west = world.client('west');
  await west.create(plans, {
    metadata: { namespace, name: 'shop' },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }] },
  });
  const migration = await west.create(migrations, {
    metadata: { namespace, name: 'shop-cutover-1' },
    spec: { plan: 'shop', type: 'Cutover' },
  });
  const step = { state: 'Succeeded', startTime: began, completionTime: ended } as const;
  const status = {
    itinerary: [
      { name: 'checkPlan', ...step },
      { name: 'cleanUp', ...step, message: 'kept' },
    ],
    percent: 100,
    startTime: began,
    completionTime: '2026-01-01T00:01:00Z',
    downtimeMilliseconds: 4200,
    warnings: ['look at the operator'],
    report: { objects: 7, bytesPerSecond: MiB },
    conditions: [condition('Succeeded', 'True', 'Completed')],
  };
  await west.patchStatus(migrations, { namespace, name: 'shop-cutover-1' }, { status });
  const owned = { namespace, ownerReferences: [ownerReference(migration)] };
  await addVolume(west, owned, 'Last');
  await addVolume(west, owned, 'Ahead');
  await addImage(west, owned);
  return world;
}

type Owned = Pick<KubeObject['metadata'], 'namespace' | 'ownerReferences'>;

async function addVolume(west: KubeClient, owned: Owned, pass: 'Ahead' | 'Last'): Promise<void> {
  const name = `shop-db-${pass.toLowerCase()}`;
  await west.create(volumeTransfers, {
    metadata: { ...owned, name },
    spec: {
      migration: 'shop-cutover-1',
      source: { cluster: 'east', namespace: 'shop', claim: 'db' },
      destination: { cluster: 'west', namespace: 'shop', claim: 'db' },
      pass,
    },
  });
  const side = { files: 12, bytes: 20 * MiB, digest: 'sha256:ab' };
  const status = {
    phase: 'Succeeded',
    method: 'Filesystem',
    declined: [{ method: 'Teleport', reason: 'NoPool', message: 'the class has none' }],
    route: 'Service',
    volume: 'pv-1',
    attempts: 2,
    totalBytes: 20 * MiB,
    copiedBytes: 20 * MiB,
    wireBytes: 5 * MiB,
    elapsedSeconds: 10,
    completionTime: ended,
    log: ['sending incremental file list', `${pass} done`],
    audit: { source: side, destination: side },
    conditions: [
      condition('Succeeded', 'True', 'Completed'),
      condition('Verified', 'True', 'Equal'),
    ],
  };
  await west.patchStatus(volumeTransfers, { namespace, name }, { status });
}

async function addImage(west: KubeClient, owned: Owned): Promise<void> {
  const name = 'shop-web';
  await west.create(imageTransfers, {
    metadata: { ...owned, name },
    spec: {
      migration: 'shop-cutover-1',
      source: { cluster: 'east', reference: 'shop/web:1.4' },
      destination: { cluster: 'west', reference: 'shop/web:1.4' },
    },
  });
  const status = {
    phase: 'Failed',
    method: 'Direct',
    digest: 'sha256:cd',
    layers: 3,
    layersPresent: 1,
    bytesPerSecond: 5,
    attempts: 1,
    conditions: [condition('Succeeded', 'False', 'RegistryRefused', 'no rights')],
  };
  await west.patchStatus(imageTransfers, { namespace, name }, { status });
}

const line = 'migration report shop-cutover-1 --cluster west';

suite('the report of a migration', () => {
  test('has what moved, how, how fast, how often and how it was checked', async () => {
    await using world = await moved();
    const { code, out, err } = await world.run(`${line} -o json`);
    assert.equal(code, 0, err);
    const report = JSON.parse(out);
    assert.partialDeepStrictEqual(report, {
      kind: 'MigrationReport',
      source: 'east',
      result: 'Succeeded',
      durationMilliseconds: 60_000,
      downtimeMilliseconds: 4200,
      totals: { objects: 7, volumes: 1, images: 0, wireBytes: 10 * MiB, attempts: 5, verified: 1 },
      warnings: ['look at the operator'],
    });
    const [ahead, last] = report.volumes;
    assert.deepEqual([ahead.pass, last.pass], ['Ahead', 'Last']);
    assert.partialDeepStrictEqual(last, {
      method: 'Filesystem',
      bytesPerSecond: 2 * MiB,
      verified: true,
      destination: { volume: 'pv-1' },
      audit: { source: { files: 12, digest: 'sha256:ab' } },
    });
    assert.partialDeepStrictEqual(report.images, [
      { digest: 'sha256:cd', reason: 'RegistryRefused', layersPresent: 1 },
    ]);
  });

  test('every field is described', async () => {
    await using world = await moved();
    const report = JSON.parse((await world.run(`${line} -o json`)).out);
    const text = readFileSync(
      new URL('../../docs/formats/migration-report.md', import.meta.url),
      'utf8',
    );
    const names = new Set<string>();
    JSON.stringify(report, (name, value: unknown) => {
      if (name !== '' && !/^\d+$/.test(name)) names.add(name);
      return value;
    });
    assert.ok(names.size > 40, `${names.size}`);
    for (const name of names) assert.ok(text.includes(`\`${name}\``), name);
  });

  test('is for people, and for a file that is new', async () => {
    await using world = await moved();
    const { out } = await world.run(line);
    assert.match(out, /Downtime: +4s200ms\n/);
    assert.match(out, /Bytes: +20\.0 MiB, 10\.0 MiB on the wire, 1\.0 MiB\/s\n/);
    assert.match(out, /shop\/db +Last +Filesystem +Succeeded +20\.0 MiB +5\.0 MiB +2\.0 MiB\/s/);
    assert.match(
      out,
      /shop\/db \(Last\): equal\n +source: +12 files .*, 20971520 bytes, sha256:ab/,
    );
    assert.match(out, /shop\/web:1\.4: RegistryRefused: no rights/);
    const written: string[] = [];
    const writeText = async (path: string, text: string) => void written.push(path, text);
    const { code, err } = await world.run(`${line} --file shop.json`, { ports: { writeText } });
    assert.equal(code, 0, err);
    assert.equal(written[0], '/work/shop.json');
    assert.equal(JSON.parse(written[1]!).kind, 'MigrationReport');
  });

  test('of one that has not begun is not full of zeros', async () => {
    await using world = await startWorld(['west']);
    await world.client('west').create(migrations, {
      metadata: { namespace, name: 'new' },
      spec: { plan: 'gone', type: 'Stage' },
    });
    const { code, out, err } = await world.run('migration report new -o json');
    assert.equal(code, 0, err);
    const report = JSON.parse(out);
    assert.equal(report.result, 'Pending');
    assert.ok(!('downtimeMilliseconds' in report) && !('source' in report));
    assert.match((await world.run('migration report new')).out, /Downtime: +not measured/);
  });
});

suite('the logs of a migration', () => {
  test('are its steps, the last lines of copies, and what hooks printed', async () => {
    await using world = await moved();
    const west = world.client('west');
    const { metadata } = (await west.get(migrations, { namespace, name: 'shop-cutover-1' }))!;
    const words = 'migration logs shop-cutover-1 --cluster west';
    const steps = await world.run(words);
    assert.match(
      steps.out,
      /^migration shop-cutover-1 {2}2026-.* step checkPlan Succeeded after 10s/,
    );
    assert.match(steps.out, /\nvolume shop\/db Last {2}Last done\n/);
    await west.create(events, {
      metadata: { namespace, name: 'one' },
      eventTime: '2026-01-01T00:00:05.000000Z',
      reportingController: 'transship.dev/controller',
      reportingInstance: 'test',
      action: 'Migrating',
      reason: 'StepSucceeded',
      type: 'Normal',
      note: 'checkPlan is done',
      regarding: {
        apiVersion: 'transship.dev/v1alpha1',
        kind: 'Migration',
        namespace,
        name: 'shop-cutover-1',
        uid: metadata.uid!,
      },
    });
    const data = { hook: 'quiet', phase: 'PreBackup', state: 'Failed', message: 'no app' };
    await west.create(configMaps, {
      metadata: {
        namespace,
        name: 'hook-1',
        labels: { [labels.migration]: metadata.uid!, [labels.hook]: 'quiet' },
      },
      data: { ...data, cluster: 'east', namespace: 'shop', job: 'quiet-1', log: 'one\ntwo\n' },
    });
    const { out } = await world.run(`${words} --follow`);
    assert.match(out, /migration shop-cutover-1 {2}2026-01-01T00:00:05Z StepSucceeded: checkPlan/);
    assert.match(out, /hook quiet PreBackup {2}Failed, job shop\/quiet-1 at east: no app\n/);
    assert.match(out, /hook quiet PreBackup {2}one\nhook quiet PreBackup {2}two\n/);
  });

  test('--follow prints each line once, until the migration ends', async () => {
    await using world = await moved();
    const west = world.client('west');
    const key = { namespace, name: 'shop-cutover-1' };
    await west.patchStatus(migrations, key, {
      status: { completionTime: null, conditions: [condition('Succeeded', 'Unknown', 'Running')] },
    });
    const transfer = { namespace, name: 'shop-db-last' };
    const following = world.run('migration logs shop-cutover-1 --follow --cluster west');
    await west.patchStatus(volumeTransfers, transfer, {
      status: { log: ['Last done', 'audited'] },
    });
    await west.patchStatus(migrations, key, {
      status: { conditions: [condition('Succeeded', 'True', 'Completed')] },
    });
    const { code, out, err } = await following;
    assert.equal(code, 0, err);
    assert.equal(out.match(/Last done/g)?.length, 1);
    assert.equal(out.match(/Last {2}audited/g)?.length, 1);
  });
});
