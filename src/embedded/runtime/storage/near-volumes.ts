/** How near a pod's volumes are to a node: what is here need not be asked for elsewhere. */
import { pools } from '../../../api/kinds/pool.ts';
import { type Volume, volumes } from '../../../api/kinds/volume.ts';
import { annotations, driver } from '../../../controllers/labels.ts';
import type { View } from '../controller.ts';
import type { Pod } from '../kinds/pods.ts';
import { claims, persistentVolumes } from '../kinds/storage.ts';
import { claimsOfPod } from './protection.ts';

export const nearReads = [volumes, pools] as const;

/** The agent that leads a volume has it before all others with a replica. */
const leaderPoints = 2;
const replicaPoints = 1;

/** Points for each node that has a volume of the pod; nodes are named as their agents. */
export function nearness(view: View, pod: Pod): ReadonlyMap<string, number> {
  const points = new Map<string, number>();
  const add = (node: string, more: number) => points.set(node, (points.get(node) ?? 0) + more);
  for (const volume of volumesOf(view, pod)) {
    const leader = volume.metadata.annotations?.[annotations.agent];
    if (leader !== undefined) add(leader, leaderPoints);
    for (const { pool } of volume.spec.replicas ?? []) {
      const node = view.get(pools, { namespace: '', name: pool })?.spec.node;
      if (node !== undefined) add(node, replicaPoints);
    }
  }
  return points;
}

function volumesOf(view: View, pod: Pod): readonly Volume[] {
  return claimsOfPod(pod).flatMap((key) => {
    const { volumeName = '' } = view.get(claims, key)?.spec ?? {};
    const bound = view.get(persistentVolumes, { namespace: '', name: volumeName });
    if (bound?.spec.csi?.driver !== driver) return [];
    return view.get(volumes, { namespace: '', name: bound.spec.csi.volumeHandle }) ?? [];
  });
}
