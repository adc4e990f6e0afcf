/** What moves along with namespaces: images between real registries, and hooks of the user. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { clusters, type ClusterSpec } from '../../../src/api/kinds/cluster.ts';
import { hooks, type HookSpec } from '../../../src/api/kinds/hook.ts';
import { type Migration, migrations } from '../../../src/api/kinds/migration.ts';
import { type Plan, plans } from '../../../src/api/kinds/plan.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { jobs } from '../../../src/kube/jobs.ts';
import { configMaps, namespaces, secrets } from '../../../src/kube/resources.ts';
import { deployments } from '../../../src/kube/workloads.ts';
import { makeAuthority, putImage, Registry } from '../../interop/images/registries.ts';
import { missing, scratch } from '../../interop/tools.ts';
import { fleetCases, SkippedCase } from './case.ts';
import type { FleetContext } from './context.ts';

const home = 'default';
const endMs = 90_000;

const appOf = ({ namespace }: FleetContext): string => `${namespace}-app`;

async function describeRegistry(t: FleetContext, name: string, registry: Registry, ca: string) {
  const secret = { namespace: home, name: `${t.namespace}-${name}` };
  const { user = '', password = '' } = registry.secret ?? {};
  await t.east.client.create(secrets, {
    metadata: secret,
    type: 'kubernetes.io/basic-auth',
    stringData: { username: user, password },
  });
  const spec: ClusterSpec['registry'] = {
    host: `${name}.of-${t.namespace}:5000`,
    exposedHost: `127.0.0.1:${registry.port}`,
    caBundle: ca,
    credentialsSecretRef: secret,
  };
  await t.east.client.patch(clusters, { namespace: '', name }, { spec: { registry: spec } });
  return spec;
}

type Runs = Pick<HookSpec, 'command' | 'playbook'>;

async function makeHook(t: FleetContext, name: string, target: HookSpec['target'], runs: Runs) {
  const spec = { target, namespace: appOf(t), ...runs };
  const metadata = { namespace: home, name: `${t.namespace}-${name}` };
  await t.east.client.create(hooks, { metadata, spec } as never);
}

async function deploy(t: FleetContext, image: string): Promise<void> {
  const { client } = t.east;
  const namespace = appOf(t);
  await client.create(namespaces, { metadata: { name: namespace } });
  const labels = { app: 'web' };
  const container = { name: 'main', image, command: ['sleep', '100000'] };
  const spec = {
    terminationGracePeriodSeconds: 1,
    automountServiceAccountToken: false,
    containers: [container],
  };
  await client.create(deployments, {
    metadata: { namespace, name: 'web' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec },
    },
  } as never);
  await t.until('the application to run', async () => {
    const found = await client.get(deployments, { namespace, name: 'web' });
    return found?.status?.readyReplicas === 1 ? true : undefined;
  });
}

async function cutOver(t: FleetContext, spec: object): Promise<Migration> {
  const key = { namespace: home, name: `${t.namespace}-cutover` };
  const { client } = t.east;
  await client.create(plans, { metadata: { namespace: home, name: t.namespace }, spec } as Plan);
  await client.create(migrations, {
    metadata: key,
    spec: { plan: t.namespace, type: 'Cutover' },
  } as Migration);
  const deadline = performance.now() + endMs;
  for (;;) {
    const found = await client.get(migrations, key);
    const ended = found?.status?.conditions?.find(({ type }) => type === 'Succeeded');
    if (found !== undefined && ended !== undefined && ended.status !== 'Unknown') return found;
    assert.ok(performance.now() < deadline, JSON.stringify(found?.status, null, 1));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function outputs(t: FleetContext, { metadata }: Migration) {
  const found: Record<string, string> = {};
  const labels = `transship.dev/migration=${metadata.uid},transship.dev/hook`;
  for await (const { data } of t.east.client.list(configMaps, { namespace: home, labels })) {
    found[data?.['phase'] ?? ''] = `${data?.['state']} ${data?.['log']}`.trim();
  }
  return found;
}

async function endAll(t: FleetContext): Promise<void> {
  const namespace = appOf(t);
  for (const { client, name } of t.fleet.members) {
    await client.delete(deployments, { namespace, name: 'web' }, { propagation: 'Background' });
    await t.until(`no pod to be left at ${name}`, async () => {
      for await (const _pod of client.list(pods, { namespace })) return undefined;
      return true;
    });
  }
}

export const extraCases = fleetCases({
  'a hook that is a playbook is run by Ansible': async (t) => {
    const lacking = missing('ansible-playbook');
    if (lacking !== false) throw new SkippedCase(lacking);
    try {
      await withPlaybook(t);
    } finally {
      await endAll(t);
    }
  },
  'a cutover takes images along, and runs hooks around it': {
    // The registries of both clusters are its own.
    alone: true,
    run: async (t) => {
      const lacking = missing('docker-registry', 'htpasswd', 'openssl');
      if (lacking !== false) throw new SkippedCase(lacking);
      using place = scratch();
      const authority = await makeAuthority(place.path);
      await using a = await Registry.start(join(place.path, 'a'), authority, { isSecret: true });
      await using b = await Registry.start(join(place.path, 'b'), authority, { isSecret: true });
      try {
        await move(t, { a, b, ca: authority.text });
      } finally {
        await endAll(t);
        for (const name of ['east', 'west']) {
          await t.east.client.patch(
            clusters,
            { namespace: '', name },
            { spec: { registry: null } },
          );
        }
      }
    },
  },
});

const playbook = `- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.debug:
        msg: "{{ phase }} of {{ namespaces }}"
      vars:
        phase: "{{ lookup('env', 'TRANSSHIP_PHASE') }}"
        namespaces: "{{ lookup('env', 'TRANSSHIP_SOURCE_NAMESPACES') }}"
`;

/** The command line of the Job, and the playbook where it is mounted, by Ansible itself. */
async function withPlaybook(t: FleetContext): Promise<void> {
  const { east, west } = t;
  const namespace = appOf(t);
  await deploy(t, 'none');
  await makeHook(t, 'play', 'Source', { playbook });
  const migration = await cutOver(t, {
    source: east.name,
    destination: west.name,
    namespaces: [{ name: namespace }],
    images: 'Skip',
    hooks: [{ hook: `${t.namespace}-play`, phase: 'PreBackup' }],
  });
  const succeeded = migration.status?.conditions?.find(({ type }) => type === 'Succeeded');
  const { PreBackup: said = '' } = await outputs(t, migration);
  assert.equal(succeeded?.status, 'True', `${JSON.stringify(migration.status)} ${said}`);
  assert.match(said, new RegExp(`^Succeeded [^]*PreBackup of ${namespace}`));
  assert.match(said, /ok=1 .* failed=0/);
}

interface Registries {
  readonly a: Registry;
  readonly b: Registry;
  readonly ca: string;
}

async function move(t: FleetContext, { a, b, ca }: Registries): Promise<void> {
  const { east, west } = t;
  const namespace = appOf(t);
  const from = await describeRegistry(t, 'east', a, ca);
  const to = await describeRegistry(t, 'west', b, ca);
  const image = await putImage(a, 'team/web', randomBytes(1024 * 1024));
  await deploy(t, `${from?.host}/team/web:1.0`);
  const says = 'echo $TRANSSHIP_PHASE $TRANSSHIP_SOURCE_NAMESPACES $TRANSSHIP_DESTINATION_CLUSTER';
  const phases = ['PreBackup', 'PostBackup', 'PreRestore', 'PostRestore'] as const;
  for (const phase of phases) {
    const target = phase.endsWith('Backup') ? 'Source' : 'Destination';
    await makeHook(t, phase.toLowerCase(), target, { command: ['sh', '-c', says] });
  }
  const migration = await cutOver(t, {
    source: east.name,
    destination: west.name,
    namespaces: [{ name: namespace }],
    hooks: phases.map((phase) => ({ hook: `${t.namespace}-${phase.toLowerCase()}`, phase })),
  });
  const succeeded = migration.status?.conditions?.find(({ type }) => type === 'Succeeded');
  assert.equal(succeeded?.status, 'True', JSON.stringify(migration.status, null, 1));
  assert.equal(migration.status?.report?.images, 1);
  const told = phases.map((phase) => [phase, `Succeeded ${phase} ${namespace} ${west.name}`]);
  assert.deepEqual(await outputs(t, migration), Object.fromEntries(told));
  const found = await west.client.get(deployments, { namespace, name: 'web' });
  const [container] = found?.spec?.template?.spec?.containers ?? [];
  assert.equal(container?.image, `${to?.host}/team/web:1.0`);
  const there = await b.call('GET', 'team/web/manifests/1.0');
  assert.equal(there.headers['docker-content-digest'], image.digest);
  for (const { client, name } of t.fleet.members) {
    for await (const { metadata } of client.list(jobs, { namespace })) {
      assert.fail(`Job ${metadata.name} is left at ${name}`);
    }
  }
}
