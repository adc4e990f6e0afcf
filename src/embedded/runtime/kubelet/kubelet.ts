/**
 * Runs the pods of this machine's nodes. Its memory can be lost at any moment: what runs is found
 * in the processes' directories, and what should run in the API.
 */
import { sleep } from '../../../base/sleep.ts';
import type { Outcome } from '../../../kube/api.ts';
import { type ObjectKey, keyOf, keyText, parseKey } from '../../../kube/objects.ts';
import { type Reconciler, createReconciler, watching } from '../../../kube/reconciler.ts';
import type { InformerPool } from '../informers.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import type { Attempt, Processes, RuntimePorts } from '../ports.ts';
import { remountAll } from './remount.ts';
import { releaseVolumes } from './volumes.ts';
import { PodWorker } from './worker.ts';

/** Pods looked at at once. */
const concurrency = 16;
const endAgainMs = 1_000;
/** When the cluster stops nobody waits half a minute for each pod. */
const stopGraceMs = 10_000;
const stopLookMs = 20;

export class Kubelet {
  readonly #ports: RuntimePorts;
  readonly #informers: InformerPool;
  readonly #workers = new Map<string, PodWorker>();
  readonly #reconciler: Reconciler;
  readonly #unsubscribe: () => void;

  constructor(ports: RuntimePorts, informers: InformerPool) {
    this.#ports = ports;
    this.#informers = informers;
    const { client, metrics, log, processes } = ports;
    this.#reconciler = createReconciler({
      name: ports.further === undefined ? 'kubelet' : `kubelet ${ports.nodes[0]?.name ?? ''}`,
      client,
      sources: [watching(informers.of(pods))],
      concurrency,
      backoff: { minMs: 50, maxMs: 10_000 },
      metrics,
      log,
      reconcile: (key) => this.#look(parseKey(key)),
    });
    const end = processes.onExit((uid) => {
      const worker = this.#workers.get(uid);
      if (worker !== undefined) this.#reconciler.add(keyText(worker.state.key));
    });
    const endReturns = ports.onReturn?.(() => {
      const states = [...this.#workers.values()].map(({ state }) => state);
      void remountAll(ports, states, (state) => this.#reconciler.add(keyText(state.key)));
    });
    this.#unsubscribe = () => {
      end();
      endReturns?.();
    };
  }

  /** Resolves when everything that ran before is known. */
  async start(): Promise<void> {
    const informer = this.#informers.of(pods);
    await informer.synced;
    const known = new Map([...informer.list()].map((pod) => [pod.metadata.uid ?? '', pod]));
    for (const uid of this.#ports.processes.pods()) {
      const pod = known.get(uid);
      // Left by a pod that is gone: it has no name any more.
      const key = pod === undefined ? { namespace: '', name: uid } : keyOf(pod);
      this.#worker(uid, key, pod);
      this.#reconciler.add(keyText(key));
    }
    await this.#reconciler.started;
  }

  get nodes(): RuntimePorts['nodes'] {
    return this.#ports.nodes;
  }

  get processes(): Processes {
    return this.#ports.processes;
  }

  /** With `endPods` nothing runs afterwards; without, what runs goes on. */
  async stop(options: { readonly endPods: boolean }): Promise<void> {
    this.#unsubscribe();
    await this.#reconciler.stop();
    for (const worker of this.#workers.values()) worker.close();
    if (options.endPods) await endAll(this.#ports);
  }

  async #look(key: ObjectKey): Promise<Outcome> {
    const pod = this.#informers.of(pods).get(key);
    const uid = pod?.metadata.uid;
    for (const [other, worker] of this.#workers) {
      if (other === uid || keyText(worker.state.key) !== keyText(key)) continue;
      if (!(await worker.end())) return { againAfterMs: endAgainMs };
      this.#workers.delete(other);
    }
    if (pod === undefined || uid === undefined) return {};
    const worker = this.#worker(uid, key, pod);
    return worker === undefined ? {} : worker.sync(pod);
  }

  /** Undefined for pods of other machines. */
  #worker(uid: string, key: ObjectKey, pod: Pod | undefined): PodWorker | undefined {
    const found = this.#workers.get(uid);
    if (found !== undefined) return found;
    const node = this.#ports.nodes.find((one) => one.name === pod?.spec.nodeName);
    const own = pod === undefined ? this.#ports.nodes[0] : node;
    if (own === undefined) return undefined;
    const host = {
      ports: this.#ports,
      node: own,
      again: (one: ObjectKey) => this.#reconciler.add(keyText(one)),
    };
    const worker = new PodWorker(host, uid, key);
    this.#workers.set(uid, worker);
    return worker;
  }
}

/** Ends every process, politely and then not, and lets volumes and mounts go. */
async function endAll({ processes, files, volumes, client, log }: RuntimePorts): Promise<void> {
  const { clock } = client.connection;
  const running = runningAttempts(processes);
  for (const attempt of running) processes.signal(attempt, 'SIGTERM');
  const killAtMs = clock.monotonicMs() + stopGraceMs;
  const giveUpAtMs = killAtMs + stopGraceMs;
  for (let left = running; left.length > 0; ) {
    left = left.filter((attempt) => processes.look(attempt).state === 'running');
    const nowMs = clock.monotonicMs();
    if (nowMs >= killAtMs) for (const attempt of left) processes.signal(attempt, 'SIGKILL');
    if (nowMs >= giveUpAtMs) {
      log.log('error', 'processes that cannot be ended', { count: left.length });
      return;
    }
    if (left.length > 0) await sleep(clock, stopLookMs);
  }
  for (const uid of processes.pods()) {
    await releaseVolumes({ files, volumes }, uid, () => processes.pods());
    processes.settle(uid);
  }
}

function runningAttempts(processes: Processes): readonly Attempt[] {
  return processes
    .pods()
    .flatMap((pod) =>
      [...processes.attempts(pod)]
        .map(([container, number]) => ({ pod, container, number }))
        .filter((attempt) => processes.look(attempt).state === 'running'),
    );
}
