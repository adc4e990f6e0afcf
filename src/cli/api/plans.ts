/** Plans as objects: made, changed without losing what others change, waited for. */
import type { Plan, PlanSpec } from '../../api/kinds/plan.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Cli } from '../context.ts';
import { needObject } from './printing.ts';
import type { Hub } from './teleports.ts';
import { currentCondition, until } from './waiting.ts';

const { plans } = resources;

/** Somebody who changes it all the time is not waited for. */
const conflictsMax = 10;
/** How long the checks of a plan may take before a command says so (exit 5). */
export const checksMs = 300_000;

export async function findPlan({ client, key }: Hub): Promise<Plan> {
  return needObject(client, plans, key);
}

/**
 * Changes the spec as it is now: after a conflict the newest is read and changed anew, so that
 * nothing that somebody else wrote meanwhile is lost. `Conflict` after many tries.
 */
export async function changePlan(hub: Hub, change: (spec: PlanSpec) => PlanSpec): Promise<Plan> {
  for (let tries = 1; ; tries++) {
    const before = await findPlan(hub);
    const spec = change(before.spec);
    if (JSON.stringify(spec) === JSON.stringify(before.spec)) return before;
    try {
      return await hub.client.replace(plans, { ...before, spec });
    } catch (error) {
      if (asTransshipError(error).reason !== 'Conflict' || tries === conflictsMax) throw error;
    }
  }
}

/** What the checks of the plan as it is now say; undefined while they run. */
export function verdictOf(plan: Plan): 'Ready' | 'Refused' | undefined {
  if ((plan.status?.observedGeneration ?? 0) < (plan.metadata.generation ?? 0)) return undefined;
  const ready = currentCondition(plan, 'Ready');
  if (ready === undefined || ready.status === 'Unknown') return undefined;
  if (ready.status === 'True') return 'Ready';
  const isPending = plan.status?.checks?.some(({ result }) => result === 'Pending') === true;
  return isPending ? undefined : 'Refused';
}

/** Waits for the checks of this generation. `NotFound` when it is deleted meanwhile. */
export async function whenChecked(
  cli: Cli,
  hub: Hub,
  made: Plan,
  timeoutMs = checksMs,
): Promise<Plan> {
  const { name = '' } = made.metadata;
  return until(cli, hub.client, {
    type: plans,
    key: keyOf(made),
    goesOn:
      `the plan stays, and its checks go on; see them with: ` +
      `transship plan show ${name} --cluster ${hub.client.cluster}`,
    timeoutMs,
    test: (plan) => {
      if (plan === undefined || plan.metadata.uid !== made.metadata.uid) {
        return fail('NotFound', `plan ${name} was deleted meanwhile`);
      }
      return verdictOf(plan) === undefined ? undefined : plan;
    },
  });
}
