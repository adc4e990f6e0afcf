/** What controllers of a cluster do without any node: objects that come of objects. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { at, changed, type Doc, has, listAt, textAt } from '../document.ts';
import { namesOf, refused } from '../rest.ts';
import { claim, deployment, job, pod } from './made.ts';

async function one(t: CaseContext, kind: string): Promise<Doc> {
  return t.until(`one of ${kind}`, async () => {
    const list = await t.rest.get(t.path(kind));
    return namesOf(list).length === 1 ? listAt(list, 'items')[0] : undefined;
  });
}

export const controllerCases = cases('controllers', {
  'a namespace gets a default service account': async (t) => {
    await t.until('it', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
  },
  'a namespace gets the certificate of the server': async (t) => {
    const found = await t.until('it', async () => {
      const answer = await t.rest.send('GET', t.path('configmaps/kube-root-ca.crt'));
      return answer.status === 200 ? answer.body : undefined;
    });
    assert.match(textAt(found, 'data.ca\\.crt'), /^-----BEGIN CERTIFICATE-----/);
  },
  'a Deployment makes a ReplicaSet, which makes pods': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a', 1));
    const set = await one(t, 'apps/v1/replicasets');
    has(set, {
      'spec.replicas': 1,
      'metadata.ownerReferences.0.kind': 'Deployment',
      'metadata.ownerReferences.0.controller': true,
      'metadata.labels.app': 'a',
      'metadata.annotations.deployment\\.kubernetes\\.io/revision': '1',
    });
    const hash = textAt(set, 'metadata.labels.pod-template-hash');
    assert.equal(textAt(set, 'metadata.name'), `a-${hash}`);
    has(set, { 'spec.selector.matchLabels': { app: 'a', 'pod-template-hash': hash } });
    const pod = await one(t, 'pods');
    assert.match(textAt(pod, 'metadata.name'), new RegExp(`^a-${hash}-[a-z0-9]{5}$`));
    has(pod, {
      'metadata.ownerReferences.0.name': `a-${hash}`,
      'metadata.labels': { app: 'a', 'pod-template-hash': hash },
      'metadata.generateName': `a-${hash}-`,
    });
    const made = await t.until('the status', async () => {
      const now = await t.rest.get(t.path('apps/v1/deployments/a'));
      return at(now, 'status.replicas') === 1 ? now : undefined;
    });
    has(made, { 'status.observedGeneration': 1 });
  },
  'a changed template makes a second ReplicaSet': async (t) => {
    const path = t.path('apps/v1/deployments/a');
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    await one(t, 'apps/v1/replicasets');
    const containers = [{ name: 'main', image: 'image:2' }];
    await t.rest.patch(path, { spec: { template: { spec: { containers } } } }, 'strategic');
    await t.until('the second', async () => {
      const list = await t.rest.get(t.path('apps/v1/replicasets'));
      return namesOf(list).length === 2 ? true : undefined;
    });
  },
  'a StatefulSet makes its first pod and claim': async (t) => {
    const template = {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    };
    const body = changed(deployment('a', 2), {
      kind: 'StatefulSet',
      'spec.serviceName': 'a',
      'spec.volumeClaimTemplates': [template],
    });
    await t.rest.post(t.path('apps/v1/statefulsets'), body);
    const pod = await one(t, 'pods');
    has(pod, {
      'metadata.name': 'a-0',
      'spec.hostname': 'a-0',
      'metadata.labels.statefulset\\.kubernetes\\.io/pod-name': 'a-0',
    });
    const volume = listAt(pod, 'spec.volumes').find((each) => each['name'] === 'data');
    has(volume, { 'persistentVolumeClaim.claimName': 'data-a-0' });
    has(await t.rest.get(t.path('persistentvolumeclaims/data-a-0')), {
      'metadata.labels.app': 'a',
    });
  },
  'a Job makes a pod that it owns': async (t) => {
    await t.rest.post(t.path('batch/v1/jobs'), changed(job('a'), { 'spec.suspend': false }));
    const pod = await one(t, 'pods');
    has(pod, {
      'metadata.labels.job-name': 'a',
      'metadata.labels.batch\\.kubernetes\\.io/job-name': 'a',
      'metadata.ownerReferences.0.kind': 'Job',
      'spec.restartPolicy': 'Never',
    });
    const now = await t.until('the status', async () => {
      const shown = await t.rest.get(t.path('batch/v1/jobs/a'));
      return at(shown, 'status.active') === 1 ? shown : undefined;
    });
    assert.match(textAt(now, 'status.startTime'), /^\d{4}-/);
  },
  'a suspended Job says so': async (t) => {
    await t.rest.post(t.path('batch/v1/jobs'), job('a'));
    const condition = await t.until('the condition', async () => {
      const shown = await t.rest.get(t.path('batch/v1/jobs/a'));
      return ((at(shown, 'status.conditions') ?? []) as readonly Doc[])[0];
    });
    has(condition, { type: 'Suspended', status: 'True', reason: 'JobSuspended' });
  },
  'a claim and a volume that fit are bound': async (t) => {
    const name = `${t.namespace}-pv`;
    await t.rest.post('/api/v1/persistentvolumes', {
      metadata: { name },
      spec: {
        capacity: { storage: '2Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: '/x' },
        storageClassName: t.namespace,
        persistentVolumeReclaimPolicy: 'Retain',
      },
    });
    const wanted = claim('a', { storageClassName: t.namespace });
    await t.rest.post(t.path('persistentvolumeclaims'), wanted);
    const bound = await t.until('the claim to be bound', async () => {
      const now = await t.rest.get(t.path('persistentvolumeclaims/a'));
      return at(now, 'status.phase') === 'Bound' ? now : undefined;
    });
    has(bound, {
      'spec.volumeName': name,
      'status.capacity.storage': '2Gi',
      'metadata.annotations.pv\\.kubernetes\\.io/bind-completed': 'yes',
    });
    const volume = await t.rest.get(`/api/v1/persistentvolumes/${name}`);
    has(volume, { 'status.phase': 'Bound', 'spec.claimRef.name': 'a' });
    await t.rest.delete(t.path('persistentvolumeclaims/a'));
    const released = await t.until('the volume to be released', async () => {
      const now = await t.rest.get(`/api/v1/persistentvolumes/${name}`);
      return at(now, 'status.phase') === 'Released' ? now : undefined;
    });
    has(released, { 'spec.claimRef.name': 'a' });
    await t.rest.delete(`/api/v1/persistentvolumes/${name}`);
  },
  'claims and volumes are protected while they are used': async (t) => {
    await t.rest.post(t.path('persistentvolumeclaims'), claim('a', { storageClassName: 'none' }));
    await t.until('the finalizer', async () => {
      const now = await t.rest.get(t.path('persistentvolumeclaims/a'));
      const finalizers = (at(now, 'metadata.finalizers') ?? []) as readonly string[];
      return finalizers.includes('kubernetes.io/pvc-protection') ? true : undefined;
    });
    await t.rest.delete(t.path('persistentvolumeclaims/a'));
    await t.until('the claim to be gone', async () =>
      (await t.rest.send('GET', t.path('persistentvolumeclaims/a'))).status === 404
        ? true
        : undefined,
    );
  },
  'a CronJob that never runs makes nothing and says nothing': async (t) => {
    await t.rest.post(t.path('batch/v1/cronjobs'), {
      metadata: { name: 'a' },
      spec: { schedule: '0 0 29 2 *', suspend: true, jobTemplate: { spec: at(job('a'), 'spec') } },
    });
    assert.deepEqual(namesOf(await t.rest.get(t.path('batch/v1/jobs'))), []);
  },
  'a quota bounds the pods that have not ended': async (t) => {
    const account = t.path('serviceaccounts/default');
    await t.until('an account for pods', async () =>
      (await t.rest.send('GET', account)).status === 200 ? true : undefined,
    );
    const path = t.path('resourcequotas/few');
    const inForce = (pods: string) =>
      t.until(`a quota of ${pods} to be in force`, async () =>
        at(await t.rest.get(path), 'status.hard.pods') === pods ? true : undefined,
      );
    const hard = { pods: '1', 'count/pods': '3' };
    await t.rest.post(t.path('resourcequotas'), { metadata: { name: 'few' }, spec: { hard } });
    await inForce('1');
    await t.rest.post(t.path('pods'), pod('a'));
    const second = await t.rest.send('POST', t.path('pods'), pod('b'));
    refused(second, 403, 'Forbidden', /exceeded quota: few/);
    t.recorded('one too many', second.body);
    const tried = await t.rest.send('POST', `${t.path('pods')}?dryRun=All`, pod('b'));
    refused(tried, 403, 'Forbidden', /exceeded quota: few/);
    await t.rest.patch(t.path('pods/a/status'), { status: { phase: 'Succeeded' } });
    await t.until('the pod that has ended to be counted no more', async () => {
      const answer = await t.rest.send('POST', t.path('pods'), pod('b'));
      return answer.status === 201 ? true : undefined;
    });
    await t.rest.patch(path, { spec: { hard: { pods: '0' } } });
    await inForce('0');
    refused(await t.rest.send('POST', t.path('pods'), pod('c')), 403, 'Forbidden');
    await t.until('what is used to be told', async () => {
      const used = at(await t.rest.get(path), 'status.used');
      return at(used, 'pods') === '1' && at(used, 'count/pods') === '2' ? true : undefined;
    });
    await t.rest.delete(path);
    await t.until('pods to be free', async () => {
      const answer = await t.rest.send('POST', t.path('pods'), pod('c'));
      return answer.status === 201 ? true : undefined;
    });
  },
});
