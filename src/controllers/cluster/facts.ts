/** What a cluster's API server says of the cluster: version, storage, nodes, abilities. */
import type { ClusterStatus } from '../../api/kinds/cluster.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import type { KubeClient } from '../../kube/api.ts';
import { nodes, type StorageClass, storageClasses } from '../../kube/resources.ts';
import { fieldsListAt, textAt } from '../../workload/fields.ts';
import { streamGroup } from '../../workload/image-streams.ts';
import { parseImage } from '../../workload/images.ts';
import { driver } from '../labels.ts';

type Classes = NonNullable<ClusterStatus['storageClasses']>;

export type Facts = Pick<
  ClusterStatus,
  'version' | 'storageClasses' | 'nodes' | 'capabilities' | 'roundTripMs' | 'registry'
>;

const classesMax = 256;
const defaultClass = 'storageclass.kubernetes.io/is-default-class';
/** API groups whose presence says that something can be done there. */
const groupsTold: Readonly<Record<string, string>> = {
  'transship.dev': 'Engine',
  'snapshot.storage.k8s.io': 'Snapshots',
  'cbt.storage.k8s.io': 'ChangedBlockTracking',
  'kubevirt.io': 'KubeVirt',
};

/** One small request: whether the server answers, how fast, and what it is. */
export async function readVersion(
  clock: Clock,
  client: KubeClient,
): Promise<Pick<Facts, 'version' | 'roundTripMs'>> {
  const beganMs = clock.monotonicMs();
  const answer = (await client.request('GET', '/version')) as { readonly gitVersion?: string };
  const roundTripMs = roughMs(clock.monotonicMs() - beganMs);
  const { gitVersion } = answer;
  return { roundTripMs, ...(gitVersion === undefined ? {} : { version: gitVersion.slice(0, 64) }) };
}

/** What changes rarely. */
export async function readFacts(
  client: KubeClient,
): Promise<Omit<Facts, 'version' | 'roundTripMs'>> {
  const groups = (await client.request('GET', '/apis')) as {
    readonly groups?: readonly { readonly name: string }[];
  };
  const names = (groups.groups ?? []).map(({ name }) => name);
  const capabilities = Object.entries(groupsTold)
    .filter(([group]) => names.includes(group))
    .map(([, word]) => word);
  let nodeCount = 0;
  for await (const _node of client.list(nodes)) nodeCount++;
  const classes: Classes[number][] = [];
  for await (const one of client.list(storageClasses)) {
    if (classes.length < classesMax) classes.push(classOf(one));
  }
  const registry = names.includes(streamGroup) ? await ownRegistry(client) : undefined;
  return {
    capabilities,
    nodes: nodeCount,
    storageClasses: classes,
    ...(registry === undefined ? {} : { registry }),
  };
}

/** The registry that OpenShift brings along, which any of its streams names. */
async function ownRegistry(client: KubeClient): Promise<Facts['registry']> {
  const path = `/apis/${streamGroup}/v1/imagestreams?limit=1`;
  const [stream] = fieldsListAt(await answerOf(client, path), 'items');
  const hostAt = (field: string) => parseImage(textAt(stream, 'status', field) ?? '')?.host;
  const host = hostAt('dockerImageRepository');
  const exposedHost = hostAt('publicDockerImageRepository');
  if (host === undefined) return undefined;
  return { host, ...(exposedHost === undefined ? {} : { exposedHost }) };
}

/** What may not be looked at is as if it were not there. */
async function answerOf(client: KubeClient, path: string): Promise<unknown> {
  try {
    return await client.request('GET', path);
  } catch (error) {
    const { reason } = asTransshipError(error);
    if (reason === 'Forbidden' || reason === 'NotFound') return undefined;
    throw error;
  }
}

function classOf({ metadata, provisioner, ...one }: StorageClass): Classes[number] {
  return {
    name: metadata.name ?? '',
    provisioner,
    default: metadata.annotations?.[defaultClass] === 'true',
    transship: provisioner === driver,
    ...(one.allowVolumeExpansion === undefined ? {} : { expansion: one.allowVolumeExpansion }),
    ...(one.volumeBindingMode === undefined ? {} : { bindingMode: one.volumeBindingMode }),
  };
}

/** Two digits at most: a status that changes with every message says nothing more. */
export function roughMs(ms: number): number {
  const unit = ms < 20 ? 1 : ms < 200 ? 10 : 100;
  return Math.round(ms / unit) * unit;
}
