import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { volumeTransferKind, volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { finishPlan } from '../../src/controllers/migration/finish-plan.ts';
import { temporaryClaim } from '../../src/controllers/migration/choices.ts';
import { retain, unretain } from '../../src/controllers/migration/retained.ts';
import type { Run } from '../../src/controllers/migration/run.ts';
import { claimSteps } from '../../src/controllers/migration/steps/claims.ts';
import { fenceSteps } from '../../src/controllers/migration/steps/fence.ts';
import { removalSteps } from '../../src/controllers/migration/steps/removal.ts';
import { startSteps } from '../../src/controllers/migration/steps/start.ts';
import { stopSteps } from '../../src/controllers/migration/steps/stop.ts';
import { makeOldClaims } from '../../src/controllers/migration/steps/swapping.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import {
  customResourceDefinitions,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../src/kube/resources.ts';
import { deployments, statefulSets } from '../../src/kube/workloads.ts';
import { waitUntil } from '../../src/workload/rebind-wait.ts';
import {
  type Cluster,
  killedAt,
  makeBoundClaim,
  patience,
  startCluster,
} from '../workload/rebind-cluster.ts';
import { bring, makeRun, named, planUid, type RunShape, takeBack } from './steps.ts';

const all = [...stopSteps, ...fenceSteps, ...claimSteps, ...startSteps, ...removalSteps];
const name = 'data-db-0';
const old = { name: 'pv-old', storageClass: 'slow', driver: 'disk.example.com', size: '1Gi' };
const fresh = { name: 'pv-new', storageClass: 'fast', driver: 'flash.example.com', size: '1Gi' };
const prepared = { annotations: { 'transship.dev/prepared-for': planUid } };
const stopping = ['pauseManagers', 'stopSource', 'proveSourceStopped', 'fenceSource'];
const cutover = {
  metadata: { namespace: 'shop', name: 'go', uid: 'migration-1' },
  spec: { plan: 'shop', type: 'Cutover' },
  status: { itinerary: [{ name: 'startDestination', state: 'Succeeded' }] },
};

const settleNone = async (): Promise<void> => undefined;

async function go(run: Run, names: readonly string[]): Promise<void> {
  for (const step of names) await bring(named(all, step), run, settleNone);
}

function runOn(client: KubeClient, shape: RunShape = {}): ReturnType<typeof makeRun> {
  const scene = { source: client, destination: client, hub: client };
  const run = makeRun(scene, { type: 'StorageConversion', ...shape });
  // The hub has no namespace of its own here.
  (run.migration.metadata as { namespace: string }).namespace = 'shop';
  return run;
}

function backOn(client: KubeClient, keepData: boolean): ReturnType<typeof makeRun> {
  const migration = { type: 'Rollback', keepData };
  return runOn(client, { migration, uid: 'migration-2', migrations: [cutover] });
}

/** The last copy is there: a claim of the temporary name, and the transfer that made it. */
async function startCopied(): Promise<Cluster> {
  const cluster = await startCluster();
  const { client } = cluster;
  const { metadata, spec } = crdOf(volumeTransferKind);
  await client.create(customResourceDefinitions, { metadata, spec } as never);
  await makeBoundClaim(client, name, old, { labels: { app: 'db' } });
  await client.create(statefulSets, {
    metadata: { namespace: 'shop', name: 'db' },
    spec: {
      serviceName: 'db',
      replicas: 0,
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' } },
        spec: { containers: [{ name: 'x', image: 'busybox' }] },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: old.storageClass,
            resources: { requests: { storage: '1Gi' } },
          },
        },
      ],
    },
  } as never);
  const temporary = temporaryClaim(runOn(client), name);
  await makeBoundClaim(client, temporary, fresh, prepared);
  await makeTransfer(client, 'go', { from: name, to: temporary, volume: fresh.name });
  return cluster;
}

async function makeTransfer(
  client: KubeClient,
  migration: string,
  { from, to, volume }: { readonly from: string; readonly to: string; readonly volume: string },
): Promise<void> {
  const pass = migration === 'go' ? 'l' : 'b';
  const hash = createHash('sha256').update(`shop/${to}`).digest('hex').slice(0, 8);
  const uid = migration === 'go' ? 'migration-1' : 'migration-2';
  const key = { namespace: 'shop', name: `go-${pass}-${hash}` };
  const owner = { apiVersion: 'transship.dev/v1alpha1', kind: 'Migration', name: 'go', uid };
  const place = (claim: string) => ({ cluster: 'east', namespace: 'shop', claim });
  await waitUntil(
    client,
    async () => {
      const made = client.create(volumeTransfers, {
        metadata: { ...key, ownerReferences: [owner] },
        spec: { migration: 'go', source: place(from), destination: place(to), pass: 'Last' },
      } as never);
      return made.then(
        () => undefined,
        (error: Error) => error.message,
      );
    },
    patience,
  );
  const lastTransitionTime = '2026-01-01T00:00:00Z';
  const conditions = ['Succeeded', 'Complete'].map((type) => {
    return { type, status: 'True', reason: 'Succeeded', message: '', lastTransitionTime };
  });
  await client.patchStatus(volumeTransfers, key, {
    status: { volume, conditions, method: 'Teleport' },
  });
}

const claimNamed = (client: KubeClient, of: string): Promise<PersistentVolumeClaim | undefined> =>
  client.get(persistentVolumeClaims, { namespace: 'shop', name: of });

const volumeUnder = async (client: KubeClient, of = name): Promise<string | undefined> =>
  (await claimNamed(client, of))?.spec?.volumeName;

async function classOfSet(client: KubeClient): Promise<string | undefined> {
  const set = await client.get(statefulSets, { namespace: 'shop', name: 'db' });
  return set?.spec?.volumeClaimTemplates?.[0]?.spec?.storageClassName;
}

suite('claims of a migration', () => {
  test('a conversion puts new volumes under claims and templates, and goes back', async () => {
    const cluster = await startCopied();
    const { client } = cluster;
    const run = runOn(client);
    await retain(run);
    await go(run, [...stopping, 'swapClaims', 'startDestination']);
    assert.equal(await volumeUnder(client), fresh.name);
    assert.equal(await classOfSet(client), fresh.storageClass);
    assert.equal(await claimNamed(client, temporaryClaim(run, name)), undefined);
    assert.deepEqual((await claimNamed(client, name))?.metadata.labels, { app: 'db' });
    const back = backOn(client, false);
    await go(back, ['checkWayBack', 'swapClaimsBack', 'liftSourceFence', 'startSource']);
    assert.equal(await volumeUnder(client), old.name);
    assert.equal(await classOfSet(client), old.storageClass);
    await unretain(back);
    const volume = await client.get(persistentVolumes, { namespace: '', name: old.name });
    assert.equal(volume?.spec?.persistentVolumeReclaimPolicy, 'Delete');
    await cluster.stop();
  });

  test('what was written since goes to the old volume, through a claim of its own', async () => {
    const cluster = await startCopied();
    const { client } = cluster;
    await go(runOn(client), [...stopping, 'swapClaims', 'startDestination']);
    const back = backOn(client, true);
    const temporary = temporaryClaim(back, name);
    await makeOldClaims(back);
    await makeOldClaims(back);
    assert.equal(await volumeUnder(client, temporary), old.name);
    assert.equal(await volumeUnder(client), fresh.name);
    await go(back, ['swapClaimsBack']);
    assert.equal(await volumeUnder(client), old.name);
    assert.equal(await volumeUnder(client, temporary), fresh.name);
    await takeBack(named(all, 'swapClaimsBack'), back);
    assert.equal(await volumeUnder(client), fresh.name);
    assert.equal(await classOfSet(client), fresh.storageClass);
    await cluster.stop();
  });

  test('killed anywhere, a swap goes on, and can be taken back', async () => {
    for (let at = 3; at < 90; at += 12) {
      const cluster = await startCopied();
      const { client } = cluster;
      const run = runOn(client);
      const dying = runOn(killedAt(client, at, at % 2 === 0));
      await named(all, 'swapClaims')
        .ensure(dying)
        .catch((error: unknown) => assert.match(String(error), /killed/));
      if (at % 24 === 3) {
        await go(run, ['swapClaims']);
        assert.equal(await volumeUnder(client), fresh.name, `killed at ${at}`);
      }
      await takeBack(named(all, 'swapClaims'), run);
      assert.equal(await volumeUnder(client), old.name, `killed at ${at}`);
      assert.equal(await volumeUnder(client, temporaryClaim(run, name)), fresh.name);
      assert.equal(await classOfSet(client), old.storageClass, `killed at ${at}`);
      await cluster.stop();
    }
  });

  const long = Array.from({ length: 25 }, (_, i) => `claim-${i}-of`)
    .join('.')
    .slice(0, 253);
  for (const [what, name] of [
    ['', 'data-db-0'],
    [', whatever the length of its name', long],
  ] as const) {
    test(`a volume that came back has the place and policy of the old one${what}`, async () => {
      const cluster = await startCluster();
      const { client } = cluster;
      const { metadata, spec } = crdOf(volumeTransferKind);
      await client.create(customResourceDefinitions, { metadata, spec } as never);
      await makeBoundClaim(client, name, old);
      const migration = { type: 'Rollback', keepData: true };
      const shape = { type: 'Namespace', migration, uid: 'migration-2' } as const;
      const back = runOn(client, { ...shape, migrations: [cutover] });
      await retain(back);
      const temporary = temporaryClaim(back, name);
      const came = { ...fresh, storageClass: old.storageClass, driver: old.driver };
      await makeBoundClaim(client, temporary, came, prepared);
      await client.patch(
        persistentVolumes,
        { namespace: '', name: came.name },
        { spec: { persistentVolumeReclaimPolicy: 'Retain' } },
      );
      await makeTransfer(client, 'go', { from: name, to: name, volume: came.name });
      await makeTransfer(client, 'back', { from: name, to: temporary, volume: came.name });
      await go(back, ['swapClaimsBack']);
      assert.equal(await volumeUnder(client, name), came.name);
      assert.match(back.warnings.join(), /pv-old has what was there before the cutover/);
      await unretain(back);
      const policies = [];
      for (const volume of [old.name, came.name]) {
        const found = await client.get(persistentVolumes, { namespace: '', name: volume });
        policies.push(found?.spec?.persistentVolumeReclaimPolicy);
      }
      assert.deepEqual(policies, ['Retain', 'Delete']);
      await cluster.stop();
    });
  }

  test('copies go when their data is proven to be back; volumes of others stay', async () => {
    const cluster = await startCluster();
    const { client } = cluster;
    const { metadata, spec } = crdOf(volumeTransferKind);
    await client.create(customResourceDefinitions, { metadata, spec } as never);
    const provisioned = { 'pv.kubernetes.io/provisioned-by': fresh.driver };
    const marks = { ...prepared.annotations };
    const shapes = { made: provisioned, used: provisioned, nfs: {}, theirs: undefined };
    const volumes = [{ name: 'd', persistentVolumeClaim: { claimName: 'used' } }];
    const containers = [{ name: 'x', image: 'busybox' }];
    const labels = { app: 'user' };
    await client.create(deployments, {
      metadata: { namespace: 'shop', name: 'user' },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers, volumes } },
      },
    } as never);
    for (const [copy, own] of Object.entries(shapes)) {
      const annotations = own === undefined ? undefined : { ...marks, ...own };
      await makeBoundClaim(client, copy, { ...fresh, name: `pv-${copy}` }, prepared);
      await client.patch(
        persistentVolumes,
        { namespace: '', name: `pv-${copy}` },
        { metadata: { annotations }, spec: { persistentVolumeReclaimPolicy: 'Retain' } },
      );
      await makeTransfer(client, 'back', { from: copy, to: `${copy}-here`, volume: old.name });
    }
    const shape = { type: 'Namespace', uid: 'migration-2', migrations: [cutover] } as const;
    const migration = { type: 'Rollback', keepData: true };
    const itinerary = (state: string) => ({ itinerary: [{ name: 'auditBack', state }] });
    const unproven = { ...shape, migration, migrationStatus: itinerary('Running') };
    await go(runOn(client, unproven), ['removeMade']);
    assert.equal(await volumeUnder(client, 'made'), 'pv-made');
    const back = { ...shape, migration, migrationStatus: itinerary('Succeeded') };
    await go(runOn(client, back), ['removeMade']);
    const policy = async (copy: string): Promise<string | undefined> => {
      const key = { namespace: '', name: `pv-${copy}` };
      return (await client.get(persistentVolumes, key))?.spec?.persistentVolumeReclaimPolicy;
    };
    assert.deepEqual(await Promise.all(['made', 'used', 'nfs', 'theirs'].map(policy)), [
      'Delete',
      'Retain',
      'Retain',
      'Retain',
    ]);
    assert.equal(await volumeUnder(client, 'used'), 'pv-used');
    assert.equal(await volumeUnder(client, 'theirs'), 'pv-theirs');
    const gone = await claimNamed(client, 'made');
    assert.ok(gone === undefined || gone.metadata.deletionTimestamp !== undefined);
    await cluster.stop();
  });

  test('there is no way back without a cutover, and not over data half overwritten', async () => {
    const cluster = await startCopied();
    const { client } = cluster;
    const step = named(all, 'checkWayBack');
    const alone = runOn(client, { migration: { type: 'Rollback' }, uid: 'migration-2' });
    assert.match(JSON.stringify(await step.observe(alone)), /no cutover to go back from/);
    const key = { namespace: 'shop', name };
    const torn = { metadata: { annotations: { 'transship.dev/torn': 'transfer-9' } } };
    await client.patch(persistentVolumeClaims, key, torn);
    const seen = await step.observe(backOn(client, false));
    assert.match(JSON.stringify(seen), /make a Rollback with keepData true/);
    assert.equal((await step.observe(backOn(client, true))).kind, 'done');
    await cluster.stop();
  });

  test('a closed plan keeps what it reached and forgets the way back', async () => {
    const cluster = await startCopied();
    const { client } = cluster;
    const run = runOn(client);
    await retain(run);
    await go(run, [...stopping, 'swapClaims', 'startDestination']);
    await finishPlan(run);
    await finishPlan(run);
    const policies = [];
    for (const volume of [old.name, fresh.name]) {
      const found = await client.get(persistentVolumes, { namespace: '', name: volume });
      policies.push(found?.spec?.persistentVolumeReclaimPolicy);
    }
    assert.deepEqual(policies, ['Retain', 'Delete']);
    for await (const secret of client.list(secrets)) {
      assert.doesNotMatch(secret.metadata.name ?? '', /^transship-undo-/);
    }
    await cluster.stop();
  });
});
