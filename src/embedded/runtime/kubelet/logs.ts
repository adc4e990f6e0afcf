/** Logs of containers, as `kubectl logs` asks for them. */
import { fail } from '../../../base/errors.ts';
import type { PodLogRequest } from '../../server/api.ts';
import { timeMs } from '../controller.ts';
import type { Pod } from '../kinds/pods.ts';
import type { LogOptions, Processes } from '../ports.ts';

const defaultNote = 'kubectl.kubernetes.io/default-container';

/** `NotFound`, or `Invalid` with the words of a kubelet. */
export function readPodLog(
  processes: Processes,
  pod: Pod | undefined,
  request: PodLogRequest,
): AsyncIterable<Uint8Array> {
  if (pod === undefined) return fail('NotFound', `pods "${request.pod}" not found`);
  const container = containerOf(pod, request.container);
  const uid = pod.metadata.uid ?? '';
  const newest = processes.attempts(uid).get(container);
  const where = `container "${container}" in pod "${request.pod}"`;
  if (newest === undefined)
    return fail('Invalid', `${where} is waiting to start: ContainerCreating`);
  const number = request.previous ? newest - 1 : newest;
  if (number < 0) return fail('Invalid', `previous terminated ${where} not found`);
  return processes.readLog({ pod: uid, container, number }, optionsOf(request));
}

function containerOf({ metadata, spec }: Pod, asked: string | undefined): string {
  const all = [...spec.containers, ...(spec.initContainers ?? [])].map((one) => one.name);
  const given = asked ?? metadata.annotations?.[defaultNote];
  if (given !== undefined) {
    if (all.includes(given)) return given;
    return fail('Invalid', `container ${given} is not valid for pod ${metadata.name}`);
  }
  const [only, ...others] = spec.containers.map((one) => one.name);
  if (only !== undefined && others.length === 0) return only;
  return fail(
    'Invalid',
    `a container name must be specified for pod ${metadata.name}, ` +
      `choose one of: [${all.join(' ')}]`,
  );
}

function optionsOf({
  follow,
  tailLines,
  sinceTime,
  timestamps,
  limitBytes,
  signal,
}: PodLogRequest): LogOptions {
  const ms = timeMs(sinceTime);
  return {
    follow,
    tailLines,
    timestamps,
    limitBytes,
    signal,
    sinceMs: Number.isNaN(ms) ? undefined : ms,
  };
}
