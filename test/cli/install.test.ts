// Installing and removing, against an API server in memory: every object is judged by its schema.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { installedTypes } from '../../src/controllers/install.ts';
import { monitors } from '../../src/controllers/installation/monitoring.ts';
import { systemNamespace } from '../../src/controllers/installation/names.ts';
import { chooseValues } from '../../src/controllers/installation/values.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { customResourceDefinitions, persistentVolumes } from '../../src/kube/resources.ts';
import { daemonSets, deployments } from '../../src/kube/workloads.ts';
import { resources } from '../../src/api/kinds/resources.ts';
import { valueAt } from '../../src/workload/fields.ts';
import { World } from './world.ts';

const at = (line: string) => `--context prod ${line}`;

async function bare(): Promise<World> {
  const world = new World(['prod'], {});
  await world.open('prod', true);
  return world;
}

/** All of ours, as `Kind/name`. */
async function left(client: KubeClient): Promise<readonly string[]> {
  const found: string[] = [];
  for (const type of installedTypes) {
    const labels = 'app.kubernetes.io/part-of=transship';
    // Of an operator that is not there.
    if (type.kind === 'ServiceMonitor') continue;
    for await (const one of client.list(type, { labels })) {
      found.push(`${type.kind}/${one.metadata.name}`);
    }
  }
  for await (const { metadata, spec } of client.list(customResourceDefinitions)) {
    if (spec.group === 'transship.dev') found.push(`kind ${metadata.name}`);
  }
  return found;
}

const words = { type: 'array', items: { type: 'string' } };
const word = { type: 'string' };
const relabeling = { sourceLabels: words, targetLabel: word, replacement: word };
const endpoint = {
  port: word,
  path: word,
  interval: { type: 'string', pattern: '^(0|([0-9]+(ms|s|m|h))+)$' },
  relabelings: { type: 'array', items: { type: 'object', properties: relabeling } },
};
const labels = { type: 'object', additionalProperties: word };
const selector = { type: 'object', properties: { matchLabels: labels } };
const monitorSpec = {
  selector,
  endpoints: { type: 'array', items: { type: 'object', properties: endpoint } },
};

/** What the operator's own definition says of the fields that we use. */
const serviceMonitors = {
  metadata: { name: 'servicemonitors.monitoring.coreos.com' },
  spec: {
    group: 'monitoring.coreos.com',
    scope: 'Namespaced' as const,
    names: { plural: 'servicemonitors', singular: 'servicemonitor', kind: 'ServiceMonitor' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: monitorSpec } },
          },
        },
      },
    ],
  },
};

const named = (name: string) => ({ namespace: systemNamespace, name });

suite('transship install', () => {
  test('applies all, says what became of each, and changes nothing the second time', async () => {
    await using world = await bare();
    const first = await world.run(at('install --name east --no-wait'));
    assert.equal(first.code, 0, first.err);
    assert.match(first.out, /^customresourcedefinition\/clusters\.transship\.dev created$/m);
    assert.match(first.out, /^daemonset\/transship-agent created$/m);
    const again = await world.run(at('install --no-wait -o json --name east'));
    assert.equal(again.code, 0, again.err);
    const { applied } = JSON.parse(again.out) as { applied: readonly { outcome: string }[] };
    assert.deepEqual(
      applied.filter(({ outcome }) => outcome !== 'unchanged'),
      [],
    );
    const changed = await world.run(
      at('install --name east --no-wait --migrations --set agent.capacity=5Gi'),
    );
    assert.match(changed.out, /^clusterrolebinding\/transship-migrate created$/m);
    assert.match(changed.out, /^daemonset\/transship-agent configured$/m);
    const agents = await world.client('prod').get(daemonSets, named('transship-agent'));
    const [agent] = agents?.spec?.template?.spec?.containers ?? [];
    assert.ok(agent?.args !== undefined && agent.args.includes('--capacity=5Gi'));
    assert.ok(agent.args.includes('east'));
  });

  test('the cluster keeps its name, or takes that of its context', async () => {
    await using world = await bare();
    await world.run(at('install --no-wait'));
    const client = world.client('prod');
    const nameIn = async () => {
      const found = await client.get(deployments, named('transship-controller'));
      return found?.spec?.template?.spec?.containers[0]?.args?.at(-1);
    };
    assert.equal(await nameIn(), 'prod');
    await client.create(clusters, { metadata: { name: 'east' }, spec: { local: true } });
    await world.run(at('install --no-wait'));
    assert.equal(await nameIn(), 'east');
  });

  test('names what it waits for, and ends with 5 when that takes too long', async () => {
    await using world = await bare();
    const { code, err } = await world.run(at('install --timeout 1s'));
    assert.equal(code, 5, err);
    assert.match(err, /deployment\/transship-controller: 0 of 1 ready/);
    assert.match(err, /daemonset\/transship-devices: no node takes it/);
  });

  test('a dry run prints everything and makes nothing', async () => {
    await using world = await bare();
    const { code, out } = await world.run(at('install --dry-run -o json'));
    assert.equal(code, 0);
    const { items } = JSON.parse(out) as { items: readonly { kind: string }[] };
    assert.ok(items.some(({ kind }) => kind === 'DaemonSet'));
    assert.deepEqual(await left(world.client('prod')), []);
  });

  test('values that cannot be are refused with what can', async () => {
    await using world = await bare();
    for (const [set, said] of [
      ['nonsense=1', /there is no value nonsense; there are clusterName, /],
      ['peers.hostPort=many', /peers\.hostPort is a number, not 'many'/],
      ['peers.service=Ingress', /peers\.service is one of nothing, NodePort, LoadBalancer/],
      ['agent.nodeSelector=[]', /agent\.nodeSelector is an object in JSON/],
      ['monitoring.serviceMonitor.enabled=true', /needs monitoring\.enabled=true/],
      ['migrations=yes', /migrations is true or false/],
      ['agent.dataDirectory=here', /agent\.dataDirectory is like/],
    ] as const) {
      const { code, err } = await world.run(at(`install --no-wait --set ${set}`));
      assert.equal(code, 2, set);
      assert.match(err, said);
    }
    assert.match((await world.run('install')).err, /say into which cluster/);
    assert.deepEqual(await left(world.client('prod')), []);
  });

  test('every value that adds objects is taken by the API server', async () => {
    await using world = await bare();
    const sets = [
      'networkPolicies=true',
      'peers.service=LoadBalancer',
      'peers.annotations={"a":"b"}',
      'agent.tolerations=[{"operator":"Exists"}]',
      'storageClass.default=true',
    ].flatMap((set) => ['--set', set]);
    const words = ['--context', 'prod', 'install', '--no-wait', ...sets];
    const { code, out, err } = await world.run(words);
    assert.equal(code, 0, err);
    assert.match(out, /^networkpolicy\/transship-agents created$/m);
    assert.match(out, /^service\/transship-peers created$/m);
  });

  test('ServiceMonitors are made where an operator is, and asked for nowhere else', async () => {
    await using world = await bare();
    const on = ['monitoring.enabled', 'monitoring.serviceMonitor.enabled'];
    const sets = on.flatMap((path) => ['--set', `${path}=true`]);
    const words = ['--context', 'prod', 'install', '--no-wait', ...sets];
    const without = await world.run(words);
    assert.notEqual(without.code, 0);
    assert.match(without.err, /the cluster has no ServiceMonitors: install the operator first/);
    await world.client('prod').create(customResourceDefinitions, serviceMonitors);
    const { code, out, err } = await world.run(words);
    assert.equal(code, 0, err);
    for (const name of ['transship-agent', 'transship-controller']) {
      assert.match(out, new RegExp(`^servicemonitor/${name} created$`, 'm'));
    }
    const [wanted] = monitors(chooseValues('1', ['clusterName=prod'])).slice(1);
    const type = installedTypes.find(({ kind }) => kind === 'ServiceMonitor')!;
    const made = await world.client('prod').get(type, named('transship-agent'));
    assert.deepEqual(valueAt(made, ['spec']), valueAt(wanted, ['spec']));
  });
});

suite('transship uninstall', () => {
  test('is refused while there are volumes; told to go on, says what it waits for', async () => {
    await using world = await bare();
    const client = world.client('prod');
    await world.run(at('install --name east --no-wait'));
    await client.create(resources.volumes, {
      metadata: { name: 'pv-1', finalizers: ['transship.dev/volume'] },
      spec: { size: '1Gi' },
    });
    await client.create(persistentVolumes, {
      metadata: { name: 'pv-1', finalizers: ['transship.dev/persistent-volume'] },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        claimRef: { namespace: 'shop', name: 'data' },
        csi: { driver: 'transship.dev', volumeHandle: 'pv-1' },
      },
    });
    const refused = await world.run(at('uninstall --yes'));
    assert.notEqual(refused.code, 0);
    assert.match(refused.err, /claims have volumes of Transship: shop\/data/);
    assert.match(refused.err, /volumes: pv-1/);
    const asks = await world.run(at('uninstall --delete-volumes'));
    assert.equal(asks.code, 2, asks.err);
    const waits = await world.run(at('uninstall --yes --delete-volumes --timeout 1s'));
    assert.equal(waits.code, 5, waits.err);
    assert.match(waits.err, /PersistentVolume pv-1 waits for .*transship\.dev\/persistent-volume/);
    assert.ok(await client.get(daemonSets, named('transship-agent')));
  });
});
