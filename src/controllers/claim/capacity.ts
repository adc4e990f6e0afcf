/** What a claim says of a volume that has grown. */
import { formatSecond } from '../../base/units.ts';
import type { PersistentVolumeClaim } from '../../kube/resources.ts';
import { quantityBytes } from './made.ts';

type Status = NonNullable<PersistentVolumeClaim['status']>;
type StatusPatch = Readonly<Record<string, unknown>>;

const pendingType = 'FileSystemResizePending';

/**
 * The change of its status; undefined when it says so already. While a pod uses the volume, its
 * kubelet has to grow the device and the file system first, and then shows the capacity itself: it
 * does so for a claim that says `NodeResizePending` (Kubernetes, KEP-1790). What no pod uses is
 * grown when it is mounted, so that its capacity is true at once.
 */
export function capacityStatus(
  { status = {} }: PersistentVolumeClaim,
  storage: string,
  { isInUse, nowMs }: { readonly isInUse: boolean; readonly nowMs: number },
): StatusPatch | undefined {
  const shownBytes = quantityBytes(status.capacity?.storage) ?? 0;
  const bytes = quantityBytes(storage) ?? 0;
  if (shownBytes >= bytes) return undefined;
  const others = (status.conditions ?? []).filter(({ type }) => type !== pendingType);
  if (!isInUse || shownBytes === 0) return { capacity: { storage }, ...ended(status, others) };
  // What the kubelet is doing about this very size is for it to say.
  if (quantityBytes(status.allocatedResources?.storage) === bytes) return undefined;
  const lastTransitionTime = formatSecond(nowMs);
  const message = 'the volume has grown; its device and file system grow on the node of its pod';
  return {
    allocatedResources: { storage },
    allocatedResourceStatuses: { storage: 'NodeResizePending' },
    conditions: [...others, { type: pendingType, status: 'True', lastTransitionTime, message }],
  };
}

/** Takes back what was said of a volume in use; nothing where nothing was. */
function ended(status: Status, others: Status['conditions']): StatusPatch {
  const isPending =
    status.allocatedResourceStatuses !== undefined || status.conditions?.length !== others?.length;
  if (!isPending) return {};
  return { allocatedResources: null, allocatedResourceStatuses: null, conditions: others };
}
