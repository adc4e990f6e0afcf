/**
 * Plans: both clusters are looked at, what is found is checked, methods are chosen, and the result
 * is told. Nothing is changed anywhere but the status. A look costs lists of whole namespaces, so
 * one is good for a minute; a new generation, or a cluster that comes or goes, asks for a new one.
 */
import { hooks, type Hook } from '../../api/kinds/hook.ts';
import { migrations, type Migration } from '../../api/kinds/migration.ts';
import { type Plan, plans } from '../../api/kinds/plan.ts';
import { asTransshipError } from '../../base/errors.ts';
import { formatMoment } from '../../base/units.ts';
import type { Informer, Outcome } from '../../kube/api.ts';
import { type ObjectKey, keyOf, keyText, parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { type ClusterAccess, isSynced, troubleOf } from '../remotes/access.ts';
import { condition, type Report } from '../status.ts';
import { lookAtDestination, lookAtSource } from './look.ts';
import type { Observation, Side } from './observation.ts';
import { closedReport, reportOf } from './report.ts';
import { findMissingRights } from './rights.ts';

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

  constructor(context: Context) {
    this.#c = context;
    this.#plans = context.informers.plans;
    this.sources = [
      watching(this.#plans),
      // The way to a cluster came or went: what was seen through it is worth nothing any more.
      context.remotes.source(({ cluster, object }) =>
        object === undefined ? this.#staleOf(cluster) : [],
      ),
    ];
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
      return {};
    }
    const plan = this.#c.statuses.newest(cached);
    if (plan.spec.closed === true) {
      this.#looked.delete(key);
      const heldBackMs = await this.#c.statuses.write(plans, plan, closedReport(plan));
      return heldBackMs === undefined ? {} : { againAfterMs: heldBackMs };
    }
    const looked = await this.#look(key, plan);
    const heldBackMs = await this.#c.statuses.write(plans, plan, looked.report);
    const restMs = looked.atMs + looked.freshMs - this.#c.ports.clock.monotonicMs();
    return { againAfterMs: Math.max(1, Math.min(heldBackMs ?? restMs, restMs)) };
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
      const seen = await this.#observe(plan);
      const report = reportOf(seen, formatMoment(this.#c.ports.clock.wallMs()));
      return { report, complete: seen.missingRights !== undefined };
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      const { conditions: _conditions, observedGeneration: _seen, ...known } = plan.status ?? {};
      const ready = condition('Ready', 'Unknown', reason, message);
      return { report: { conditions: [ready], fields: known }, complete: false };
    }
  }

  async #observe(plan: Plan): Promise<Observation> {
    const found = await this.#hooksOf(plan);
    const base = {
      plan,
      source: this.#sideOf(plan.spec.source),
      destination: this.#sideOf(plan.spec.destination),
      others: this.#othersOf(plan),
      hooks: found,
      migrations: await this.#migrationsOf(keyOf(plan)),
    };
    const source = this.#accessTo(base.source);
    const destination = this.#accessTo(base.destination);
    const seenSource = source && (await lookAtSource(plan, found, { source, destination }));
    const survey = seenSource?.survey;
    const seenDestination =
      destination && (await lookAtDestination(plan, found, { access: destination, survey }));
    const missingRights =
      source === undefined || destination === undefined || survey === undefined
        ? undefined
        : await findMissingRights(plan, survey, {
            source: source.client,
            destination: destination.client,
          });
    return { ...base, seenSource, seenDestination, missingRights };
  }

  #sideOf(name: string): Side {
    const object = this.#c.informers.clusters.get({ namespace: '', name });
    return {
      name,
      exists: object !== undefined,
      trouble: wayTo(name, this.#c.remotes.find(name)),
      version: object?.status?.version,
      capabilities: object?.status?.capabilities ?? [],
      nodes: object?.status?.nodes,
    };
  }

  #accessTo({ name, exists, trouble }: Side): ClusterAccess | undefined {
    return exists && trouble === undefined ? this.#c.remotes.find(name) : undefined;
  }

  #othersOf({ metadata }: Plan): readonly Plan[] {
    return [...this.#plans.list()].filter((other) => {
      return other.metadata.uid !== metadata.uid && other.spec.closed !== true;
    });
  }

  async #hooksOf({ metadata, spec }: Plan): Promise<ReadonlyMap<string, Hook>> {
    const { namespace = '' } = metadata;
    const found = new Map<string, Hook>();
    for (const name of new Set((spec.hooks ?? []).map(({ hook }) => hook))) {
      const hook = await this.#c.client.get(hooks, { namespace, name });
      if (hook !== undefined) found.set(name, hook);
    }
    return found;
  }

  /** The newest first. */
  async #migrationsOf({ namespace, name }: ObjectKey): Promise<readonly Migration[]> {
    const found: Migration[] = [];
    const selectors = { namespace, fields: `spec.plan=${name}` };
    for await (const one of this.#c.client.list(migrations, selectors)) found.push(one);
    const age = ({ metadata }: Migration) => `${metadata.creationTimestamp} ${metadata.name}`;
    return found.toSorted((a, b) => (age(a) < age(b) ? 1 : -1));
  }
}

/** Why a cluster cannot be asked. What was seen before a trouble is as good as it was. */
function wayTo(name: string, access: ClusterAccess | undefined): Side['trouble'] {
  if (access === undefined) {
    return { reason: 'ApiUnreachable', message: `cluster ${name} is not connected` };
  }
  if (isSynced(access)) return troubleOf(access);
  return troubleOf(access) ?? { reason: 'ApiUnreachable', message: 'it has not answered yet' };
}
