/** Who may do what: rights, reviews, escalation, tokens, nobody without a name. */
import assert from 'node:assert/strict';
import { type CaseContext, cases, type OtherUser } from '../case.ts';
import { at, type Doc, has, listAt, textAt } from '../document.ts';
import { refused } from '../rest.ts';
import { configMap } from './made.ts';

const rbac = 'rbac.authorization.k8s.io/v1';
const readMaps = { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] };

async function mayI(user: OtherUser, attributes: Doc): Promise<Doc> {
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const review = await user.rest.post(path, {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: attributes },
  });
  return at(review, 'status') as Doc;
}

/** Words of a refusal with the user's name, which differs in every run, replaced. */
function words(t: CaseContext, message: string, user: OtherUser): string {
  return message.replaceAll(user.name, 'USER').replaceAll(t.namespace, 'NS');
}

async function review(t: CaseContext, token: string, audiences?: readonly string[]): Promise<Doc> {
  return t.rest.post('/apis/authentication.k8s.io/v1/tokenreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, ...(audiences === undefined ? {} : { audiences }) },
  });
}

export const accessCases = cases('access', {
  'nobody without a name gets anything but 401': async (t) => {
    const nobody = t.restOf({});
    for (const path of ['/api', '/apis', t.path('configmaps'), '/openapi/v3']) {
      const answer = await nobody.send('GET', path);
      refused(answer, 401, 'Unauthorized', 'Unauthorized');
    }
    refused(await nobody.send('POST', t.path('configmaps'), configMap('a')), 401, 'Unauthorized');
  },
  'a token that is none is 401': async (t) => {
    const answer = await t.restOf({ token: 'nonsense' }).send('GET', t.path('configmaps'));
    refused(answer, 401, 'Unauthorized', 'Unauthorized');
  },
  'what no rule allows is Forbidden, and the words name it': async (t) => {
    const user = await t.user([]);
    const asks: readonly (readonly ['GET' | 'POST' | 'DELETE', string])[] = [
      ['GET', t.path('configmaps')],
      ['GET', t.path('configmaps/a')],
      ['POST', t.path('configmaps')],
      ['DELETE', t.path('configmaps/a')],
      ['DELETE', t.path('configmaps')],
      ['GET', t.path('apps/v1/deployments/a')],
      ['GET', t.path('pods/a/log')],
      ['GET', '/api/v1/nodes'],
      ['GET', '/api/v1/namespaces/none-such'],
      ['GET', '/api/v1/pods'],
      ['GET', '/logs/'],
      ['GET', `${t.path('configmaps')}?watch=1`],
    ];
    for (const [verb, path] of asks) {
      const body = verb === 'POST' ? configMap('a') : undefined;
      const answer = await user.rest.send(verb, path, body);
      refused(answer, 403, 'Forbidden');
      const label = `${verb} ${path.replaceAll(t.namespace, 'NS')}`;
      t.recorded(label, {
        message: words(t, textAt(answer.body, 'message'), user),
        details: at(answer.body, 'details'),
      });
    }
  },
  'patches and sub-resources are named as they are': async (t) => {
    const user = await t.user([readMaps]);
    const type = 'application/merge-patch+json';
    const patch = await user.rest.send('PATCH', t.path('configmaps/a'), {}, { type });
    refused(patch, 403, 'Forbidden');
    t.recorded('patch', words(t, textAt(patch.body, 'message'), user));
    const status = await user.rest.send('PUT', t.path('apps/v1/deployments/a/status'), {});
    refused(status, 403, 'Forbidden');
    t.recorded('status', words(t, textAt(status.body, 'message'), user));
  },
  'a role allows what it says, in its namespace': async (t) => {
    const user = await t.user([readMaps]);
    await t.rest.post(t.path('configmaps'), configMap('a'));
    has(await user.rest.get(t.path('configmaps/a')), { data: { a: '1' } });
    refused(await user.rest.send('DELETE', t.path('configmaps/a')), 403, 'Forbidden');
    const elsewhere = await user.rest.send('GET', '/api/v1/namespaces/default/configmaps');
    refused(elsewhere, 403, 'Forbidden');
  },
  'a cluster role bound everywhere allows everywhere': async (t) => {
    const user = await t.user([readMaps], { everywhere: true });
    has(await user.rest.get('/api/v1/configmaps?limit=1'), { kind: 'ConfigMapList' });
    has(await user.rest.get('/api/v1/namespaces/default/configmaps'), { kind: 'ConfigMapList' });
  },
  'resourceNames allow single objects': async (t) => {
    const user = await t.user([
      { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'], resourceNames: ['a'] },
    ]);
    await t.rest.post(t.path('configmaps'), configMap('a'));
    await user.rest.get(t.path('configmaps/a'));
    refused(await user.rest.send('GET', t.path('configmaps/b')), 403, 'Forbidden');
    refused(await user.rest.send('GET', t.path('configmaps')), 403, 'Forbidden');
    await user.rest.get(`${t.path('configmaps')}?fieldSelector=metadata.name%3Da`);
  },
  'a sub-resource is a right of its own': async (t) => {
    const user = await t.user([
      { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['get'] },
    ]);
    const answer = await user.rest.send('GET', t.path('apps/v1/deployments/a/scale'));
    refused(answer, 404, 'NotFound');
    refused(await user.rest.send('GET', t.path('apps/v1/deployments/a')), 403, 'Forbidden');
  },
  'rights end with their binding': async (t) => {
    const user = await t.user([readMaps]);
    await user.rest.get(t.path('configmaps'));
    const bindings = await t.rest.get(t.path(`${rbac}/rolebindings`));
    const name = textAt(bindings, 'items.0.metadata.name');
    await t.rest.delete(t.path(`${rbac}/rolebindings/${name}`));
    await t.until('the rights to end', async () =>
      (await user.rest.send('GET', t.path('configmaps'))).status === 403 ? true : undefined,
    );
  },
  'nonResourceURLs are rights too': async (t) => {
    const user = await t.user([{ nonResourceURLs: ['/logs/*'], verbs: ['get'] }], {
      everywhere: true,
    });
    await t.until('the right to be known', async () =>
      (await user.rest.send('GET', '/logs/')).status === 403 ? undefined : true,
    );
    // What every user may read.
    for (const path of ['/version', '/api', '/apis', '/healthz', '/livez', '/readyz']) {
      assert.equal((await user.rest.send('GET', path)).status, 200, path);
    }
  },
  'a review of oneself': async (t) => {
    const user = await t.user([readMaps]);
    const { namespace } = t;
    const get = { verb: 'get', resource: 'configmaps', namespace };
    has(await mayI(user, get), { allowed: true });
    has(await mayI(user, { ...get, verb: 'delete' }), { allowed: false });
    has(await mayI(user, { ...get, namespace: 'default' }), { allowed: false });
    has(await mayI(user, { ...get, group: 'apps' }), { allowed: false });
    has(await mayI(user, { ...get, subresource: 'status' }), { allowed: false });
  },
  'a review of others': async (t) => {
    const user = await t.user([readMaps]);
    const ask = async (verb: string): Promise<unknown> => {
      const answer = await t.rest.post('/apis/authorization.k8s.io/v1/subjectaccessreviews', {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: user.name,
          resourceAttributes: { namespace: t.namespace, verb, resource: 'configmaps' },
        },
      });
      return at(answer, 'status.allowed');
    };
    assert.equal(await ask('list'), true);
    assert.equal(await ask('update'), false);
    const local = t.path('authorization.k8s.io/v1/localsubjectaccessreviews');
    const answer = await t.rest.post(local, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'LocalSubjectAccessReview',
      metadata: { namespace: t.namespace },
      spec: {
        user: user.name,
        resourceAttributes: { namespace: t.namespace, verb: 'get', resource: 'configmaps' },
      },
    });
    has(answer, { 'status.allowed': true });
  },
  'the list of one’s rules': async (t) => {
    const user = await t.user([readMaps]);
    const path = '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews';
    const answer = await user.rest.post(path, {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace: t.namespace },
    });
    const rules = listAt(answer, 'status.resourceRules');
    const mine = rules.find((rule) => (rule['resources'] as string[]).includes('configmaps'));
    has(mine, { verbs: ['get', 'list'], apiGroups: [''] });
    has(answer, { 'status.incomplete': false });
    assert.ok(listAt(answer, 'status.nonResourceRules').length > 0);
  },
  'nobody gives rights that they do not have': async (t) => {
    const user = await t.user([
      readMaps,
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['create'] },
    ]);
    const role = (name: string, verbs: readonly string[]): Doc => ({
      apiVersion: rbac,
      kind: 'Role',
      metadata: { name },
      rules: [{ apiGroups: [''], resources: ['configmaps'], verbs }],
    });
    await user.rest.post(t.path(`${rbac}/roles`), role('fine', ['get']));
    const answer = await user.rest.send('POST', t.path(`${rbac}/roles`), role('more', ['delete']));
    refused(answer, 403, 'Forbidden');
    t.recorded('words', words(t, textAt(answer.body, 'message'), user));
  },
  'nobody binds rights that they do not have, unless they may bind': async (t) => {
    const bindings = { apiGroups: ['rbac.authorization.k8s.io'], resources: ['rolebindings'] };
    const user = await t.user([{ ...bindings, verbs: ['create'] }]);
    await t.rest.post(t.path(`${rbac}/roles`), {
      metadata: { name: 'r' },
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }],
    });
    const binding = {
      apiVersion: rbac,
      kind: 'RoleBinding',
      metadata: { name: 'b' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' },
      subjects: [{ kind: 'User', name: 'x', apiGroup: 'rbac.authorization.k8s.io' }],
    };
    const answer = await user.rest.send('POST', t.path(`${rbac}/rolebindings`), binding);
    refused(answer, 403, 'Forbidden');
    t.recorded('words', words(t, textAt(answer.body, 'message'), user));
    const binder = await t.user([
      { ...bindings, verbs: ['create'] },
      { apiGroups: ['rbac.authorization.k8s.io'], resources: ['roles'], verbs: ['bind'] },
    ]);
    await binder.rest.post(t.path(`${rbac}/rolebindings`), binding);
  },
  'the role of a binding cannot change': async (t) => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' };
    const kind = t.path(`${rbac}/rolebindings`);
    await t.rest.post(kind, { metadata: { name: 'b' }, roleRef });
    const type = 'application/merge-patch+json';
    const patch = { roleRef: { name: 'other' } };
    const answer = await t.rest.send('PATCH', `${kind}/b`, patch, { type });
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'the usual cluster roles are there': async (t) => {
    const path = `/apis/${rbac}/clusterroles`;
    for (const name of ['cluster-admin', 'admin', 'edit', 'view', 'system:discovery']) {
      has(await t.rest.get(`${path}/${name}`), { 'metadata.name': name });
    }
    const admin = await t.rest.get(`${path}/cluster-admin`);
    t.recorded('cluster-admin', at(admin, 'rules'));
    const binding = await t.rest.get(`/apis/${rbac}/clusterrolebindings/cluster-admin`);
    has(binding, { 'subjects.0.name': 'system:masters', 'roleRef.name': 'cluster-admin' });
  },
  'view reads and does not see secrets; edit writes': async (t) => {
    const user = await t.user([]);
    const bind = (role: string): Promise<Doc> =>
      t.rest.post(t.path(`${rbac}/rolebindings`), {
        metadata: { name: role },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
        subjects: [
          { kind: 'ServiceAccount', name: user.name.split(':').at(-1), namespace: t.namespace },
        ],
      });
    await bind('view');
    await t.until('the right to view', async () =>
      (await user.rest.send('GET', t.path('pods'))).status === 200 ? true : undefined,
    );
    refused(await user.rest.send('GET', t.path('secrets')), 403, 'Forbidden');
    refused(await user.rest.send('POST', t.path('configmaps'), configMap('a')), 403, 'Forbidden');
    await bind('edit');
    await t.until('the right to edit', async () =>
      (await user.rest.send('POST', t.path('configmaps'), configMap('a'))).status === 403
        ? undefined
        : true,
    );
    await user.rest.get(t.path('secrets'));
  },
  'a token of a service account says who it is': async (t) => {
    const user = await t.user([]);
    const answer = await review(t, user.token);
    has(answer, { 'status.authenticated': true, 'status.user.username': user.name });
    const groups = at(answer, 'status.user.groups');
    assert.deepEqual(groups, [
      'system:serviceaccounts',
      `system:serviceaccounts:${t.namespace}`,
      'system:authenticated',
    ]);
    assert.match(textAt(answer, 'status.user.uid'), /^[0-9a-f-]{36}$/);
    const self = await user.rest.post('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    has(self, { 'status.userInfo.username': user.name, 'status.userInfo.groups': groups });
  },
  'a TokenRequest has an audience, an end, and bounds': async (t) => {
    const path = t.path('serviceaccounts/default/token');
    await t.until('the default service account', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
    const made = await t.rest.post(path, { spec: { expirationSeconds: 600 } });
    has(made, { kind: 'TokenRequest', 'spec.expirationSeconds': 600 });
    assert.ok(listAt(made, 'spec.audiences').length > 0);
    const payload = textAt(made, 'status.token').split('.')[1] ?? '';
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Doc;
    has(claims, { sub: `system:serviceaccount:${t.namespace}:default` });
    assert.equal(Number(claims['exp']) - Number(claims['iat']), 600);
    const short = await t.rest.send('POST', path, { spec: { expirationSeconds: 5 } });
    refused(short, 422, 'Invalid');
    t.recorded('short', short.body);
    const none = await t.rest.send('POST', t.path('serviceaccounts/none/token'), { spec: {} });
    refused(none, 404, 'NotFound', 'serviceaccounts "none" not found');
  },
  'a token for another audience does not open this server': async (t) => {
    await t.until('the default service account', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
    const path = t.path('serviceaccounts/default/token');
    const made = await t.rest.post(path, { spec: { audiences: ['elsewhere'] } });
    const token = textAt(made, 'status.token');
    refused(await t.restOf({ token }).send('GET', '/api'), 401, 'Unauthorized');
    has(await review(t, token, ['elsewhere']), {
      'status.authenticated': true,
      'status.audiences': ['elsewhere'],
    });
  },
  'a token dies with its service account': async (t) => {
    const user = await t.user([readMaps]);
    await user.rest.get(t.path('configmaps'));
    await t.rest.delete(t.path(`serviceaccounts/${user.name.split(':').at(-1)}`));
    await t.until('the token to die', async () =>
      (await user.rest.send('GET', t.path('configmaps'))).status === 401 ? true : undefined,
    );
  },
  'a token bound to an object dies with it': async (t) => {
    await t.until('the default service account', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
    const bound = await t.rest.post(t.path('secrets'), { metadata: { name: 's' } });
    const boundObjectRef = {
      apiVersion: 'v1',
      kind: 'Secret',
      name: 's',
      uid: at(bound, 'metadata.uid'),
    };
    const path = t.path('serviceaccounts/default/token');
    const made = await t.rest.post(path, { spec: { boundObjectRef } });
    const rest = t.restOf({ token: textAt(made, 'status.token') });
    assert.equal((await rest.send('GET', '/api')).status, 200);
    await t.rest.delete(t.path('secrets/s'));
    await t.until('the token to die', async () =>
      (await rest.send('GET', '/api')).status === 401 ? true : undefined,
    );
  },
  'a token that was changed is 401': async (t) => {
    const user = await t.user([readMaps]);
    const [head = '', payload = '', signature = ''] = user.token.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Doc;
    const forged = { ...claims, sub: 'system:serviceaccount:kube-system:default', exp: 9e9 };
    const body = Buffer.from(JSON.stringify(forged)).toString('base64url');
    const bad = [`${head}.${body}.${signature}`, `${head}.${payload}.`, `${head}.${payload}`];
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    for (const token of [...bad, `${none}.${payload}.`]) {
      refused(await t.restOf({ token }).send('GET', t.path('configmaps')), 401, 'Unauthorized');
    }
    has(await review(t, bad[0] ?? ''), { 'status.authenticated': undefined });
  },
  'impersonation is a right': async (t) => {
    const headers = { 'impersonate-user': 'somebody' };
    const answer = await t.rest.send('GET', t.path('configmaps'), undefined, { headers });
    refused(answer, 403, 'Forbidden');
    t.recorded('as somebody', at(answer.body, 'message'));
    const user = await t.user([readMaps]);
    const asked = await user.rest.send('GET', t.path('configmaps'), undefined, { headers });
    refused(asked, 403, 'Forbidden');
    t.recorded('not allowed', words(t, textAt(asked.body, 'message'), user));
    const groups = { ...headers, 'impersonate-group': 'system:masters' };
    const allowed = await t.rest.send('GET', t.path('configmaps'), undefined, { headers: groups });
    assert.equal(allowed.status, 200);
  },
  'deletecollection and watch are verbs of their own': async (t) => {
    const user = await t.user([
      { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'delete'] },
    ]);
    refused(await user.rest.send('DELETE', t.path('configmaps')), 403, 'Forbidden');
    const watched = await user.rest.send('GET', `${t.path('configmaps')}?watch=1`);
    refused(watched, 403, 'Forbidden');
  },
});
