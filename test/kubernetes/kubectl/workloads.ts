/** Pods that run, as kubectl shows them. A command is what the host has: there are no images. */
import assert from 'node:assert/strict';
import { type Case, type CaseContext, cases } from '../case.ts';
import { at, changed, type Doc, has, listAt, textAt } from '../document.ts';
import { deployment, job } from '../api/made.ts';

const sleeps = ['sh', '-c', 'echo started; trap "exit 0" TERM; while :; do sleep 0.1; done'];

function running(name: string, command: readonly string[] = sleeps, replicas = 1): Doc {
  return changed(deployment(name, replicas), {
    'spec.template.spec.terminationGracePeriodSeconds': 5,
    'spec.template.spec.containers': [{ name: 'main', image: 'image:1', command }],
  });
}

function once(name: string, command: readonly string[], more: Doc = {}): Doc {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      restartPolicy: 'Never',
      containers: [{ name: 'main', image: 'image:1', command, ...more }],
    },
  };
}

async function ended(t: CaseContext, name: string): Promise<Doc> {
  return t.until(`${name} to end`, async () => {
    const pod = await t.rest.get(t.path(`pods/${name}`));
    const phase = String(at(pod, 'status.phase'));
    return ['Succeeded', 'Failed'].includes(phase) ? pod : undefined;
  });
}

const all = cases('workloads', {
  'a Deployment rolls out, and rollout status waits for it': async (t) => {
    await t.k('apply -f -', { stdin: JSON.stringify(running('web', sleeps, 2)) });
    const done = await t.k('rollout status deployment/web --timeout=30s');
    assert.match(done, /deployment "web" successfully rolled out\n$/);
    await t.k('wait --for=condition=Available deployment/web --timeout=20s');
    const pods = listAt(await t.rest.get(t.path('pods')), 'items');
    assert.deepEqual(
      pods.map((pod) => at(pod, 'status.phase')),
      ['Running', 'Running'],
    );
    assert.match(await t.k('get deployment web'), /web +2\/2 +2 +2 /);
    assert.match(await t.k('get pods -l app=web -o wide'), /1\/1 +Running +0 .* node-1 /);
  },
  'a changed template replaces pods one after another': async (t) => {
    await t.k('apply -f -', { stdin: JSON.stringify(running('web')) });
    await t.k('rollout status deployment/web --timeout=30s');
    await t.k('set env deployment/web GREETING=hello');
    await t.k('rollout status deployment/web --timeout=30s');
    const pods = listAt(await t.rest.get(t.path('pods')), 'items').filter(
      (pod) => at(pod, 'metadata.deletionTimestamp') === undefined,
    );
    assert.equal(pods.length, 1);
    has(pods[0], { 'spec.containers.0.env': [{ name: 'GREETING', value: 'hello' }] });
  },
  'scale up and down, to nothing': async (t) => {
    await t.k('apply -f -', { stdin: JSON.stringify(running('web')) });
    await t.k('scale deployment/web --replicas=3');
    await t.k('wait --for=jsonpath={.status.readyReplicas}=3 deployment/web --timeout=30s');
    await t.k('scale deployment/web --replicas=0');
    await t.until('the pods to go', async () =>
      listAt(await t.rest.get(t.path('pods')), 'items').length === 0 ? true : undefined,
    );
  },
  'logs: whole, the tail, followed to the end': async (t) => {
    const command = ['sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; done'];
    await t.rest.post(t.path('pods'), once('talk', command));
    assert.match(await t.k('wait --for=jsonpath={.status.phase}=Succeeded pod/talk'), /met/);
    assert.equal(await t.k('logs talk'), [1, 2, 3, 4, 5].map((i) => `line ${i}\n`).join(''));
    assert.equal(await t.k('logs talk --tail=2'), 'line 4\nline 5\n');
    assert.match(await t.k('logs talk --timestamps --tail=1'), /^\d{4}-\d\d-\d\dT\S+Z line 5\n$/);
    const slow = ['sh', '-c', 'echo one; sleep 0.5; echo two'];
    await t.rest.post(t.path('pods'), once('slow', slow));
    await t.until('slow to have begun', async () =>
      at(await t.rest.get(t.path('pods/slow')), 'status.containerStatuses.0.state.waiting') ===
        undefined &&
      at(await t.rest.get(t.path('pods/slow')), 'status.containerStatuses') !== undefined
        ? true
        : undefined,
    );
    assert.equal(await t.k('logs -f slow'), 'one\ntwo\n');
    const none = await t.kubectl(['logs', 'nope']);
    assert.match(none.stderr, /\(NotFound\): pods "nope" not found/);
  },
  'a pod ends with its exit code': async (t) => {
    await t.rest.post(t.path('pods'), once('bad', ['sh', '-c', 'exit 3']));
    const bad = await ended(t, 'bad');
    has(bad, {
      'status.phase': 'Failed',
      'status.containerStatuses.0.state.terminated.exitCode': 3,
      'status.containerStatuses.0.state.terminated.reason': 'Error',
    });
    await t.rest.post(t.path('pods'), once('good', ['true']));
    has(await ended(t, 'good'), {
      'status.phase': 'Succeeded',
      'status.containerStatuses.0.state.terminated.reason': 'Completed',
    });
    assert.match(await t.k('get pod good'), /good +0\/1 +Completed +0 /);
    assert.match(await t.k('get pod bad'), /bad +0\/1 +Error +0 /);
  },
  'a container that ends is started again': async (t) => {
    const body = once('again', ['sh', '-c', 'sleep 0.1; exit 1']);
    await t.rest.post(t.path('pods'), changed(body, { 'spec.restartPolicy': 'Always' }));
    await t.until('a restart', async () => {
      const pod = await t.rest.get(t.path('pods/again'));
      return Number(at(pod, 'status.containerStatuses.0.restartCount') ?? 0) > 0 ? pod : undefined;
    });
  },
  'environment of config maps, secrets and the pod itself': async (t) => {
    await t.rest.post(t.path('configmaps'), { metadata: { name: 'c' }, data: { a: 'from-map' } });
    await t.rest.post(t.path('secrets'), { metadata: { name: 's' }, stringData: { b: 'hidden' } });
    const env = [
      { name: 'A', valueFrom: { configMapKeyRef: { name: 'c', key: 'a' } } },
      { name: 'B', valueFrom: { secretKeyRef: { name: 's', key: 'b' } } },
      { name: 'N', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'J', value: '$(A)-$(N)' },
    ];
    await t.rest.post(t.path('pods'), once('env', ['sh', '-c', 'echo $A $B $N $J'], { env }));
    await ended(t, 'env');
    assert.equal(await t.k('logs env'), 'from-map hidden env from-map-env\n');
  },
  'a Job completes, and one that fails says so': async (t) => {
    const withCommand = (name: string, command: readonly string[]): Doc =>
      changed(job(name), {
        'spec.suspend': false,
        'spec.backoffLimit': 0,
        'spec.template.spec.containers.0.command': command,
      });
    await t.rest.post(t.path('batch/v1/jobs'), withCommand('good', ['true']));
    await t.k('wait --for=condition=complete job/good --timeout=30s');
    has(await t.rest.get(t.path('batch/v1/jobs/good')), { 'status.succeeded': 1 });
    await t.rest.post(t.path('batch/v1/jobs'), withCommand('bad', ['false']));
    await t.k('wait --for=condition=failed job/bad --timeout=30s');
    const bad = await t.rest.get(t.path('batch/v1/jobs/bad'));
    const failed = listAt(bad, 'status.conditions').find((one) => one['type'] === 'Failed');
    has(failed, { status: 'True', reason: 'BackoffLimitExceeded' });
  },
  'kubectl run, and delete ends the process in its grace': async (t) => {
    await t.k('run web --image=image:1 --restart=Never --command -- sleep 1000');
    await t.k('wait --for=condition=Ready pod/web --timeout=30s');
    const line = await t.k('delete pod web --grace-period=1');
    assert.match(line, /^pod "web" deleted/);
    assert.equal((await t.rest.send('GET', t.path('pods/web'))).status, 404);
  },
  'the node is there, ready, and described': async (t) => {
    assert.match(await t.k('get nodes'), /node-1 +Ready +.* v1\.36\.3/);
    assert.match(await t.k('describe node node-1'), /Ready +True/);
  },
  'pods outlive a killed control plane': {
    alone: true,
    run: async (t) => {
      await t.k('apply -f -', { stdin: JSON.stringify(running('web')) });
      await t.k('rollout status deployment/web --timeout=30s');
      const [before] = listAt(await t.rest.get(t.path('pods')), 'items');
      const startedAt = 'status.containerStatuses.0.state.running.startedAt';
      await t.restart();
      await t.k('rollout status deployment/web --timeout=30s');
      const [after, ...others] = listAt(await t.rest.get(t.path('pods')), 'items');
      assert.deepEqual(others, []);
      has(after, {
        'metadata.uid': at(before, 'metadata.uid'),
        [startedAt]: textAt(before, startedAt),
        'status.containerStatuses.0.restartCount': 0,
      });
    },
  },
});

export const workloadCases: readonly Case[] = all.map((one) => ({ ...one, onNode: true }));
