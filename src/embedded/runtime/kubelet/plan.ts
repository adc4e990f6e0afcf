/**
 * What a pod needs next, given what its containers do (Kubernetes documentation, "Pod Lifecycle",
 * "Init Containers", "Sidecar Containers"). Pure: `worker.ts` observes and acts.
 */
import type { Container } from '../../../kube/pod-spec.ts';
import { isDeleted, timeMs } from '../controller.ts';
import type { Pod } from '../kinds/pods.ts';
import type { AttemptState } from '../ports.ts';

export interface ContainerFacts {
  readonly spec: Container;
  /** The newest; -1 when it was never started. */
  readonly attempt: number;
  readonly state: AttemptState;
  /** How the attempt before ended. */
  readonly previous: AttemptState;
  /** Its startup probe succeeded, or it has none. */
  readonly isStarted: boolean;
  readonly isReady: boolean;
  /** Why a probe or a hook wants it ended. */
  readonly mustEnd: string | undefined;
  /** Why it could not be started. */
  readonly problem: { readonly reason: string; readonly message: string } | undefined;
  /** Attempts before this one count no more: they ran long enough. */
  readonly backoffBase: number;
}

export interface PodFacts {
  readonly pod: Pod;
  readonly init: readonly ContainerFacts[];
  readonly main: readonly ContainerFacts[];
}

export interface Plan {
  /** Names of containers to start. */
  readonly start: readonly string[];
  readonly stop: readonly { readonly name: string; readonly why: string }[];
  readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed';
  readonly reason?: string;
  readonly message?: string;
  readonly isInitialized: boolean;
  readonly againAfterMs?: number;
}

export const backoffFirstMs = 10_000;
export const backoffMaxMs = 300_000;
/** A container that ran so long starts again at once. */
export const backoffForgetMs = 600_000;

/** When an ended container may be started again. The first restart is at once. */
export function restartAtMs({ state, attempt, backoffBase }: ContainerFacts): number {
  if (state.state !== 'exited') return 0;
  return state.finishedMs + backoffMs(attempt - backoffBase);
}

export function backoffMs(restarts: number): number {
  if (restarts <= 0) return 0;
  return Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(restarts - 1, 10));
}

export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** Does the policy want it started again after this end? */
export function restarts(pod: Pod, { spec, state }: ContainerFacts, isInit: boolean): boolean {
  if (state.state !== 'exited') return false;
  const { restartPolicy = 'Always' } = pod.spec;
  if (isInit) return isSidecar(spec) || (state.exitCode !== 0 && restartPolicy !== 'Never');
  return restartPolicy === 'Always' || (restartPolicy === 'OnFailure' && state.exitCode !== 0);
}

export function planPod(facts: PodFacts, nowMs: number): Plan {
  if (isDeleted(facts.pod)) return planOfDeleted(facts);
  const deadline = pastDeadline(facts, nowMs);
  if (deadline !== undefined) return deadline;
  const steps = new Steps(nowMs);
  // Nothing else may happen until then.
  steps.again(deadlineMs(facts));
  const isBegun = facts.main.some((one) => one.attempt >= 0);
  const init = initialize(facts, steps, isBegun);
  if (init === 'failed') {
    return { ...steps.plan('Failed', stopAll(facts)), isInitialized: false };
  }
  const isInitialized = init === 'done' || isBegun;
  if (isInitialized) for (const one of facts.main) advance(facts.pod, one, steps, false);
  return { ...conclude(facts, steps), isInitialized };
}

class Steps {
  readonly nowMs: number;
  readonly start: string[] = [];
  readonly stop: { name: string; why: string }[] = [];
  #againAfterMs: number | undefined;

  constructor(nowMs: number) {
    this.nowMs = nowMs;
  }

  again(atMs: number): void {
    if (!Number.isFinite(atMs)) return;
    const ms = Math.max(0, atMs - this.nowMs);
    this.#againAfterMs = Math.min(this.#againAfterMs ?? ms, ms);
  }

  plan(phase: Plan['phase'], more: Plan['stop'] = []): Omit<Plan, 'isInitialized'> {
    const again = this.#againAfterMs === undefined ? {} : { againAfterMs: this.#againAfterMs };
    return { start: this.start, stop: [...this.stop, ...more], phase, ...again };
  }
}

/** One after the other; a sidecar only has to have started. */
function initialize(
  facts: PodFacts,
  steps: Steps,
  isBegun: boolean,
): 'done' | 'waiting' | 'failed' {
  for (const one of facts.init) {
    if (isSidecar(one.spec)) {
      advance(facts.pod, one, steps, true);
      const isUp = one.state.state === 'running' && one.isStarted;
      if (!isUp && !isBegun) return 'waiting';
      continue;
    }
    if (isBegun) continue;
    if (one.state.state === 'exited' && one.state.exitCode === 0) continue;
    if (one.state.state === 'exited' && !restarts(facts.pod, one, true)) return 'failed';
    advance(facts.pod, one, steps, true);
    return 'waiting';
  }
  return 'done';
}

function advance(pod: Pod, one: ContainerFacts, steps: Steps, isInit: boolean): void {
  const { name } = one.spec;
  switch (one.state.state) {
    case 'none':
      steps.start.push(name);
      return;
    case 'running':
      if (one.mustEnd !== undefined) steps.stop.push({ name, why: one.mustEnd });
      return;
    case 'exited':
      if (!restarts(pod, one, isInit)) return;
      if (steps.nowMs >= restartAtMs(one)) steps.start.push(name);
      else steps.again(restartAtMs(one));
  }
}

function conclude(facts: PodFacts, steps: Steps): Omit<Plan, 'isInitialized'> {
  const { pod, main, init } = facts;
  const isOver = (one: ContainerFacts) =>
    one.state.state === 'exited' && !restarts(pod, one, false);
  if (main.length > 0 && main.every(isOver)) {
    const sidecars = init.filter((one) => isSidecar(one.spec) && one.state.state === 'running');
    const stops = sidecars.map(({ spec }) => ({ name: spec.name, why: 'the pod has finished' }));
    // Sidecars are not started again for a pod that has finished.
    steps.start.length = 0;
    if (stops.length > 0) return steps.plan('Running', stops);
    const isGood = main.every((one) => one.state.state === 'exited' && one.state.exitCode === 0);
    return steps.plan(isGood ? 'Succeeded' : 'Failed');
  }
  const isRunning = main.length > 0 && main.every((one) => one.attempt >= 0);
  return steps.plan(isRunning ? 'Running' : 'Pending');
}

function stopAll({ init, main }: PodFacts): Plan['stop'] {
  return [...init, ...main]
    .filter((one) => one.state.state === 'running')
    .map(({ spec }) => ({ name: spec.name, why: 'the pod has failed' }));
}

/** Nothing is started any more; ended containers are ended for good. */
function planOfDeleted({ pod, main }: PodFacts): Plan {
  const ends = main.map((one) => (one.state.state === 'exited' ? one.state.exitCode : undefined));
  const { phase = 'Pending' } = pod.status ?? {};
  const known = { start: [], stop: [], isInitialized: true };
  if (ends.includes(undefined)) return { ...known, phase: phase as Plan['phase'] };
  return { ...known, phase: ends.every((code) => code === 0) ? 'Succeeded' : 'Failed' };
}

/** `activeDeadlineSeconds` of the pod; infinite where it has none. */
function deadlineMs({ pod }: PodFacts): number {
  const startMs = timeMs(pod.status?.startTime);
  const seconds = pod.spec.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY;
  return Number.isNaN(startMs) ? Number.POSITIVE_INFINITY : startMs + seconds * 1000;
}

function pastDeadline(facts: PodFacts, nowMs: number): Plan | undefined {
  if (nowMs < deadlineMs(facts)) return undefined;
  const message = 'Pod was active on the node longer than the specified deadline';
  const stop = stopAll(facts);
  return {
    start: [],
    stop,
    phase: 'Failed',
    reason: 'DeadlineExceeded',
    message,
    isInitialized: true,
  };
}
