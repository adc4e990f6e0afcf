/** Looks in which nothing may be missed: what may not be listed is not taken for nothing. */
import { historyPolicies } from '../../api/kinds/history-policy.ts';
import { volumes as ourVolumes } from '../../api/kinds/volume.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import type { KubeClient, Selectors } from '../../kube/api.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import {
  customResourceDefinitions,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import { pods } from '../../kube/workloads.ts';
import { visit } from '../../workload/needs.ts';
import { namespacesAt } from '../migration/run.ts';
import { hasVolumes, type ReplicationRun } from './as-plan.ts';

/** All of a kind, none where it is not served. `Forbidden` as the server says it. */
export async function lookAtAll<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  each: (object: T) => void,
  selectors: Selectors = {},
): Promise<void> {
  const [refused] = await visit(client, type, each, selectors);
  if (refused?.reason === 'Forbidden') fail('Forbidden', refused.message);
}

/** What has to be seen before it can be said that nothing of the replication is left. */
function needed(run: ReplicationRun): readonly (readonly [ResourceType, Selectors])[] {
  const { replication } = run;
  const { agreed, phase, report } = replication.status ?? {};
  const inside = namespacesAt(run, 'destination').flatMap((namespace) =>
    [persistentVolumeClaims, pods].map((type) => [type, { namespace }] as const),
  );
  const hasData = hasVolumes(replication) || (report?.volumes ?? 0) > 0;
  // Only Remediate makes anything of these.
  const hasFixed = agreed !== undefined || phase === 'Remediating';
  const outside: readonly ResourceType[] = [
    ...(hasData ? [persistentVolumes] : []),
    ...(hasFixed ? [customResourceDefinitions, historyPolicies, ourVolumes] : []),
  ];
  return [...inside, ...outside.map((type) => [type, {}] as const)];
}

/** All of what cannot be looked at, as the server says it, not only the first. */
export async function missingLooks(run: ReplicationRun): Promise<readonly string[]> {
  const missing: string[] = [];
  for (const [type, selectors] of needed(run)) {
    try {
      for await (const _first of run.destination.client.list(type, selectors)) break;
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      if (reason !== 'Forbidden' && reason !== 'NotFound') throw error;
      if (reason === 'Forbidden') missing.push(message);
    }
  }
  return missing;
}
