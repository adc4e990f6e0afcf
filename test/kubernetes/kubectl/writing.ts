/** kubectl commands that change something. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CaseContext, cases } from '../case.ts';
import { configMap, deployment, widget, widgets } from '../api/made.ts';
import { at, changed, type Doc, has, listAt, textAt } from '../document.ts';

/** Writes a manifest of the case and gives its path. */
function file(t: CaseContext, name: string, ...objects: readonly Doc[]): string {
  const path = join(t.directory, name);
  writeFileSync(path, objects.map((one) => JSON.stringify(one)).join('\n'));
  return path;
}

/** An editor that replaces a text in the file. */
function editor(t: CaseContext, from: string, to: string): Readonly<Record<string, string>> {
  const path = join(t.directory, `editor-${crypto.randomUUID()}.sh`);
  writeFileSync(path, `#!/bin/sh\nsed -i 's/${from}/${to}/' "$1"\n`, { mode: 0o755 });
  return { KUBE_EDITOR: path };
}

const managers = (doc: Doc): readonly string[] =>
  listAt(doc, 'metadata.managedFields').map((one) => `${one['manager']} ${one['operation']}`);

export const writingCases = cases('kubectl writes', {
  'create from a file, and again': async (t) => {
    const path = file(t, 'a.json', configMap('a'));
    assert.equal(await t.k(`create -f ${path}`), 'configmap/a created\n');
    const again = await t.kubectl(['create', '-f', path]);
    assert.equal(again.code, 1);
    const words = 'configmaps "a" already exists\n';
    assert.equal(
      again.stderr,
      `Error from server (AlreadyExists): error when creating "${path}": ${words}`,
    );
  },
  'create of the usual kinds': async (t) => {
    const made: readonly (readonly [string, string])[] = [
      ['configmap c --from-literal=a=b', 'configmap/c'],
      ['secret generic s --from-literal=a=b', 'secret/s'],
      ['serviceaccount sa', 'serviceaccount/sa'],
      ['deployment d --image=image:1 --replicas=0', 'deployment.apps/d'],
      ['role r --verb=get --resource=pods', 'role.rbac.authorization.k8s.io/r'],
      ['rolebinding rb --role=r --user=u', 'rolebinding.rbac.authorization.k8s.io/rb'],
      ["cronjob cj --image=image:1 --schedule='0 0 29 2 *'", 'cronjob.batch/cj'],
      ['service clusterip svc --tcp=80:80', 'service/svc'],
    ];
    for (const [line, name] of made) {
      assert.equal(await t.k(`create ${line}`), `${name} created\n`);
    }
    assert.equal(await t.k('create job j --from=cronjob/cj'), 'job.batch/j created\n');
    has(await t.rest.get(t.path('secrets/s')), { data: { a: 'Yg==' } });
  },
  'create token': async (t) => {
    await t.k('create serviceaccount sa');
    const token = (await t.k('create token sa --duration=15m')).trim();
    assert.equal(token.split('.').length, 3);
    assert.equal((await t.restOf({ token }).send('GET', '/api')).status, 200);
  },
  'create --dry-run, of client and server': async (t) => {
    const path = file(t, 'a.json', configMap('a'));
    const client = await t.k(`create -f ${path} --dry-run=client`);
    assert.equal(client, 'configmap/a created (dry run)\n');
    const server = await t.k(`create -f ${path} --dry-run=server`);
    assert.equal(server, 'configmap/a created (server dry run)\n');
    assert.equal((await t.rest.send('GET', t.path('configmaps/a'))).status, 404);
  },
  'unknown fields are refused before anything is made': async (t) => {
    const path = file(t, 'a.json', changed(deployment('a'), { 'spec.nonsense': 1 }));
    const result = await t.kubectl(['create', '-f', path]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /strict decoding error: unknown field "spec\.nonsense"/);
    assert.equal((await t.rest.send('GET', t.path('apps/v1/deployments/a'))).status, 404);
    const warned = await t.kubectl(['create', '-f', path, '--validate=warn']);
    assert.equal(warned.stderr, 'Warning: unknown field "spec.nonsense"\n');
  },
  'apply: created, unchanged, configured': async (t) => {
    const path = file(t, 'a.json', deployment('a'));
    assert.equal(await t.k(`apply -f ${path}`), 'deployment.apps/a created\n');
    assert.equal(await t.k(`apply -f ${path}`), 'deployment.apps/a unchanged\n');
    file(t, 'a.json', changed(deployment('a'), { 'spec.paused': true }));
    assert.equal(await t.k(`apply -f ${path}`), 'deployment.apps/a configured\n');
    const now = await t.rest.get(t.path('apps/v1/deployments/a'));
    has(now, { 'spec.paused': true });
    const last = textAt(
      now,
      'metadata.annotations.kubectl\\.kubernetes\\.io/last-applied-configuration',
    );
    has(JSON.parse(last), { 'spec.paused': true, kind: 'Deployment' });
  },
  'apply takes out what the file no longer has': async (t) => {
    const labels = { keep: 'x', drop: 'y' };
    const first = changed(deployment('a'), {
      'metadata.labels': labels,
      'spec.template.spec.containers.1': { name: 'side', image: 'side:1' },
      'spec.template.spec.containers.0.env': [{ name: 'A', value: '1' }],
    });
    const path = file(t, 'a.json', first);
    await t.k(`apply -f ${path}`);
    const one = t.path('apps/v1/deployments/a');
    await t.rest.patch(one, { metadata: { labels: { other: 'z' } } });
    file(t, 'a.json', changed(deployment('a'), { 'metadata.labels': { keep: 'x' } }));
    assert.equal(await t.k(`apply -f ${path}`), 'deployment.apps/a configured\n');
    const now = await t.rest.get(one);
    has(now, { 'metadata.labels': { keep: 'x', other: 'z' } });
    assert.equal(listAt(now, 'spec.template.spec.containers').length, 1);
    has(now, { 'spec.template.spec.containers.0.env': undefined });
  },
  'apply of custom objects, and of several documents': async (t) => {
    const { apiVersion, group } = await t.define(widgets());
    const spec = { size: 1, parts: [{ name: 'x' }] };
    const path = file(t, 'a.json', widget(apiVersion, 'a', spec), configMap('c'));
    const first = await t.k(`apply -f ${path}`);
    assert.equal(first, `widget.${group}/a created\nconfigmap/c created\n`);
    file(t, 'a.json', widget(apiVersion, 'a', { size: 2 }), configMap('c'));
    const second = await t.k(`apply -f ${path}`);
    assert.equal(second, `widget.${group}/a configured\nconfigmap/c unchanged\n`);
    const now = JSON.parse(await t.k(`get widgets.${group} a -o json`)) as Doc;
    has(now, { spec: { size: 2, note: 'none' } });
  },
  'apply of what is invalid says why': async (t) => {
    const { apiVersion, group } = await t.define(widgets());
    const path = file(t, 'a.json', widget(apiVersion, 'a', { size: 99, colour: 'blue' }));
    const { code, stderr } = await t.kubectl(['apply', '-f', path]);
    assert.equal(code, 1);
    assert.ok(stderr.startsWith(`The Widget "a" is invalid: \n* spec.`), stderr);
    assert.match(stderr, /\* spec\.colour: Unsupported value: "blue": supported values: "red", "g/);
    assert.match(stderr, /\* spec\.size: Invalid value: 99: .*less than or equal to 10/);
    assert.ok(group !== '');
  },
  'apply --dry-run=server shows and stores nothing': async (t) => {
    const path = file(t, 'a.json', configMap('a'));
    const shown = await t.k(`apply -f ${path} --dry-run=server`);
    assert.equal(shown, 'configmap/a created (server dry run)\n');
    assert.equal((await t.rest.send('GET', t.path('configmaps/a'))).status, 404);
  },
  'apply --server-side owns, conflicts, and takes over': async (t) => {
    const path = file(t, 'a.json', configMap('a', { k: '1' }));
    const line = `apply --server-side -f ${path}`;
    assert.equal(await t.k(line), 'configmap/a serverside-applied\n');
    await t.rest.patch(`${t.path('configmaps/a')}?fieldManager=other`, { data: { k: '2' } });
    const refused = await t.kubectl(line.split(' '));
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /Apply failed with 1 conflict: conflict with "other" using v1: \.d/,
    );
    assert.equal(await t.k(`${line} --force-conflicts`), 'configmap/a serverside-applied\n');
    const now = await t.rest.get(t.path('configmaps/a'));
    has(now, { data: { k: '1' } });
    assert.deepEqual(managers(now), ['kubectl Apply']);
  },
  'apply --server-side after apply takes over its fields': async (t) => {
    const path = file(t, 'a.json', configMap('a', { k: '1', l: '2' }));
    await t.k(`apply -f ${path}`);
    file(t, 'a.json', configMap('a', { k: '3' }));
    await t.k(`apply --server-side -f ${path}`);
    const now = await t.rest.get(t.path('configmaps/a'));
    has(now, { data: { k: '3' } });
    t.recorded('managed', at(now, 'metadata.managedFields'));
  },
  'diff shows what apply would change': async (t) => {
    const path = file(t, 'a.json', configMap('a', { k: '1' }));
    await t.k(`apply -f ${path}`);
    const same = await t.kubectl(['diff', '-f', path]);
    assert.deepEqual([same.code, same.stdout], [0, '']);
    file(t, 'a.json', configMap('a', { k: '2' }));
    const different = await t.kubectl(['diff', '-f', path]);
    assert.equal(different.code, 1);
    assert.match(different.stdout, /\n- {2}k: "1"\n\+ {2}k: "2"\n/);
  },
  'edit changes through an editor': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', { k: 'before' }));
    const edited = await t.k('edit cm a', { env: editor(t, 'before', 'after') });
    assert.equal(edited, 'configmap/a edited\n');
    has(await t.rest.get(t.path('configmaps/a')), { data: { k: 'after' } });
    const { stderr } = await t.kubectl(['edit', 'cm', 'a'], { env: editor(t, 'none', 'x') });
    assert.equal(stderr, 'Edit cancelled, no changes made.\n');
  },
  'edit of custom objects, and of the status': async (t) => {
    const { path, apiVersion, group } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a', { size: 1, colour: 'red' }));
    const env = editor(t, 'colour: red', 'colour: green');
    await t.k(`edit widgets.${group} a`, { env });
    has(await t.rest.get(`${path}/a`), { 'spec.colour': 'green' });
  },
  'patch in three ways, and of the status': async (t) => {
    const { path, apiVersion, group } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const kind = `widgets.${group}`;
    const merged = await t.k(`patch ${kind} a --type=merge -p '{"spec":{"size":2}}'`);
    assert.equal(merged, `widget.${group}/a patched\n`);
    const same = await t.k(`patch ${kind} a --type=merge -p '{"spec":{"size":2}}'`);
    assert.equal(same, `widget.${group}/a patched (no change)\n`);
    await t.k(`patch ${kind} a --type=json -p '[{"op":"replace","path":"/spec/size","value":3}]'`);
    await t.k(`patch ${kind} a --subresource=status --type=merge -p '{"status":{"ready":true}}'`);
    has(await t.rest.get(`${path}/a`), { 'spec.size': 3, 'status.ready': true });
    await t.rest.post(t.path('apps/v1/deployments'), deployment('d'));
    const container = '{"name":"main","image":"image:9"}';
    await t.k(
      `patch deployment d -p '{"spec":{"template":{"spec":{"containers":[${container}]}}}}'`,
    );
    has(await t.rest.get(t.path('apps/v1/deployments/d')), {
      'spec.template.spec.containers.0.image': 'image:9',
    });
  },
  'replace, and replace --force': async (t) => {
    const path = file(t, 'a.json', configMap('a', { k: '2' }));
    const missing = await t.kubectl(['replace', '-f', path]);
    assert.equal(missing.code, 1);
    await t.rest.post(t.path('configmaps'), configMap('a', { k: '1' }));
    assert.equal(await t.k(`replace -f ${path}`), 'configmap/a replaced\n');
    const before = await t.rest.get(t.path('configmaps/a'));
    await t.k(`replace --force -f ${path}`);
    const after = await t.rest.get(t.path('configmaps/a'));
    assert.notEqual(at(after, 'metadata.uid'), at(before, 'metadata.uid'));
  },
  'delete by name, file, label and all': async (t) => {
    for (const name of ['a', 'b', 'c', 'd']) {
      const labels = { which: name === 'c' ? 'c' : 'other' };
      await t.rest.post(t.path('secrets'), { metadata: { name, labels } });
    }
    const words = (name: string): string => `secret "${name}" deleted`;
    assert.ok((await t.k('delete secret a')).startsWith(words('a')));
    assert.ok((await t.k('delete secret -l which=c')).startsWith(words('c')));
    const manifest = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'b' } };
    assert.ok((await t.k(`delete -f ${file(t, 'b.json', manifest)}`)).startsWith(words('b')));
    assert.ok((await t.k('delete secrets --all')).startsWith(words('d')));
    const missing = await t.kubectl(['delete', 'secret', 'a']);
    assert.equal(missing.stderr, 'Error from server (NotFound): secrets "a" not found\n');
    assert.equal(await t.k('delete secret a --ignore-not-found'), '');
  },
  'delete waits for finalizers, or does not': async (t) => {
    const finalizers = ['example.com/hold'];
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { finalizers }));
    await t.rest.post(t.path('configmaps'), configMap('b', {}, { finalizers }));
    await t.k('delete cm a --wait=false');
    const held = await t.kubectl(['delete', 'cm', 'a', '--timeout=1s']);
    assert.equal(held.code, 1);
    assert.match(held.stderr, /timed out waiting for the condition on configmaps\/a/);
    const waiting = t.k('delete cm b');
    await t.until('b to be marked', async () =>
      at(await t.rest.get(t.path('configmaps/b')), 'metadata.deletionTimestamp') === undefined
        ? undefined
        : true,
    );
    await t.rest.patch(t.path('configmaps/b'), { metadata: { finalizers: null } });
    await waiting;
  },
  'delete --cascade=orphan and foreground': async (t) => {
    const sets = t.path('apps/v1/replicasets');
    const count = async (): Promise<number> => listAt(await t.rest.get(sets), 'items').length;
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    await t.until('a ReplicaSet', async () => ((await count()) === 1 ? true : undefined));
    await t.k('delete deployment a --cascade=orphan');
    has(await t.rest.get(sets), { 'items.0.metadata.ownerReferences': undefined });
    await t.k('delete replicasets --all');
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    await t.until('another', async () => ((await count()) === 1 ? true : undefined));
    await t.k('delete deployment a --cascade=foreground');
    assert.equal(await count(), 0);
  },
  'wait for a condition, a value, and a deletion': async (t) => {
    const conditions = {
      type: 'array',
      items: {
        type: 'object',
        properties: { type: { type: 'string' }, status: { type: 'string' } },
      },
    };
    const schema = {
      'spec.versions.0.schema.openAPIV3Schema.properties.status.properties.conditions': conditions,
    };
    const { path, apiVersion, group } = await t.define(changed(widgets(), schema));
    await t.rest.post(path, widget(apiVersion, 'a'));
    const kind = `widget.${group}/a`;
    const waits = Promise.all([
      t.k(`wait --for=condition=Ready ${kind} --timeout=20s`),
      t.k(`wait --for=jsonpath={.status.count}=3 ${kind} --timeout=20s`),
    ]);
    const status = { count: 3, conditions: [{ type: 'Ready', status: 'True' }] };
    await t.rest.patch(`${path}/a/status`, { status });
    assert.deepEqual(await waits, [`${kind} condition met\n`, `${kind} condition met\n`]);
    const late = await t.kubectl(['wait', '--for=condition=Other', kind, '--timeout=1s']);
    assert.equal(late.code, 1);
    assert.match(late.stderr, /timed out waiting for the condition on widgets\/a/);
    const deleted = t.k(`wait --for=delete ${kind} --timeout=20s`);
    await t.rest.delete(`${path}/a`);
    await deleted;
  },
  'label and annotate': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    assert.equal(await t.k('label cm a x=1'), 'configmap/a labeled\n');
    const again = await t.kubectl(['label', 'cm', 'a', 'x=2']);
    assert.match(again.stderr, /'x' already has a value \(1\), and --overwrite is false/);
    assert.equal(await t.k('label cm a x=2 --overwrite'), 'configmap/a labeled\n');
    assert.equal(await t.k('label cm a x-'), 'configmap/a unlabeled\n');
    assert.equal(await t.k('annotate cm a y=some'), 'configmap/a annotated\n');
    const now = await t.rest.get(t.path('configmaps/a'));
    has(now, { 'metadata.labels': undefined, 'metadata.annotations': { y: 'some' } });
  },
  'scale of Deployments and custom kinds': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    assert.equal(await t.k('scale deployment a --replicas=0'), 'deployment.apps/a scaled\n');
    const subresources = {
      status: {},
      scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.count' },
    };
    const { path, apiVersion, group } = await t.define(widgets(undefined, { subresources }));
    await t.rest.post(path, widget(apiVersion, 'w'));
    await t.k(`scale widgets.${group} w --replicas=4 --current-replicas=1`);
    has(await t.rest.get(`${path}/w`), { 'spec.size': 4 });
  },
  'set image and rollout history, restart, undo': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const revision = (number: string): Promise<unknown> =>
      t.until(`revision ${number}`, async () => {
        const now = await t.rest.get(t.path('apps/v1/deployments/a'));
        const path = 'metadata.annotations.deployment\\.kubernetes\\.io/revision';
        return at(now, path) === number ? now : undefined;
      });
    await revision('1');
    const set = await t.k('set image deployment/a main=image:2');
    assert.equal(set, 'deployment.apps/a image updated\n');
    await revision('2');
    assert.match(await t.k('rollout history deployment/a'), /\n1 +<none>\n2 +<none>\n/);
    assert.equal(await t.k('rollout undo deployment/a'), 'deployment.apps/a rolled back\n');
    has(await revision('3'), { 'spec.template.spec.containers.0.image': 'image:1' });
    assert.equal(await t.k('rollout restart deployment/a'), 'deployment.apps/a restarted\n');
    assert.equal(await t.k('rollout pause deployment/a'), 'deployment.apps/a paused\n');
  },
  'a namespace is made and deleted': async (t) => {
    const name = `${t.namespace}-k`;
    assert.equal(await t.k(`create namespace ${name}`), `namespace/${name} created\n`);
    await t.k(`create configmap c -n ${name} --from-literal=a=b`);
    assert.equal(await t.k(`delete namespace ${name}`), `namespace "${name}" deleted\n`);
    assert.equal((await t.rest.send('GET', `/api/v1/namespaces/${name}`)).status, 404);
  },
});
