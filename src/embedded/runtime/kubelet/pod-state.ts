/** What is remembered of one pod between looks; all of it can be found out again. */
import type { ObjectKey } from '../../../kube/objects.ts';
import type { Container } from '../../../kube/pod-spec.ts';
import type { Pod } from '../kinds/pods.ts';
import type { Attempt, AttemptState, Processes } from '../ports.ts';
import { type ContainerFacts, type PodFacts, backoffForgetMs } from './plan.ts';
import type { Prober } from './prober.ts';
import type { PreparedVolumes } from './volumes.ts';

export interface Problem {
  readonly reason: string;
  readonly message: string;
  /** Not tried again before this. */
  readonly untilMs: number;
}

export interface PodState {
  readonly uid: string;
  readonly key: ObjectKey;
  /** As last reported: the cache may be older. */
  reported: Pod['status'];
  volumes: PreparedVolumes | undefined;
  volumesAtMs: number;
  volumeProblem: Problem | undefined;
  readonly problems: Map<string, Problem>;
  readonly probers: Map<string, { readonly number: number; readonly prober: Prober }>;
  readonly hookFailures: Map<string, string>;
  readonly backoffBase: Map<string, number>;
  /** Engine volumes and mounts were let go. */
  isReleased: boolean;
  /** Its engine volumes are being taken away and given anew: nothing is started meanwhile. */
  isRemounting: boolean;
}

export function newPodState(uid: string, key: ObjectKey): PodState {
  return {
    uid,
    key,
    reported: undefined,
    volumes: undefined,
    volumesAtMs: 0,
    volumeProblem: undefined,
    problems: new Map(),
    probers: new Map(),
    hookFailures: new Map(),
    backoffBase: new Map(),
    isReleased: false,
    isRemounting: false,
  };
}

export function attemptOf(state: PodState, container: string, number: number): Attempt {
  return { pod: state.uid, container, number };
}

export function observe(processes: Processes, state: PodState, pod: Pod): PodFacts {
  const numbers = processes.attempts(state.uid);
  const look = (container: Container): ContainerFacts => {
    const { name } = container;
    const attempt = numbers.get(name) ?? -1;
    const at = (number: number): AttemptState =>
      number < 0 ? { state: 'none' } : processes.look(attemptOf(state, name, number));
    const now = at(attempt);
    rememberBackoff(state, name, attempt, now);
    const entry = state.probers.get(name);
    const probed = entry?.number === attempt ? entry.prober.results : undefined;
    const { startupProbe, readinessProbe } = container;
    return {
      spec: container,
      attempt,
      state: now,
      previous: at(attempt - 1),
      isStarted: probed?.isStarted ?? startupProbe === undefined,
      isReady: probed?.isReady ?? (startupProbe === undefined && readinessProbe === undefined),
      mustEnd: probed?.mustEnd ?? state.hookFailures.get(`${name}/${attempt}`),
      problem: state.problems.get(name),
      backoffBase: state.backoffBase.get(name) ?? 0,
    };
  };
  return {
    pod,
    init: (pod.spec.initContainers ?? []).map(look),
    main: pod.spec.containers.map(look),
  };
}

/**
 * A container that ran for long starts over with short waits, and so does one that was there
 * before us: it may have ended with the machine.
 */
function rememberBackoff(state: PodState, name: string, attempt: number, now: AttemptState): void {
  if (!state.backoffBase.has(name)) state.backoffBase.set(name, Math.max(0, attempt));
  if (now.state !== 'exited' || now.finishedMs - now.startedMs < backoffForgetMs) return;
  state.backoffBase.set(name, attempt);
}
