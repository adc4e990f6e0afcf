/** The columns of `kubectl get`, as text. Pure. */
import type { ReplicationSpec, ReplicationStatus } from '../../api/kinds/replication.ts';
import { endsText } from '../../api/replication-ends.ts';
import { formatAge } from '../../base/units.ts';

export function displayOf(
  spec: ReplicationSpec,
  status: ReplicationStatus,
): ReplicationStatus['display'] {
  const { compatible, actionable, incompatible, percent, lagSeconds } = status;
  const counts = [compatible, actionable, incompatible];
  return {
    ...endsText(spec),
    ...(counts.every((one) => one === undefined)
      ? {}
      : { checks: counts.map((one) => one ?? 0).join('/') }),
    ...(percent === undefined ? {} : { progress: `${percent}%` }),
    ...(lagSeconds === undefined ? {} : { lag: formatAge(lagSeconds * 1000) }),
  };
}
