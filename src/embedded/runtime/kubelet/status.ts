/** The status of a pod, from what its containers do. */
import { formatSecond } from '../../../base/units.ts';
import type { ContainerState } from '../../../kube/pod-spec.ts';
import type { ContainerStatus, Pod, PodCondition } from '../kinds/pods.ts';
import type { AttemptState } from '../ports.ts';
import { podAddress } from './fields.ts';
import {
  type ContainerFacts,
  type Plan,
  type PodFacts,
  backoffMs,
  isSidecar,
  restartAtMs,
  restarts,
} from './plan.ts';

export interface StatusInputs {
  readonly facts: PodFacts;
  readonly plan: Plan;
  /** Volumes are there. */
  readonly isPrepared: boolean;
  readonly nowMs: number;
}

export function statusOf(inputs: StatusInputs): Record<string, unknown> {
  const { facts, plan, nowMs } = inputs;
  const { pod } = facts;
  const { startTime = formatSecond(nowMs) } = pod.status ?? {};
  const { init, main } = facts;
  return {
    phase: plan.phase,
    reason: plan.reason,
    message: plan.message,
    observedGeneration: pod.metadata.generation,
    hostIP: podAddress,
    podIP: podAddress,
    podIPs: [{ ip: podAddress }],
    startTime,
    conditions: conditionsOf(inputs),
    ...(init.length === 0
      ? {}
      : { initContainerStatuses: init.map((one) => containerStatus(inputs, one, true)) }),
    containerStatuses: main.map((one) => containerStatus(inputs, one, false)),
  };
}

function conditionsOf(inputs: StatusInputs): readonly PodCondition[] {
  const { facts, plan, isPrepared, nowMs } = inputs;
  const { pod, main, init } = facts;
  const isOver = plan.phase === 'Succeeded' || plan.phase === 'Failed';
  const sidecars = init.filter((one) => isSidecar(one.spec));
  const unready = [...main, ...sidecars].filter((one) => !isReady(one)).map((one) => one.spec.name);
  const why =
    plan.phase === 'Succeeded'
      ? 'PodCompleted'
      : plan.phase === 'Failed'
        ? 'PodFailed'
        : 'ContainersNotReady';
  const message = `containers with unready status: [${unready.join(' ')}]`;
  const isUp = unready.length === 0 && !isOver;
  const given = gates(pod);
  const ready = isUp
    ? given.length === 0
      ? words('True')
      : words(
          'False',
          'ReadinessGatesNotReady',
          `corresponding condition of pod readiness gate does not exist: ${given.join(', ')}`,
        )
    : words('False', why, isOver && plan.phase === 'Succeeded' ? undefined : message);
  const initialized = plan.isInitialized
    ? words('True', plan.phase === 'Succeeded' ? 'PodCompleted' : undefined)
    : words('False', 'ContainersNotInitialized', incomplete(init));
  const wanted: Readonly<Record<string, Words>> = {
    PodReadyToStartContainers: words(isPrepared && !isOver ? 'True' : 'False'),
    Initialized: initialized,
    Ready: ready,
    ContainersReady: isUp
      ? words('True')
      : words('False', why, plan.phase === 'Succeeded' ? undefined : message),
    PodScheduled: words('True'),
  };
  const before = pod.status?.conditions ?? [];
  const others = before.filter((one) => !(one.type in wanted));
  const ours = Object.entries(wanted).map(([type, now]): PodCondition => {
    const old = before.find((one) => one.type === type);
    const since = old?.status === now.status ? old.lastTransitionTime : undefined;
    return { type, ...now, lastTransitionTime: since ?? formatSecond(nowMs) };
  });
  return [...ours, ...others];
}

type Words = Omit<PodCondition, 'type' | 'lastTransitionTime'>;

function words(status: Words['status'], reason?: string, message?: string): Words {
  return {
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}

function gates(pod: Pod): readonly string[] {
  const met = (type: string) =>
    pod.status?.conditions?.some((one) => one.type === type && one.status === 'True') === true;
  return (pod.spec.readinessGates ?? [])
    .map((gate) => gate.conditionType)
    .filter((type) => !met(type));
}

function incomplete(init: readonly ContainerFacts[]): string {
  const left = init.filter((one) => one.state.state !== 'exited' || one.state.exitCode !== 0);
  return `containers with incomplete status: [${left.map((one) => one.spec.name).join(' ')}]`;
}

function isReady({ state, isReady: isProbed, isStarted }: ContainerFacts): boolean {
  return state.state === 'running' && isStarted && isProbed;
}

function containerStatus(
  inputs: StatusInputs,
  one: ContainerFacts,
  isInit: boolean,
): ContainerStatus {
  const { pod } = inputs.facts;
  const isDone = one.state.state === 'exited' && one.state.exitCode === 0;
  const { image = '', name } = one.spec;
  const id = one.attempt < 0 ? {} : { containerID: containerId(pod, one) };
  return {
    name,
    image,
    imageID: '',
    restartCount: Math.max(0, one.attempt),
    ready: isInit && !isSidecar(one.spec) ? isDone : isReady(one),
    started: one.state.state === 'running' && one.isStarted,
    ...id,
    ...statesOf(inputs, one, isInit),
  };
}

function containerId({ metadata }: Pod, { spec, attempt }: ContainerFacts): string {
  return `host-process://${metadata.uid}/${spec.name}/${attempt}`;
}

function statesOf(
  { facts: { pod }, plan, nowMs }: StatusInputs,
  one: ContainerFacts,
  isInit: boolean,
): { readonly state: ContainerState; readonly lastState: ContainerState } {
  const previous = ended(one.previous);
  switch (one.state.state) {
    case 'none': {
      if (one.problem !== undefined) return { state: { waiting: one.problem }, lastState: {} };
      const reason = plan.isInitialized || isInit ? 'ContainerCreating' : 'PodInitializing';
      return { state: { waiting: { reason } }, lastState: {} };
    }
    case 'running':
      return {
        state: { running: { startedAt: formatSecond(one.state.startedMs) } },
        lastState: previous,
      };
    case 'exited': {
      const here = ended(one.state);
      const isOver = plan.phase === 'Succeeded' || plan.phase === 'Failed';
      if (isOver || !restarts(pod, one, isInit)) return { state: here, lastState: previous };
      if (one.problem !== undefined) return { state: { waiting: one.problem }, lastState: here };
      if (nowMs >= restartAtMs(one)) return { state: here, lastState: previous };
      const seconds = backoffMs(one.attempt - one.backoffBase) / 1000;
      const message =
        `back-off ${seconds}s restarting failed container=${one.spec.name} ` +
        `pod=${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
      return { state: { waiting: { reason: 'CrashLoopBackOff', message } }, lastState: here };
    }
  }
}

function ended(state: AttemptState): ContainerState {
  if (state.state !== 'exited') return {};
  const { exitCode, startedMs, finishedMs } = state;
  const reason = exitCode === 0 ? 'Completed' : exitCode === 128 ? 'StartError' : 'Error';
  const [startedAt, finishedAt] = [formatSecond(startedMs), formatSecond(finishedMs)];
  return { terminated: { exitCode, reason, startedAt, finishedAt } };
}
