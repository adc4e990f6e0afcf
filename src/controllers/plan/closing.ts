/** What is done once for a plan that is closed, when the last of its migrations is over. */
import { type Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { asTransshipError } from '../../base/errors.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { cutoverOf, hasCutOver } from '../migration/cutover.ts';
import { finishPlan } from '../migration/finish-plan.ts';
import { forgetFrozen, frozenPlan } from '../migration/frozen-plan.ts';
import type { Run } from '../migration/run.ts';
import { needlessStages, removalWord, removeStages } from '../migration/staged-claims.ts';
import { conditionOf } from '../status.ts';
import { reach } from '../teleport/preflight.ts';
import { changedNamespaces, putBack } from './frozen.ts';
import { isOpen, migrationsOf } from './migrations.ts';
import { inferType } from './type.ts';

/** It was written down that nothing is left to be done. */
export function isClosed(plan: Plan): boolean {
  return conditionOf(plan, 'Ready')?.reason === 'Closed';
}

/** What the status of a plan says that is being closed, and for how long already. */
export interface Said {
  readonly word: string;
  readonly forMs: number;
}

/** So long can be read what is going to be deleted. */
const noticeMs = 5_000;

/** Undefined: it is done, and needs not be done again. Else why not. */
export async function closePlan(
  context: Context,
  plan: Plan,
  said: Said | undefined,
): Promise<string | undefined> {
  const all = migrationsOf(context, plan);
  const open = all.find(isOpen);
  if (open !== undefined) return `it waits for migration ${open.metadata.name} to end`;
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
    const cutover = cutoverOf({ context, plan });
    const run = runFor(context, cutover ? await frozenPlan(context, cutover, plan) : plan);
    const left = await removeNeedless(run, said);
    if (left !== undefined) return left;
    await finishPlan(run);
    for (const one of all.filter(hasCutOver)) await forgetFrozen(context, one);
    return undefined;
  } catch (error) {
    const { message, remedy, reason } = asTransshipError(error);
    // Its migrations may be gone; but a plan that was never allowed to look has changed nothing.
    const hasBegun = all.some(({ status }) => status?.startTime !== undefined);
    if (!hasBegun && reason === 'Forbidden') return undefined;
    return `what guards its data cannot be let go yet: ${message}; ${remedy}`;
  }
}

/** Says which claims it deletes first, then deletes them. Undefined: there are none any more. */
async function removeNeedless(run: Run, said: Said | undefined): Promise<string | undefined> {
  const claims = await needlessStages(run);
  if (claims.length === 0) return undefined;
  const word = removalWord(run, claims);
  if (said?.word === word && said.forMs >= noticeMs) await removeStages(run, claims);
  return word;
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
