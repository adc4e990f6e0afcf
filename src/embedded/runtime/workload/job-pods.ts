/** Which pods a job lacks, and what they look like. */
import type { EnvVar } from '../../../kube/pod-spec.ts';
import { type Action, create, timeMs } from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import type { Job } from '../kinds/workloads.ts';
import type { Tally } from './job-tally.ts';
import { byDispensability, isActive, namePrefix, podOf } from './pods.ts';

export const trackingFinalizer = 'batch.kubernetes.io/job-tracking';
const indexNote = 'batch.kubernetes.io/job-completion-index';

/** Waiting after failures: 10 s, doubled for each, at most 10 minutes. */
const backoffMs = 10_000;
const backoffMsMax = 600_000;
/** Pods made in one round. */
const burst = 500;

export interface Missing {
  readonly creations: readonly Action[];
  readonly spare: readonly Pod[];
  readonly againAfterMs?: number;
}

export function missingPods(job: Job, counts: Tally, mine: readonly Pod[], nowMs: number): Missing {
  const { parallelism = 1, completions } = job.spec;
  const active = mine.filter(isActive);
  const isQueue = completions === undefined || completions === null;
  const rest = isQueue ? parallelism : Math.max(0, completions - counts.succeeded);
  const wanted =
    isQueue && counts.succeeded > 0
      ? Math.min(active.length, parallelism)
      : Math.min(parallelism, rest);
  if (active.length >= wanted) {
    const spare = active.toSorted(byDispensability).slice(0, active.length - wanted);
    return { creations: [], spare };
  }
  const waitMs = backoffLeftMs(counts, mine, nowMs);
  if (waitMs > 0) return { creations: [], spare: [], againAfterMs: waitMs };
  const count = Math.min(wanted - active.length, burst);
  if (job.spec.completionMode !== 'Indexed') {
    return { creations: Array.from({ length: count }, () => makePod(job, undefined)), spare: [] };
  }
  const taken = new Set([...counts.completed, ...active.map(indexOf)]);
  const free = Array.from({ length: completions ?? 0 }, (_, i) => i).filter((i) => !taken.has(i));
  return { creations: free.slice(0, count).map((index) => makePod(job, index)), spare: [] };
}

function backoffLeftMs(counts: Tally, mine: readonly Pod[], nowMs: number): number {
  const ends = mine
    .filter((pod) => pod.status?.phase === 'Failed')
    .map((pod) => endMs(pod))
    .filter((ms) => !Number.isNaN(ms));
  if (counts.failed === 0 || ends.length === 0) return 0;
  const waitMs = Math.min(backoffMsMax, backoffMs * 2 ** Math.min(20, counts.failed - 1));
  return Math.max(0, Math.max(...ends) + waitMs - nowMs);
}

function endMs(pod: Pod): number {
  const ends = (pod.status?.containerStatuses ?? [])
    .map((one) => timeMs(one.state.terminated?.finishedAt))
    .filter((ms) => !Number.isNaN(ms));
  return ends.length === 0 ? timeMs(pod.metadata.creationTimestamp) : Math.max(...ends);
}

function makePod(job: Job, index: number | undefined): Action {
  const { name = '', uid = '' } = job.metadata;
  const named = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  };
  const indexed = index === undefined ? {} : { [indexNote]: String(index) };
  const pod = podOf(job, job.spec.template, {
    generateName: namePrefix(index === undefined ? name : `${name}-${index}`),
    labels: { ...named, ...indexed },
    annotations: indexed,
    finalizers: [trackingFinalizer],
  });
  if (index === undefined) return create(pods, pod);
  const { spec } = pod;
  return create(pods, {
    ...pod,
    spec: {
      ...spec,
      hostname: `${name}-${index}`,
      containers: spec.containers.map(withIndex),
      ...(spec.initContainers ? { initContainers: spec.initContainers.map(withIndex) } : {}),
    },
  });
}

function withIndex<C extends { readonly env?: readonly EnvVar[] }>(container: C): C {
  const name = 'JOB_COMPLETION_INDEX';
  if (container.env?.some((one) => one.name === name)) return container;
  const fieldPath = `metadata.annotations['${indexNote}']`;
  return {
    ...container,
    env: [...(container.env ?? []), { name, valueFrom: { fieldRef: { fieldPath } } }],
  };
}

export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata.annotations?.[indexNote];
  return text === undefined || !/^\d{1,9}$/.test(text) ? undefined : Number(text);
}

/** `0-2,5` */
export function parseIndexes(text: string | undefined): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    const [first, last = first] = part.split('-').map(Number);
    if (part === '' || first === undefined || last === undefined) continue;
    for (let i = first; i <= last; i++) indexes.add(i);
  }
  return indexes;
}

export function formatIndexes(indexes: ReadonlySet<number>): string {
  const sorted = [...indexes].toSorted((a, b) => a - b);
  const runs: [number, number][] = [];
  for (const index of sorted) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === index - 1) run[1] = index;
    else runs.push([index, index]);
  }
  return runs.map(([a, b]) => (a === b ? `${a}` : `${a}-${b}`)).join(',');
}
