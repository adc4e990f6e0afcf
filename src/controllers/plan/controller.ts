/**
 * Plans: both clusters are looked at, what is found is checked, methods are chosen, and the result
 * is told. Nothing is changed anywhere but the status. A look costs lists of whole namespaces, so
 * one is good for a minute; a new generation, or a cluster that comes or goes, asks for a new one.
 */
import { type Plan, plans } from '../../api/kinds/plan.ts';
import { asTransshipError } from '../../base/errors.ts';
import { formatMoment } from '../../base/units.ts';
import type { Informer, Outcome } from '../../kube/api.ts';
import { keyOf, keyText, type ObjectKey, parseKey } from '../../kube/objects.ts';
import { removeFinalizer } from '../../kube/finalizers.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { finalizers } from '../labels.ts';
import { condition, type Report } from '../status.ts';
import { closePlan, isClosed } from './closing.ts';
import { isOpen, migrationsOf, needsPlan, planKeyOf } from './migrations.ts';
import { observePlan } from './observe.ts';
import { closedReport, migrationNames, reportOf } from './report.ts';

/** A look at two healthy clusters is good for so long. */
const freshMs = 60_000;
/** After one that did not succeed. */
const againMs = 5_000;

interface Looked {
  readonly generation: number;
  readonly atMs: number;
  readonly freshMs: number;
  readonly report: Report;
}

export class PlanController implements Controller {
  readonly name = 'Plan';
  readonly concurrency = 2;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #plans: Informer<Plan>;
  readonly #looked = new Map<string, Looked>();
  /** What keeps a plan from being closed, since when it was told. */
  readonly #said = new Map<string, { readonly word: string; readonly sinceMs: number }>();

  constructor(context: Context) {
    this.#c = context;
    this.#plans = context.informers.plans;
    this.sources = [
      watching(this.#plans),
      // Told without a look: only their names are in its status.
      watching(context.informers.migrations, ({ before, now }) => {
        const isOther = before === undefined || now === undefined || isOpen(before) !== isOpen(now);
        return isOther ? [before, now].flatMap((one) => (one ? planKeyOf(one) : [])) : [];
      }),
      watching(context.informers.hooks, ({ key }) => this.#staleWith(key)),
      // The way to a cluster came or went: what was seen through it is worth nothing any more.
      context.remotes.source(({ cluster, object }) =>
        object === undefined ? this.#staleOf(cluster) : [],
      ),
    ];
  }

  /** A Hook of that name came, went or changed. */
  #staleWith({ namespace, name }: ObjectKey): readonly string[] {
    const keys = [...this.#plans.list()]
      .filter(({ metadata, spec }) => {
        const isNamed = (spec.hooks ?? []).some(({ hook }) => hook === name);
        return isNamed && metadata.namespace === namespace;
      })
      .map((plan) => keyText(keyOf(plan)));
    for (const key of keys) this.#looked.delete(key);
    return keys;
  }

  #staleOf(cluster: string): readonly string[] {
    const keys = [...this.#plans.list()]
      .filter(({ spec }) => spec.source === cluster || spec.destination === cluster)
      .map((plan) => keyText(keyOf(plan)));
    for (const key of keys) this.#looked.delete(key);
    return keys;
  }

  async reconcile(key: string): Promise<Outcome> {
    const cached = this.#plans.get(parseKey(key));
    if (cached === undefined) {
      this.#looked.delete(key);
      this.#said.delete(key);
      return {};
    }
    const plan = this.#c.statuses.newest(cached);
    const isDeleting = plan.metadata.deletionTimestamp !== undefined;
    if (isDeleting && !migrationsOf(this.#c, plan).some(needsPlan)) {
      // What is open has to know what to take back; nothing is any more.
      await removeFinalizer(this.#c.client, plans, plan, finalizers.plan);
      return {};
    }
    if (plan.spec.closed === true) {
      return this.#close(key, plan);
    }
    const looked = await this.#look(key, plan);
    const { fields, ...rest } = looked.report;
    const names = migrationNames(migrationsOf(this.#c, plan));
    const kept = this.#unhealthyBefore(plan);
    const report = { ...rest, fields: { ...fields, ...kept, migrations: names } };
    const heldBackMs = await this.#c.statuses.write(plans, plan, report);
    const restMs = looked.atMs + looked.freshMs - this.#c.ports.clock.monotonicMs();
    return { againAfterMs: Math.max(1, Math.min(heldBackMs ?? restMs, restMs)) };
  }

  async #close(key: string, plan: Plan): Promise<Outcome> {
    this.#looked.delete(key);
    const said = this.#said.get(key);
    const nowMs = this.#c.ports.clock.monotonicMs();
    const known = said && { word: said.word, forMs: nowMs - said.sinceMs };
    const left = isClosed(plan) ? undefined : await closePlan(this.#c, plan, known);
    const heldBackMs = await this.#c.statuses.write(plans, plan, closedReport(plan, left));
    if (left === undefined) this.#said.delete(key);
    else if (left !== said?.word) this.#said.set(key, { word: left, sinceMs: nowMs });
    if (left !== undefined) return { againAfterMs: againMs };
    return heldBackMs === undefined ? {} : { againAfterMs: heldBackMs };
  }

  /** What a migration has stopped was not ill before it: it is expected to be well again. */
  #unhealthyBefore(plan: Plan): Pick<NonNullable<Plan['status']>, 'unhealthy'> {
    const all = migrationsOf(this.#c, plan);
    const isRunning = all.some((one) => isOpen(one) && one.status?.startTime !== undefined);
    const { unhealthy } = plan.status ?? {};
    return isRunning && unhealthy !== undefined ? { unhealthy } : {};
  }

  async #look(key: string, plan: Plan): Promise<Looked> {
    const { clock } = this.#c.ports;
    const { generation = 0 } = plan.metadata;
    const known = this.#looked.get(key);
    const ageMs = clock.monotonicMs() - (known?.atMs ?? Number.NEGATIVE_INFINITY);
    if (known?.generation === generation && ageMs < known.freshMs) return known;
    const { report, complete } = await this.#judge(plan);
    const atMs = clock.monotonicMs();
    const looked = { generation, atMs, freshMs: complete ? freshMs : againMs, report };
    this.#looked.set(key, looked);
    return looked;
  }

  async #judge(plan: Plan): Promise<{ readonly report: Report; readonly complete: boolean }> {
    try {
      const seen = await observePlan(this.#c, plan);
      const report = reportOf(seen, formatMoment(this.#c.ports.clock.wallMs()));
      return { report, complete: seen.missingRights !== undefined };
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      const { conditions: _conditions, observedGeneration: _seen, ...known } = plan.status ?? {};
      const ready = condition('Ready', 'Unknown', reason, message);
      return { report: { conditions: [ready], fields: known }, complete: false };
    }
  }
}
