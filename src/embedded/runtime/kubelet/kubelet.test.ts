import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Container, PodSpec } from '../../../kube/pod-spec.ts';
import type { Pod } from '../kinds/pods.ts';
import type { AttemptState } from '../ports.ts';
import { type EnvInputs, argvOf, environmentOf, expand } from './environment.ts';
import { resourceText } from './fields.ts';
import { type ContainerFacts, type PodFacts, backoffMs, planPod } from './plan.ts';
import { statusOf } from './status.ts';

const nowMs = Date.UTC(2026, 0, 1);
const running: AttemptState = { state: 'running', startedMs: nowMs - 1000 };
const none: AttemptState = { state: 'none' };
const exited = (exitCode: number, agoMs = 0): AttemptState => ({
  state: 'exited',
  exitCode,
  startedMs: nowMs - agoMs - 1000,
  finishedMs: nowMs - agoMs,
});

function podOf(spec: Partial<PodSpec> = {}): Pod {
  const metadata = { name: 'p', namespace: 'default', uid: 'u' };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [], ...spec } };
}

function fact(
  name: string,
  state: AttemptState,
  more: Partial<ContainerFacts> = {},
): ContainerFacts {
  const rest = { mustEnd: undefined, problem: undefined, backoffBase: 0 };
  const attempt = state.state === 'none' ? -1 : 0;
  return {
    spec: { name },
    attempt,
    state,
    previous: none,
    isStarted: true,
    isReady: true,
    ...rest,
    ...more,
  };
}

const sidecar = (state: AttemptState, more: Partial<ContainerFacts> = {}) =>
  fact('side', state, { spec: { name: 'side', restartPolicy: 'Always' }, ...more });

function facts(
  spec: Partial<PodSpec>,
  main: ContainerFacts[],
  init: ContainerFacts[] = [],
): PodFacts {
  return { pod: podOf(spec), main, init };
}

suite('what a pod needs next', () => {
  const cases: Readonly<Record<string, readonly [PodFacts, readonly string[], string]>> = {
    'all containers at first': [
      facts({}, [fact('a', none), fact('b', none)]),
      ['a', 'b'],
      'Pending',
    ],
    'init containers before them': [
      facts({}, [fact('a', none)], [fact('i', none), fact('j', none)]),
      ['i'],
      'Pending',
    ],
    'one init container after the other': [
      facts({}, [fact('a', none)], [fact('i', exited(0)), fact('j', none)]),
      ['j'],
      'Pending',
    ],
    'a failed init container again': [
      facts({}, [fact('a', none)], [fact('i', exited(1))]),
      ['i'],
      'Pending',
    ],
    'nothing when init failed for good': [
      facts({ restartPolicy: 'Never' }, [fact('a', none)], [fact('i', exited(1))]),
      [],
      'Failed',
    ],
    'the others once a sidecar has started': [
      facts({}, [fact('a', none)], [sidecar(running)]),
      ['a'],
      'Pending',
    ],
    'to wait for a sidecar': [
      facts({}, [fact('a', none)], [sidecar(running, { isStarted: false })]),
      [],
      'Pending',
    ],
    'an ended container again': [facts({}, [fact('a', exited(0))]), ['a'], 'Running'],
    'a failed one again, on failure': [
      facts({ restartPolicy: 'OnFailure' }, [fact('a', exited(1)), fact('b', exited(0))]),
      ['a'],
      'Running',
    ],
    'nothing after success': [
      facts({ restartPolicy: 'OnFailure' }, [fact('a', exited(0))]),
      [],
      'Succeeded',
    ],
    'nothing after failure': [
      facts({ restartPolicy: 'Never' }, [fact('a', exited(0)), fact('b', exited(2))]),
      [],
      'Failed',
    ],
  };
  for (const [title, [given, start, phase]] of Object.entries(cases)) {
    test(title, () => {
      const plan = planPod(given, nowMs);
      assert.deepEqual(plan.start, start);
      assert.equal(plan.phase, phase);
    });
  }

  test('waits longer before each restart, up to five minutes', () => {
    assert.deepEqual([0, 1, 2, 3, 50].map(backoffMs), [0, 10_000, 20_000, 40_000, 300_000]);
    const plan = planPod(facts({}, [fact('a', exited(1, 4_000), { attempt: 1 })]), nowMs);
    assert.deepEqual([plan.start, plan.againAfterMs], [[], 6_000]);
  });

  test('ends sidecars when the others have finished', () => {
    const plan = planPod(
      facts({ restartPolicy: 'Never' }, [fact('a', exited(0))], [sidecar(running)]),
      nowMs,
    );
    assert.deepEqual(
      plan.stop.map((one) => one.name),
      ['side'],
    );
    assert.equal(plan.phase, 'Running');
  });

  test('ends what a probe gave up, and everything at the deadline', () => {
    const sick = planPod(facts({}, [fact('a', running, { mustEnd: 'it is sick' })]), nowMs);
    assert.deepEqual(sick.stop, [{ name: 'a', why: 'it is sick' }]);
    const late = facts({ activeDeadlineSeconds: 5 }, [fact('a', running)]);
    const pod = { ...late.pod, status: { startTime: '2025-12-31T23:00:00Z' } };
    const plan = planPod({ ...late, pod }, nowMs);
    assert.deepEqual(
      [plan.phase, plan.reason, plan.stop.length],
      ['Failed', 'DeadlineExceeded', 1],
    );
    const early = { ...late.pod, status: { startTime: new Date(nowMs - 2000).toISOString() } };
    assert.equal(planPod({ ...late, pod: early }, nowMs).againAfterMs, 3000);
  });
});

suite('the status of a pod', () => {
  const of = (given: PodFacts) =>
    statusOf({ facts: given, plan: planPod(given, nowMs), isPrepared: true, nowMs }) as NonNullable<
      Pod['status']
    >;
  const conditionOf = (status: Pod['status'], type: string) =>
    status?.conditions?.find((one) => one.type === type);

  test('is ready when all its containers are', () => {
    const status = of(facts({}, [fact('a', running), fact('b', running, { isReady: false })]));
    assert.equal(conditionOf(status, 'Ready')?.status, 'False');
    assert.equal(conditionOf(status, 'Ready')?.message, 'containers with unready status: [b]');
    assert.equal(conditionOf(of(facts({}, [fact('a', running)])), 'Ready')?.status, 'True');
  });

  test('shows a crash loop with how it ended and when it goes on', () => {
    const status = of(facts({}, [fact('a', exited(3, 1_000), { attempt: 2 })]));
    const one = status.containerStatuses?.[0];
    assert.equal(one?.state.waiting?.reason, 'CrashLoopBackOff');
    assert.match(
      one.state.waiting.message ?? '',
      /^back-off 20s restarting failed container=a pod=p_default\(u\)$/,
    );
    assert.equal(one.lastState.terminated?.exitCode, 3);
    assert.equal(one.restartCount, 2);
  });

  test('keeps times of conditions that stay', () => {
    const given = facts({}, [fact('a', running)]);
    const status = of(given);
    const pod = { ...given.pod, status };
    const later = {
      facts: { ...given, pod },
      plan: planPod(given, nowMs),
      isPrepared: true,
      nowMs: nowMs + 60_000,
    };
    assert.deepEqual(statusOf(later)['conditions'], status.conditions);
  });
});

suite('the environment of a container', () => {
  const container: Container = {
    name: 'main',
    envFrom: [
      { prefix: 'P_', configMapRef: { name: 'all' } },
      { secretRef: { name: 'none', optional: true } },
    ],
    env: [
      { name: 'A', value: 'one' },
      { name: 'B', value: '$(A)-$(P_x)-$(NOT)-$$(A)' },
      { name: 'S', valueFrom: { secretKeyRef: { name: 'keys', key: 'k' } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
    ],
    resources: { limits: { cpu: '1500m' } },
    command: ['run', '$(A)'],
    args: ['$(B)'],
  };
  const object = { apiVersion: 'v1', kind: 'x', metadata: {} };
  const inputs: EnvInputs = {
    base: { PATH: '/bin' },
    services: [
      {
        ...object,
        metadata: { name: 'my-db' },
        spec: { ports: [{ name: 'sql', port: 80, targetPort: 5432 }] },
      },
    ],
    apiServer: { host: '127.0.0.1', port: 6443 },
    configMap: (name) => (name === 'all' ? { ...object, data: { x: 'y' } } : undefined),
    secret: (name) => (name === 'keys' ? { ...object, data: { k: 'c2VjcmV0' } } : undefined),
    node: { cpus: 2, memoryBytes: 2 ** 30 },
  };
  const pod = podOf({ containers: [container] });

  test('comes from everywhere it may', () => {
    const env = environmentOf(pod, container, inputs);
    assert.equal(env['B'], 'one-y-$(NOT)-$(A)');
    assert.deepEqual([env['S'], env['CPU'], env['HOSTNAME']], ['secret', '1500', 'p']);
    assert.deepEqual([env['MY_DB_SERVICE_HOST'], env['MY_DB_SERVICE_PORT']], ['127.0.0.1', '5432']);
    assert.deepEqual(argvOf(container, env), ['run', 'one', 'one-y-$(NOT)-$(A)']);
  });

  test('is an error where a source is missing', () => {
    const withEnv = (one: NonNullable<Container['env']>[number]) => () =>
      environmentOf(pod, { name: 'main', env: [one] }, inputs);
    const of = (name: string, key: string) => ({
      name: 'X',
      valueFrom: { configMapKeyRef: { name, key } },
    });
    assert.throws(withEnv(of('gone', 'x')), /configmap "gone" not found/);
    assert.throws(withEnv(of('all', 'z')), /couldn't find key z in configmap all/);
    assert.throws(() => argvOf({ name: 'x', image: 'nginx' }, {}), /give a command/);
  });

  test('expands once, and resources count in their divisor, rounded up', () => {
    assert.equal(expand('$(A)', { A: '$(A)' }), '$(A)');
    const reference = { resource: 'limits.memory', divisor: '1Mi' };
    const defaults = { container: 'main', node: inputs.node };
    assert.equal(resourceText([container], reference, defaults), '1024');
  });
});
