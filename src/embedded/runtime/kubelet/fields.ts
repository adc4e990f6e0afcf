/** Fields of a pod that its containers may ask for (Kubernetes documentation, "Downward API"). */
import { fail } from '../../../base/errors.ts';
import type { Container, EnvSource } from '../../../kube/pod-spec.ts';
import { parseQuantity } from '../../schema/quantity.ts';
import type { Pod } from '../kinds/pods.ts';

export const podAddress = '127.0.0.1';

/** `BadArgument` for what is no such field. */
export function fieldText(pod: Pod, path: string): string {
  const { metadata, spec } = pod;
  const entry = /^metadata\.(labels|annotations)\['([^']*)'\]$/.exec(path);
  if (entry?.[1] === 'labels') return metadata.labels?.[entry[2] ?? ''] ?? '';
  if (entry?.[1] === 'annotations') return metadata.annotations?.[entry[2] ?? ''] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return mapText(metadata.labels);
    case 'metadata.annotations':
      return mapText(metadata.annotations);
    case 'spec.nodeName':
      return spec.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
    case 'status.hostIPs':
      return podAddress;
    default:
      return fail('BadArgument', `unsupported fieldPath: ${path}`);
  }
}

/** One `key="value"` a line, sorted. */
function mapText(map: Readonly<Record<string, string>> = {}): string {
  const names = Object.keys(map).toSorted();
  return names.map((name) => `${name}=${JSON.stringify(map[name])}`).join('\n');
}

/** What a node has, where a container sets no limit. */
export interface NodeResources {
  readonly cpus: number;
  readonly memoryBytes: number;
}

type ResourceRef = NonNullable<EnvSource['resourceFieldRef']>;

/** In units of the divisor, rounded up. */
export function resourceText(
  containers: readonly Container[],
  reference: ResourceRef,
  defaults: { readonly container: string; readonly node: NodeResources },
): string {
  const name = reference.containerName ?? defaults.container;
  const container = containers.find((one) => one.name === name);
  if (container === undefined) return fail('BadArgument', `there is no container ${name}`);
  const [side, ...rest] = reference.resource.split('.');
  const resource = rest.join('.');
  const { requests, limits } = container.resources ?? {};
  const node: Readonly<Record<string, string>> = {
    cpu: String(defaults.node.cpus),
    memory: String(defaults.node.memoryBytes),
  };
  const set = side === 'limits' ? (limits?.[resource] ?? node[resource]) : requests?.[resource];
  const value = parseQuantity(String(set ?? '0'));
  const given = String(reference.divisor ?? '0');
  const divisor = parseQuantity(given === '0' || given === '' ? '1' : given);
  if (value === undefined || divisor === undefined || divisor.nanos === 0n) {
    return fail('BadArgument', `${reference.resource} is no quantity`);
  }
  return String((value.nanos + divisor.nanos - 1n) / divisor.nanos);
}
