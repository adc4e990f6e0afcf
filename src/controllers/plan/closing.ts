/** What is done once for a plan that is closed, when the last of its migrations is over. */
import { type Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { asTransshipError } from '../../base/errors.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { finishPlan } from '../migration/finish-plan.ts';
import type { Run } from '../migration/run.ts';
import { conditionOf } from '../status.ts';
import { reach } from '../teleport/preflight.ts';
import { changedNamespaces, putBack } from './frozen.ts';
import { isOpen, migrationsOf } from './migrations.ts';
import { inferType } from './type.ts';

/** It was written down that nothing is left to be done. */
export function isClosed(plan: Plan): boolean {
  return conditionOf(plan, 'Ready')?.reason === 'Closed';
}

/** Undefined: it is done, and needs not be done again. Else why not. */
export async function closePlan(context: Context, plan: Plan): Promise<string | undefined> {
  const all = migrationsOf(context, plan);
  const open = all.find(isOpen);
  if (open !== undefined) return `it waits for migration ${open.metadata.name} to end`;
  if (!all.some(({ status }) => status?.startTime !== undefined)) return undefined;
  const changed = changedNamespaces(plan, all);
  if (changed !== undefined) return `${changed}. ${putBack}`;
  const { source, destination } = plan.spec;
  const { informers, remotes } = context;
  const isKnown = (name: string) => {
    return remotes.find(name) ?? informers.clusters.get({ namespace: '', name });
  };
  // What a cluster that was forgotten still has of it is for whoever forgot it.
  if (isKnown(source) === undefined || isKnown(destination) === undefined) return undefined;
  try {
    await finishPlan(runFor(context, plan));
    return undefined;
  } catch (error) {
    const { message, remedy } = asTransshipError(error);
    return `what guards its data cannot be let go yet: ${message}; ${remedy}`;
  }
}

/** What belongs to a plan is not of one migration: this one stands for all. */
function runFor(context: Context, plan: Plan): Run {
  const { source, destination } = plan.spec;
  const { namespace, name } = keyOf(plan);
  const migration: Migration = {
    apiVersion: plan.apiVersion,
    kind: 'Migration',
    metadata: { namespace, name },
    spec: { plan: name, type: 'Cutover' },
  };
  return {
    context,
    plan,
    migration,
    source: reach(context.remotes.find(source), source),
    destination: reach(context.remotes.find(destination), destination),
    type: inferType(plan) ?? 'Namespace',
    warn: () => undefined,
  };
}
