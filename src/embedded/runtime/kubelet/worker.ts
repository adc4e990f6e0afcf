/** Brings one pod's processes to what its object asks for, one look at a time. */
import { TransshipError, asTransshipError } from '../../../base/errors.ts';
import type { EventDraft } from '../../../kube/api.ts';
import type { ObjectKey } from '../../../kube/objects.ts';
import {
  type ConfigMap,
  type Secret,
  type Service,
  configMaps,
  secrets,
  services,
} from '../../../kube/resources.ts';
import type { Container } from '../../../kube/pod-spec.ts';
import { isDeleted, mergeChange, timeMs } from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import type { Attempt, RuntimePorts } from '../ports.ts';
import type { NodeFacts } from '../upkeep/nodes.ts';
import { isFinished } from '../workload/pods.ts';
import { type Env, argvOf, environmentOf } from './environment.ts';
import { type ContainerFacts, type PodFacts, planPod } from './plan.ts';
import { type PodState, attemptOf, newPodState, observe } from './pod-state.ts';
import { Prober, runAction } from './prober.ts';
import { statusOf } from './status.ts';
import { Stopper } from './stopper.ts';
import { isRenewed, mountsOf, prepareVolumes, releaseVolumes } from './volumes.ts';

/** After something that kept a container from starting. */
const retryMs = 2_000;
/** Files of ConfigMaps, Secrets and tokens follow their sources this often. */
const renewMs = 60_000;
const graceDefaultSeconds = 30;
/** For a pod that is gone from the API: nobody waits for it. */
const orphanGraceMs = 0;
const hookTimeMs = 30_000;

export interface WorkerHost {
  readonly ports: RuntimePorts;
  readonly node: NodeFacts;
  /** Look at the pod again. */
  again(key: ObjectKey): void;
}

export interface Look {
  readonly againAfterMs?: number;
}

export class PodWorker {
  readonly state: PodState;
  readonly #host: WorkerHost;
  readonly #stopper: Stopper;

  constructor(host: WorkerHost, uid: string, key: ObjectKey) {
    this.#host = host;
    this.state = newPodState(uid, key);
    this.#stopper = new Stopper(host.ports.client.connection.clock, host.ports.processes);
  }

  close(): void {
    this.#stopper.close();
    for (const { prober } of this.state.probers.values()) prober.stop();
    this.state.probers.clear();
  }

  async sync(pod: Pod): Promise<Look> {
    if (this.state.isRemounting) return { againAfterMs: retryMs };
    if (isDeleted(pod)) return this.#terminate(pod);
    const facts = this.#observe(pod);
    if (isFinished(pod)) return this.#afterEnd(facts);
    const nowMs = this.#nowMs();
    const plan = planPod(facts, nowMs);
    for (const { name, why } of plan.stop) this.#stop(pod, facts, name, why);
    const isLate = await this.#startAll(pod, facts, plan.start);
    const after = this.#observe(pod);
    await this.#report(after);
    const waits = [plan.againAfterMs, isLate ? retryMs : undefined, this.#untilRenewal(pod)];
    const soonest = Math.min(...waits.filter((ms): ms is number => ms !== undefined));
    return Number.isFinite(soonest) ? { againAfterMs: soonest } : {};
  }

  /** The pod is no longer in the API. True when nothing of it is left. */
  async end(): Promise<boolean> {
    const { processes } = this.#host.ports;
    let isRunning = false;
    for (const [name, number] of processes.attempts(this.state.uid)) {
      const attempt = attemptOf(this.state, name, number);
      if (processes.look(attempt).state !== 'running') continue;
      isRunning = true;
      this.#stopper.stop(attempt, orphanGraceMs, undefined);
    }
    if (isRunning) return false;
    this.close();
    await this.#release();
    await processes.remove(this.state.uid);
    return true;
  }

  #nowMs(): number {
    return this.#host.ports.client.connection.clock.wallMs();
  }

  /** What runs, with probes running for it. */
  #observe(pod: Pod): PodFacts {
    const facts = observe(this.#host.ports.processes, this.state, pod);
    for (const one of [...facts.init, ...facts.main]) {
      const { name } = one.spec;
      const entry = this.state.probers.get(name);
      const isWanted = one.state.state === 'running' && !isDeleted(pod);
      if (entry !== undefined && (!isWanted || entry.number !== one.attempt)) {
        entry.prober.stop();
        this.state.probers.delete(name);
      }
      if (one.state.state === 'exited') {
        this.#stopper.forget(attemptOf(this.state, name, one.attempt));
      }
      if (isWanted && !this.state.probers.has(name)) this.#probe(pod, one);
    }
    return facts;
  }

  #probe(pod: Pod, { spec, attempt: number }: ContainerFacts): void {
    const { startupProbe, readinessProbe, livenessProbe } = spec;
    if ((startupProbe ?? readinessProbe ?? livenessProbe) === undefined) return;
    const { ports } = this.#host;
    const { clock } = ports.client.connection;
    const attempt = attemptOf(this.state, spec.name, number);
    const env = () => this.#environment(pod, spec);
    const target = { pod, container: spec, attempt, env };
    const prober = new Prober({ ...ports, clock }, target, (event) => {
      if (event !== undefined) this.#event(pod, 'Warning', 'Unhealthy', event.message);
      else this.#host.again(this.state.key);
    });
    this.state.probers.set(spec.name, { number, prober });
  }

  async #startAll(pod: Pod, facts: PodFacts, names: readonly string[]): Promise<boolean> {
    const nowMs = this.#nowMs();
    const isRenewal = this.#untilRenewal(pod) === 0 && this.state.volumes !== undefined;
    if (names.length === 0 && !isRenewal) return false;
    if (!(await this.#prepare(pod))) return true;
    let isLate = false;
    for (const name of names) {
      const problem = this.state.problems.get(name);
      if (problem !== undefined && problem.untilMs > nowMs) {
        isLate = true;
        continue;
      }
      const one = [...facts.init, ...facts.main].find((fact) => fact.spec.name === name);
      if (one !== undefined && !(await this.#start(pod, one))) isLate = true;
    }
    return isLate;
  }

  async #prepare(pod: Pod): Promise<boolean> {
    const nowMs = this.#nowMs();
    const { state } = this;
    const isFresh = state.volumes !== undefined && this.#untilRenewal(pod) !== 0;
    if (isFresh) return true;
    if (state.volumeProblem !== undefined && state.volumeProblem.untilMs > nowMs) return false;
    try {
      state.volumes = await prepareVolumes(
        { ...this.#host.ports, client: this.#host.ports.client, node: this.#host.node },
        pod,
      );
      state.volumesAtMs = nowMs;
      state.volumeProblem = undefined;
      return true;
    } catch (error) {
      const { message } = asTransshipError(error);
      state.volumeProblem = { reason: 'FailedMount', message, untilMs: nowMs + retryMs };
      this.#event(pod, 'Warning', 'FailedMount', message);
      return false;
    }
  }

  /** Undefined for pods whose volumes stay as they are. */
  #untilRenewal(pod: Pod): number | undefined {
    if (this.state.volumes === undefined || !isRenewed(pod)) return undefined;
    return Math.max(0, this.state.volumesAtMs + renewMs - this.#nowMs());
  }

  /** False when it could not be started; the reason is in `problems`. */
  async #start(pod: Pod, { spec, attempt: last }: ContainerFacts): Promise<boolean> {
    const { processes } = this.#host.ports;
    const { state } = this;
    const attempt = attemptOf(state, spec.name, last + 1);
    let reason = 'CreateContainerConfigError';
    try {
      const env = await this.#environment(pod, spec);
      const volumes = mountsOf(spec, state.volumes ?? new Map(), this.#host.ports.files);
      const argv = argvOf(spec, env);
      reason = 'CreateContainerError';
      const own = spec.securityContext ?? {};
      const all = pod.spec.securityContext ?? {};
      await processes.start(attempt, {
        argv,
        env: { ...env, ...volumes.env },
        workingDirectory: spec.workingDir,
        user: own.runAsUser ?? all.runAsUser,
        group: own.runAsGroup ?? all.runAsGroup,
        mounts: volumes.mounts,
      });
    } catch (error) {
      const { message } = asTransshipError(error);
      state.problems.set(spec.name, { reason, message, untilMs: this.#nowMs() + retryMs });
      this.#event(pod, 'Warning', 'Failed', `Error: ${message}`);
      return false;
    }
    state.problems.delete(spec.name);
    this.#event(pod, 'Normal', 'Started', `Started container ${spec.name}`);
    processes.forgetBefore(attemptOf(state, spec.name, last));
    this.#afterStart(pod, spec, attempt);
    return true;
  }

  #afterStart(pod: Pod, container: Container, attempt: Attempt): void {
    const hook = container.lifecycle?.postStart;
    if (hook === undefined) return;
    void this.#runHook(pod, container, attempt, hook).catch((error: unknown) => {
      const message = `PostStartHook failed: ${asTransshipError(error).message}`;
      this.#event(pod, 'Warning', 'FailedPostStartHook', message);
      this.state.hookFailures.set(`${container.name}/${attempt.number}`, message);
      this.#host.again(this.state.key);
    });
  }

  async #runHook(
    pod: Pod,
    container: Container,
    attempt: Attempt,
    hook: NonNullable<NonNullable<Container['lifecycle']>['preStop']>,
  ): Promise<void> {
    const { ports } = this.#host;
    const env = () => this.#environment(pod, container);
    const target = { pod, container, attempt, env };
    await runAction({ ...ports, clock: ports.client.connection.clock }, target, hook, hookTimeMs);
  }

  async #environment(pod: Pod, container: Container): Promise<Env> {
    const { client, baseEnv, apiServer } = this.#host.ports;
    const { namespace = '' } = pod.metadata;
    const found = { configmap: new Map<string, ConfigMap>(), secret: new Map<string, Secret>() };
    for (const { kind, name } of referencesOf(container)) {
      const key = { namespace, name };
      if (kind === 'configmap') {
        const one = await client.get(configMaps, key);
        if (one !== undefined) found.configmap.set(name, one);
      } else {
        const one = await client.get(secrets, key);
        if (one !== undefined) found.secret.set(name, one);
      }
    }
    const all: Service[] = [];
    for await (const service of client.list(services, { namespace })) all.push(service);
    return environmentOf(pod, container, {
      base: baseEnv,
      apiServer,
      services: all,
      configMap: (name) => found.configmap.get(name),
      secret: (name) => found.secret.get(name),
      node: this.#host.node,
    });
  }

  #stop(pod: Pod, facts: PodFacts, name: string, why: string): void {
    const one = [...facts.init, ...facts.main].find((fact) => fact.spec.name === name);
    if (one === undefined || one.state.state !== 'running') return;
    const attempt = attemptOf(this.state, name, one.attempt);
    if (this.#stopper.isStopping(attempt)) return;
    this.#event(pod, 'Normal', 'Killing', why);
    this.#stopper.stop(attempt, graceMsOf(pod, undefined), this.#preStop(pod, one.spec, attempt));
  }

  #preStop(pod: Pod, container: Container, attempt: Attempt): (() => Promise<void>) | undefined {
    const hook = container.lifecycle?.preStop;
    return hook === undefined ? undefined : () => this.#runHook(pod, container, attempt, hook);
  }

  /** The object waits until its processes have ended, then goes. */
  async #terminate(pod: Pod): Promise<Look> {
    const facts = this.#observe(pod);
    const running = [...facts.main, ...facts.init].filter((one) => one.state.state === 'running');
    const isLost = this.#host.ports.isUp?.() === false;
    const graceMs = isLost ? orphanGraceMs : graceMsOf(pod, this.#nowMs());
    const { init } = facts;
    for (const one of running) {
      // Sidecars serve the others to the end.
      const isLast = init.includes(one) && running.some((other) => !init.includes(other));
      if (isLast) continue;
      const attempt = attemptOf(this.state, one.spec.name, one.attempt);
      if (!this.#stopper.isStopping(attempt)) {
        this.#event(pod, 'Normal', 'Killing', `Stopping container ${one.spec.name}`);
      }
      const preStop = isLost ? undefined : this.#preStop(pod, one.spec, attempt);
      this.#stopper.stop(attempt, graceMs, preStop);
    }
    await this.#report(facts);
    if (running.length > 0) return {};
    await this.#release();
    const { client } = this.#host.ports;
    const { uid = '' } = pod.metadata;
    await client.delete(pods, this.state.key, { uid, graceSeconds: 0 });
    return {};
  }

  /** A finished pod keeps its logs, and nothing else. */
  async #afterEnd(facts: PodFacts): Promise<Look> {
    for (const one of [...facts.init, ...facts.main]) {
      if (one.state.state !== 'running') continue;
      this.#stopper.stop(
        attemptOf(this.state, one.spec.name, one.attempt),
        orphanGraceMs,
        undefined,
      );
      return { againAfterMs: retryMs };
    }
    await this.#release();
    return {};
  }

  async #release(): Promise<void> {
    if (this.state.isReleased) return;
    const { processes, files, volumes } = this.#host.ports;
    await releaseVolumes({ files, volumes }, this.state.uid, () => processes.pods());
    this.state.isReleased = true;
  }

  async #report(facts: PodFacts): Promise<void> {
    const { client } = this.#host.ports;
    const { pod } = facts;
    const isPrepared =
      this.state.volumes !== undefined || facts.main.some((one) => one.attempt >= 0);
    const known = { ...pod, status: this.state.reported ?? pod.status ?? {} };
    const nowMs = this.#nowMs();
    const inputs = {
      facts: { ...facts, pod: known },
      plan: planPod({ ...facts, pod: known }, nowMs),
      isPrepared,
      nowMs,
    };
    const status = JSON.parse(JSON.stringify(statusOf(inputs))) as Record<string, unknown>;
    const before = JSON.parse(JSON.stringify(known.status)) as Record<string, unknown>;
    const change: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(status)) {
      const part = mergeChange(before[name], value);
      if (part !== undefined) change[name] = part;
    }
    if (Object.keys(change).length === 0) return;
    const { uid } = pod.metadata;
    const said = { metadata: { uid }, status: change };
    try {
      this.state.reported = (await client.patchStatus(pods, this.state.key, said)).status;
    } catch (error) {
      // It was deleted meanwhile: nobody wants to know any more, and its end is on its way to us.
      if (!(error instanceof TransshipError) || error.reason !== 'NotFound') throw error;
    }
  }

  #event(pod: Pod, type: EventDraft['type'], reason: string, note: string): void {
    this.#host.ports.events.record({ regarding: pod, type, reason, action: reason, note });
  }
}

interface Reference {
  readonly kind: 'configmap' | 'secret';
  readonly name: string;
}

function referencesOf(container: Container): readonly Reference[] {
  const found: Reference[] = [];
  const add = (kind: Reference['kind'], one: { readonly name?: string } | undefined) => {
    if (one?.name !== undefined) found.push({ kind, name: one.name });
  };
  for (const { configMapRef, secretRef } of container.envFrom ?? []) {
    add('configmap', configMapRef);
    add('secret', secretRef);
  }
  for (const { valueFrom } of container.env ?? []) {
    add('configmap', valueFrom?.configMapKeyRef);
    add('secret', valueFrom?.secretKeyRef);
  }
  return found;
}

/** What the deletion leaves of its time, or what the pod's spec gives. */
function graceMsOf(pod: Pod, nowMs: number | undefined): number {
  const { deletionGracePeriodSeconds, deletionTimestamp } = pod.metadata;
  const { terminationGracePeriodSeconds = graceDefaultSeconds } = pod.spec;
  if (nowMs === undefined || deletionTimestamp === undefined) {
    return terminationGracePeriodSeconds * 1000;
  }
  const whole = (deletionGracePeriodSeconds ?? terminationGracePeriodSeconds) * 1000;
  const left = timeMs(deletionTimestamp) - nowMs;
  return Math.max(0, Number.isNaN(left) ? whole : Math.min(whole, left));
}
