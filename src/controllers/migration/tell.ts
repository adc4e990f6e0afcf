/** Puts together what a migration says about itself, and writes it. */
import type { Plan } from '../../api/kinds/plan.ts';
import { TransshipError } from '../../base/errors.ts';
import type { Outcome } from '../../flow/flow.ts';
import { keyOf, keyText, parseKey } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { condition } from '../status.ts';
import { planKeyOf } from '../plan/migrations.ts';
import type { Run } from './run.ts';
import type { Saved } from './saved.ts';
import { type Blocked, type News, reportOf, resultOf } from './status.ts';
import { isMadeObject, madeStore } from './steps/made.ts';
import { tellEnd } from './telling.ts';

interface Said {
  readonly outcome: Outcome | Blocked;
  readonly plan: Plan | undefined;
}

function newsOf(context: Context, saved: Saved, { outcome, plan }: Said): News {
  const { informers, ports } = context;
  const migration = saved.object;
  const key = keyText(keyOf(migration));
  const isOwned = (one: { readonly metadata: Migration['metadata'] }): boolean =>
    one.metadata.ownerReferences?.some(({ uid }) => uid === migration.metadata.uid) === true;
  const known = plan ?? informers.plans.get(parseKey(planKeyOf(migration)));
  const percent = outcome.kind === 'again' ? outcome.percent : undefined;
  return {
    migration,
    outcome,
    transfers: informers.volumeTransfers.byIndex('migration', key).filter(isOwned),
    images: informers.imageTransfers.byIndex('migration', key).filter(isOwned),
    clusters: known?.spec,
    nowMs: ports.clock.wallMs(),
    ...(percent === undefined ? {} : { percent }),
  };
}

type Migration = Saved['object'];

/** While it is not over. */
export async function tell(context: Context, saved: Saved, said: Said): Promise<void> {
  await saved.report(reportOf(newsOf(context, saved, said)));
}

/** It is over and deleted, and stays all the same. */
export async function tellKept(saved: Saved): Promise<void> {
  const { plan } = saved.object.spec;
  const message =
    `a Rollback of plan ${plan} goes back from this, so it stays, deleted or not: ` +
    `make a Rollback, or close the plan; then it goes`;
  await saved.say(condition('Ready', false, 'InUse', message));
}

/** The last word. */
export async function tellOver(
  context: Context,
  saved: Saved,
  { outcome, run }: { readonly outcome: Outcome; readonly run: Run | undefined },
): Promise<void> {
  const news = newsOf(context, saved, { outcome, plan: run?.plan });
  const report = reportOf(news);
  const result = resultOf(news, run && (await objectsOf(run)));
  const more = run === undefined ? {} : { report: result };
  const isNew = saved.object.status?.completionTime === undefined;
  await saved.report(report, { completionTime: saved.now(), ...more });
  const succeeded = report.conditions.find(({ type }) => type === 'Succeeded');
  if (succeeded === undefined || !isNew) return;
  const { reason, message, status } = succeeded;
  tellEnd(context.ports, saved.object, { reason, message, isGood: status === 'True' });
}

/** Undefined where it is not known. */
async function objectsOf(run: Run): Promise<number | undefined> {
  try {
    return (await madeStore(run).load()).filter(isMadeObject).length;
  } catch (error) {
    if (error instanceof TransshipError) return undefined;
    throw error;
  }
}
