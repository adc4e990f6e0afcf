/** kubectl commands that change nothing. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { claim, configMap, deployment, job, pod, widget, widgets } from '../api/made.ts';
import { at, changed, type Doc, textAt } from '../document.ts';
import { told } from './told.ts';

async function someMaps(t: CaseContext): Promise<void> {
  const labels = { kind: 'test' };
  await t.rest.post(t.path('configmaps'), configMap('a', { x: '1' }, { labels }));
  await t.rest.post(t.path('configmaps'), configMap('b', { x: '1', y: '2' }, { labels }));
}

/** A Widget with columns. */
async function someWidgets(t: CaseContext): Promise<string> {
  const additionalPrinterColumns = [
    { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
    { name: 'Note', type: 'string', jsonPath: '.spec.note', priority: 1 },
  ];
  const defined = await t.define(widgets(undefined, { additionalPrinterColumns }));
  await t.rest.post(defined.path, widget(defined.apiVersion, 'one', { size: 1 }));
  await t.rest.post(defined.path, widget(defined.apiVersion, 'two', { size: 2 }));
  return `widgets.${defined.group}`;
}

export const readingCases = cases('kubectl reads', {
  'get prints a table': async (t) => {
    await someMaps(t);
    t.recorded('table', told(await t.k('get configmaps -l kind=test')));
    t.recorded('wide', told(await t.k('get cm -l kind=test -o wide')));
    t.recorded('labels', told(await t.k('get cm a --show-labels')));
    t.recorded('column', told(await t.k('get cm -l kind=test -L kind --no-headers')));
  },
  'get -o json, yaml and name': async (t) => {
    await someMaps(t);
    const json = JSON.parse(await t.k('get cm a -o json')) as Doc;
    assert.deepEqual(
      json,
      changed(await t.rest.get(t.path('configmaps/a')), {
        'metadata.managedFields': undefined,
      }),
    );
    assert.match(await t.k('get cm a -o yaml'), /^apiVersion: v1\ndata:\n {2}x: "1"\nkind: Conf/);
    assert.equal(await t.k('get cm -l kind=test -o name'), 'configmap/a\nconfigmap/b\n');
    const shown = JSON.parse(await t.k('get cm a -o json --show-managed-fields')) as Doc;
    assert.ok(at(shown, 'metadata.managedFields') !== undefined);
  },
  'get -o jsonpath, custom-columns and go-template': async (t) => {
    await someMaps(t);
    assert.equal(await t.k("get cm -l kind=test -o 'jsonpath={.items[*].metadata.name}'"), 'a b');
    const columns = await t.k("get cm -l kind=test -o 'custom-columns=N:.metadata.name,Y:.data.y'");
    assert.deepEqual(told(columns), ['N  Y', 'a  <none>', 'b  2']);
    const template = "get cm a -o 'go-template={{.metadata.name}}={{.data.x}}'";
    assert.equal(await t.k(template), 'a=1');
  },
  'get --sort-by': async (t) => {
    await someMaps(t);
    const sorted = await t.k("get cm -l kind=test --sort-by='{.data.y}' --no-headers");
    assert.deepEqual(
      told(sorted).map((line) => line.slice(0, 1)),
      ['a', 'b'],
    );
  },
  'get by field': async (t) => {
    await someMaps(t);
    const found = await t.k('get cm --field-selector metadata.name=b --no-headers');
    assert.deepEqual(told(found), ['b  2  AGE']);
  },
  'get several kinds at once, by kind/name, and in groups': async (t) => {
    await someMaps(t);
    await t.rest.post(t.path('secrets'), { metadata: { name: 's' } });
    await t.rest.post(t.path('apps/v1/deployments'), deployment('d'));
    t.recorded('kinds', told(await t.k('get configmap/a secret/s')));
    const names = await t.k('get deployments.apps,secrets -o name');
    assert.deepEqual(names.split('\n').filter(Boolean), ['deployment.apps/d', 'secret/s']);
    const version = await t.k('get deployments.v1.apps d --no-headers');
    assert.equal(told(version).length, 1);
  },
  'get of nothing says so': async (t) => {
    const none = await t.kubectl(['get', 'secrets']);
    assert.equal(none.code, 0);
    assert.equal(none.stderr, `No resources found in ${t.namespace} namespace.\n`);
    const missing = await t.kubectl(['get', 'cm', 'nope']);
    assert.equal(missing.code, 1);
    assert.equal(missing.stderr, 'Error from server (NotFound): configmaps "nope" not found\n');
    assert.equal(await t.k('get cm nope --ignore-not-found'), '');
    const unknown = await t.kubectl(['get', 'nonsense']);
    assert.equal(unknown.stderr, 'error: the server doesn\'t have a resource type "nonsense"\n');
  },
  'get -A shows namespaces': async (t) => {
    await someMaps(t);
    const all = told(await t.k('get cm -A -l kind=test'));
    assert.equal(all[0], 'NAMESPACE  NAME  DATA  AGE');
    assert.ok(all.includes(`${t.namespace}  a  1  AGE`));
  },
  'get pages with a small chunk': async (t) => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      await t.rest.post(t.path('secrets'), { metadata: { name } });
    }
    const names = await t.k('get secrets --chunk-size=2 -o name');
    assert.equal(names.split('\n').filter(Boolean).length, 5);
    assert.equal(told(await t.k('get secrets --chunk-size=2 --no-headers')).length, 5);
  },
  'get --raw': async (t) => {
    await someMaps(t);
    const raw = JSON.parse(await t.k(`get --raw ${t.path('configmaps/a')}`)) as Doc;
    assert.equal(textAt(raw, 'metadata.name'), 'a');
    assert.equal(await t.k('get --raw /readyz'), 'ok');
  },
  'get -w follows changes': async (t) => {
    await someMaps(t);
    const args = ['get', 'cm', '-l', 'kind=test', '-w', '--output-watch-events'];
    const watched = t.kubectl([...args, '--request-timeout=6s']);
    // Changed until it is seen: a watch says nothing of its beginning.
    let i = 0;
    const changing = setInterval(() => {
      i += 1;
      void t.rest.patch(t.path('configmaps/a'), { data: { [`n${i}`]: 'x' } });
    }, 300);
    const { stdout } = await watched;
    clearInterval(changing);
    const lines = told(stdout);
    assert.deepEqual(lines.slice(0, 1), ['EVENT  NAME  DATA  AGE']);
    assert.ok(lines.includes('ADDED  b  2  AGE'), stdout);
    assert.ok(
      lines.some((line) => /^MODIFIED {2}a {2}\d+ {2}AGE$/.test(line)),
      stdout,
    );
  },
  'custom kinds: table, wide, short name, category': async (t) => {
    const kind = await someWidgets(t);
    t.recorded('table', told(await t.k(`get ${kind}`)));
    t.recorded('wide', told(await t.k(`get ${kind} -o wide`)));
    assert.match(await t.k(`get ${kind}/one -o yaml`), /^apiVersion: case-\d+\.example\.com\/v1\n/);
  },
  'get all shows what belongs to the category': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('d'));
    await t.rest.post(t.path('services'), {
      metadata: { name: 's' },
      spec: { ports: [{ port: 80 }], selector: { a: 'b' } },
    });
    const names = await t.k('get all -o name');
    assert.ok(names.includes('deployment.apps/d\n'), names);
    assert.ok(names.includes('service/s\n'), names);
  },
  'describe of config maps and secrets': async (t) => {
    await someMaps(t);
    // kubectl tells the keys in any order.
    t.recorded('map', told(await t.k('describe cm b')).toSorted());
    await t.rest.post(t.path('secrets'), { metadata: { name: 's' }, stringData: { w: 'hidden' } });
    const secret = await t.k('describe secret s');
    t.recorded('secret', told(secret));
    assert.ok(!secret.includes('hidden'));
  },
  'describe of a Deployment, a Pod, a Job, a claim': async (t) => {
    await t.until('the default service account', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
    await t.rest.post(t.path('apps/v1/deployments'), deployment('d'));
    await t.rest.post(t.path('pods'), pod('p'));
    await t.rest.post(t.path('batch/v1/jobs'), job('j'));
    await t.rest.post(t.path('persistentvolumeclaims'), claim('c', { storageClassName: 'none' }));
    const described = await t.k('describe deployment d');
    assert.match(described, /^Name: +d\nNamespace: +case-\d+\n/);
    assert.match(described, /Replicas: +0 desired \| 0 updated \| 0 total/);
    assert.match(await t.k('describe pod p'), /Status: +Pending[\s\S]*Image: +image:1\n/);
    assert.match(await t.k('describe job j'), /Suspend: +true/);
    assert.match(await t.k('describe pvc c'), /StorageClass: +none\nStatus: +Pending/);
  },
  'describe of a custom object': async (t) => {
    const kind = await someWidgets(t);
    const described = await t.k(`describe ${kind} one`);
    assert.match(described, /Kind: +Widget/);
    assert.match(described, /Spec:\n {2}Note: +none\n {2}Size: +1\n/);
  },
  'describe shows events of the object': async (t) => {
    await someMaps(t);
    const a = await t.rest.get(t.path('configmaps/a'));
    await t.rest.post(t.path('events'), {
      metadata: { name: 'a.1' },
      involvedObject: {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: 'a',
        namespace: t.namespace,
        uid: at(a, 'metadata.uid'),
      },
      reason: 'Tried',
      message: 'it was tried',
      type: 'Warning',
      count: 2,
      firstTimestamp: '2026-01-02T03:04:05Z',
      lastTimestamp: '2026-01-02T03:04:05Z',
      source: { component: 'tester' },
    });
    assert.match(await t.k('describe cm a'), /Warning {2}Tried .* tester {2}it was tried\n/);
    const events = await t.k('events --for configmap/a --no-headers');
    assert.match(events, /Warning +Tried +ConfigMap\/a +it was tried/);
    const listed = told(await t.k('get events --no-headers')).find((line) => /Tried/.test(line));
    t.recorded('event', listed);
  },
  'explain of built-in kinds': async (t) => {
    const deployments = await t.k('explain deployment.spec.replicas');
    assert.match(deployments, /^GROUP: +apps\nKIND: +Deployment\nVERSION: +v1\n/);
    assert.match(deployments, /FIELD: replicas <integer>/);
    const pods = await t.k('explain pod.spec.containers');
    assert.match(pods, /FIELD: containers <\[\]Container>/);
    assert.match(pods, / {2}image\t<string>\n/);
    const recursive = await t.k('explain configmap --recursive');
    assert.match(recursive, / {2}metadata\t<ObjectMeta>\n {4}annotations\t<map\[string\]string>/);
  },
  'explain of custom kinds': async (t) => {
    const kind = await someWidgets(t);
    const found = await t.until('its schema', async () => {
      const result = await t.kubectl(['explain', `${kind}.spec`]);
      return result.code === 0 ? result.stdout : undefined;
    });
    t.recorded('spec', told(found));
    t.recorded('whole', told(await t.k(`explain ${kind} --recursive`)));
    const wrong = await t.kubectl(['explain', `${kind}.spec.nonsense`]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /field "nonsense" does not exist/);
  },
  'api-resources and api-versions': async (t) => {
    const resources = told(await t.k('api-resources --api-group=apps'));
    const wanted = ['NAME', 'daemonsets', 'deployments', 'replicasets', 'statefulsets'];
    const kept = resources.filter((line) => wanted.includes(line.split(' ')[0] ?? ''));
    t.recorded('apps', kept);
    const names = await t.k('api-resources --namespaced=false -o name');
    for (const name of [
      'namespaces',
      'nodes',
      'persistentvolumes',
      'storageclasses.storage.k8s.io',
    ]) {
      assert.ok(names.split('\n').includes(name), name);
    }
    const versions = (await t.k('api-versions')).split('\n');
    for (const version of ['v1', 'apps/v1', 'batch/v1', 'apiextensions.k8s.io/v1']) {
      assert.ok(versions.includes(version), version);
    }
  },
  'version and cluster-info': async (t) => {
    const version = JSON.parse(await t.k('version -o json')) as Doc;
    assert.match(textAt(version, 'serverVersion.gitVersion'), /^v1\./);
    assert.match(
      await t.k('cluster-info'),
      /control plane.* is running at.*https:\/\/127\.0\.0\.1/,
    );
  },
  'auth can-i': async (t) => {
    const as = await t.user([
      { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
    ]);
    assert.equal(await t.k('auth can-i get configmaps', { as }), 'yes\n');
    const no = await t.kubectl(['auth', 'can-i', 'delete', 'configmaps'], { as });
    assert.deepEqual([no.code, no.stdout], [1, 'no\n']);
    const list = told(await t.k('auth can-i --list', { as }));
    assert.ok(list.includes('configmaps  []  []  [get list]'), list.join('\n'));
    const other = await t.k(`auth can-i list configmaps --as ${as.name}`);
    assert.equal(other, 'yes\n');
  },
  'auth whoami': async (t) => {
    const as = await t.user([]);
    const shown = await t.k('auth whoami', { as });
    assert.match(shown, new RegExp(`Username +${as.name}\n`));
    assert.match(shown, /Groups +\[system:serviceaccounts /);
  },
  'what is forbidden is said': async (t) => {
    const as = await t.user([]);
    const result = await t.kubectl(['get', 'secrets'], { as });
    assert.equal(result.code, 1);
    assert.equal(
      result.stderr,
      `Error from server (Forbidden): secrets is forbidden: User "${as.name}" cannot list ` +
        `resource "secrets" in API group "" in the namespace "${t.namespace}"\n`,
    );
  },
});
