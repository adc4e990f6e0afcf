/**
 * The parts of the Pod Security Standards that workloads trip over (Kubernetes documentation, "Pod
 * Security Standards"): a pod that a namespace would not admit, found before it is made.
 */
import { type Fields, fieldsAt, fieldsListAt, listAt, valueAt } from '../../../workload/fields.ts';
import { containerLists } from '../../../workload/pod-specs.ts';

/** What `baseline` lets containers add. */
const added: ReadonlySet<unknown> = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

const hostFields = ['hostNetwork', 'hostPID', 'hostIPC'] as const;

function baselineProblem(spec: unknown, containers: readonly Fields[]): string | undefined {
  const host = hostFields.find((name) => valueAt(spec, [name]) === true);
  if (host !== undefined) return `uses ${host}`;
  if (fieldsListAt(spec, 'volumes').some((volume) => volume['hostPath'] !== undefined)) {
    return 'mounts a hostPath';
  }
  for (const container of containers) {
    const context = fieldsAt(container, 'securityContext');
    if (context['privileged'] === true) return 'is privileged';
    const extra = listAt(context, 'capabilities', 'add').find((one) => !added.has(one));
    if (extra !== undefined) return `adds the capability ${String(extra)}`;
    const ports = fieldsListAt(container, 'ports');
    if (ports.some(({ hostPort }) => typeof hostPort === 'number' && hostPort > 0)) {
      return 'uses a port of the host';
    }
  }
  return undefined;
}

function restrictedProblem(spec: unknown, containers: readonly Fields[]): string | undefined {
  const pod = fieldsAt(spec, 'securityContext');
  for (const container of containers) {
    const context = fieldsAt(container, 'securityContext');
    if ((context['runAsNonRoot'] ?? pod['runAsNonRoot']) !== true) return 'may run as root';
    if ((context['runAsUser'] ?? pod['runAsUser']) === 0) return 'runs as root';
    if (context['allowPrivilegeEscalation'] !== false) return 'may gain privileges';
    if (!listAt(context, 'capabilities', 'drop').includes('ALL')) return 'keeps capabilities';
    const profile = valueAt(context, ['seccompProfile', 'type']);
    const given = profile ?? valueAt(pod, ['seccompProfile', 'type']);
    if (given !== 'RuntimeDefault' && given !== 'Localhost') return 'has no seccomp profile';
  }
  return undefined;
}

/** What a namespace of this level has against a pod; undefined: nothing that is known here. */
export function securityProblem(spec: unknown, level: string | undefined): string | undefined {
  if (level !== 'baseline' && level !== 'restricted') return undefined;
  const containers = containerLists.flatMap((list) => fieldsListAt(spec, list));
  const basic = baselineProblem(spec, containers);
  if (basic !== undefined || level === 'baseline') return basic;
  return restrictedProblem(spec, containers);
}
