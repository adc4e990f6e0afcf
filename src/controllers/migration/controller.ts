/**
 * Migrations, at the hub: each is driven along the itinerary of its type, one slice after the
 * other. Where it stands is `status.itinerary`, written before every effect and only over what was
 * read: a process that no longer leads cannot put an older state in its place. Everything that is
 * kept in memory may be lost.
 *
 * The migrations of one plan run one after the other. The finalizer stays until nothing is left to
 * be taken back, so that deleting one that runs takes it back first.
 */
import { type Migration, migrations } from '../../api/kinds/migration.ts';
import { type Plan, plans } from '../../api/kinds/plan.ts';
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import type { Outcome as Next } from '../../kube/api.ts';
import { beginState, type Orders, type Outcome, retryState, Runner } from '../../flow/flow.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { keyOf, parseKey } from '../../kube/objects.ts';
import type { Source } from '../../kube/reconciler.ts';
import { recordPrefix } from '../../workload/ours.ts';
import type { Context, Controller } from '../context.ts';
import { finalizers } from '../labels.ts';
import { changedNamespaces, hasOnlyLooked, pairsOf, putBack } from '../plan/frozen.ts';
import { isClosed } from '../plan/closing.ts';
import { isOpen, migrationsOf, needsPlan, planKeyOf } from '../plan/migrations.ts';
import { inferType } from '../plan/type.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { reach } from '../teleport/preflight.ts';
import { hasCutOver, leadsBack } from './cutover.ts';
import { forgetFrozen, freezePlan, frozenPlan, thawPlan } from './frozen-plan.ts';
import { journeyOf } from './journey.ts';
import type { Run } from './run.ts';
import { Saved } from './saved.ts';
import { endHooks } from './steps/hooks.ts';
import { sourcesOf } from './sources.ts';
import type { Blocked } from './status.ts';
import { blockerOf, hasBegun, newerOf } from './turn.ts';
import { tell, tellKept, tellOver } from './tell.ts';

/** Slices in a row without a pause. */
const slicesMax = 16;
const againMs = 5_000;

interface Known {
  readonly runner: Runner<Run>;
  /** What `save` writes to in the slice at hand. */
  saved: Saved;
}

interface Sides {
  readonly plan: Plan;
  readonly source: ClusterAccess;
  readonly destination: ClusterAccess;
}

export class MigrationController implements Controller {
  readonly name = 'Migration';
  readonly concurrency = 4;
  readonly sources: readonly Source[];
  readonly #c: Context;
  /** By uid. */
  readonly #known = new Map<string, Known>();

  constructor(context: Context) {
    this.#c = context;
    this.sources = sourcesOf(context);
  }

  async reconcile(key: string): Promise<Next> {
    const cached = this.#c.informers.migrations.get(parseKey(key));
    if (cached === undefined) return {};
    // Asked now: a state that is older than what was done would have it done again.
    const object = await this.#c.client.get(migrations, keyOf(cached));
    if (object === undefined) {
      this.#known.delete(cached.metadata.uid ?? '');
      return {};
    }
    const saved = new Saved(this.#c, object);
    try {
      return await this.#go(saved);
    } catch (error) {
      const { reason } = asTransshipError(error);
      if (!(error instanceof TransshipError) || reason === 'Stopping') throw error;
      if (reason !== 'ApiUnreachable' && reason !== 'Forbidden') throw error;
      // How it ended has been said: that it cannot be let go yet is no news of it.
      if (!isOpen(saved.object) && !isTemporary(saved.object)) throw error;
      return this.#blocked(saved, { kind: 'blocked', reason, message: error.message });
    }
  }

  async #go(saved: Saved): Promise<Next> {
    const { object } = saved;
    const isLeaving = isCanceled(object);
    const isKept = isTemporary(object);
    const wantsRetry = (object.spec.retry ?? 0) > (object.status?.retried ?? 0);
    if (!isOpen(object) && !isKept && !(wantsRetry && !isLeaving)) return this.#leave(saved);
    if (wantsRetry && hasBegun(object)) await this.#retry(saved);
    if (!isOpen(saved.object) && !isKept) return this.#leave(saved);
    if (!hasBegun(object) && isLeaving) return this.#over(saved, { kind: 'undone' });
    const other = blockerOf(this.#c, saved.object);
    if (other !== undefined) return this.#blocked(saved, other);
    const sides = this.#sidesOf(object);
    if ('kind' in sides) return this.#lost(saved, sides);
    const changed = this.#changed(saved.object, sides.plan);
    if (changed !== undefined) return this.#blocked(saved, changed);
    if (!hasBegun(saved.object)) await this.#begin(saved, sides.plan);
    else if (hasOnlyLooked(saved.object)) await this.#follow(saved, sides.plan);
    const plan = await frozenPlan(this.#c, saved.object, sides.plan);
    return this.#advance(saved, { ...sides, plan });
  }

  /** Over: nothing is left to be taken back, but for a rehearsal that somebody looks at. */
  async #leave(saved: Saved): Promise<Next> {
    const { object } = saved;
    this.#known.delete(object.metadata.uid ?? '');
    const isKept = object.spec.type === 'Rehearsal' && !isCanceled(object);
    const succeeded = object.status?.conditions?.find(({ type }) => type === 'Succeeded');
    if (isHeld(object) && !(isKept && succeeded?.status === 'True')) {
      // The plan first: who takes over after that comes here again.
      await this.#letPlanGo(object);
      await this.#forget(object);
      const free = await removeFinalizer(this.#c.client, migrations, object, finalizers.migration);
      if (free === undefined) return {};
      saved.object = free;
    }
    return this.#keep(saved);
  }

  /** What a rollback would go back from stays, also when it is deleted. */
  async #keep(saved: Saved): Promise<Next> {
    const { object } = saved;
    if (object.metadata.finalizers?.includes(finalizers.rollback) !== true) return {};
    const plan = await this.#c.client.get(plans, parseKey(planKeyOf(object)));
    const isOver = plan === undefined || isClosed(plan);
    if (isOver || !leadsBack(object, this.#siblings(object))) {
      await removeFinalizer(this.#c.client, migrations, object, finalizers.rollback);
      return {};
    }
    if (object.metadata.deletionTimestamp === undefined) return {};
    await tellKept(saved);
    return { againAfterMs: againMs };
  }

  /** Of its plan. This one as it was just read: what it wrote may not have come back yet. */
  #siblings(object: Migration): readonly Migration[] {
    return this.#c.informers.migrations
      .byIndex('plan', planKeyOf(object))
      .map((one) => (one.metadata.uid === object.metadata.uid ? object : one));
  }

  /** Plans as they were for runs from which no rollback leads back any more. */
  async #forget(object: Migration): Promise<void> {
    const all = this.#siblings(object);
    const over = object.spec.type === 'Rollback' ? all.filter(hasCutOver) : [object];
    for (const one of over) {
      if (!leadsBack(one, all)) await forgetFrozen(this.#c, one);
    }
  }

  /** Unless another migration of it is open. */
  async #letPlanGo(object: Migration): Promise<void> {
    const key = planKeyOf(object);
    const plan = this.#c.informers.plans.get(parseKey(key));
    const all = this.#c.informers.migrations.byIndex('plan', key);
    const isUsed = all.some((one) => one.metadata.uid !== object.metadata.uid && needsPlan(one));
    if (plan === undefined || isUsed) return;
    await removeFinalizer(this.#c.client, plans, plan, finalizers.plan);
  }

  /** The plan stays as long: what is begun has to know what to take back. */
  async #begin(saved: Saved, plan: Plan): Promise<void> {
    const { client } = this.#c;
    await ensureFinalizer(client, plans, plan, finalizers.plan);
    saved.object = await ensureFinalizer(client, migrations, saved.object, finalizers.migration);
    if (saved.object.spec.type === 'Cutover') {
      saved.object = await ensureFinalizer(client, migrations, saved.object, finalizers.rollback);
    }
    await freezePlan(this.#c, saved.object, plan);
    const { type, retry = 0 } = saved.object.spec;
    await saved.write({
      startTime: saved.now(),
      retried: retry,
      itinerary: beginState(journeyOf(type).main.itinerary),
      namespaces: pairsOf(plan),
      undo: `${recordPrefix}stopped-${plan.metadata.uid}`,
    });
  }

  /** What the plan names now is what this slice looks at. */
  async #follow(saved: Saved, plan: Plan): Promise<void> {
    await freezePlan(this.#c, saved.object, plan);
    const now = pairsOf(plan);
    const { namespaces } = saved.object.status ?? {};
    if (JSON.stringify(namespaces) !== JSON.stringify(now)) await saved.write({ namespaces: now });
  }

  /** The step that failed runs again; what was proven stays. */
  async #retry(saved: Saved): Promise<void> {
    const { client, ports } = this.#c;
    const { spec, status } = saved.object;
    const before = status?.itinerary ?? [];
    const itinerary = retryState(before);
    const isUseless = JSON.stringify(itinerary) === JSON.stringify(before);
    const newer = newerOf(this.#c, saved.object);
    if (isUseless || newer !== undefined) {
      const note =
        newer === undefined
          ? 'no step has failed, or all was taken back: make a new migration'
          : `${newer} has begun since, and things are not as they were: make a new migration`;
      const what = { type: 'Warning', reason: 'NothingToRetry', action: 'Retrying' } as const;
      ports.events.record({ regarding: saved.object, ...what, note });
      await saved.write({ retried: spec.retry ?? 0 });
      return;
    }
    saved.object = await ensureFinalizer(client, migrations, saved.object, finalizers.migration);
    const plan = this.#c.informers.plans.get(parseKey(planKeyOf(saved.object)));
    if (plan !== undefined) await thawPlan(this.#c, saved.object, plan);
    this.#known.delete(saved.object.metadata.uid ?? '');
    await saved.write({ itinerary, retried: spec.retry ?? 0, completionTime: undefined });
  }

  /** The plan and both clusters, as far as they can be had now. */
  #sidesOf(object: Migration): Sides | Blocked {
    const name = planKeyOf(object);
    const plan = this.#c.informers.plans.get(parseKey(name));
    if (plan === undefined) {
      const message = `there is no plan ${name}; make it, or delete this migration`;
      return { kind: 'blocked', reason: 'NotFound', message };
    }
    const isGoing = plan.metadata.deletionTimestamp !== undefined;
    if (isGoing && !hasBegun(object)) {
      return { kind: 'blocked', reason: 'NotFound', message: `plan ${name} is being deleted` };
    }
    const { source, destination } = plan.spec;
    try {
      return { plan, source: this.#reach(source), destination: this.#reach(destination) };
    } catch (error) {
      const { reason, message, remedy } = asTransshipError(error);
      return { kind: 'blocked', reason, message: `${message}; ${remedy}` };
    }
  }

  /** This one as it was just read: what it wrote may not have come back by watching. */
  #changed(object: Migration, plan: Plan): Blocked | undefined {
    const all = migrationsOf(this.#c, plan).map((one) => {
      return one.metadata.uid === object.metadata.uid ? object : one;
    });
    const found = changedNamespaces(plan, all);
    if (found === undefined) return undefined;
    return { kind: 'blocked', reason: 'ChecksFailed', message: `${found}. ${putBack}` };
  }

  #reach(cluster: string): ClusterAccess {
    const access = this.#c.remotes.find(cluster);
    const object = this.#c.informers.clusters.get({ namespace: '', name: cluster });
    if (access === undefined && object === undefined) {
      throw new TransshipError('NotFound', `there is no Cluster ${cluster}`);
    }
    return reach(access, cluster);
  }

  /** Who deletes what can never be taken back any more gets a warning, and it goes. */
  async #lost(saved: Saved, blocked: Blocked): Promise<Next> {
    const { object } = saved;
    const isGone = blocked.reason === 'NotFound' && object.metadata.deletionTimestamp !== undefined;
    if (!isGone) return this.#blocked(saved, blocked);
    const note =
      `${blocked.message}: what this migration changed was not taken back. ` +
      'Secrets named transship-undo-* in the namespaces of its plan say what it was.';
    const what = { type: 'Warning', reason: 'NotFound', action: 'TakingBack' } as const;
    this.#c.ports.events.record({ regarding: object, ...what, note });
    await removeFinalizer(this.#c.client, migrations, object, finalizers.migration);
    return {};
  }

  async #blocked(saved: Saved, blocked: Blocked): Promise<Next> {
    await tell(this.#c, saved, { outcome: blocked, plan: undefined });
    return { againAfterMs: againMs };
  }

  #runnerOf(saved: Saved): Runner<Run> {
    const { uid = '' } = saved.object.metadata;
    const known = this.#known.get(uid);
    if (known !== undefined) {
      known.saved = saved;
      return known.runner;
    }
    const { clock, log } = this.#c.ports;
    const late: { known?: Known } = {};
    const runner = new Runner(journeyOf(saved.object.spec.type), {
      clock,
      log,
      save: async (itinerary) => (late.known?.saved ?? saved).write({ itinerary }),
    });
    late.known = { runner, saved };
    this.#known.set(uid, late.known);
    return runner;
  }

  async #advance(saved: Saved, sides: Sides): Promise<Next> {
    const { plan } = sides;
    const runner = this.#runnerOf(saved);
    warnOfHold(saved);
    for (let slices = 1; ; slices++) {
      const run: Run = {
        ...sides,
        context: this.#c,
        migration: saved.object,
        type: inferType(plan) ?? 'Namespace',
        warn: (sentence) => saved.warn(sentence),
      };
      const state = saved.object.status?.itinerary ?? [];
      const { outcome } = await runner.advance(state, run, ordersOf(saved.object, plan));
      const isAgain = outcome.kind === 'again' && outcome.afterMs === 0;
      if (!isAgain || slices >= slicesMax) return this.#told(saved, { outcome, run });
    }
  }

  async #told(
    saved: Saved,
    { outcome, run }: { readonly outcome: Outcome; readonly run: Run },
  ): Promise<Next> {
    const isDeleting = saved.object.metadata.deletionTimestamp !== undefined;
    switch (outcome.kind) {
      case 'again':
      case 'waiting':
        await tell(this.#c, saved, { outcome, plan: run.plan });
        return { againAfterMs: Math.max(1, outcome.afterMs) };
      case 'held':
        await tell(this.#c, saved, { outcome, plan: run.plan });
        return {};
      case 'failed':
        await tell(this.#c, saved, { outcome, plan: run.plan });
        // A way back that has passed its own point of no return cannot be taken back itself.
        return isDeleting && hasPassed(saved.object) ? this.#over(saved, outcome, run) : {};
      case 'succeeded':
      case 'needsRollback':
      case 'undone':
        return this.#over(saved, outcome, run);
    }
  }

  async #over(saved: Saved, outcome: Outcome, run?: Run): Promise<Next> {
    // No step of it comes any more that would take them away.
    if (outcome.kind === 'needsRollback' && run !== undefined) await endHooks(run);
    await tellOver(this.#c, saved, { outcome, run });
    return this.#leave(saved);
  }
}

function isCanceled({ spec, metadata }: Migration): boolean {
  return spec.canceled === true || metadata.deletionTimestamp !== undefined;
}

function isHeld({ metadata }: Migration): boolean {
  return metadata.finalizers?.includes(finalizers.migration) === true;
}

/** A rehearsal that is over and is now taken away. */
function isTemporary(migration: Migration): boolean {
  return migration.spec.type === 'Rehearsal' && isHeld(migration) && isCanceled(migration);
}

function ordersOf(migration: Migration, plan: Plan): Orders {
  const { paused = false, holdBefore, type } = migration.spec;
  const { onFailure = 'RollBack' } = plan.spec;
  return {
    canceled: isCanceled(migration),
    paused,
    ...(holdBefore === undefined ? {} : { holdBefore }),
    // A rehearsal is there to be looked at, all the more when it fails.
    onFailure: type === 'Rehearsal' ? 'Pause' : onFailure,
  };
}

/** A name that is wrong would let the run go on where a person wanted it to wait. */
function warnOfHold(saved: Saved): void {
  const { holdBefore, type } = saved.object.spec;
  const { itinerary = [] } = saved.object.status ?? {};
  if (holdBefore === undefined || itinerary.some(({ name }) => name === holdBefore)) return;
  saved.warn(`spec.holdBefore names ${holdBefore}, which is no step of a ${type}.`);
}

function hasPassed(migration: Migration): boolean {
  const start = migration.status?.itinerary?.find(({ name }) => name === 'startSource');
  return hasCutOver(migration) || (start !== undefined && start.state !== 'Pending');
}
