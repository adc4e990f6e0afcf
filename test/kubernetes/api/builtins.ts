/** Built-in kinds: what is filled in, what cannot be changed, what is refused, in which words. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { at, changed, type Doc, has, textAt } from '../document.ts';
import { refused } from '../rest.ts';
import { claim, configMap, deployment, job, pod } from './made.ts';

async function serviceAccount(t: CaseContext): Promise<void> {
  await t.until('the default service account', async () =>
    (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200 ? true : undefined,
  );
}

/** A dry run, so that no controller writes between. */
async function filled(t: CaseContext, kind: string, body: Doc): Promise<Doc> {
  const made = await t.rest.post(`${t.path(kind)}?dryRun=All`, body);
  return changed(made, { 'metadata.managedFields': undefined });
}

async function immutable(t: CaseContext, path: string, label: string, patch: Doc): Promise<void> {
  const type = 'application/merge-patch+json';
  const answer = await t.rest.send('PATCH', path, patch, { type });
  refused(answer, 422, 'Invalid');
  // The old and new values inside the words are printed as Go prints them.
  const causes = (at(answer.body, 'details.causes') ?? []) as readonly Doc[];
  t.recorded(
    label,
    causes.map((one) => `${one['field']}: ${one['reason']}`),
  );
}

async function invalid(t: CaseContext, kind: string, label: string, body: Doc): Promise<void> {
  const answer = await t.rest.send('POST', t.path(kind), body);
  refused(answer, 422, 'Invalid');
  t.recorded(label, answer.body);
}

const statefulSet: Doc = changed(deployment('a'), {
  kind: 'StatefulSet',
  'spec.serviceName': 'a',
  'spec.volumeClaimTemplates': [
    {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    },
  ],
});
const daemonSet: Doc = changed(deployment('a'), { kind: 'DaemonSet', 'spec.replicas': undefined });
const cronJob: Doc = {
  apiVersion: 'batch/v1',
  kind: 'CronJob',
  metadata: { name: 'a' },
  spec: { schedule: '*/5 * * * *', jobTemplate: { spec: at(job('a'), 'spec') } },
};
const service = (spec: Doc): Doc => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'a' },
  spec,
});

export const builtInCases = cases('built-ins', {
  'defaults of a Deployment': async (t) => {
    t.recorded('object', await filled(t, 'apps/v1/deployments', deployment('a', 1)));
    const bare = changed(deployment('b'), { 'spec.replicas': undefined });
    has(await filled(t, 'apps/v1/deployments', bare), { 'spec.replicas': 1 });
  },
  'defaults of a StatefulSet': async (t) => {
    t.recorded('object', await filled(t, 'apps/v1/statefulsets', statefulSet));
  },
  'defaults of a DaemonSet': async (t) => {
    t.recorded('object', await filled(t, 'apps/v1/daemonsets', daemonSet));
  },
  'defaults of a Job': async (t) => {
    const made = await filled(t, 'batch/v1/jobs', job('a'));
    has(made, { 'spec.completions': 1, 'spec.parallelism': 1, 'spec.backoffLimit': 6 });
    has(made, { 'spec.completionMode': 'NonIndexed', 'spec.suspend': true });
    t.recorded('object', made);
  },
  'defaults of a CronJob': async (t) => {
    t.recorded('object', await filled(t, 'batch/v1/cronjobs', cronJob));
  },
  'defaults of a Pod': async (t) => {
    await serviceAccount(t);
    const body = changed(pod('a'), {
      'spec.automountServiceAccountToken': false,
      'spec.containers.0.ports': [{ containerPort: 80 }],
      'spec.containers.0.livenessProbe': { httpGet: { port: 80 } },
      'spec.containers.0.env': [
        { name: 'A', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      ],
      'spec.volumes': [
        { name: 'c', configMap: { name: 'c' } },
        { name: 's', secret: { secretName: 's' } },
        { name: 'e', emptyDir: {} },
        { name: 'h', hostPath: { path: '/h' } },
      ],
    });
    t.recorded('object', await filled(t, 'pods', body));
  },
  'image tags decide when an image is pulled': async (t) => {
    const policy = async (image: string): Promise<unknown> => {
      const body = changed(deployment('a'), { 'spec.template.spec.containers.0.image': image });
      const made = await filled(t, 'apps/v1/deployments', body);
      return at(made, 'spec.template.spec.containers.0.imagePullPolicy');
    };
    assert.equal(await policy('image'), 'Always');
    assert.equal(await policy('image:latest'), 'Always');
    assert.equal(await policy('registry:5000/image:1'), 'IfNotPresent');
    assert.equal(await policy('registry:5000/image'), 'Always');
  },
  'a pod gets a token volume and a service account': async (t) => {
    await serviceAccount(t);
    const made = await filled(t, 'pods', pod('a'));
    has(made, { 'spec.serviceAccountName': 'default', 'spec.serviceAccount': 'default' });
    has(made, { 'status.phase': 'Pending', 'status.qosClass': 'BestEffort' });
    assert.match(textAt(made, 'spec.volumes.0.name'), /^kube-api-access-/);
  },
  'the class of a pod follows its resources': async (t) => {
    await serviceAccount(t);
    const qos = async (resources: Doc): Promise<unknown> => {
      const body = changed(pod('a'), { 'spec.containers.0.resources': resources });
      return at(await filled(t, 'pods', body), 'status.qosClass');
    };
    assert.equal(await qos({ requests: { cpu: '1' } }), 'Burstable');
    assert.equal(await qos({ limits: { cpu: '1', memory: '1Gi' } }), 'Guaranteed');
    assert.equal(await qos({}), 'BestEffort');
  },
  'defaults of a Service': async (t) => {
    const ports = [{ port: 80 }];
    const made = await filled(t, 'services', service({ selector: { a: 'b' }, ports }));
    assert.match(textAt(made, 'spec.clusterIP'), /^\d+\.\d+\.\d+\.\d+$/);
    const clusterIP = at(made, 'spec.clusterIP');
    has(made, { 'spec.clusterIPs': [clusterIP] });
    t.recorded('object', changed(made, { 'spec.clusterIP': 'IP', 'spec.clusterIPs': ['IP'] }));
    const headless = service({ clusterIP: 'None', ports, selector: { a: 'b' } });
    t.recorded('headless', await filled(t, 'services', headless));
    const external = service({ type: 'ExternalName', externalName: 'example.com' });
    t.recorded('external', await filled(t, 'services', external));
  },
  'defaults of claims and volumes': async (t) => {
    const made = await filled(t, 'persistentvolumeclaims', claim('a', { storageClassName: 'x' }));
    t.recorded('claim', made);
    const volume = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `${t.namespace}-pv` },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        hostPath: { path: '/x' },
      },
    };
    const stored = await t.rest.post('/api/v1/persistentvolumes?dryRun=All', volume);
    t.recorded('volume', changed(stored, { 'metadata.managedFields': undefined }));
  },
  'defaults of a StorageClass': async (t) => {
    const path = '/apis/storage.k8s.io/v1/storageclasses?dryRun=All';
    const body = { metadata: { name: `${t.namespace}-class` }, provisioner: 'example.com/p' };
    const made = await t.rest.post(path, body);
    t.recorded('object', changed(made, { 'metadata.managedFields': undefined }));
  },
  'a VolumeAttributesClass says what it asks for, once': async (t) => {
    const path = '/apis/storage.k8s.io/v1/volumeattributesclasses';
    const metadata = { name: `${t.namespace}-fast` };
    const good = { metadata, driverName: 'example.com', parameters: { iops: '100' } };
    for (const [label, body] of Object.entries({
      'without parameters': { metadata, driverName: 'example.com' },
      'without driver': { metadata, parameters: { iops: '100' } },
    })) {
      const answer = await t.rest.send('POST', path, body);
      refused(answer, 422, 'Invalid');
      t.recorded(label, answer.body);
    }
    const made = await t.rest.post(path, good);
    // That one in use stays until nobody uses it is a controller's work, and not embedded.
    const plain = { 'metadata.managedFields': undefined, 'metadata.finalizers': undefined };
    t.recorded('object', changed(made, plain));
    const own = `${path}/${metadata.name}`;
    for (const [label, change] of Object.entries({
      'other parameters': { parameters: { iops: '200' } },
      'another driver': { driverName: 'example.org' },
    })) {
      const answer = await t.rest.send('PUT', own, { ...made, ...change });
      refused(answer, 422, 'Invalid');
      t.recorded(label, answer.body);
    }
    await t.rest.delete(own);
  },
  'defaults of roles and bindings': async (t) => {
    const kind = 'rbac.authorization.k8s.io/v1/rolebindings';
    const made = await filled(t, kind, {
      metadata: { name: 'a' },
      roleRef: { kind: 'Role', name: 'r', apiGroup: 'rbac.authorization.k8s.io' },
      subjects: [
        { kind: 'User', name: 'u' },
        { kind: 'ServiceAccount', name: 's', namespace: 'n' },
      ],
    });
    t.recorded('binding', made);
  },
  'quantities keep what they mean': async (t) => {
    const resources = { requests: { storage: '1024Mi' } };
    const made = await filled(t, 'persistentvolumeclaims', claim('a', { resources }));
    has(made, { 'spec.resources.requests.storage': '1Gi' });
    const body = changed(deployment('a'), {
      'spec.template.spec.containers.0.resources': {
        requests: { cpu: '1000m', memory: '1500M' },
        limits: { cpu: 2, memory: '2048Mi' },
      },
    });
    const shown = await filled(t, 'apps/v1/deployments', body);
    t.recorded('resources', at(shown, 'spec.template.spec.containers.0.resources'));
  },
  'what cannot be changed: selector, claim, job, service, statefulset': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const labels = { app: 'a', z: 'y' };
    const patch = {
      spec: { selector: { matchLabels: labels }, template: { metadata: { labels } } },
    };
    await immutable(t, t.path('apps/v1/deployments/a'), 'selector', patch);
    await t.rest.post(t.path('persistentvolumeclaims'), claim('a', { storageClassName: 'none' }));
    const mode = { spec: { volumeMode: 'Block' } };
    await immutable(t, t.path('persistentvolumeclaims/a'), 'claim', mode);
    await t.rest.post(t.path('batch/v1/jobs'), job('a'));
    await immutable(t, t.path('batch/v1/jobs/a'), 'job', { spec: { completions: 7 } });
    await t.rest.post(t.path('services'), service({ ports: [{ port: 80 }] }));
    const ip = { spec: { clusterIP: '10.99.99.99', clusterIPs: ['10.99.99.99'] } };
    await immutable(t, t.path('services/a'), 'service', ip);
    await t.rest.post(t.path('apps/v1/statefulsets'), changed(statefulSet, { 'spec.replicas': 0 }));
    const name = { spec: { serviceName: 'b' } };
    await immutable(t, t.path('apps/v1/statefulsets/a'), 'statefulset', name);
  },
  'an immutable ConfigMap stays as it is': async (t) => {
    await t.rest.post(t.path('configmaps'), { ...configMap('a'), immutable: true });
    const type = 'application/merge-patch+json';
    const patch = { data: { a: '2' } };
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), patch, { type });
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'the type of a Secret cannot change': async (t) => {
    await t.rest.post(t.path('secrets'), { metadata: { name: 'a' }, data: {} });
    await immutable(t, t.path('secrets/a'), 'type', { type: 'example.com/other' });
  },
  'fields of a pod that cannot change': async (t) => {
    await serviceAccount(t);
    await t.rest.post(t.path('pods'), pod('a'));
    await immutable(t, t.path('pods/a'), 'env', { spec: { restartPolicy: 'Never' } });
    const containers = [{ name: 'main', image: 'image:2' }];
    const now = await t.rest.patch(t.path('pods/a'), { spec: { containers } }, 'strategic');
    has(now, { 'spec.containers.0.image': 'image:2' });
  },
  'a Deployment whose selector does not fit its template': async (t) => {
    const body = changed(deployment('a'), { 'spec.template.metadata.labels': { app: 'other' } });
    await invalid(t, 'apps/v1/deployments', 'labels', body);
    const empty = changed(deployment('a'), { 'spec.selector': undefined });
    const answer = await t.rest.send('POST', t.path('apps/v1/deployments'), empty);
    refused(answer, 422, 'Invalid');
    const causes = (at(answer.body, 'details.causes') ?? []) as readonly Doc[];
    t.recorded(
      'selector',
      causes.map((one) => `${one['field']}: ${one['reason']}`),
    );
  },
  'pods without containers, names, images; with bad names': async (t) => {
    await serviceAccount(t);
    const change = (label: string, changes: Doc): Promise<void> =>
      invalid(t, 'pods', label, changed(pod('a'), changes));
    await change('no containers', { 'spec.containers': [] });
    await change('no name', { 'spec.containers.0.name': undefined });
    await change('no image', { 'spec.containers.0.image': undefined });
    await change('bad policy', { 'spec.restartPolicy': 'Sometimes' });
    await change('bad mount', {
      'spec.containers.0.volumeMounts': [{ name: 'none', mountPath: '/x' }],
    });
    await change('two with one name', {
      'spec.containers.1': { name: 'main', image: 'x' },
    });
    await change('bad port', { 'spec.containers.0.ports': [{ containerPort: 99999 }] });
  },
  'claims that are none': async (t) => {
    const kind = 'persistentvolumeclaims';
    await invalid(t, kind, 'no modes', claim('a', { accessModes: [] }));
    await invalid(t, kind, 'no size', claim('a', { resources: {} }));
    await invalid(t, kind, 'bad mode', claim('a', { accessModes: ['Sometimes'] }));
    const zero = claim('a', { resources: { requests: { storage: '0' } } });
    await invalid(t, kind, 'zero size', zero);
    const odd = claim('a', { resources: { requests: { storage: 'large' } } });
    const answer = await t.rest.send('POST', t.path(kind), odd);
    assert.equal(answer.status, 400);
    assert.match(textAt(answer.body, 'message'), /quantities must match the regular expression/);
  },
  'a claim may grow only where its class allows it': async (t) => {
    await t.rest.post(t.path('persistentvolumeclaims'), claim('a', { storageClassName: 'none' }));
    const type = 'application/merge-patch+json';
    const patch = { spec: { resources: { requests: { storage: '2Gi' } } } };
    const path = t.path('persistentvolumeclaims/a');
    const answer = await t.rest.send('PATCH', path, patch, { type });
    assert.ok(answer.status === 403 || answer.status === 422, answer.text);
    t.recorded('status', answer.status);
  },
  'services that are none': async (t) => {
    await invalid(t, 'services', 'no ports', service({ selector: { a: 'b' } }));
    await invalid(t, 'services', 'bad port', service({ ports: [{ port: 0 }] }));
    const two = service({ ports: [{ port: 80 }, { port: 81 }] });
    await invalid(t, 'services', 'unnamed ports', two);
  },
  'jobs that are none': async (t) => {
    const path = 'spec.template.spec.restartPolicy';
    await invalid(t, 'batch/v1/jobs', 'policy', changed(job('a'), { [path]: 'Always' }));
    const body = changed(cronJob, { 'spec.schedule': 'now and then' });
    const answer = await t.rest.send('POST', t.path('batch/v1/cronjobs'), body);
    refused(answer, 422, 'Invalid', /spec\.schedule: Invalid value: "now and then"/);
  },
  'keys of config maps and secrets are checked': async (t) => {
    await invalid(t, 'configmaps', 'key', configMap('a', { 'not a key': '1' }));
    const body = { metadata: { name: 'a' }, data: { word: 'not base64!' } };
    const answer = await t.rest.send('POST', t.path('secrets'), body);
    assert.equal(answer.status, 400);
    assert.match(textAt(answer.body, 'message'), /illegal base64 data at input byte/);
  },
  'scale of Deployments and StatefulSets': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const path = t.path('apps/v1/deployments/a/scale');
    const shown = await t.rest.get(path);
    has(shown, { kind: 'Scale', apiVersion: 'autoscaling/v1', 'status.selector': 'app=a' });
    await t.rest.patch(path, { spec: { replicas: 0 } });
    const free = changed(shown, { 'metadata.resourceVersion': undefined });
    await t.rest.put(path, changed(free, { 'spec.replicas': 0 }));
    const answer = await t.rest.send('PUT', path, changed(free, { 'spec.replicas': -1 }));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'leases keep what they are given, with microseconds': async (t) => {
    const kind = 'coordination.k8s.io/v1/leases';
    const spec = {
      holderIdentity: 'me',
      leaseDurationSeconds: 15,
      renewTime: '2026-01-02T03:04:05.678901Z',
    };
    const made = await t.rest.post(t.path(kind), { metadata: { name: 'a' }, spec });
    has(made, { spec });
    const bad = { metadata: { name: 'b' }, spec: { leaseDurationSeconds: -1 } };
    await invalid(t, kind, 'duration', bad);
  },
  'times are kept in UTC, to the second or the microsecond': async (t) => {
    const made = await t.rest.post(t.path('events'), {
      metadata: { name: 'a.1', namespace: t.namespace },
      involvedObject: { kind: 'ConfigMap', name: 'a', namespace: t.namespace },
      firstTimestamp: '2026-01-02T03:04:05.678Z',
      lastTimestamp: '2026-01-02T03:04:05+02:00',
      eventTime: '2026-01-02T03:04:05.678900+02:00',
      reportingComponent: 'example.com/c',
      reportingInstance: 'c-1',
      action: 'Doing',
      reason: 'Done',
      type: 'Normal',
    });
    has(made, {
      firstTimestamp: '2026-01-02T03:04:05Z',
      lastTimestamp: '2026-01-02T01:04:05Z',
      eventTime: '2026-01-02T01:04:05.678900Z',
    });
    const odd = await t.rest.send('POST', t.path('events'), {
      metadata: { name: 'b' },
      firstTimestamp: 'yesterday',
    });
    refused(odd, 400, 'BadRequest', /cannot parse "yesterday" as "2006"/);
    const short = { metadata: { name: 'c' }, eventTime: '2026-01-02T03:04:05.6Z' };
    const answer = await t.rest.send('POST', t.path('events'), short);
    refused(answer, 400, 'BadRequest', /cannot parse "\.6Z" as "\.000000"/);
  },
  'events of both groups are the same events': async (t) => {
    const regarding = { apiVersion: 'v1', kind: 'ConfigMap', name: 'a', namespace: t.namespace };
    await t.rest.post(t.path('events.k8s.io/v1/events'), {
      metadata: { name: 'a.1' },
      eventTime: '2026-01-02T03:04:05.678901Z',
      reportingController: 'example.com/c',
      reportingInstance: 'c-1',
      action: 'Doing',
      reason: 'Done',
      type: 'Normal',
      note: 'it is done',
      regarding,
    });
    const core = await t.rest.get(t.path('events/a.1'));
    has(core, {
      kind: 'Event',
      apiVersion: 'v1',
      reason: 'Done',
      message: 'it is done',
      involvedObject: regarding,
      reportingComponent: 'example.com/c',
    });
    const query = 'fieldSelector=involvedObject.name%3Da,reason%3DDone';
    const list = await t.rest.get(`${t.path('events')}?${query}`);
    has(list, { 'items.0.metadata.name': 'a.1' });
    const bad = await t.rest.send('POST', t.path('events.k8s.io/v1/events'), {
      metadata: { name: 'b' },
      regarding,
    });
    refused(bad, 422, 'Invalid', /eventTime: Required value/);
  },
});
