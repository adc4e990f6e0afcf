/** What becomes of migrations on worse days: failures, deaths, rehearsals, conversions, devices. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { hooks } from '../../../src/api/kinds/hook.ts';
import { type Migration, migrations } from '../../../src/api/kinds/migration.ts';
import { type Plan, plans } from '../../../src/api/kinds/plan.ts';
import { cutover } from '../../../src/flow/itineraries.ts';
import { namespaces, persistentVolumeClaims } from '../../../src/kube/resources.ts';
import { statefulSets } from '../../../src/kube/workloads.ts';
import { type FleetCase, fleetCases } from './case.ts';
import type { FleetContext } from './context.ts';
import {
  backAsItWas,
  ended,
  endingWell,
  hubNamespace,
  look,
  makePlan,
  renamed,
  start,
  succeeded,
  transfersOf,
} from './migrating.ts';
import { makeShop, readShop, shopOf, written } from './shop.ts';

const conditionOf = ({ status }: Migration, wanted: string) =>
  status?.conditions?.find(({ type }) => type === wanted);

/** A hook in the namespace that moves, and the plan that runs it after the last copy. */
async function planWithHook(
  t: FleetContext,
  script: string,
  more: Partial<Plan['spec']> = {},
): Promise<void> {
  await setHook(t, script);
  const hook = { hook: t.namespace, phase: 'PostBackup' } as const;
  await makePlan(t, { ...renamed, hooks: [hook], ...more });
}

async function setHook(t: FleetContext, script: string): Promise<void> {
  const key = { namespace: hubNamespace, name: t.namespace };
  const command = ['sh', '-c', script];
  const spec = { target: 'Source' as const, namespace: shopOf(t), command };
  const found = await t.east.client.get(hooks, key);
  if (found === undefined) await t.east.client.create(hooks, { metadata: key, spec } as never);
  else await t.east.client.patch(hooks, key, { spec: { command } } as never);
}

function migrationOf(t: FleetContext, name: string): Promise<Migration | undefined> {
  return t.east.client.get(migrations, { namespace: hubNamespace, name });
}

async function classOf(t: FleetContext): Promise<string | undefined> {
  const claim = { namespace: shopOf(t), name: 'data-db-0' };
  return (await t.east.client.get(persistentVolumeClaims, claim))?.spec?.storageClassName;
}

/** One that runs beside its source, with rows of the source alone. */
async function rehearsed(t: FleetContext, storageClass: string): Promise<void> {
  const { east, west } = t;
  await makeShop(t, east, storageClass);
  await makePlan(t, renamed);
  const durable = await written(t, east, 20);
  const name = await start(t, 'Rehearsal', { sandbox: '-try' });
  await succeeded(t, name);
  const key = { namespace: `${shopOf(t)}-try`, name: 'db' };
  const set = await west.client.get(statefulSets, key);
  assert.equal(set?.status?.readyReplicas, 1, JSON.stringify(set?.status));
  await west.client.patch(statefulSets, key, { spec: { replicas: 0 } } as never);
  await t.until('the writer of the rehearsal to be gone', async () => {
    const path = `/api/v1/namespaces/${key.namespace}/pods/db-0`;
    return west.client.request('GET', path).then(
      () => undefined,
      () => true,
    );
  });
  const rows = await readShop(t, west, key.namespace);
  // Files that were read while they were written promise nothing but to be there.
  if (storageClass === 'transship') {
    assert.ok(rows.isSound && (rows.clusters['east'] ?? 0) >= durable, JSON.stringify(rows));
  }
  await written(t, east, durable + 5);
  await east.client.delete(migrations, { namespace: hubNamespace, name });
  await t.until('the rehearsal to be gone', async () => {
    if ((await migrationOf(t, name)) !== undefined) return undefined;
    const left = await west.client.get(namespaces, { namespace: '', name: key.namespace });
    return left === undefined ? true : undefined;
  });
}

async function makeDevice(t: FleetContext): Promise<void> {
  const { client } = t.east;
  const namespace = shopOf(t);
  const labels = { app: 'db' };
  const container = {
    name: 'main',
    image: 'host',
    command: ['sh', '-c', 'tail -c 4 "$TRANSSHIP_MOUNT_DATA"; echo; exec sleep 100000'],
    volumeDevices: [{ name: 'data', devicePath: '/run/transship-device' }],
  };
  await client.create(namespaces, { metadata: { name: namespace } });
  await client.create(statefulSets, {
    metadata: { namespace, name: 'db' },
    spec: {
      serviceName: 'db',
      replicas: 1,
      selector: { matchLabels: labels },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            storageClassName: 'directory',
            volumeMode: 'Block',
            accessModes: ['ReadWriteOnce'],
            resources: { requests: { storage: '8Mi' } },
          },
        },
      ],
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          automountServiceAccountToken: false,
          containers: [container],
        },
      },
    },
  } as never);
}

async function said(t: FleetContext, at = t.east): Promise<string> {
  const path = `/api/v1/namespaces/${shopOf(t)}/pods/db-0/log?tailLines=1`;
  return t.until(`the user of the device at ${at.name} to speak`, async () => {
    const text = String(await at.client.request('GET', path));
    return text === '' ? undefined : text.trim();
  });
}

type Run = FleetCase['run'];

const long = (run: Run): Partial<FleetCase> & { readonly run: Run } => ({ long: true, run });

const cases = fleetCases({
  'a plan tells what moves, and how': async (t) => {
    await makeShop(t, t.east, 'directory');
    await makePlan(t, renamed);
    const key = { namespace: hubNamespace, name: t.namespace };
    const seen = await t.until('the plan to be ready', async () => {
      const plan = await t.east.client.get(plans, key);
      const ready = plan?.status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' ? plan : undefined;
    });
    const told = seen.status?.volumes?.map(({ namespace, claim, method }) => [
      namespace,
      claim,
      method,
    ]);
    assert.deepEqual(told, [[shopOf(t), 'data-db-0', 'Filesystem']]);
    assert.ok(seen.status?.checks?.every(({ result }) => result !== 'Failed'));
  },

  'a cutover that fails after the last copy brings the source back by itself': async (t) => {
    await makeShop(t, t.east, 'directory');
    await planWithHook(t, 'echo no; exit 3');
    const end = await ended(t, await start(t, 'Cutover'));
    const { status, reason } = conditionOf(end, 'Succeeded') ?? {};
    assert.deepEqual([status, reason], ['False', 'HookFailed']);
    await backAsItWas(t);
  },

  'a cutover that waits after a failure goes on from the step that failed': async (t) => {
    const { east, west } = t;
    await makeShop(t, east, 'directory');
    await planWithHook(t, 'exit 3', { onFailure: 'Pause' });
    const name = await start(t, 'Cutover');
    const failed = await t.until('the hook to have failed', async () => {
      const steps = (await migrationOf(t, name))?.status?.itinerary;
      return steps?.find((one) => one.name === 'hookPostBackup' && one.state === 'Failed');
    });
    assert.match(`${failed.message} ${failed.failure}`, /exit/);
    const before = (await transfersOf(t, name)).map(({ metadata }) => metadata.uid);
    await setHook(t, 'exit 0');
    const key = { namespace: hubNamespace, name };
    await east.client.patch(migrations, key, { spec: { retry: 1 } } as never);
    await t.until('it to go on to its end', async () => {
      const seen = await migrationOf(t, name);
      return seen !== undefined && conditionOf(seen, 'Succeeded')?.status === 'True'
        ? true
        : undefined;
    });
    const after = (await transfersOf(t, name)).map(({ metadata }) => metadata.uid);
    assert.deepEqual(after, before, 'nothing was copied again');
    await written(t, west, 10);
  },

  'a rehearsal runs beside its source, on a copy of one moment': (t) => rehearsed(t, 'transship'),

  'a rehearsal by rsync is of files as they were read': long((t) => rehearsed(t, 'directory')),

  'a raw device moves by its blocks': async (t) => {
    const { east, west } = t;
    await makeDevice(t);
    await said(t);
    const claim = { namespace: shopOf(t), name: 'data-db-0' };
    const bound = await east.client.get(persistentVolumeClaims, claim);
    const path = `/api/v1/persistentvolumes/${bound?.spec?.volumeName}`;
    const volume = (await east.client.request('GET', path)) as {
      readonly spec: { readonly local: { readonly path: string } };
    };
    const bytes = randomBytes(8 * 2 ** 20);
    bytes.write('last', bytes.length - 4);
    writeFileSync(volume.spec.local.path, bytes);
    await makePlan(t);
    const name = await start(t, 'Cutover');
    await succeeded(t, name);
    const methods = (await transfersOf(t, name)).map(({ status }) => status?.method);
    assert.deepEqual(new Set(methods), new Set(['Block']));
    assert.equal(await said(t, west), 'last');
  },

  'a namespace gets other storage in its cluster, and its old storage back': long(async (t) => {
    const { east } = t;
    await makeShop(t, east, 'directory');
    await makePlan(t, {
      destination: east.name,
      mappings: { storageClasses: [{ from: 'directory', to: 'transship' }] },
    });
    await written(t, east, 20);
    await succeeded(t, await start(t, 'Cutover'));
    const there = await look(t, east);
    assert.ok(there.isSound && there.rows >= 20, JSON.stringify(there));
    assert.equal(await classOf(t), 'transship');
    const key = { namespace: shopOf(t), name: 'db' };
    const set = await east.client.get(statefulSets, key);
    const [template] = set?.spec?.volumeClaimTemplates ?? [];
    assert.equal(template?.spec?.storageClassName, 'transship');
    await written(t, east, there.rows + 5);
    await succeeded(t, await start(t, 'Rollback'));
    const back = await look(t, east);
    assert.ok(back.isSound && back.rows >= there.rows + 5, JSON.stringify(back));
    assert.equal(await classOf(t), 'directory');
  }),

  'a cutover whose controllers die at any steps succeeds': {
    long: true,
    // Others have the same controllers.
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      await makeShop(t, east, 'directory');
      await makePlan(t, renamed);
      const names = cutover.steps.map((one) => one.name);
      const at = new Set(Array.from({ length: 3 }, () => names[randomInt(1, names.length - 2)]!));
      const durable = await written(t, east, 20);
      const name = await start(t, 'Cutover');
      const died: string[] = [];
      const dying = async (): Promise<void> => {
        for (;;) {
          const { status } = (await migrationOf(t, name)) ?? {};
          const steps = status?.itinerary ?? [];
          const begun = steps.find(({ name: one, state }) => at.has(one) && state !== 'Pending');
          if (begun !== undefined) {
            at.delete(begun.name);
            died.push(begun.name);
            await east.controller.end('SIGKILL');
            await east.controller.start();
          }
          if (at.size === 0 || status?.completionTime !== undefined) return;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      await dying();
      const end = await ended(t, name);
      const note = `died at ${died.join(', ')}: ${JSON.stringify(end.status?.conditions)}`;
      assert.equal(conditionOf(end, 'Succeeded')?.status, 'True', note);
      const rows = await look(t, west);
      assert.ok(rows.isSound && (rows.clusters['east'] ?? 0) >= durable, JSON.stringify(rows));
    },
  },
});

export const journeyCases = endingWell(cases);
