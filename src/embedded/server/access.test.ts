import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../schema/library.ts';
import type { UserInfo } from './api.ts';
import { metaOf, objectAt, objectsAt, textAt } from './json.ts';
import { type Answer, startTestServer, type TestServer } from './testing.ts';

const library = createSchemaLibrary();
const configMaps = '/api/v1/namespaces/default/configmaps';
const rbac = '/apis/rbac.authorization.k8s.io/v1';
const inDefault = `${rbac}/namespaces/default`;
const bob: UserInfo = { name: 'bob', groups: ['devs'] };
const messageOf = ({ object }: Answer): string => textAt(object, 'message');

async function grant({ ask }: TestServer, name: string, rules: readonly object[]): Promise<void> {
  const role = await ask('POST', `${inDefault}/roles`, { body: { metadata: { name }, rules } });
  assert.equal(role.status, 201, role.text);
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
  const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }];
  const body = { metadata: { name }, roleRef, subjects };
  const binding = await ask('POST', `${inDefault}/rolebindings`, { body });
  assert.equal(binding.status, 201, binding.text);
}

test('what no rule allows is forbidden, and the words name the rule that is missing', async () => {
  const server = startTestServer({ library });
  const { ask } = server;
  const refused = await ask('GET', `${configMaps}/a`, { user: bob });
  assert.equal(refused.status, 403);
  assert.equal(
    messageOf(refused),
    'configmaps "a" is forbidden: User "bob" cannot get resource "configmaps" in API group "" in ' +
      'the namespace "default"',
  );
  await grant(server, 'read', [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get'] }]);
  assert.equal((await ask('GET', `${configMaps}/a`, { user: bob })).status, 404);
  assert.equal((await ask('GET', configMaps, { user: bob })).status, 403);
  assert.equal((await ask('GET', '/api/v1/configmaps', { user: bob })).status, 403);
  await ask('DELETE', `${inDefault}/rolebindings/read`);
  assert.equal((await ask('GET', `${configMaps}/a`, { user: bob })).status, 403);
});

test('everybody who is known may look around; nobody else may anything', async () => {
  const { ask, server } = startTestServer({ library });
  for (const path of ['/version', '/healthz', '/api', '/apis/apps/v1', '/openapi/v3']) {
    assert.equal((await ask('GET', path, { user: bob })).status, 200, path);
    const anonymous = await server.handle({ method: 'GET', path, headers: {} }, undefined);
    assert.equal(anonymous.status, 401, path);
  }
  assert.equal((await ask('GET', '/metrics', { user: bob })).status, 403);
});

test('nobody gives rights that they do not have', async () => {
  const server = startTestServer({ library });
  const { ask } = server;
  const groups = ['rbac.authorization.k8s.io'];
  const resources = ['roles', 'rolebindings'];
  await grant(server, 'roles', [{ apiGroups: groups, resources, verbs: ['create', 'update'] }]);
  const rules = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }];
  const role = await ask('POST', `${inDefault}/roles`, {
    body: { metadata: { name: 'more' }, rules },
    user: bob,
  });
  assert.equal(role.status, 403);
  assert.match(messageOf(role), /attempting to grant RBAC permissions not currently held:\n/);
  assert.match(messageOf(role), /\{APIGroups:\[""\], Resources:\["secrets"\], Verbs:\["get"\]\}$/);
  const roleRef = { apiGroup: groups[0], kind: 'ClusterRole', name: 'cluster-admin' };
  const subjects = [{ apiGroup: groups[0], kind: 'User', name: 'bob' }];
  const body = { metadata: { name: 'all' }, roleRef, subjects };
  const binding = await ask('POST', `${inDefault}/rolebindings`, { body, user: bob });
  assert.equal(binding.status, 403);
  await grant(server, 'held', rules);
  const now = await ask('POST', `${inDefault}/roles`, {
    body: { metadata: { name: 'more' }, rules },
    user: bob,
  });
  assert.equal(now.status, 201);
});

test('aggregated roles have the rules of those they choose', async () => {
  const { ask } = startTestServer({ library });
  const rules = [{ apiGroups: ['transship.dev'], resources: ['teleports'], verbs: ['get'] }];
  const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' };
  await ask('POST', `${rbac}/clusterroles`, {
    body: { metadata: { name: 'mine', labels }, rules },
  });
  for (const name of ['view', 'edit', 'admin']) {
    const { object } = await ask('GET', `${rbac}/clusterroles/${name}`);
    const groups = objectsAt(object, 'rules').flatMap((rule) => rule['apiGroups'] ?? []);
    assert(groups.includes('transship.dev'), name);
  }
  await ask('DELETE', `${rbac}/clusterroles/mine`);
  const { text } = await ask('GET', `${rbac}/clusterroles/view`);
  assert(!text.includes('transship.dev'));
});

async function tokenOf({ ask }: TestServer, spec: object = {}): Promise<string> {
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  await ask('POST', accounts, { body: { metadata: { name: 'robot' } } });
  const answer = await ask('POST', `${accounts}/robot/token`, { body: { spec } });
  assert.equal(answer.status, 201, answer.text);
  return textAt(objectAt(answer.object, 'status'), 'token');
}

async function whoAmI({ server }: TestServer, token: string): Promise<string | number> {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = Buffer.from('{}');
  const response = await server.handle({ method: 'POST', path, headers, body }, undefined);
  let text = '';
  for await (const part of response.body) text += Buffer.from(part).toString('utf8');
  if (response.status !== 201) return response.status;
  return /"username":"([^"]+)"/.exec(text)?.[1] ?? '';
}

test('a token is its account, until its end or that of the account', async () => {
  const server = startTestServer({ library });
  const token = await tokenOf(server, { expirationSeconds: 600 });
  assert.equal(await whoAmI(server, token), 'system:serviceaccount:default:robot');
  const [head, body, signature = ''] = token.split('.');
  const other = signature.startsWith('A') ? 'B' : 'A';
  for (const bad of [`${head}.${body}.${other}${signature.slice(1)}`, `${head}.${body}.`, 'x']) {
    assert.equal(await whoAmI(server, bad), 401);
  }
  const again = startTestServer({
    library,
    persistence: server.persistence,
    clock: server.clock,
  });
  assert.equal(await whoAmI(again, token), 'system:serviceaccount:default:robot');
  server.clock.advance(601_000);
  assert.equal(await whoAmI(server, token), 401);
  const next = await tokenOf(server);
  await server.ask('DELETE', '/api/v1/namespaces/default/serviceaccounts/robot');
  assert.equal(await whoAmI(server, next), 401);
  await server.ask('POST', '/api/v1/namespaces/default/serviceaccounts', {
    body: { metadata: { name: 'robot' } },
  });
  assert.equal(await whoAmI(server, next), 401, 'another account of the same name');
});

test('tokens for others, bound ones, and those in secrets', async () => {
  const server = startTestServer({ library });
  const { ask } = server;
  assert.equal(await whoAmI(server, await tokenOf(server, { audiences: ['vault'] })), 401);
  const secrets = '/api/v1/namespaces/default/secrets';
  const annotations = { 'kubernetes.io/service-account.name': 'robot' };
  const type = 'kubernetes.io/service-account-token';
  const made = await ask('POST', secrets, { body: { metadata: { name: 's', annotations }, type } });
  assert.equal(made.status, 201, made.text);
  const coded = textAt(objectAt(made.object, 'data'), 'token');
  const kept = Buffer.from(coded, 'base64').toString('utf8');
  assert.equal(await whoAmI(server, kept), 'system:serviceaccount:default:robot');
  const uid = textAt(metaOf(made.object), 'uid');
  const boundObjectRef = { apiVersion: 'v1', kind: 'Secret', name: 's', uid };
  const bound = await tokenOf(server, { boundObjectRef });
  assert.equal(await whoAmI(server, bound), 'system:serviceaccount:default:robot');
  await ask('DELETE', `${secrets}/s`);
  assert.equal(await whoAmI(server, bound), 401);
  assert.equal(await whoAmI(server, kept), 401);
});

test('the key of the tokens is nowhere to be read', async () => {
  const server = startTestServer({ library });
  await tokenOf(server);
  for (const path of ['/apis/-/v1/keys', '/api/v1/keys', '/apis/-/keys/service-accounts']) {
    assert.equal((await server.ask('GET', path)).status, 404, path);
  }
});
