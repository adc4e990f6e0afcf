/**
 * Replications, at the hub: checks that a person can see and answer, and then an itinerary like
 * those of migrations, while the source runs on. Where one stands is its status, written before
 * every effect and only over what was read. Between two clusters one runs at a time.
 */
import { type Replication, replications } from '../../api/kinds/replication.ts';
import { clustersOf, endsText, shapeOf } from '../../api/replication-ends.ts';
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import { beginState, type Outcome, Runner } from '../../flow/flow.ts';
import type { Informer, Outcome as Again } from '../../kube/api.ts';
import { removeFinalizer } from '../../kube/finalizers.ts';
import { keyOf, keyText, parseKey } from '../../kube/objects.ts';
import type { Source } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { finalizers } from '../labels.ts';
import { Lanes } from '../lanes.ts';
import { uidOf } from '../migration/run.ts';
import { condition } from '../status.ts';
import { reach, Unsettled } from '../teleport/preflight.ts';
import { Answering, waiting } from './answering.ts';
import { type ReplicationRun, runOf } from './as-plan.ts';
import { aheadOf, intervalMsOf, nextOf } from './decide.ts';
import { BackupSources } from './backup/sources.ts';
import { journeyOf } from './backup/journey.ts';
import { leave } from './leave.ts';
import { progressOf, resultOf, syncOf } from './progress.ts';
import { Saved } from './saved.ts';
import { sourcesOf } from './sources.ts';
import { tellEnd, tellLag } from './telling.ts';

/** Slices in a row without a pause. */
const slicesMax = 16;
const againMs = 5_000;
const turnMs = 2_000;
/** After a start other clusters are not open yet, which is not worth a word. */
const unsettledMs = 15_000;
/** The age of the data is told so often. */
const lagMs = 15_000;

/** Who refuses or is away is told, and asked again. */
const told: ReadonlySet<string> = new Set([
  'ApiUnreachable',
  'AgentUnreachable',
  'RepositoryUnreachable',
  'Forbidden',
  'NotAccessible',
  'Unauthorized',
]);

interface Known {
  readonly runner: Runner<ReplicationRun>;
  /** What `save` writes to in the slice at hand. */
  saved: Saved;
}

export class ReplicationController implements Controller {
  readonly name = 'Replication';
  readonly concurrency = 4;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #objects: Informer<Replication>;
  /** By uid. */
  readonly #known = new Map<string, Known>();
  /** Whose turn it is is found out by one at a time. */
  readonly #turns = new Lanes();
  readonly #startedMs: number;
  readonly #answering: Answering;
  readonly #backups: BackupSources;

  constructor(context: Context) {
    this.#c = context;
    this.#startedMs = context.ports.clock.monotonicMs();
    this.#answering = new Answering(context);
    this.#backups = new BackupSources(context);
    this.#objects = context.informers.replications;
    this.sources = sourcesOf(context);
  }

  async reconcile(key: string): Promise<Again> {
    const cached = this.#objects.get(parseKey(key));
    if (cached === undefined) return {};
    // Asked now: a state that is older than what was done would have it done again.
    const object = await this.#c.client.get(replications, keyOf(cached));
    if (object === undefined) {
      this.#forget(cached);
      return {};
    }
    const saved = new Saved(this.#c, object);
    try {
      if (object.metadata.deletionTimestamp !== undefined) return await this.#leave(saved);
      return await this.#go(saved);
    } catch (error) {
      return this.#trouble(saved, error);
    }
  }

  async #go(saved: Saved): Promise<Again> {
    const next = nextOf(saved.object, saved.nowMs());
    switch (next.do) {
      case 'begin':
        this.#known.delete(uidOf(saved.object));
        return this.#answering.begin(saved);
      case 'check':
        // A cluster that is only not open yet is no finding.
        if (this.#isStarting()) this.#runOf(saved);
        return this.#answering.check(saved);
      case 'take':
        return this.#answering.take(saved, next.decision);
      case 'drop':
        return this.#answering.drop(saved, next);
      case 'remediate':
        // Of a cluster that cannot be asked nothing would be found to correct.
        return this.#answering.remediate(saved, this.#runOf(saved));
      case 'queue':
        return this.#queue(saved);
      case 'advance':
        return this.#advance(saved);
      case 'rest':
        return this.#rest(saved, next.untilMs);
    }
  }

  #isStarting(): boolean {
    return this.#c.ports.clock.monotonicMs() - this.#startedMs < unsettledMs;
  }

  #forget({ metadata }: Replication): void {
    this.#known.delete(metadata.uid ?? '');
    this.#backups.forget(metadata.uid ?? '');
    this.#c.ports.metrics.set('transship_replication_lag_seconds', 0, {
      replication: `${metadata.namespace}/${metadata.name}`,
    });
  }

  /** One pair of clusters is one lane: two that look at once would both see that nobody runs. */
  async #queue(saved: Saved): Promise<Again> {
    const { source, destination } = clustersOf(saved.object.spec);
    const ahead = await this.#turns.run(`${source} ${destination}`, async () => {
      const all: Replication[] = [];
      for await (const one of this.#c.client.list(replications)) all.push(one);
      const other = aheadOf(saved.object, all);
      if (other !== undefined) return other;
      const itinerary = beginState(journeyOf(saved.object).main.itinerary);
      await saved.say('Running', 'it begins', { phase: 'Running', itinerary, percent: 0 });
      return undefined;
    });
    if (ahead === undefined) return { againAfterMs: 1 };
    const name = keyText(keyOf(ahead));
    const { from, to } = endsText(saved.object.spec);
    const pair = `between ${from} and ${to}`;
    const message = `it waits for replication ${name}: ${pair} one runs at a time`;
    await saved.say('WaitsForOther', message);
    return { againAfterMs: turnMs };
  }

  #runOf(saved: Saved): ReplicationRun {
    const { source, destination } = clustersOf(saved.object.spec);
    const { remotes } = this.#c;
    const there = reach(remotes.find(destination), destination);
    const isRestored = shapeOf(saved.object.spec) === 'Restore';
    return runOf({
      context: this.#c,
      replication: saved.object,
      source: isRestored
        ? this.#backups.sourceOf(saved.object, there)
        : reach(remotes.find(source), source),
      destination: there,
      warn: (sentence) => saved.note(sentence),
      tell: (counts) => saved.count(counts),
      set: (change) => saved.set(change),
    });
  }

  #runnerOf(saved: Saved): Runner<ReplicationRun> {
    const { uid = '' } = saved.object.metadata;
    const known = this.#known.get(uid);
    if (known !== undefined) {
      known.saved = saved;
      return known.runner;
    }
    const { clock, log } = this.#c.ports;
    const late: { known?: Known } = {};
    const runner = new Runner(journeyOf(saved.object), {
      clock,
      log,
      save: async (itinerary) => (late.known?.saved ?? saved).write({ itinerary }),
    });
    late.known = { runner, saved };
    this.#known.set(uid, late.known);
    return runner;
  }

  async #advance(saved: Saved): Promise<Again> {
    const runner = this.#runnerOf(saved);
    for (let slices = 1; ; slices++) {
      const run = this.#runOf(saved);
      const state = saved.object.status?.itinerary ?? [];
      const { outcome } = await runner.advance(state, run, {});
      const isAgain = outcome.kind === 'again' && outcome.afterMs === 0;
      if (!isAgain || slices >= slicesMax) return this.#told(saved, outcome);
    }
  }

  async #told(saved: Saved, outcome: Outcome): Promise<Again> {
    const progress = progressOf(saved.object, { ...this.#copiesOf(saved.object), outcome });
    const { drafts } = this.#sync(saved);
    switch (outcome.kind) {
      case 'again': {
        const entry = saved.object.status?.itinerary?.find(({ name }) => name === outcome.step);
        const said = waiting('Running', entry?.message ?? outcome.step, true);
        await saved.write(progress, [...said, ...drafts]);
        return { againAfterMs: Math.max(1, outcome.afterMs) };
      }
      case 'waiting': {
        const message = `${outcome.step}: ${outcome.message}; ${outcome.remedy}`;
        await saved.write(progress, [...waiting('Waiting', message, true), ...drafts]);
        return { againAfterMs: Math.max(1, outcome.afterMs) };
      }
      case 'succeeded':
        return this.#succeeded(saved, progress);
      case 'undone':
      case 'failed':
      case 'needsRollback':
      case 'held':
        return this.#failed(saved, progress);
    }
  }

  #copiesOf(one: Replication) {
    const { volumeTransfers, imageTransfers } = this.#c.informers;
    const key = keyText(keyOf(one));
    const isOwned = ({ metadata }: { metadata: Replication['metadata'] }): boolean =>
      metadata.ownerReferences?.some(({ uid }) => uid === one.metadata.uid) === true;
    return {
      volumes: volumeTransfers.byIndex('migration', key).filter(isOwned),
      images: imageTransfers.byIndex('migration', key).filter(isOwned),
    };
  }

  async #succeeded(saved: Saved, progress: object): Promise<Again> {
    const isContinuous = intervalMsOf(saved.object) !== undefined;
    const message = `the namespaces are at ${endsText(saved.object.spec).to}`;
    const end = [
      condition('Ready', true, 'Ready', message),
      condition('Succeeded', true, 'Completed', message),
    ];
    await saved.write(
      {
        ...progress,
        ...resultOf(saved.object, saved.nowMs()),
        phase: isContinuous ? 'Waiting' : 'Done',
        state: 'Success',
        completionTime: saved.now(),
      },
      end,
    );
    tellEnd(this.#c.ports, saved.object, { reason: 'Completed', message, isGood: true });
    return { againAfterMs: 1 };
  }

  /** A continuous one tries again when it is due. */
  async #failed(saved: Saved, progress: object): Promise<Again> {
    const state = saved.object.status?.itinerary ?? [];
    const broken = state.find(({ failure }) => failure !== undefined);
    const text = broken?.failure ?? 'Internal: a step failed';
    const reason = /^[A-Za-z]+(?=:)/.exec(text)?.[0] ?? 'Internal';
    const isContinuous = intervalMsOf(saved.object) !== undefined;
    const again = isContinuous ? 'it begins again when it is due' : 'raise spec.run to try again';
    const why = text.slice(text.indexOf(':') + 1).trim();
    const message = `step ${broken?.name ?? '?'} failed: ${why}; ${again}`;
    await saved.write(
      {
        ...progress,
        phase: isContinuous ? 'Waiting' : 'Done',
        state: 'Error',
        completionTime: saved.now(),
      },
      [condition('Succeeded', false, reason, message)],
    );
    tellEnd(this.#c.ports, saved.object, { reason, message, isGood: false });
    return { againAfterMs: 1 };
  }

  /** How old its data is goes on to be told while nothing else happens. */
  async #rest(saved: Saved, untilMs: number | undefined): Promise<Again> {
    this.#known.delete(uidOf(saved.object));
    this.#backups.forget(uidOf(saved.object));
    const { drafts, lagSeconds } = this.#sync(saved);
    if (drafts.length > 0) {
      await saved.write({ lagSeconds }, drafts);
      const leftMs = (untilMs ?? Number.POSITIVE_INFINITY) - saved.nowMs();
      return { againAfterMs: Math.max(1, Math.min(lagMs, leftMs)) };
    }
    const { metadata, status } = saved.object;
    // It was continuous: the last run was the last one.
    const isLast = status?.phase === 'Waiting';
    if (isLast || status?.observedGeneration !== metadata.generation) {
      await saved.write(isLast ? { phase: 'Done' } : {});
    }
    return {};
  }

  #sync(saved: Saved) {
    const { object } = saved;
    const sync = syncOf(object, saved.nowMs());
    const { namespace, name } = object.metadata;
    if (sync.lagSeconds !== undefined) {
      const labels = { replication: `${namespace}/${name}` };
      this.#c.ports.metrics.set('transship_replication_lag_seconds', sync.lagSeconds, labels);
    }
    if (sync.alarm !== undefined) tellLag(this.#c.ports, object, sync.alarm);
    return sync;
  }

  async #leave(saved: Saved): Promise<Again> {
    const isHeld = saved.object.metadata.finalizers?.includes(finalizers.replication) === true;
    if (!isHeld) return {};
    const left = await leave(this.#c, saved, () => this.#runOf(saved));
    if (left !== undefined) {
      await saved.say('Deleting', left);
      return { againAfterMs: 1_000 };
    }
    this.#forget(saved.object);
    const { client } = this.#c;
    await removeFinalizer(client, replications, saved.object, finalizers.replication);
    return {};
  }

  /** A cluster that cannot be asked, or refuses: it is told, and tried again. */
  async #trouble(saved: Saved, error: unknown): Promise<Again> {
    const { reason, message, remedy } = asTransshipError(error);
    if (!(error instanceof TransshipError) || reason === 'Stopping') throw error;
    if (error instanceof Unsettled && this.#isStarting()) return { againAfterMs: 1_000 };
    if (!told.has(reason)) throw error;
    const { drafts } = this.#sync(saved);
    const said = waiting(reason, `${message}; ${remedy}`);
    await saved.write({}, [...said, ...drafts]);
    return { againAfterMs: againMs };
  }
}
