import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import type { Run } from '../../src/controllers/migration/run.ts';
import { claimSteps } from '../../src/controllers/migration/steps/claims.ts';
import { fenceSteps } from '../../src/controllers/migration/steps/fence.ts';
import { objectSteps } from '../../src/controllers/migration/steps/objects.ts';
import { removalSteps } from '../../src/controllers/migration/steps/removal.ts';
import { startSteps } from '../../src/controllers/migration/steps/start.ts';
import { stopSteps } from '../../src/controllers/migration/steps/stop.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { configMaps, persistentVolumeClaims, services } from '../../src/kube/resources.ts';
import { deployments, pods, statefulSets } from '../../src/kube/workloads.ts';
import { cronJobs } from '../../src/kube/jobs.ts';
import { preparedFor } from '../../src/workload/transform-context.ts';
import { fillShop, outside, put } from '../workload/shop.ts';
import {
  bring,
  dyingAt,
  type Life,
  makeRun,
  named,
  picture,
  planUid,
  type RunShape,
  type Scene,
  settle,
  startHub,
  startSide,
  takeBack,
} from './steps.ts';

const all = [
  ...stopSteps,
  ...fenceSteps,
  ...objectSteps,
  ...startSteps,
  ...claimSteps,
  ...removalSteps,
];
const stopping = ['pauseManagers', 'stopSource', 'proveSourceStopped', 'fenceSource'];
const bare = { namespace: 'shop', name: 'alone' };

suite('objects of a migration', () => {
  let hub: KubeClient;

  before(async () => {
    hub = await startHub();
  });

  /** As after the last copy: the claim is at the destination. */
  async function startScene(namespace = 'shop'): Promise<Scene> {
    const source = startSide('east');
    const destination = startSide('westward');
    await fillShop(source);
    await put(source, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...bare, labels: { app: 'alone' } },
      spec: { containers: [{ name: 'x', image: 'busybox' }] },
    });
    await settle(source);
    const metadata = { name: namespace };
    await put(destination, { apiVersion: 'v1', kind: 'Namespace', metadata });
    for (const object of outside) await put(destination, object);
    await put(destination, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'data-database-0', namespace, annotations: { [preparedFor]: planUid } },
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'fast',
        resources: { requests: { storage: '1Gi' } },
      },
    });
    return { source, destination, hub };
  }

  async function go(run: Run, names: readonly string[]): Promise<void> {
    for (const name of names) await bring(named(all, name), run);
  }

  async function cutOver(scene: Scene, shape: RunShape = {}): Promise<Run> {
    const run = makeRun(scene, shape);
    await go(run, [...stopping, 'makeObjects', 'startDestination', 'proveDestinationHealthy']);
    return run;
  }

  test('what rests is made first, what runs is tried and then started as it was', async () => {
    const scene = await startScene();
    const run = makeRun(scene);
    await go(run, [...stopping, 'makeObjects']);
    const { destination } = scene;
    assert.ok((await destination.get(services, { namespace: 'shop', name: 'web' })) !== undefined);
    const key = { namespace: 'shop', name: 'web' };
    assert.equal(await destination.get(deployments, key), undefined);
    await go(run, ['startDestination', 'proveDestinationHealthy']);
    assert.equal((await destination.get(deployments, key))?.spec?.replicas, 2);
    const database = { namespace: 'shop', name: 'database' };
    assert.equal((await destination.get(statefulSets, database))?.spec?.replicas, 1);
    const nightly = await destination.get(cronJobs, { namespace: 'shop', name: 'nightly' });
    assert.notEqual(nightly?.spec?.suspend, true);
    assert.ok((await destination.get(pods, bare)) !== undefined, 'a pod that the stop deleted');
    const claim = { namespace: 'shop', name: 'data-database-0' };
    assert.equal(
      (await destination.get(persistentVolumeClaims, claim))?.spec?.volumeName,
      undefined,
    );
  });

  test('a rollback takes away what was made and brings back what was there', async () => {
    const scene = await startScene();
    const { destination } = scene;
    const settings = { namespace: 'shop', name: 'settings' };
    await put(destination, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: settings,
      data: { mine: 'x' },
    });
    const there = await picture(destination, 'shop');
    const here = await picture(scene.source, 'shop');
    await cutOver(scene, { plan: { existing: [{ resource: 'configmaps', policy: 'Update' }] } });
    assert.equal((await destination.get(configMaps, settings))?.data?.['mine'], 'x');
    assert.notDeepEqual(await picture(destination, 'shop'), there);
    const back = makeRun(scene, { migration: { type: 'Rollback', keepData: false } });
    await go(back, [
      'pauseDestinationManagers',
      'stopDestination',
      'proveDestinationStopped',
      'fenceDestination',
      'swapClaimsBack',
      'liftSourceFence',
      'startSource',
      'resumeManagers',
      'proveSourceHealthy',
      'removeMade',
    ]);
    assert.deepEqual(withoutRecords(await picture(destination, 'shop')), there);
    assert.deepEqual(withoutRecords(await picture(scene.source, 'shop')), here);
    assert.match(back.warnings.join(), /stay at the destination.*shop\/data-database-0/);
  });

  test('workloads of others at the destination go on; those of the plan are stopped', async () => {
    const scene = await startScene();
    const { destination } = scene;
    const other = { namespace: 'shop', name: 'other' };
    await put(destination, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: other,
      spec: {
        replicas: 3,
        selector: { matchLabels: { app: 'other' } },
        template: {
          metadata: { labels: { app: 'other' } },
          spec: { containers: [{ name: 'x', image: 'busybox' }] },
        },
      },
    });
    await cutOver(scene);
    const back = makeRun(scene, { migration: { type: 'Rollback', keepData: false } });
    await go(back, ['pauseDestinationManagers', 'stopDestination', 'proveDestinationStopped']);
    assert.equal((await destination.get(deployments, other))?.spec?.replicas, 3);
    const web = { namespace: 'shop', name: 'web' };
    assert.equal((await destination.get(deployments, web))?.spec?.replicas, 0);
  });

  test('what is there and not ours stops it before anything is made', async () => {
    const scene = await startScene();
    const { destination } = scene;
    const nightly = { apiVersion: 'batch/v1', kind: 'CronJob' };
    const template = { spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'y' }] } };
    await put(destination, {
      ...nightly,
      metadata: { namespace: 'shop', name: 'nightly' },
      spec: { schedule: '0 1 * * *', jobTemplate: { spec: { template } } },
    });
    const there = await picture(destination, 'shop');
    const run = makeRun(scene);
    await go(run, stopping);
    const step = named(all, 'makeObjects');
    await assert.rejects(step.ensure(run), (error: Error & { reason?: string }) => {
      assert.equal(error.reason, 'AlreadyExists');
      return /CronJob shop\/nightly already exists and differs/.test(error.message);
    });
    assert.deepEqual(await picture(destination, 'shop'), there);
  });

  test('what the destination would refuse is found while the source can still go on', async () => {
    const scene = await startScene();
    const run = makeRun(scene, {
      plan: {
        patches: [
          {
            group: 'apps',
            kind: 'Deployment',
            patch: '[{"op":"replace","path":"/spec/replicas","value":-1}]',
          },
        ],
      },
    });
    await go(run, stopping);
    const step = named(all, 'makeObjects');
    await assert.rejects(step.ensure(run), /Deployment shop\/web would not be taken .*replicas/);
    const there = await scene.destination.get(services, { namespace: 'shop', name: 'web' });
    assert.ok(there !== undefined);
    await takeBack(step, run);
    const after = await scene.destination.get(services, { namespace: 'shop', name: 'web' });
    assert.equal(after, undefined);
  });

  test('updates of what will run are tried too, and change nothing by that', async () => {
    const scene = await startScene();
    const { destination } = scene;
    const labels = { app: 'shop' };
    await put(destination, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { namespace: 'shop', name: 'web' },
      spec: {
        replicas: 7,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'x', image: 'z' }] } },
      },
    });
    const existing = [{ resource: 'deployments.apps', policy: 'Update' as const }];
    const patch = '[{"op":"replace","path":"/spec/replicas","value":-1}]';
    const wrong = { existing, patches: [{ group: 'apps', kind: 'Deployment', patch }] };
    const run = makeRun(scene, { plan: wrong });
    await go(run, stopping);
    const step = named(all, 'makeObjects');
    await assert.rejects(step.ensure(run), /Deployment shop\/web would not be taken .*replicas/);
    await takeBack(step, run);
    await bring(step, makeRun(scene, { plan: { existing } }));
    const there = await destination.get(deployments, { namespace: 'shop', name: 'web' });
    assert.equal(there?.spec?.replicas, 7);
  });

  test('a rehearsal runs beside it all, and nothing of it is seen outside', async () => {
    const scene = await startScene('shop-rehearsal');
    const here = await picture(scene.source, 'shop');
    const run = makeRun(scene, { migration: { type: 'Rehearsal' } });
    const { destination } = scene;
    const empty = await picture(destination, 'shop-rehearsal');
    await go(run, ['makeObjects', 'startDestination', 'proveDestinationHealthy']);
    const namespace = 'shop-rehearsal';
    const web = await destination.get(services, { namespace, name: 'web' });
    assert.equal(web?.spec?.type, 'ClusterIP');
    assert.equal(
      (await destination.get(cronJobs, { namespace, name: 'nightly' }))?.spec?.suspend,
      true,
    );
    const told = (await picture(destination, namespace)).join('\n');
    assert.doesNotMatch(told, /^Ingress/m);
    assert.deepEqual(await picture(scene.source, 'shop'), here);
    await takeBack(named(all, 'makeObjects'), run);
    assert.deepEqual(withoutRecords(await picture(destination, namespace)), empty);
  });

  test('killed at every write of the destination, all can be taken back', async () => {
    let isWhole = false;
    for (let at = 1; !isWhole; at += 2) {
      const scene = await startScene();
      const there = await picture(scene.destination, 'shop');
      const run = makeRun(scene);
      const life: Life = { at, after: at % 4 === 1, writes: 0, isOver: false };
      const dying = makeRun({ ...scene, destination: dyingAt(scene.destination, life) });
      await go(run, stopping);
      try {
        const settleSource = (): Promise<void> => settle(scene.source);
        await bring(named(all, 'makeObjects'), dying, settleSource);
        await bring(named(all, 'startDestination'), dying, settleSource);
        isWhole = true;
      } catch (error) {
        assert.match(String(error), /killed/);
      }
      await takeBack(named(all, 'makeObjects'), run);
      const after = withoutRecords(await picture(scene.destination, 'shop'));
      assert.deepEqual(after, there, `killed at write ${at}`);
    }
  });
});

function withoutRecords(told: readonly string[]): readonly string[] {
  return told.filter((one) => !one.startsWith('Secret transship-undo-'));
}
