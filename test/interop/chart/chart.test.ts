// The chart as Helm itself renders it, against the objects it is made of.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { objectsOf } from '../../../src/cli/installing/apply.ts';
import { chooseValues } from '../../../src/controllers/installation/values.ts';
import { hasGo } from '../../../tools/kubernetes/compile.ts';
import { ensureHelm } from '../../../tools/helm/helm.ts';

const root = join(import.meta.dirname, '../../..');
const chart = join(root, 'deploy/chart');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly version: string;
};

type Doc = Record<string, unknown> & {
  readonly kind: string;
  readonly metadata: { readonly name: string; annotations?: Record<string, string> };
};

const late: { path: string; reason: string } = { path: '', reason: '' };
const skip = hasGo() ? false : 'needs Go to build Helm';

function helm(...args: readonly string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(late.path, args, {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    // Nothing of the person who runs this.
    env: { PATH: process.env['PATH'] ?? '', HELM_NO_PLUGINS: '1', HOME: '/nonexistent' },
  });
  return { code: status, out: stdout, err: stderr };
}

function rendered(...sets: readonly string[]): readonly Doc[] {
  const flags = sets.flatMap((set) => ['--set-json', set]);
  const { code, out, err } = helm('template', 't', chart, '--kube-version', '1.33.0', ...flags);
  assert.equal(code, 0, err);
  return documents(out);
}

function documents(text: string): readonly Doc[] {
  return parseAllDocuments(text)
    .map((one) => one.toJSON() as Doc | null)
    .filter((one) => one !== null);
}

const nameOf = ({ kind, metadata }: Doc): string => `${kind}/${metadata.name}`;

/** By name; kinds of the chart stay when it goes, which is the only difference there may be. */
function byName(all: readonly Doc[]): ReadonlyMap<string, Doc> {
  return new Map(
    all.map((one) => {
      const { annotations, ...metadata } = one.metadata;
      const { 'helm.sh/resource-policy': kept, ...others } = annotations ?? {};
      if (one.kind === 'CustomResourceDefinition' && kept !== undefined) {
        assert.equal(kept, 'keep');
        const rest = Object.keys(others).length === 0 ? {} : { annotations: others };
        return [nameOf(one), { ...one, metadata: { ...metadata, ...rest } }];
      }
      return [nameOf(one), one];
    }),
  );
}

function same(helmed: readonly Doc[], ours: readonly Doc[]): void {
  const [left, right] = [byName(helmed), byName(ours)];
  assert.deepEqual([...left.keys()].toSorted(), [...right.keys()].toSorted());
  for (const [name, object] of left) assert.deepEqual(object, right.get(name), name);
}

function chosen(...sets: readonly string[]): readonly Doc[] {
  return JSON.parse(JSON.stringify(objectsOf(chooseValues(version, sets)))) as readonly Doc[];
}

suite('the chart', { skip }, () => {
  before(
    async () => {
      const found = await ensureHelm();
      if ('reason' in found) late.reason = found.reason;
      else late.path = found.path;
    },
    { timeout: 20 * 60_000 },
  );

  test('renders with its defaults exactly the manifests', (t) => {
    if (late.path === '') return t.skip(late.reason);
    const manifests = readFileSync(join(root, 'deploy/install.yaml'), 'utf8');
    same(rendered(), documents(manifests));
  });

  test('renders with other values exactly what transship install applies', (t) => {
    if (late.path === '') return t.skip(late.reason);
    const texts = {
      clusterName: 'east',
      image: 'registry.example/transship:1',
      'agent.capacity': '5Gi',
      'agent.dataDirectory': '/data/t',
      'agent.kubeletDirectory': '/kubelet',
      'peers.service': 'LoadBalancer',
      'storageClass.bindingMode': 'Immediate',
    };
    const others = [
      'migrations=true',
      'networkPolicies=true',
      'monitoring.enabled=true',
      'monitoring.serviceMonitor.enabled=true',
      'monitoring.serviceMonitor.labels={"release":"prometheus"}',
      'storageClass.default=true',
      'controller.replicas=2',
      'peers.hostPort=0',
      'peers.annotations={"a":"b"}',
      'agent.nodeSelector={"disk":"ssd"}',
      'agent.tolerations=[{"operator":"Exists"}]',
      'createNamespace=false',
    ];
    const quoted = Object.entries(texts).map(([path, text]) => `${path}=${JSON.stringify(text)}`);
    const plain = Object.entries(texts).map(([path, text]) => `${path}=${text}`);
    same(rendered(...quoted, ...others), chosen(...plain, ...others));
    same(rendered('monitoring.enabled=true'), chosen('monitoring.enabled=true'));
    same(rendered('manageCRDs=false', 'storageClass.create=false'), [
      ...chosen('manageCRDs=false', 'storageClass.create=false'),
    ]);
  });

  test('brings the dashboards where they are wanted', (t) => {
    if (late.path === '') return t.skip(late.reason);
    const maps = rendered('dashboards=true').filter(({ kind }) => kind === 'ConfigMap');
    assert.equal(maps.length, 2);
    for (const { data } of maps) {
      const [text = ''] = Object.values(data as Record<string, string>);
      assert.ok('panels' in (JSON.parse(text) as object));
    }
  });

  test('is without a fault for Helm, which refuses values that cannot be', (t) => {
    if (late.path === '') return t.skip(late.reason);
    const lint = helm('lint', '--strict', chart);
    assert.equal(lint.code, 0, lint.out + lint.err);
    for (const set of ['peers.hostPort=many', 'peers.service=Ingress', 'nonsense=1']) {
      const { code, err } = helm('template', 't', chart, '--set', set);
      assert.notEqual(code, 0, set);
      assert.match(err, /values don't meet the specifications of the schema/);
    }
  });
});
