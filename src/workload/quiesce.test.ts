import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/objects.ts';
import type { Placed } from './managers.ts';
import { groupOf, nameText, versionOf } from './names.ts';
import { planQuiesce, type QuiesceView, writersLeft } from './quiesce.ts';
import { isStopped, joinRecords, restoreOf, stopPatch, type UndoRecord } from './undo.ts';

interface Parts {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly name?: string;
  readonly owner?: Placed;
  readonly meta?: object;
  readonly spec?: object;
  readonly status?: object;
}

function placed({ apiVersion = 'v1', kind, name = 'a', owner, ...parts }: Parts): Placed {
  const ownerReferences =
    owner === undefined
      ? []
      : [
          {
            apiVersion: owner.object.apiVersion,
            kind: owner.object.kind,
            name: owner.object.metadata.name ?? '',
            uid: owner.object.metadata.uid ?? '',
            controller: true,
          },
        ];
  const object: KubeObject & { spec?: object; status?: object } = {
    apiVersion,
    kind,
    metadata: { namespace: 'shop', name, uid: `${kind}-${name}`, ownerReferences, ...parts.meta },
    ...(parts.spec === undefined ? {} : { spec: parts.spec }),
    ...(parts.status === undefined ? {} : { status: parts.status }),
  };
  const group = groupOf(apiVersion);
  const plural = `${kind.toLowerCase()}s`;
  const type = { group, version: versionOf(apiVersion), plural, kind, namespaced: true };
  return { type, object };
}

const template = { spec: { containers: [{ name: 'c', image: 'x' }] } };

function deployment(meta: object = {}): Placed {
  const spec = { replicas: 3, template };
  return placed({ apiVersion: 'apps/v1', kind: 'Deployment', meta, spec });
}

const view = (workloads: readonly Placed[], managers: readonly Placed[] = []): QuiesceView => ({
  workloads,
  managers,
  scalable: new Set(['apps/Deployment', 'argoproj.io/Rollout']),
});

const told = (records: readonly UndoRecord[]): readonly string[] =>
  records.map(({ action, name }) => `${action} ${nameText(name)}`);

test('GitOps and autoscalers that would undo a stop are paused first', () => {
  const web = deployment({
    annotations: { 'argocd.argoproj.io/tracking-id': 'gitops_front:apps/Deployment:shop/a' },
    labels: {
      'kustomize.toolkit.fluxcd.io/name': 'apps',
      'kustomize.toolkit.fluxcd.io/namespace': 'flux-system',
    },
  });
  const automated = { prune: true, selfHeal: true };
  const application = placed({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    name: 'front',
    meta: { namespace: 'gitops' },
    spec: { syncPolicy: { automated } },
  });
  const kustomization = placed({
    apiVersion: 'kustomize.toolkit.fluxcd.io/v1',
    kind: 'Kustomization',
    name: 'apps',
    meta: { namespace: 'flux-system' },
    spec: {},
  });
  const scaleTargetRef = { name: 'a' };
  const scaled = placed({
    apiVersion: 'keda.sh/v1alpha1',
    kind: 'ScaledObject',
    spec: { scaleTargetRef },
  });
  const plan = planQuiesce(view([web], [application, kustomization, scaled]), {});
  assert.deepEqual(plan.blockers, []);
  assert.deepEqual(told(plan.records), [
    'PauseManager ScaledObject shop/a',
    'PauseManager Application gitops/front',
    'PauseManager Kustomization flux-system/apps',
    'ScaleDown Deployment shop/a',
  ]);
  const record = plan.records[1]!;
  assert.deepEqual(stopPatch(record), { spec: { syncPolicy: { automated: null } } });
  const paused = { ...application.object, spec: { syncPolicy: {} } };
  assert(isStopped(record, paused));
  assert.deepEqual(restoreOf(record, paused).patch, { spec: { syncPolicy: { automated } } });
});

test('a manager that cannot be reached, or is itself managed, stands in the way', () => {
  const annotations = { 'argocd.argoproj.io/tracking-id': 'front:apps/Deployment:shop/a' };
  const away = planQuiesce(view([deployment({ annotations })]), {});
  assert.match(away.blockers[0]?.message ?? '', /Application front, which is not in this cluster/);
  const owner = placed({ apiVersion: 'argoproj.io/v1alpha1', kind: 'ApplicationSet', name: 'all' });
  const application = placed({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Application',
    name: 'front',
    owner,
    spec: { syncPolicy: { automated: {} } },
  });
  const nested = planQuiesce(view([deployment({ annotations })], [application]), {});
  assert.match(nested.blockers[0]?.message ?? '', /ApplicationSet all.*may undo its pause/);
});

test('the highest of a chain that can be stopped is; jobs that a CronJob has begun as well', () => {
  const rollout = placed({
    apiVersion: 'argoproj.io/v1alpha1',
    kind: 'Rollout',
    spec: { replicas: 2, template },
  });
  const set = placed({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    owner: rollout,
    spec: { replicas: 2, template },
  });
  const pod = placed({ kind: 'Pod', owner: set, spec: template.spec });
  const cron = placed({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    spec: { jobTemplate: { spec: { template } } },
  });
  const job = placed({ apiVersion: 'batch/v1', kind: 'Job', owner: cron, spec: { template } });
  const { records, blockers } = planQuiesce(view([pod, set, rollout, job, cron]), {});
  assert.deepEqual(blockers, []);
  assert.deepEqual(told(records), [
    'Suspend CronJob shop/a',
    'ScaleDown Rollout shop/a',
    'Suspend Job shop/a',
  ]);
});

test('a set that deletes claims as it is scaled down keeps them through the stop', () => {
  const retention = { whenScaled: 'Delete', whenDeleted: 'Retain' };
  const spec = { replicas: 3, template, persistentVolumeClaimRetentionPolicy: retention };
  const set = placed({ apiVersion: 'apps/v1', kind: 'StatefulSet', spec });
  const [record] = planQuiesce(view([set]), {}).records;
  const kept = { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Retain' } };
  assert.deepEqual(stopPatch(record!), { spec: { replicas: 0, ...kept } });
  const stopped = {
    ...spec,
    replicas: 0,
    persistentVolumeClaimRetentionPolicy: { ...retention, whenScaled: 'Retain' },
  };
  const back = restoreOf(record!, { ...set.object, spec: stopped } as KubeObject);
  const again = { persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete' } };
  assert.deepEqual(back, { patch: { spec: { replicas: 3, ...again } }, changedByOthers: [] });
});

test('what does not run is not stopped, and so is not started later', () => {
  const off = placed({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    spec: { replicas: 0, template },
  });
  const suspended = placed({
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    spec: { suspend: true, jobTemplate: { spec: { template } } },
  });
  const done = placed({
    apiVersion: 'batch/v1',
    kind: 'Job',
    name: 'done',
    spec: { template },
    status: { conditions: [{ type: 'Complete', status: 'True' }] },
  });
  assert.deepEqual(planQuiesce(view([off, suspended, done]), {}).records, []);
});

test('operators with a switch stop their pods; pods of others cannot be stopped', () => {
  const cluster = placed({ apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', spec: {} });
  const pod = placed({ kind: 'Pod', owner: cluster, spec: template.spec });
  const known = planQuiesce(view([pod, cluster]), {});
  assert.deepEqual(told(known.records), ['Suspend Cluster shop/a']);
  const other = placed({ apiVersion: 'acme.example.com/v1', kind: 'Thing' });
  const unknown = planQuiesce(
    view([placed({ kind: 'Pod', owner: other, spec: template.spec }), other]),
    {},
  );
  assert.deepEqual(unknown.records, []);
  assert.match(unknown.blockers[0]?.message ?? '', /how to stop it is not known/);
  const unread = planQuiesce(
    view([placed({ kind: 'Pod', owner: other, spec: template.spec })]),
    {},
  );
  assert(
    unread.blockers.some(({ message }) => /Thing a, which made it, cannot be read/.test(message)),
  );
});

test('what was seen first is what is put back, whatever is seen later', () => {
  const { records } = planQuiesce(view([deployment()]), {});
  const later = deployment();
  const spec = { replicas: 9, template };
  const again = planQuiesce(
    view([{ ...later, object: { ...later.object, spec } as KubeObject }]),
    {},
  );
  const joined = joinRecords(records, again.records);
  assert.equal(joined.length, 1);
  assert.equal(joined[0]?.fields[0]?.before, 3);
});

const claims = new Set(['shop/data']);
const volumes = new Map([['pv-1', 'shop/data']]);

function podWith(status: object, claim: object = {}): KubeObject {
  const source = { claimName: 'data', ...claim };
  const spec = { nodeName: 'n1', volumes: [{ name: 'v', persistentVolumeClaim: source }] };
  return placed({ kind: 'Pod', spec, status }).object;
}

test('a writer is gone only when it surely is', () => {
  const left = (pod: KubeObject): number => writersLeft([pod], [], { claims, volumes }).length;
  assert.equal(left(podWith({ phase: 'Running' })), 1);
  assert.equal(left(podWith({ phase: 'Pending' })), 1);
  assert.equal(left(podWith({ phase: 'Unknown' })), 1);
  assert.equal(left(podWith({ phase: 'Failed', reason: 'NodeLost' })), 1);
  const running = [{ name: 'c', state: { running: {} } }];
  assert.equal(left(podWith({ phase: 'Failed', containerStatuses: running })), 1);
  assert.equal(left(podWith({ phase: 'Succeeded' })), 0);
  assert.equal(left(podWith({ phase: 'Running' }, { readOnly: true })), 0);
  const ending = podWith({ phase: 'Running' });
  const metadata = { ...ending.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
  assert.equal(left({ ...ending, metadata }), 1);
});

test('an attached volume can be written to, unless our own pod holds it there', () => {
  const attachment = placed({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    spec: { nodeName: 'n1', source: { persistentVolumeName: 'pv-1' } },
    status: { attached: true },
  }).object;
  assert.equal(writersLeft([], [attachment], { claims, volumes }).length, 1);
  const mover = podWith({ phase: 'Running' });
  const isOurs = (pod: KubeObject): boolean => pod === mover;
  assert.deepEqual(writersLeft([mover], [attachment], { claims, volumes, isOurs }), []);
});
