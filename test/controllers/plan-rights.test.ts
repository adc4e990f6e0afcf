// The rights that a plan finds missing, asked of an API server that decides by roles.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Plan } from '../../src/api/kinds/plan.ts';
import { applyObjects } from '../../src/controllers/install.ts';
import {
  installationObjects,
  migrateRole,
  peerObjects,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import { lookAtDestination, lookAtSource } from '../../src/controllers/plan/look.ts';
import { findMissingRights } from '../../src/controllers/plan/rights.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { configMaps, namespaces } from '../../src/kube/resources.ts';
import { roleBindings, roles } from '../../src/kube/rights.ts';
import { surveyNamespaces } from '../../src/workload/workload.ts';
import { TestClock } from './clock.ts';

const log = { log: () => undefined };
const tenant = { name: 'tenant', groups: ['system:authenticated'] };
const peer = { name: 'system:serviceaccount:transship-system:peer-hub', groups: tenant.groups };

interface Clients {
  readonly boss: KubeClient;
  readonly tenant: KubeClient;
  /** The hub of another cluster. */
  readonly peer: KubeClient;
}

async function open(): Promise<Clients> {
  const clock = new TestClock();
  const persistence = new MemoryPersistence();
  const library = createSchemaLibrary();
  const server = createApiServer({ clock, random: countingRandom(), log, library, persistence });
  const client = (user: typeof admin, fieldManager: string) =>
    createKubeClient({
      cluster: 'west',
      transport: (request) => server.handle(request, user),
      clock,
      random: countingRandom(),
      log,
      fieldManager,
    });
  const boss = client(admin, 'boss');
  for (const name of ['shop', 'store']) await boss.create(namespaces, { metadata: { name } });
  await boss.create(configMaps, { metadata: { namespace: 'shop', name: 'settings' } });
  return { boss, tenant: client(tenant, 'tenant'), peer: client(peer, 'transship') };
}

async function allow(boss: KubeClient, namespace: string, rules: readonly object[]) {
  const metadata = { namespace, name: 'tenant' };
  await boss.create(roles, { metadata, rules } as never);
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'tenant' };
  const subjects = [{ kind: 'User', name: 'tenant', apiGroup: roleRef.apiGroup }];
  await boss.create(roleBindings, { metadata, roleRef, subjects } as never);
}

const spec = {
  source: 'east',
  destination: 'west',
  namespaces: [{ name: 'shop', to: 'store' }],
  resources: { include: ['configmaps'] },
  createNamespaces: false,
  quiesce: false,
};
const plan = { metadata: { namespace: 'shop', name: 'move' }, spec } as unknown as Plan;

test('each rule that is missing is named, and none when they are granted', async () => {
  const { boss, tenant: client } = await open();
  const survey = await surveyNamespaces(boss, {
    namespaces: ['shop'],
    selection: spec.resources,
  });
  const clients = { source: boss, destination: client };
  const what = { cluster: 'west', namespace: 'store', group: '', resource: 'configmaps' };
  const records = { ...what, resource: 'secrets' };
  const verbs = ['get', 'create', 'patch', 'delete'];
  assert.deepEqual(await findMissingRights(plan, survey, clients), [
    { ...what, verbs },
    { ...records, verbs },
  ]);
  const rule = { apiGroups: [''], resources: ['configmaps'], verbs: ['create', 'patch'] };
  await allow(boss, 'store', [rule]);
  assert.deepEqual(await findMissingRights(plan, survey, clients), [
    { ...what, verbs: ['get', 'delete'] },
    { ...records, verbs },
  ]);
  await boss.patch(
    roles,
    { namespace: 'store', name: 'tenant' },
    {
      rules: [{ apiGroups: ['*'], resources: ['*'], verbs }],
    },
  );
  assert.deepEqual(await findMissingRights(plan, survey, clients), []);
});

test('making namespaces is a right of the whole cluster', async () => {
  const { boss, tenant: client } = await open();
  const survey = await surveyNamespaces(boss, { namespaces: ['shop'], selection: spec.resources });
  const making = { ...plan, spec: { ...plan.spec, createNamespaces: true } };
  const missing = await findMissingRights(making, survey, { source: boss, destination: client });
  assert.deepEqual(missing[0], {
    cluster: 'west',
    namespace: '',
    group: '',
    resource: 'namespaces',
    verbs: ['create'],
  });
});

test('a hub that may not move namespaces says all that it lacks', async () => {
  const { boss, peer: client } = await open();
  const objects = installationObjects({ defaultClass: true, migrations: false });
  await applyObjects(boss, objects);
  await applyObjects(boss, peerObjects('hub', { migrations: false }));
  const whole = { ...plan, spec: { ...plan.spec, quiesce: true, resources: {} } };
  const access = { client, classes: { list: () => [] } } as never;
  const look = async () => {
    const sides = { source: access, destination: access };
    const { survey, hidden } = await lookAtSource(whole, new Map(), sides);
    await lookAtDestination(whole, new Map(), { access, survey });
    assert.ok(survey !== undefined);
    const clients = { source: client, destination: client };
    return { hidden, missing: await findMissingRights(whole, survey, clients) };
  };
  const before = await look();
  assert.match(before.hidden ?? '', /right to list .*:peer-hub/);
  const words = before.missing.map(({ namespace, resource }) => `${namespace} ${resource}`);
  assert.ok(words.includes('shop deployments'), words.join());
  assert.ok(words.includes('shop pods'), words.join());
  assert.ok(words.includes('store secrets'), words.join());
  assert.ok(!words.some((one) => one.includes('persistentvolumeclaims')), words.join());
  for (const namespace of ['shop', 'store']) {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole' };
    const subjects = [{ kind: 'ServiceAccount', name: 'peer-hub', namespace: systemNamespace }];
    await boss.create(roleBindings, {
      metadata: { namespace, name: migrateRole },
      roleRef: { ...roleRef, name: migrateRole },
      subjects,
    } as never);
  }
  assert.deepEqual(await look(), { hidden: undefined, missing: [] });
});

test('a hub that may move namespaces lacks nothing', async () => {
  const { boss, peer: client } = await open();
  await applyObjects(boss, installationObjects({ defaultClass: true, migrations: false }));
  await applyObjects(boss, peerObjects('hub', { migrations: true }));
  const survey = await surveyNamespaces(client, { namespaces: ['shop'], selection: {} });
  const making = { ...plan, spec: { ...plan.spec, createNamespaces: true, quiesce: true } };
  const clients = { source: client, destination: client };
  assert.deepEqual(await findMissingRights(making, survey, clients), []);
});
