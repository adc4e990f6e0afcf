/** What a server says about itself: groups, resources, schemas, version, health. */
import assert from 'node:assert/strict';
import { cases } from '../case.ts';
import { at, type Doc, has, listAt, textAt } from '../document.ts';
import { refused } from '../rest.ts';
import { widgets } from './made.ts';

const aggregated =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** Resources that an embedded cluster has; others of these groups are not for it. */
const served: Readonly<Record<string, readonly string[]>> = {
  '/api/v1': [
    'bindings',
    'configmaps',
    'endpoints',
    'events',
    'limitranges',
    'namespaces',
    'namespaces/finalize',
    'namespaces/status',
    'nodes',
    'nodes/status',
    'persistentvolumeclaims',
    'persistentvolumeclaims/status',
    'persistentvolumes',
    'persistentvolumes/status',
    'pods',
    'pods/log',
    'pods/status',
    'secrets',
    'serviceaccounts',
    'serviceaccounts/token',
    'services',
    'services/status',
  ],
  '/apis/apps/v1': [
    'controllerrevisions',
    'daemonsets',
    'daemonsets/status',
    'deployments',
    'deployments/scale',
    'deployments/status',
    'replicasets',
    'replicasets/scale',
    'replicasets/status',
    'statefulsets',
    'statefulsets/scale',
    'statefulsets/status',
  ],
  '/apis/batch/v1': ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'],
  '/apis/apiextensions.k8s.io/v1': [
    'customresourcedefinitions',
    'customresourcedefinitions/status',
  ],
  '/apis/authentication.k8s.io/v1': ['selfsubjectreviews', 'tokenreviews'],
  '/apis/authorization.k8s.io/v1': [
    'localsubjectaccessreviews',
    'selfsubjectaccessreviews',
    'selfsubjectrulesreviews',
    'subjectaccessreviews',
  ],
  '/apis/coordination.k8s.io/v1': ['leases'],
  '/apis/events.k8s.io/v1': ['events'],
  '/apis/rbac.authorization.k8s.io/v1': [
    'clusterrolebindings',
    'clusterroles',
    'rolebindings',
    'roles',
  ],
  '/apis/storage.k8s.io/v1': ['storageclasses', 'volumeattributesclasses'],
};

const notEmbedded = new Set(['bindings', 'limitranges', 'endpoints', 'controllerrevisions']);

export const discoveryCases = cases('discovery', {
  'the lists of versions and groups': async (t) => {
    const core = await t.rest.get('/api');
    has(core, { kind: 'APIVersions', versions: ['v1'] });
    assert.equal(at(core, 'serverAddressByClientCIDRs.0.clientCIDR'), '0.0.0.0/0');
    const groups = await t.rest.get('/apis');
    has(groups, { kind: 'APIGroupList', apiVersion: 'v1' });
    const apps = listAt(groups, 'groups').find((group) => group['name'] === 'apps');
    t.recorded('apps', apps);
  },
  'one group': async (t) => {
    t.recorded('batch', await t.rest.get('/apis/batch'));
  },
  'resources of the built-in groups': async (t) => {
    for (const [path, names] of Object.entries(served)) {
      const list = await t.rest.get(path);
      has(list, { kind: 'APIResourceList', groupVersion: path.replace(/^\/apis?\//, '') });
      for (const name of names.filter((one) => !notEmbedded.has(one))) {
        const found = listAt(list, 'resources').find((one) => one['name'] === name);
        assert.ok(found !== undefined, `${path} has no ${name}`);
        const { storageVersionHash: _hash, ...rest } = found;
        t.recorded(`${path} ${name}`, rest);
      }
    }
  },
  'resources of a defined kind, and their end': async (t) => {
    const definition = widgets(undefined, {
      subresources: {
        status: {},
        scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.count' },
      },
    });
    const { group, crdPath } = await t.define(definition);
    const list = await t.until('its resources', async () => {
      const answer = await t.rest.send('GET', `/apis/${group}/v1`);
      return answer.status === 200 ? answer.body : undefined;
    });
    const all = listAt(list, 'resources').map(({ storageVersionHash: _hash, ...rest }) => rest);
    t.recorded('resources', { ...list, resources: all });
    t.recorded('group', await t.rest.get(`/apis/${group}`));
    await t.rest.delete(crdPath);
    await t.until('the group to go', async () =>
      (await t.rest.send('GET', `/apis/${group}`)).status === 404 ? true : undefined,
    );
  },
  'aggregated discovery': async (t) => {
    for (const path of ['/api', '/apis']) {
      const answer = await t.rest.send('GET', path, undefined, { accept: aggregated });
      assert.match(answer.headers['content-type'] ?? '', /g=apidiscovery\.k8s\.io;v=v2/);
      has(answer.body, { kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' });
      const group = listAt(answer.body, 'items').find((item) =>
        path === '/api' ? true : at(item, 'metadata.name') === 'batch',
      );
      const resources = listAt(group, 'versions.0.resources').filter((resource) =>
        ['configmaps', 'pods', 'jobs', 'cronjobs', 'namespaces'].includes(
          textAt(resource, 'resource'),
        ),
      );
      const plain = resources.map((resource) => ({
        ...resource,
        subresources: ((resource['subresources'] ?? []) as readonly Doc[]).filter((sub) =>
          ['status', 'log'].includes(textAt(sub, 'subresource')),
        ),
      }));
      t.recorded(path, plain);
    }
  },
  'aggregated discovery shows defined kinds': async (t) => {
    const { group } = await t.define(widgets());
    const found = await t.until('the group', async () => {
      const answer = await t.rest.get('/apis', { accept: aggregated });
      return listAt(answer, 'items').find((item) => at(item, 'metadata.name') === group);
    });
    t.recorded('versions', at(found, 'versions'));
  },
  'an ETag spares the second answer': async (t) => {
    const first = await t.rest.send('GET', '/apis', undefined, { accept: aggregated });
    const etag = first.headers['etag'] ?? '';
    assert.ok(etag !== '');
  },
  'OpenAPI v3 lists its documents, and serves them': async (t) => {
    const index = await t.rest.get('/openapi/v3');
    for (const path of ['api/v1', 'apis/apps/v1', 'apis/batch/v1']) {
      const url = at(index, `paths.${path.replaceAll('.', '\\.')}.serverRelativeURL`);
      assert.match(String(url), /^\/openapi\/v3\/.*\?hash=/);
      const document = await t.rest.get(String(url));
      assert.match(textAt(document, 'openapi'), /^3\./);
      assert.ok(Object.keys(at(document, 'components.schemas') as object).length > 5);
    }
  },
  'OpenAPI v3 names the kinds of schemas and what may be done': async (t) => {
    const document = await t.rest.get('/openapi/v3/apis/apps/v1');
    const kind = { group: 'apps', kind: 'Deployment', version: 'v1' };
    const schema = at(
      document,
      'components.schemas.io\\.k8s\\.api\\.apps\\.v1\\.Deployment',
    ) as Doc;
    assert.deepEqual(schema['x-kubernetes-group-version-kind'], [kind]);
    const path = '/apis/apps/v1/namespaces/{namespace}/deployments/{name}';
    const operations = (at(document, 'paths') as Doc)[path];
    has(operations, { 'get.x-kubernetes-group-version-kind': kind });
    assert.ok(at(operations, 'patch') !== undefined && at(operations, 'put') !== undefined);
  },
  'OpenAPI v3 of a defined kind': async (t) => {
    const { group } = await t.define(widgets());
    const document = await t.until('its document', async () => {
      const answer = await t.rest.send('GET', `/openapi/v3/apis/${group}/v1`);
      return answer.status === 200 ? answer.body : undefined;
    });
    const schemas = Object.entries(at(document, 'components.schemas') as Doc);
    const found = schemas.find(([name]) => name.endsWith('.Widget'));
    const expected = [{ group, kind: 'Widget', version: 'v1' }];
    assert.deepEqual(at(found?.[1], 'x-kubernetes-group-version-kind'), expected);
    const spec = at(found?.[1], 'properties.spec') as Doc;
    has(spec, { 'properties.size.maximum': 10, 'properties.note.default': 'none' });
  },
  'OpenAPI v2 is there for older clients': async (t) => {
    const document = await t.rest.get('/openapi/v2');
    has(document, { swagger: '2.0' });
    const definition = at(document, 'definitions.io\\.k8s\\.api\\.core\\.v1\\.ConfigMap');
    assert.ok(at(definition, 'properties.data') !== undefined);
  },
  'the version': async (t) => {
    const version = await t.rest.get('/version');
    assert.match(textAt(version, 'gitVersion'), /^v1\.\d+\./);
    assert.match(textAt(version, 'minor'), /^\d+\+?$/);
    has(version, { major: '1' });
  },
  health: async (t) => {
    for (const path of ['/healthz', '/livez', '/readyz']) {
      const answer = await t.rest.send('GET', path);
      assert.equal(answer.text, 'ok');
    }
    const long = await t.rest.send('GET', '/readyz?verbose');
    assert.match(long.text, /\[\+\].* ok\n[\s\S]*readyz check passed\n/);
  },
  'paths that are none are 404': async (t) => {
    for (const path of ['/none', '/api/v2', '/apis/none.such', '/apis/apps/v9/deployments']) {
      assert.equal((await t.rest.send('GET', path)).status, 404, path);
    }
  },
  'verbs that a resource does not have are 405': async (t) => {
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    refused(await t.rest.send('GET', path), 405, 'MethodNotAllowed');
    refused(
      await t.rest.send('GET', '/apis/authentication.k8s.io/v1/tokenreviews'),
      405,
      'MethodNotAllowed',
    );
  },
});
