/** Deleting: finalizers, grace, preconditions, owners and what they own, namespaces. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { at, changed, type Doc, has, textAt } from '../document.ts';
import { namesOf, refused } from '../rest.ts';
import { configMap, deployment, job, pod } from './made.ts';

function ownedBy(owner: Doc, blocks = false): Doc {
  return {
    ownerReferences: [
      {
        apiVersion: textAt(owner, 'apiVersion'),
        kind: textAt(owner, 'kind'),
        name: textAt(owner, 'metadata.name'),
        uid: textAt(owner, 'metadata.uid'),
        ...(blocks ? { controller: true, blockOwnerDeletion: true } : {}),
      },
    ],
  };
}

async function gone(t: CaseContext, path: string): Promise<void> {
  await t.until(`${path} to be gone`, async () =>
    (await t.rest.send('GET', path)).status === 404 ? true : undefined,
  );
}

async function serviceAccount(t: CaseContext): Promise<void> {
  await t.until('the default service account', async () =>
    (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200 ? true : undefined,
  );
}

export const deletionCases = cases('deletion', {
  'delete answers Success with what it deleted': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const answer = await t.rest.send('DELETE', t.path('configmaps/a'));
    assert.equal(answer.status, 200);
    has(answer.body, {
      kind: 'Status',
      status: 'Success',
      details: { name: 'a', kind: 'configmaps', uid: at(made, 'metadata.uid') },
    });
    refused(await t.rest.send('GET', t.path('configmaps/a')), 404, 'NotFound');
  },
  'delete under a finalizer marks, and ends with the last finalizer': async (t) => {
    const finalizers = ['example.com/a', 'example.com/b'];
    const path = t.path('configmaps/a');
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { finalizers }));
    const answer = await t.rest.send('DELETE', path);
    assert.equal(answer.status, 200);
    has(answer.body, { kind: 'ConfigMap', 'metadata.deletionGracePeriodSeconds': 0 });
    const marked = await t.rest.get(path);
    assert.match(textAt(marked, 'metadata.deletionTimestamp'), /^\d{4}-/);
    const half = await t.rest.patch(path, { metadata: { finalizers: ['example.com/b'] } });
    has(half, { 'metadata.deletionTimestamp': at(marked, 'metadata.deletionTimestamp') });
    const last = await t.rest.patch(path, { metadata: { finalizers: [] } });
    has(last, { kind: 'ConfigMap', 'metadata.name': 'a' });
    refused(await t.rest.send('GET', path), 404, 'NotFound');
  },
  'a second delete under a finalizer changes nothing': async (t) => {
    const finalizers = ['example.com/a'];
    const path = t.path('configmaps/a');
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { finalizers }));
    await t.rest.delete(path);
    const marked = await t.rest.get(path);
    await t.rest.delete(path);
    assert.deepEqual(await t.rest.get(path), marked);
  },
  'no finalizer can be added to what is being deleted': async (t) => {
    const path = t.path('configmaps/a');
    const finalizers = ['example.com/a'];
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { finalizers }));
    await t.rest.delete(path);
    const patch = { metadata: { finalizers: ['example.com/a', 'example.com/b'] } };
    const type = 'application/merge-patch+json';
    const answer = await t.rest.send('PATCH', path, patch, { type });
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
    has(await t.rest.patch(path, { metadata: { labels: { a: 'b' } } }), {
      'metadata.labels': { a: 'b' },
    });
  },
  'a finalizer without a domain is Invalid': async (t) => {
    const body = configMap('a', {}, { finalizers: ['plain'] });
    const answer = await t.rest.send('POST', t.path('configmaps'), body);
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'deletionTimestamp cannot be written': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const time = '2020-01-01T00:00:00Z';
    const type = 'application/merge-patch+json';
    const patch = { metadata: { deletionTimestamp: time } };
    const answer = await t.rest.send('PATCH', path, patch, { type });
    const words = `metadata.deletionTimestamp: Invalid value: "${time}": field is immutable`;
    refused(answer, 422, 'Invalid', `ConfigMap "a" is invalid: ${words}`);
  },
  'a precondition on the uid must hold': async (t) => {
    const path = t.path('configmaps/a');
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const other = { preconditions: { uid: '7d2f6a9e-0000-4000-8000-000000000000' } };
    const answer = await t.rest.send('DELETE', path, other);
    refused(answer, 409, 'Conflict');
    t.recorded('refusal', changed(answer.body, { message: undefined }));
    await t.rest.delete(path, { preconditions: { uid: at(made, 'metadata.uid') } });
  },
  'a precondition on the resourceVersion must hold': async (t) => {
    const path = t.path('configmaps/a');
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const now = await t.rest.patch(path, { data: { a: '2' } });
    const version = (doc: Doc): Doc => ({
      preconditions: { resourceVersion: at(doc, 'metadata.resourceVersion') },
    });
    const answer = await t.rest.send('DELETE', path, version(made));
    refused(
      answer,
      409,
      'Conflict',
      /the ResourceVersion in the precondition \(\d+\) does not match the ResourceV/,
    );
    await t.rest.delete(path, version(now));
  },
  'deletecollection takes what the selector names': async (t) => {
    for (const name of ['a', 'b', 'c']) {
      const labels = { keep: name === 'b' ? 'yes' : 'no' };
      await t.rest.post(t.path('configmaps'), configMap(name, {}, { labels }));
    }
    const list = await t.rest.delete(`${t.path('configmaps')}?labelSelector=keep%3Dno`);
    has(list, { kind: 'ConfigMapList' });
    assert.deepEqual(namesOf(list), ['a', 'c']);
    const left = await t.rest.get(`${t.path('configmaps')}?labelSelector=keep`);
    assert.deepEqual(namesOf(left), ['b']);
  },
  'a pod that no node has is deleted at once': async (t) => {
    await serviceAccount(t);
    await t.rest.post(t.path('pods'), pod('a'));
    const answer = await t.rest.send('DELETE', t.path('pods/a'));
    assert.equal(answer.status, 200);
    await gone(t, t.path('pods/a'));
  },
  'a pod on a node ends with its grace, or at once when asked': async (t) => {
    await serviceAccount(t);
    const body = changed(pod('a'), { 'spec.nodeName': 'none-such' });
    await t.rest.post(t.path('pods'), body);
    const marked = await t.rest.delete(t.path('pods/a'), { gracePeriodSeconds: 20 });
    has(marked, { kind: 'Pod', 'metadata.deletionGracePeriodSeconds': 20 });
    const shorter = await t.rest.delete(t.path('pods/a'), { gracePeriodSeconds: 10 });
    has(shorter, { 'metadata.deletionGracePeriodSeconds': 10 });
    await t.rest.delete(t.path('pods/a'), { gracePeriodSeconds: 0 });
    refused(await t.rest.send('GET', t.path('pods/a')), 404, 'NotFound');
  },
  'an unknown propagation is refused': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const options = { propagationPolicy: 'Sideways' };
    const answer = await t.rest.send('DELETE', t.path('configmaps/a'), options);
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'background deletion ends what is owned afterwards': async (t) => {
    const owner = await t.rest.post(t.path('configmaps'), configMap('owner'));
    await t.rest.post(t.path('secrets'), { metadata: { name: 'owned', ...ownedBy(owner) } });
    await t.rest.delete(t.path('configmaps/owner'), { propagationPolicy: 'Background' });
    refused(await t.rest.send('GET', t.path('configmaps/owner')), 404, 'NotFound');
    await gone(t, t.path('secrets/owned'));
  },
  'what has another owner left stays': async (t) => {
    const one = await t.rest.post(t.path('configmaps'), configMap('one'));
    const two = await t.rest.post(t.path('configmaps'), configMap('two'));
    const ownerReferences = [one, two].flatMap((owner) => ownedBy(owner)['ownerReferences']);
    await t.rest.post(t.path('secrets'), { metadata: { name: 'owned', ownerReferences } });
    await t.rest.delete(t.path('configmaps/one'));
    await t.until('the owner to be taken out', async () => {
      const owned = await t.rest.get(t.path('secrets/owned'));
      return at(owned, 'metadata.ownerReferences.1') === undefined ? owned : undefined;
    });
    await t.rest.delete(t.path('configmaps/two'));
    await gone(t, t.path('secrets/owned'));
  },
  'foreground deletion ends what is owned first': async (t) => {
    const owner = await t.rest.post(t.path('configmaps'), configMap('owner'));
    const metadata = { name: 'owned', finalizers: ['example.com/hold'], ...ownedBy(owner, true) };
    await t.rest.post(t.path('secrets'), { metadata });
    const answer = await t.rest.delete(t.path('configmaps/owner'), {
      propagationPolicy: 'Foreground',
    });
    has(answer, { kind: 'ConfigMap', 'metadata.finalizers': ['foregroundDeletion'] });
    const held = await t.until('the owned one to be marked', async () => {
      const owned = await t.rest.get(t.path('secrets/owned'));
      return at(owned, 'metadata.deletionTimestamp') === undefined ? undefined : owned;
    });
    has(held, { 'metadata.finalizers': ['example.com/hold'] });
    assert.equal((await t.rest.send('GET', t.path('configmaps/owner'))).status, 200);
    await t.rest.patch(t.path('secrets/owned'), { metadata: { finalizers: null } });
    await gone(t, t.path('configmaps/owner'));
  },
  'orphan deletion leaves what is owned, without its owner': async (t) => {
    const owner = await t.rest.post(t.path('configmaps'), configMap('owner'));
    await t.rest.post(t.path('secrets'), { metadata: { name: 'owned', ...ownedBy(owner) } });
    await t.rest.delete(t.path('configmaps/owner'), { propagationPolicy: 'Orphan' });
    await gone(t, t.path('configmaps/owner'));
    const owned = await t.rest.get(t.path('secrets/owned'));
    has(owned, { 'metadata.ownerReferences': undefined, 'metadata.deletionTimestamp': undefined });
  },
  'a whole tree is collected': async (t) => {
    const root = await t.rest.post(t.path('configmaps'), configMap('root'));
    const middle = await t.rest.post(t.path('configmaps'), configMap('mid', {}, ownedBy(root)));
    await t.rest.post(t.path('configmaps'), configMap('leaf', {}, ownedBy(middle)));
    await t.rest.delete(t.path('configmaps/root'));
    await gone(t, t.path('configmaps/leaf'));
    await gone(t, t.path('configmaps/mid'));
  },
  'an owner that never was is as one that is gone': async (t) => {
    const owner = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'never', uid: '7d2f6a9e-0000-4000-8000-000000000000' },
    };
    await t.rest.post(t.path('secrets'), { metadata: { name: 'owned', ...ownedBy(owner) } });
    await gone(t, t.path('secrets/owned'));
  },
  'two controllers of one object are Invalid': async (t) => {
    const reference = (uid: string): Doc => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'x',
      uid,
      controller: true,
    });
    const ownerReferences = [reference('a'), reference('b')];
    const answer = await t.rest.send('POST', t.path('configmaps'), {
      metadata: { name: 'c', ownerReferences },
    });
    refused(answer, 422, 'Invalid');
    has(answer.body, { 'details.causes.0.field': 'metadata.ownerReferences' });
    const words = /Only one reference can have Controller set to true/;
    assert.match(textAt(answer.body, 'message'), words);
  },
  'deleting a Deployment without a word deletes its ReplicaSets': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const sets = t.path('apps/v1/replicasets');
    await t.until('its ReplicaSet', async () =>
      namesOf(await t.rest.get(sets)).length === 1 ? true : undefined,
    );
    await t.rest.delete(t.path('apps/v1/deployments/a'));
    await t.until('its ReplicaSet to go', async () =>
      namesOf(await t.rest.get(sets)).length === 0 ? true : undefined,
    );
  },
  'a Job through its old API orphans unless told otherwise': async (t) => {
    const made = await t.rest.post(t.path('batch/v1/jobs'), job('a'));
    await t.rest.post(t.path('secrets'), { metadata: { name: 'owned', ...ownedBy(made) } });
    const answer = await t.rest.send('DELETE', t.path('batch/v1/jobs/a'));
    const words = answer.headers['warning'] ?? '';
    assert.match(words, /child pods are preserved by default when jobs are deleted/);
    await gone(t, t.path('batch/v1/jobs/a'));
    has(await t.rest.get(t.path('secrets/owned')), { 'metadata.ownerReferences': undefined });
  },
  'a namespace takes everything with it': async (t) => {
    const name = `${t.namespace}-other`;
    const path = `/api/v1/namespaces/${name}`;
    const made = await t.rest.post('/api/v1/namespaces', { metadata: { name } });
    has(made, {
      'status.phase': 'Active',
      'spec.finalizers': ['kubernetes'],
      'metadata.labels': { 'kubernetes.io/metadata.name': name },
    });
    const finalizers = ['example.com/hold'];
    await t.rest.post(`${path}/configmaps`, configMap('held', {}, { finalizers }));
    await t.rest.post(`${path}/secrets`, { metadata: { name: 'a' } });
    has(await t.rest.delete(path), { kind: 'Namespace', 'status.phase': 'Terminating' });
    await gone(t, `${path}/secrets/a`);
    const late = await t.rest.send('POST', `${path}/secrets`, { metadata: { name: 'late' } });
    refused(late, 403, 'Forbidden');
    const words = `secrets "late" is forbidden: unable to create new content in namespace`;
    assert.equal(textAt(late.body, 'message').slice(0, words.length), words);
    has(late.body, { 'details.causes.0.reason': 'NamespaceTerminating' });
    await t.rest.patch(`${path}/configmaps/held`, { metadata: { finalizers: null } });
    await gone(t, path);
  },
  'namespaces that the cluster needs stay': async (t) => {
    const answer = await t.rest.send('DELETE', '/api/v1/namespaces/default');
    refused(answer, 403, 'Forbidden');
    t.recorded('refusal', answer.body);
  },
});
