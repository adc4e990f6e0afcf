import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { closeSourceFence, fenceSteps } from '../../src/controllers/migration/steps/fence.ts';
import { startSteps } from '../../src/controllers/migration/steps/start.ts';
import { stopSteps } from '../../src/controllers/migration/steps/stop.ts';
import type { Run } from '../../src/controllers/migration/run.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { resourceQuotas, secrets } from '../../src/kube/resources.ts';
import { deployments, pods, statefulSets } from '../../src/kube/workloads.ts';
import { createDiscovery } from '../../src/kube/discovery.ts';
import { fillShop, put, widgets } from '../workload/shop.ts';
import {
  bring,
  dyingAt,
  type Life,
  makeRun,
  named,
  picture,
  type Scene,
  settle,
  startSide,
  takeBack,
} from './steps.ts';

const stopping = ['pauseManagers', 'stopSource', 'proveSourceStopped'];

const scaled = { name: 'web', namespace: 'shop' };
/** A manager that would start again what is stopped. */
const scaledObjects = {
  ...widgets,
  metadata: { name: 'scaledobjects.keda.sh' },
  spec: {
    ...widgets.spec,
    group: 'keda.sh',
    names: {
      plural: 'scaledobjects',
      kind: 'ScaledObject',
      singular: 'scaledobject',
      listKind: 'ScaledObjectList',
    },
    versions: widgets.spec.versions.map((one) => ({ ...one, name: 'v1alpha1' })),
  },
};

async function isPaused(client: KubeClient): Promise<boolean> {
  const type = await createDiscovery(client).find('keda.sh', 'ScaledObject');
  const found = type && (await client.get(type, scaled));
  return found?.metadata.annotations?.['autoscaling.keda.sh/paused'] === 'true';
}

async function startScene(): Promise<Scene> {
  const source = startSide('east');
  await fillShop(source);
  await put(source, scaledObjects);
  await put(source, {
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    metadata: scaled,
    spec: { scaleTargetRef: { name: 'web' } },
  });
  await settle(source);
  return { source, destination: startSide('westward'), hub: source };
}

async function goThrough(run: Run, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await bring(named([...stopSteps, ...fenceSteps, ...startSteps], name), run);
  }
}

async function undo(run: Run, names: readonly string[]): Promise<void> {
  for (const name of names.toReversed()) {
    await takeBack(named([...stopSteps, ...fenceSteps], name), run);
  }
}

const replicasOf = async (client: KubeClient): Promise<unknown> => {
  const key = { namespace: 'shop', name: 'web' };
  return (await client.get(deployments, key))?.spec?.replicas;
};

suite('stopping a side of a migration', () => {
  test('all is stopped, proven and fenced, and put back exactly', async () => {
    const scene = await startScene();
    const run = makeRun(scene);
    const before = await picture(scene.source, 'shop');
    await goThrough(run, ['pauseManagers']);
    assert.deepEqual([await isPaused(scene.source), await replicasOf(scene.source)], [true, 2]);
    await goThrough(run, [...stopping, 'fenceSource']);
    assert.equal(await replicasOf(scene.source), 0);
    const fence = await scene.source.get(resourceQuotas, {
      namespace: 'shop',
      name: 'transship-fence',
    });
    assert.equal(fence?.spec?.hard?.['pods'], '8');
    await closeSourceFence(run);
    const spec = { containers: [{ name: 'x', image: 'busybox' }] };
    const late = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'shop', name: 'b' },
      spec,
    };
    await assert.rejects(put(scene.source, late), /exceeded quota: transship-fence/);
    await undo(run, [...stopping, 'fenceSource']);
    assert.deepEqual(await picture(scene.source, 'shop'), before);
  });

  test('who still writes is named, with what to do about it', async () => {
    const scene = await startScene();
    const run = makeRun(scene);
    await goThrough(run, ['pauseManagers', 'stopSource']);
    await put(scene.source, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', namespace: 'shop', finalizers: ['example.com/hold'] },
      spec: {
        containers: [{ name: 'x', image: 'busybox' }],
        volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data-database-0' } }],
      },
    });
    const step = named(stopSteps, 'proveSourceStopped');
    assert.equal((await step.observe(run)).kind, 'notStarted');
    await step.ensure(run);
    const seen = await step.observe(run);
    assert.equal(seen.kind, 'waiting');
    assert.match(JSON.stringify(seen), /claim shop\/data-database-0 is held by pod shop\/late/);
    assert.match(JSON.stringify(seen), /delete it if nothing does/);
    const key = { namespace: 'shop', name: 'late' };
    await scene.source.patch(pods, key, { metadata: { finalizers: null } });
    await goThrough(run, ['proveSourceStopped']);
  });

  test('pods without claims hold up a whole namespace, finished ones do not', async () => {
    const scene = await startScene();
    const run = makeRun(scene);
    await goThrough(run, ['pauseManagers', 'stopSource']);
    const bare = (name: string, phase: string) =>
      put(scene.source, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace: 'shop', finalizers: ['example.com/hold'] },
        spec: { containers: [{ name: 'x', image: 'busybox' }] },
        status: { phase },
      });
    await bare('over', 'Succeeded');
    await goThrough(run, ['proveSourceStopped']);
    await bare('left', 'Running');
    const step = named(stopSteps, 'proveSourceStopped');
    await step.ensure(run);
    assert.match(JSON.stringify(await step.observe(run)), /pod shop\/left still runs/);
  });

  test('a plan for data alone stops what uses the claims, and says that it stays so', async () => {
    const scene = await startScene();
    const run = makeRun(scene, { type: 'State' });
    await goThrough(run, [...stopping, 'fenceSource']);
    assert.equal(await replicasOf(scene.source), 2);
    const key = { namespace: 'shop', name: 'database' };
    assert.equal((await scene.source.get(statefulSets, key))?.spec?.replicas, 0);
    assert.match(run.warnings.join(), /a Rollback starts them again/);
    assert.equal((await named(startSteps, 'startDestination').observe(run)).kind, 'done');
    await goThrough(run, ['liftSourceFence', 'startSource', 'resumeManagers']);
    assert.equal((await scene.source.get(statefulSets, key))?.spec?.replicas, 1);
  });

  test('only what a selection takes along is stopped, and what writes to its claims', async () => {
    const scene = await startScene();
    const labelSelector = { matchLabels: { app: 'shop' } };
    await put(scene.source, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'other', namespace: 'shop' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'other' } },
        template: {
          metadata: { labels: { app: 'other' } },
          spec: { containers: [{ name: 'x', image: 'busybox' }] },
        },
      },
    });
    await settle(scene.source);
    const run = makeRun(scene, { plan: { resources: { labelSelector } } });
    await goThrough(run, [...stopping, 'fenceSource']);
    assert.equal(await replicasOf(scene.source), 0);
    const other = await scene.source.get(deployments, { namespace: 'shop', name: 'other' });
    assert.equal(other?.spec?.replicas, 1);
  });

  test('a conversion starts again where it stopped, once, and can go back', async () => {
    const scene = await startScene();
    const one = { ...scene, destination: scene.source };
    const run = makeRun(one, { type: 'StorageConversion' });
    const before = await picture(scene.source, 'shop');
    await goThrough(run, [...stopping, 'fenceSource', 'startDestination']);
    await goThrough(run, ['proveDestinationHealthy']);
    assert.deepEqual(await picture(scene.source, 'shop'), before);
    const web = { namespace: 'shop', name: 'web' };
    await scene.source.patch(deployments, web, { spec: { replicas: 4 } });
    const back = makeRun(one, { type: 'StorageConversion', migration: { type: 'Rollback' } });
    await goThrough(back, [
      'pauseDestinationManagers',
      'stopDestination',
      'proveDestinationStopped',
      'fenceDestination',
    ]);
    assert.equal(await replicasOf(scene.source), 0);
    await goThrough(back, ['liftSourceFence', 'startSource', 'resumeManagers']);
    assert.equal(await replicasOf(scene.source), 4, 'what was changed since is not undone');
  });

  test('nothing starts on a claim that is half overwritten', async () => {
    const scene = await startScene();
    const run = makeRun(scene);
    await goThrough(run, stopping);
    await scene.source.patch(
      { group: '', version: 'v1', plural: 'persistentvolumeclaims', kind: 'x', namespaced: true },
      { namespace: 'shop', name: 'data-database-0' },
      { metadata: { annotations: { 'transship.dev/torn': 'transfer-1' } } },
    );
    const step = named(startSteps, 'startSource');
    await assert.rejects(step.ensure(run), /shop\/data-database-0 was begun and not finished/);
    assert.equal(await replicasOf(scene.source), 0);
  });

  test('taking back that is killed at every write is gone on with', async () => {
    const names = [...stopping, 'fenceSource'];
    let isWhole = false;
    for (let at = 1; !isWhole; at++) {
      const scene = await startScene();
      const before = await picture(scene.source, 'shop');
      const run = makeRun(scene);
      await goThrough(run, names);
      const life: Life = { at, after: at % 2 === 0, writes: 0, isOver: false };
      try {
        await undo(makeRun({ ...scene, source: dyingAt(scene.source, life) }), names);
        isWhole = true;
      } catch (error) {
        assert.match(String(error), /killed/);
      }
      await undo(run, names);
      assert.deepEqual(await picture(scene.source, 'shop'), before, `killed at write ${at}`);
    }
  });

  test('killed at every write it can be gone on with, and taken back exactly', async () => {
    const names = [...stopping, 'fenceSource'];
    let isWhole = false;
    for (let at = 1; !isWhole; at++) {
      const scene = await startScene();
      const before = await picture(scene.source, 'shop');
      const life: Life = { at, after: at % 2 === 0, writes: 0, isOver: false };
      const dying = makeRun({ ...scene, source: dyingAt(scene.source, life) });
      const settleNone = async (): Promise<void> => settle(scene.source);
      try {
        for (const name of names) {
          await bring(named([...stopSteps, ...fenceSteps], name), dying, settleNone);
        }
        isWhole = true;
      } catch (error) {
        assert.match(String(error), /killed/);
      }
      const run = makeRun(scene);
      if (at % 3 === 0) await goThrough(run, names);
      await undo(run, names);
      assert.deepEqual(await picture(scene.source, 'shop'), before, `killed at write ${at}`);
      const kept = [];
      for await (const one of scene.source.list(secrets)) kept.push(one.metadata.name);
      assert.ok(!kept.some((name) => name?.startsWith('transship-undo-')), 'records are gone');
    }
  });
});
