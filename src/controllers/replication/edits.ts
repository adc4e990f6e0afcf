/**
 * What others have changed at the destination, as the server itself remembers it: of each field it
 * knows who wrote it last (`managedFields`, Kubernetes documentation, "Server-Side Apply").
 */
import { TransshipError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import { ApiError } from '../../kube/status-errors.ts';
import { fieldsListAt, textAt } from '../../workload/fields.ts';

/** Field managers of controllers of ours; what people do with our commands is theirs. */
export function isOurManager(manager: string): boolean {
  return /^transship-(hub|controller|embedded|install)/.test(manager);
}

/** Parts of a cluster that write into objects of people as a matter of course. */
const cluster: readonly RegExp[] = [
  /^kube-controller-manager$/,
  /^kube-scheduler$/,
  /^kubelet$/,
  /^kube-apiserver$/,
  /^cloud-controller-manager$/,
  /^cluster-policy-controller$/,
  /^openshift-/,
  /^csi-/,
  /^external-provisioner/,
  /^embedded$/,
];

function isOfCluster(manager: string): boolean {
  return cluster.some((one) => one.test(manager));
}

/**
 * Who else wrote fields of the object itself: people and their tools. What came through a
 * sub-resource, such as `status` or `scale` by an autoscaler, is no change of its owner's wish.
 */
export function editorsOf(object: KubeObject): readonly string[] {
  const entries = fieldsListAt(object, 'metadata', 'managedFields');
  const names = entries.flatMap((entry) => {
    const manager = textAt(entry, 'manager') ?? '';
    const through = textAt(entry, 'subresource') ?? '';
    const isOther = !isOurManager(manager) && !isOfCluster(manager);
    const isScaled = through === 'scale' && isOther;
    return (through === '' || isScaled) && isOther && !isEmpty(entry) ? [manager] : [];
  });
  return [...new Set(names)];
}

function isEmpty(entry: Readonly<Record<string, unknown>>): boolean {
  const fields = entry['fieldsV1'];
  return typeof fields !== 'object' || fields === null || Object.keys(fields).length === 0;
}

/** A change of somebody else that an apply would take back. */
export interface Clash {
  readonly manager: string;
  /** `.spec.replicas`. */
  readonly field: string;
}

/** What of others an apply of `wanted` would overwrite; changes nothing. */
export async function clashesOf(
  client: KubeClient,
  type: ResourceType,
  wanted: KubeObject,
): Promise<readonly Clash[]> {
  try {
    await client.apply(type, wanted, { force: false, dryRun: true });
    return [];
  } catch (error) {
    if (!(error instanceof TransshipError) || error.reason !== 'Conflict') throw error;
    const clashes = clashesIn(error);
    if (clashes.length === 0) throw error;
    return clashes.filter(({ manager }) => !isOurManager(manager));
  }
}

function clashesIn(error: TransshipError): readonly Clash[] {
  const causes = error instanceof ApiError ? (error.status?.details?.causes ?? []) : [];
  return causes
    .filter(({ reason }) => reason === 'FieldManagerConflict')
    .map(({ message = '', field = '' }) => {
      return { manager: /"([^"]*)"/.exec(message)?.[1] ?? '', field };
    });
}

/** Of an autoscaler: how many there are is its to say, here as at the source. */
export function isScaling({ manager, field }: Clash): boolean {
  return isOfCluster(manager) && field === '.spec.replicas';
}
