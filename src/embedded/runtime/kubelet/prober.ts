/** Runs the probes of one attempt of one container (Kubernetes documentation, "Probes"). */
import type { Clock, Timer } from '../../../base/ports.ts';
import type { Container, Probe, ProbeAction } from '../../../kube/pod-spec.ts';
import type { Pod } from '../kinds/pods.ts';
import { namedPort } from '../network/endpoints.ts';
import type { Attempt, Probes, Processes } from '../ports.ts';
import { podAddress } from './fields.ts';

export interface ProbePorts {
  readonly clock: Clock;
  readonly processes: Processes;
  readonly probes: Probes;
}

export interface ProbeTarget {
  readonly pod: Pod;
  readonly container: Container;
  readonly attempt: Attempt;
  /** Of the container, for commands. */
  env(): Promise<Readonly<Record<string, string>>>;
}

/** Rejects with why it failed. */
export async function runAction(
  ports: ProbePorts,
  { pod, attempt, env }: ProbeTarget,
  action: ProbeAction,
  timeoutMs: number,
): Promise<void> {
  const { exec, httpGet, tcpSocket, sleep } = action;
  if (exec !== undefined) {
    const options = { env: await env(), timeoutMs };
    const result = await ports.processes.exec(attempt, exec.command ?? [], options);
    if (result.exitCode !== 0)
      throw new Error(result.output.trim() || `exit code ${result.exitCode}`);
  } else if (httpGet !== undefined) {
    const { path = '/', host = podAddress, scheme = 'HTTP', httpHeaders: headers = [] } = httpGet;
    const port = portOf(pod, httpGet.port);
    const slash = path.startsWith('/') ? path : `/${path}`;
    const url = `${scheme.toLowerCase()}://${host}:${port}${slash}`;
    const status = await ports.probes.httpGet({ url, headers, timeoutMs });
    if (status < 200 || status >= 400)
      throw new Error(`HTTP probe failed with statuscode: ${status}`);
  } else if (tcpSocket !== undefined) {
    const { host = podAddress } = tcpSocket;
    await ports.probes.tcp(host, portOf(pod, tcpSocket.port), timeoutMs);
  } else if (sleep !== undefined) {
    await new Promise<void>((resolve) => void ports.clock.after(sleep.seconds * 1000, resolve));
  }
}

function portOf(pod: Pod, port: number | string): number {
  const number = typeof port === 'number' ? port : namedPort(pod, port);
  if (number === undefined) throw new Error(`there is no port ${port}`);
  return number;
}

export interface ProbeResults {
  readonly isStarted: boolean;
  readonly isReady: boolean;
  /** Why the container is to be ended. */
  readonly mustEnd: string | undefined;
}

type Kind = 'startup' | 'readiness' | 'liveness';

interface Running {
  readonly kind: Kind;
  readonly probe: Probe;
  timer: Timer | undefined;
  successes: number;
  failures: number;
}

/** Startup first; when it has succeeded, readiness and liveness. */
export class Prober {
  readonly #ports: ProbePorts;
  readonly #target: ProbeTarget;
  readonly #changed: (event: { readonly kind: Kind; readonly message: string } | undefined) => void;
  readonly #running: Running[] = [];
  #results: ProbeResults;
  #isStopped = false;

  constructor(
    ports: ProbePorts,
    target: ProbeTarget,
    changed: (event: { readonly kind: Kind; readonly message: string } | undefined) => void,
  ) {
    this.#ports = ports;
    this.#target = target;
    this.#changed = changed;
    const { startupProbe, readinessProbe } = target.container;
    const isStarted = startupProbe === undefined;
    this.#results = {
      isStarted,
      isReady: isStarted && readinessProbe === undefined,
      mustEnd: undefined,
    };
    if (startupProbe === undefined) this.#startOthers();
    else this.#begin('startup', startupProbe);
  }

  get results(): ProbeResults {
    return this.#results;
  }

  stop(): void {
    this.#isStopped = true;
    for (const one of this.#running) one.timer?.cancel();
  }

  #startOthers(): void {
    const { readinessProbe, livenessProbe } = this.#target.container;
    if (readinessProbe !== undefined) this.#begin('readiness', readinessProbe);
    if (livenessProbe !== undefined) this.#begin('liveness', livenessProbe);
  }

  #begin(kind: Kind, probe: Probe): void {
    const one: Running = { kind, probe, timer: undefined, successes: 0, failures: 0 };
    this.#running.push(one);
    this.#arm(one, (probe.initialDelaySeconds ?? 0) * 1000);
  }

  #arm(one: Running, ms: number): void {
    if (this.#isStopped) return;
    one.timer = this.#ports.clock.after(ms, () => void this.#run(one));
  }

  async #run(one: Running): Promise<void> {
    const { timeoutSeconds = 1, periodSeconds = 10 } = one.probe;
    let problem: string | undefined;
    try {
      await runAction(this.#ports, this.#target, one.probe, timeoutSeconds * 1000);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    if (this.#isStopped) return;
    const isDone = problem === undefined ? this.#succeeded(one) : this.#failed(one, problem);
    if (!isDone) this.#arm(one, periodSeconds * 1000);
  }

  /** True when this probe has nothing more to do. */
  #succeeded(one: Running): boolean {
    one.failures = 0;
    one.successes += 1;
    if (one.successes < (one.probe.successThreshold ?? 1)) return false;
    if (one.kind === 'readiness') this.#set({ isReady: true });
    if (one.kind !== 'startup') return false;
    const isReady = this.#target.container.readinessProbe === undefined;
    this.#set({ isStarted: true, isReady });
    this.#startOthers();
    return true;
  }

  #failed(one: Running, problem: string): boolean {
    one.successes = 0;
    one.failures += 1;
    const label = { startup: 'Startup', readiness: 'Readiness', liveness: 'Liveness' }[one.kind];
    this.#changed({ kind: one.kind, message: `${label} probe failed: ${problem}` });
    if (one.failures < (one.probe.failureThreshold ?? 3)) return false;
    if (one.kind === 'readiness') {
      this.#set({ isReady: false });
      return false;
    }
    const { name } = this.#target.container;
    this.#set({ mustEnd: `Container ${name} failed ${one.kind} probe, will be restarted` });
    return true;
  }

  #set(change: Partial<ProbeResults>): void {
    const next = { ...this.#results, ...change };
    const isSame =
      next.isReady === this.#results.isReady &&
      next.isStarted === this.#results.isStarted &&
      next.mustEnd === this.#results.mustEnd;
    this.#results = next;
    if (!isSame) this.#changed(undefined);
  }
}
