import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { KubeObject } from '../kube/objects.ts';
import { fieldsAt, textAt, valueAt, withoutAt } from './fields.ts';
import { transform } from './transform.ts';
import { preparedFor, type TransformContext } from './transform-context.ts';

const context: TransformContext = {
  id: 'move-1',
  namespaces: { shop: 'store', gone: 'here' },
  storageClasses: { fast: 'quick' },
  images: [{ from: 'old.example.com', to: 'new.example.com' }],
};

function made(object: object, more: Partial<TransformContext> = {}): KubeObject {
  const { object: out, notes } = transform(object as KubeObject, { ...context, ...more });
  assert(out !== undefined, JSON.stringify(notes));
  return out;
}

const meta = { name: 'a', namespace: 'shop', uid: 'u', resourceVersion: '5', generation: 3 };

test('a service keeps what the user said and loses what the source gave', () => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { ...meta, managedFields: [], creationTimestamp: 'x' },
    spec: {
      type: 'NodePort',
      clusterIP: '10.0.0.7',
      clusterIPs: ['10.0.0.7'],
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      ports: [{ port: 80, nodePort: 30080 }],
    },
    status: { loadBalancer: {} },
  };
  const { object, notes } = transform(service, context);
  assert.deepEqual(object, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a', namespace: 'store', annotations: { [preparedFor]: 'move-1' } },
    spec: { type: 'NodePort', ports: [{ port: 80 }] },
  });
  assert(notes.some(({ kind, message }) => kind === 'Lost' && message.includes('30080')));
  const kept = made(service, { keep: { clusterIps: true, nodePorts: true } });
  assert.deepEqual(fieldsAt(kept, 'spec'), service.spec);
  const headless = { ...service, spec: { clusterIP: 'None', clusterIPs: ['None'] } };
  assert.deepEqual(fieldsAt(made(headless), 'spec'), headless.spec);
});

test('a pod loses its node, its token and what its maker gave it', () => {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...meta, labels: { app: 'x', 'pod-template-hash': 'h' } },
    spec: {
      nodeName: 'n1',
      serviceAccount: 'seller',
      serviceAccountName: 'seller',
      priority: 5,
      containers: [
        {
          name: 'c',
          image: 'old.example.com/c:1',
          volumeMounts: [
            {
              name: 'kube-api-access-x1',
              mountPath: '/var/run/secrets/kubernetes.io/serviceaccount',
            },
          ],
        },
      ],
      volumes: [{ name: 'kube-api-access-x1', projected: {} }],
    },
  };
  assert.deepEqual(fieldsAt(made(pod), 'spec'), {
    serviceAccountName: 'seller',
    containers: [{ name: 'c', image: 'new.example.com/c:1' }],
  });
  assert.deepEqual(made(pod).metadata.labels, { app: 'x' });
});

test('a job can be made again: the selector and labels of its first run are gone', () => {
  const labels = { 'controller-uid': 'u', 'batch.kubernetes.io/job-name': 'a', app: 'x' };
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { ...meta, labels },
    spec: {
      selector: { matchLabels: { 'controller-uid': 'u' } },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c' }] } },
    },
  };
  const out = made(job);
  assert.equal(valueAt(out, ['spec', 'selector']), undefined);
  assert.deepEqual(fieldsAt(out, 'spec', 'template', 'metadata', 'labels'), { app: 'x' });
});

test('namespaces are mapped where they are names of namespaces, and only there', () => {
  const policy = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: meta,
    spec: {
      podSelector: { matchLabels: { namespace: 'shop', app: 'shop' } },
      ingress: [
        {
          from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'gone' } } }],
        },
      ],
    },
  };
  const out = made(policy);
  const selector = fieldsAt(out, 'spec', 'podSelector', 'matchLabels');
  assert.deepEqual(selector, { namespace: 'shop', app: 'shop' });
  assert.match(JSON.stringify(out), /"kubernetes.io\/metadata.name":"here"/);
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'shop' },
    roleRef: { kind: 'ClusterRole', name: 'shop' },
    subjects: [
      { kind: 'ServiceAccount', name: 'shop', namespace: 'shop' },
      { kind: 'ServiceAccount', name: 'stranger', namespace: 'stays' },
      { kind: 'Group', name: 'system:serviceaccounts:shop' },
      { kind: 'User', name: 'system:serviceaccount:gone:x' },
    ],
  };
  assert.deepEqual(valueAt(made(binding), ['subjects']), [
    { kind: 'ServiceAccount', name: 'shop', namespace: 'store' },
    { kind: 'Group', name: 'system:serviceaccounts:store' },
    { kind: 'User', name: 'system:serviceaccount:here:x' },
  ]);
});

test('service names in variables are rewritten when asked, and warned of when not', () => {
  const env = [{ name: 'U', value: 'http://web.shop.svc:80,http://web.shopping.svc' }];
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta,
    spec: { containers: [{ name: 'c', env }] },
  };
  const { object, notes } = transform(pod, context);
  assert.deepEqual(valueAt(object, ['spec']), pod.spec);
  assert.deepEqual(notes.filter(({ kind }) => kind === 'Warning').length, 1);
  const asked = JSON.stringify(made(pod, { serviceNames: true }));
  assert.match(asked, /http:\/\/web\.store\.svc:80,http:\/\/web\.shopping\.svc/);
});

test('a claim gets the class of the map, or what the plan says of it alone', () => {
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...meta, annotations: { 'pv.kubernetes.io/bind-completed': 'yes' } },
    spec: { storageClassName: 'fast', volumeName: 'pv', accessModes: ['ReadWriteOnce'] },
  };
  assert.deepEqual(fieldsAt(made(claim), 'spec'), {
    storageClassName: 'quick',
    accessModes: ['ReadWriteOnce'],
  });
  const claims = { 'shop/a': { name: 'b', storageClass: 'fast', volumeName: 'pv-2' } };
  const changed = made(claim, { claims });
  assert.equal(changed.metadata.name, 'b');
  assert.equal(textAt(changed, 'spec', 'storageClassName'), 'fast');
  assert.equal(textAt(changed, 'spec', 'volumeName'), 'pv-2');
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { ...meta, name: 'db' },
    spec: { volumeClaimTemplates: [{ metadata: { name: 'data' } }] },
  };
  const renamed = transform(set, { ...context, claims: { 'shop/data-db-0': { name: 'x' } } });
  assert.equal(renamed.object, undefined);
  assert.match(renamed.notes.at(-1)?.message ?? '', /looks for claim data-db-0/);
});

test('rules of the user change what they are meant for, and a rule that fails refuses', () => {
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta, data: { a: '1' } };
  const rule = { kind: 'ConfigMap', namespace: 'shop', name: 'a*' };
  const patch = [{ op: 'replace', path: '/data/a', value: '2' }];
  const data = (rules: TransformContext['rules']): unknown =>
    valueAt(transform(map, { ...context, rules: rules ?? [] }).object, ['data']);
  assert.deepEqual(data([{ ...rule, patch }]), { a: '2' });
  assert.deepEqual(data([{ ...rule, name: 'b*', patch }]), { a: '1' });
  const test = { op: 'test', path: '/data/a', value: 'x' };
  assert.deepEqual(data([{ ...rule, patch: [test, ...patch] }]), { a: '1' });
  assert.equal(data([{ ...rule, patch: [{ op: 'remove', path: '/data/b' }] }]), undefined);
  const move = [{ op: 'replace', path: '/metadata/namespace', value: 'kube-system' }];
  assert.equal(data([{ ...rule, patch: move }]), undefined);
  const evil = [{ op: 'add', path: '/__proto__/x', value: 1 }];
  assert.throws(() => data([{ ...rule, patch: evil }]), /no field of an object/);
  assert.throws(() => data([{ ...rule, patch: [{ op: 'add', path: '/x' }] }]), /needs a value/);
});

test('what is never copied, and kinds that are not served there, are refused with a reason', () => {
  const token = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: meta,
    type: 'kubernetes.io/service-account-token',
  };
  const refused = transform(token as KubeObject, context);
  assert.equal(refused.object, undefined);
  assert.match(refused.notes[0]?.message ?? '', /valid in the cluster that made it only/);
  const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta };
  const unserved = transform(map, { ...context, serves: () => false });
  assert.match(unserved.notes[0]?.message ?? '', /does not serve ConfigMap of v1/);
});

const word = fc.constantFrom('shop', 'store', 'gone', 'here', 'fast', 'quick', 'a', 'web');
const leaf = fc.oneof(word, fc.nat(9), fc.boolean(), fc.constant(null));
const key = fc.constantFrom('namespace', 'name', 'kind', 'namespaces', 'spec', 'x', 'template');
const tree = fc.letrec((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('node'), { maxLength: 3 }),
    fc.dictionary(key, tie('node'), { maxKeys: 4 }),
  ),
})).node;
const kind = fc.constantFrom('Service', 'Pod', 'PersistentVolumeClaim', 'ServiceAccount', 'Widget');
const anything = fc.record({
  apiVersion: fc.constantFrom('v1', 'apps/v1', 'acme.example.com/v1'),
  kind,
  metadata: fc.record({
    name: word,
    namespace: word,
    labels: fc.dictionary(word, word, { maxKeys: 2 }),
    finalizers: fc.array(word, { maxLength: 1 }),
  }),
  spec: tree,
  status: tree,
});

test('what was transformed is not changed again, by the same move or by its steps alone', () => {
  fc.assert(
    fc.property(anything, (object) => {
      // As from a server: plain objects, whatever the generator made them of.
      const source = JSON.parse(JSON.stringify(object)) as KubeObject;
      const before = structuredClone(source);
      const once = transform(source, context);
      assert.deepEqual(source, before);
      if (once.object === undefined) return;
      assert.deepEqual(transform(once.object, context), { object: once.object, notes: [] });
      const unmarked = withoutAt(once.object, ['metadata', 'annotations']);
      assert.deepEqual(transform(unmarked, context).object, once.object);
    }),
    { numRuns: 300 },
  );
});
