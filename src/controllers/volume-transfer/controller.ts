/**
 * Copies of single volumes, at the hub: a method is chosen once, written down, and then asked to
 * get on until it says that it is over. What the methods do is seen in the clusters; how it ended
 * is written before anything is cleaned up, so that a restart goes on where it was.
 *
 * The finalizer stays for the life of the object: what was copied can be discarded later, and
 * helpers go with the object. Data never does.
 */
import { type VolumeTransfer, volumeTransfers } from '../../api/kinds/volume-transfer.ts';
import { asTransshipError, type TransshipError } from '../../base/errors.ts';
import { type Reason, reasons } from '../../base/reasons.ts';
import { formatMoment } from '../../base/units.ts';
import { Backoff } from '../../flow/backoff.ts';
import type { Outcome } from '../../kube/api.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { keyOf, keyText, parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { annotations, finalizers } from '../labels.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import type { Report } from '../status.ts';
import { NotYet, reach, Unsettled } from '../teleport/preflight.ts';
import { choose } from './choose.ts';
import { uidOf } from './marks.ts';
import type { Advance, Transfer } from './method.ts';
import { methodOf, methods } from './methods/all.ts';
import {
  cleaningReport,
  discardedReport,
  type End,
  endingOf,
  endReport,
  fieldsOf,
  hasBegun,
  isCleanedUp,
  isComplete,
  isDiscarded,
  type Running,
  runningReport,
  settlingReport,
} from './report.ts';

/** For what may still come: objects applied together, claims about to be bound. */
const preflightMs = 120_000;
/** An error that may pass is waited for so long, since the transfer last got on. */
const stuckMs = 30 * 60_000;
const cleanAgainMs = 2_000;
const blockedAgainMs = 10_000;
/** After a start other clusters are not open yet, which is not worth a word. */
const unsettledMs = 15_000;
const unsettledAgainMs = 1_000;
/** Nobody waits for the rest of what can be used already. */
const settleAgainMs = 5_000;
/** All is there; what it took comes in a moment. */
const countAgainMs = 500;
const overAgainMs = 60_000;

interface Left {
  readonly message?: string;
  readonly remedy?: string;
}

export class VolumeTransferController implements Controller {
  readonly name = 'VolumeTransfer';
  readonly concurrency = 8;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #startedMs: number;
  /** By uid; losing them only costs time. */
  readonly #backoffs = new Map<string, Backoff>();

  constructor(context: Context) {
    this.#c = context;
    this.#startedMs = context.ports.clock.monotonicMs();
    this.sources = [
      watching(context.informers.volumeTransfers),
      watching(context.informers.teleports, ({ before, now }) => {
        const key = (now ?? before)?.metadata.annotations?.[annotations.madeFor];
        return key === undefined ? [] : [key];
      }),
      context.remotes.source(({ cluster, object }) =>
        object === undefined ? this.#of(cluster) : [],
      ),
    ];
  }

  /** Transfers that a cluster matters to. */
  #of(cluster: string): readonly string[] {
    return [...this.#c.informers.volumeTransfers.list()]
      .filter(({ spec }) => [spec.source.cluster, spec.destination.cluster].includes(cluster))
      .map((one) => keyText(keyOf(one)));
  }

  async reconcile(key: string): Promise<Outcome> {
    const cached = this.#c.informers.volumeTransfers.get(parseKey(key));
    if (cached === undefined) return {};
    const object = this.#c.statuses.newest(cached);
    const { deletionTimestamp, finalizers: held = [] } = object.metadata;
    const isHeld = held.includes(finalizers.volumeTransfer);
    if (deletionTimestamp !== undefined) return isHeld ? this.#delete(object) : {};
    if (endingOf(object) !== undefined) return this.#afterEnd(object);
    const mine = isHeld
      ? object
      : await ensureFinalizer(this.#c.client, volumeTransfers, object, finalizers.volumeTransfer);
    return this.#run(mine);
  }

  async #run(object: VolumeTransfer): Promise<Outcome> {
    if (object.spec.canceled === true) {
      const message = 'it was asked to stop';
      return this.#end(object, { ending: 'Canceled', reason: 'Canceled', message });
    }
    try {
      const transfer = this.#transferOf(object);
      if (object.spec.paused === true && !hasBegun(object)) return await this.#hold(object);
      const begun = hasBegun(object) ? object : await this.#begin(transfer);
      if (endingOf(begun) !== undefined) return {};
      const news = await methodOf(begun).advance({ ...transfer, object: begun });
      this.#backoffs.delete(uidOf(object));
      return await this.#told(begun, news);
    } catch (error) {
      return this.#trouble(this.#c.statuses.newest(object), asTransshipError(error));
    }
  }

  #transferOf(object: VolumeTransfer): Transfer {
    const { source, destination } = object.spec;
    return {
      context: this.#c,
      object,
      source: this.#reach(source.cluster),
      destination: this.#reach(destination.cluster),
    };
  }

  #reach(cluster: string): ClusterAccess {
    if (!this.#isGone(cluster)) return reach(this.#c.remotes.find(cluster), cluster);
    throw new NotYet('NotFound', `there is no Cluster ${cluster}`);
  }

  #isGone(cluster: string): boolean {
    if (this.#c.remotes.find(cluster) !== undefined) return false;
    return this.#c.informers.clusters.get({ namespace: '', name: cluster }) === undefined;
  }

  #hold(object: VolumeTransfer): Promise<Outcome> {
    const message = 'it begins when spec.paused is false';
    return this.#tell(object, { reason: 'Paused', message }, undefined);
  }

  /** The method is written down before its first effect: another attempt takes the same one. */
  async #begin(transfer: Transfer): Promise<VolumeTransfer> {
    const { object } = transfer;
    const { action, method, declined } = await choose(transfer, methods);
    if (action === 'Copy' && method === undefined) {
      const why = declined.map((one) => `${one.method}: ${one.message}`).join('; ');
      const known = await this.#set(object, { declined });
      const message = `no method can be used (${why})`;
      await this.#end(known, { ending: 'Failed', reason: 'Unsupported', message });
      return this.#c.statuses.newest(known);
    }
    return this.#set(object, {
      phase: 'Running',
      startTime: this.#now(),
      attempts: 1,
      declined,
      ...(method === undefined ? {} : { method }),
    });
  }

  /** Some fields now, because what follows relies on them. */
  #set(object: VolumeTransfer, change: Parameters<typeof fieldsOf>[1]): Promise<VolumeTransfer> {
    return this.#c.statuses.set(volumeTransfers, object, fieldsOf(object, change));
  }

  #told(object: VolumeTransfer, news: Advance): Promise<Outcome> | Outcome {
    const { numbers } = news;
    switch (news.kind) {
      case 'running': {
        const reason = object.spec.paused === true ? 'Paused' : 'Running';
        return this.#tell(object, { reason, message: news.message, numbers }, this.#lookMs(object));
      }
      case 'waiting': {
        const message = `${news.message}; ${news.remedy}`;
        return this.#tell(object, { reason: 'Waiting', message, numbers }, this.#lookMs(object));
      }
      case 'succeeded': {
        const { volume, verified, warnings = [] } = news;
        const message = ['the data is at the destination', ...warnings].join('; ');
        const end = { ending: 'Succeeded', reason: 'Completed', message, numbers } as const;
        return this.#end(object, { ...end, volume, verified });
      }
      case 'failed': {
        const { reason, message } = news;
        return this.#end(object, { ending: 'Failed', reason, message, numbers });
      }
    }
  }

  /** Often at first and when it is the last one, for which workloads wait. */
  #lookMs({ spec, status }: VolumeTransfer): number {
    const ageMs = this.#c.ports.clock.wallMs() - Date.parse(status?.startTime ?? '');
    if (ageMs < 10_000) return 250;
    return spec.pass === 'Last' ? 1_000 : 2_000;
  }

  async #tell(
    object: VolumeTransfer,
    news: Omit<Running, 'nowMs'>,
    againAfterMs: number | undefined,
  ): Promise<Outcome> {
    const report = runningReport(object, { ...news, nowMs: this.#c.ports.clock.wallMs() });
    return this.#write(object, report, againAfterMs);
  }

  async #write(object: VolumeTransfer, report: Report, againMs?: number): Promise<Outcome> {
    const heldBackMs = await this.#c.statuses.write(volumeTransfers, object, report);
    if (heldBackMs === undefined) return againMs === undefined ? {} : { againAfterMs: againMs };
    return { againAfterMs: Math.min(heldBackMs, againMs ?? heldBackMs) };
  }

  async #end(object: VolumeTransfer, end: Omit<End, 'nowMs' | 'time'>): Promise<Outcome> {
    const nowMs = this.#c.ports.clock.wallMs();
    const report = endReport(object, { ...end, nowMs, time: formatMoment(nowMs) });
    const { ending, reason, message: note } = end;
    const outcome = await this.#write(object, report, 0);
    const type = ending === 'Succeeded' ? 'Normal' : 'Warning';
    const what = { regarding: object, type, reason, action: 'Copying', note } as const;
    this.#c.ports.events.record(what);
    this.#backoffs.delete(uidOf(object));
    return outcome;
  }

  async #trouble(object: VolumeTransfer, error: TransshipError): Promise<Outcome> {
    const { reason, message } = error;
    if (this.#isUnsettled(error)) return { againAfterMs: unsettledAgainMs };
    // Somebody was quicker, or nobody may write here any more: nothing to tell anybody.
    if (reason === 'Conflict' || reason === 'Stopping') throw error;
    const nowMs = this.#c.ports.clock.monotonicMs();
    const uid = uidOf(object);
    const backoff = this.#backoffs.get(uid) ?? new Backoff();
    this.#backoffs.set(uid, backoff);
    const isLate = backoff.stuckMs(nowMs) > (error instanceof NotYet ? preflightMs : stuckMs);
    if (isLate || (endsIt(reason) && !(error instanceof NotYet))) {
      return this.#end(object, { ending: 'Failed', reason, message });
    }
    const waitMs = backoff.countAttempt(nowMs);
    return this.#tell(object, { reason, message, blocker: error }, waitMs);
  }

  #isUnsettled(error: unknown): boolean {
    const upMs = this.#c.ports.clock.monotonicMs() - this.#startedMs;
    return error instanceof Unsettled && upMs < unsettledMs;
  }

  #now(): string {
    return formatMoment(this.#c.ports.clock.wallMs());
  }

  /** Helpers go, and the data too where that was asked for; what goes on by itself is told. */
  async #afterEnd(object: VolumeTransfer): Promise<Outcome> {
    const { canceled = false, discard = false } = object.spec;
    const wantsDiscard = canceled && discard && !isDiscarded(object);
    const isSettled = endingOf(object) !== 'Succeeded' || isComplete(object);
    if (isCleanedUp(object) && !wantsDiscard && isSettled) return {};
    try {
      if (isCleanedUp(object) && !wantsDiscard) return await this.#settle(object);
      const left = hasBegun(object) ? await this.#clean(object, wantsDiscard) : undefined;
      if (left !== undefined) return await this.#left(object, left);
    } catch (error) {
      return this.#blocked(object, error, wantsDiscard);
    }
    const report = wantsDiscard
      ? discardedReport(object, this.#now())
      : cleaningReport(object, undefined);
    return this.#write(object, report, 0);
  }

  /** What is still to be taken away; undefined: nothing. */
  async #clean(object: VolumeTransfer, wantsDiscard: boolean): Promise<Left | undefined> {
    const transfer = this.#transferOf(object);
    const method = methodOf(object);
    const cleaned = await method.clean(transfer);
    if (cleaned.kind !== 'done') return cleaned;
    const left = wantsDiscard ? await method.discard(transfer) : cleaned;
    return left.kind === 'done' ? undefined : left;
  }

  async #settle(object: VolumeTransfer): Promise<Outcome> {
    const settled = await methodOf(object).settle?.(this.#transferOf(object));
    const numbers = settled?.numbers ?? {};
    if (settled === undefined || settled.kind === 'done') {
      return this.#write(object, settlingReport(object, { numbers }));
    }
    const { message = 'bytes still come' } = settled;
    const isOver = settled.kind === 'waiting';
    const text = isOver ? `${message}; ${settled.remedy}` : message;
    const stillMs = numbers.percent === 100 ? countAgainMs : settleAgainMs;
    const againMs = isOver ? overAgainMs : stillMs;
    return this.#write(object, settlingReport(object, { message: text, numbers }), againMs);
  }

  async #left(object: VolumeTransfer, left: Left): Promise<Outcome> {
    const { message = 'what it made is being taken away', remedy } = left;
    const text = remedy === undefined ? message : `${message}; ${remedy}`;
    return this.#write(object, cleaningReport(object, text), cleanAgainMs);
  }

  /** A cluster cannot be asked now, or refuses. */
  #blocked(
    object: VolumeTransfer,
    error: unknown,
    wantsDiscard = false,
  ): Promise<Outcome> | Outcome {
    if (this.#isUnsettled(error)) return { againAfterMs: unsettledAgainMs };
    const { reason, message } = asTransshipError(error);
    if (reason === 'Conflict' || reason === 'Stopping') throw error;
    const report =
      isCleanedUp(object) && !wantsDiscard
        ? settlingReport(object, { message })
        : cleaningReport(object, message);
    return this.#write(object, report, blockedAgainMs);
  }

  async #delete(known: VolumeTransfer): Promise<Outcome> {
    // Asked now: what was begun and is not known of would be left for ever.
    const object = await this.#c.client.get(volumeTransfers, keyOf(known));
    if (object === undefined || object.metadata.uid !== known.metadata.uid) return {};
    const gone = [object.spec.source, object.spec.destination].find((one) =>
      this.#isGone(one.cluster),
    );
    try {
      if (gone !== undefined) this.#tellLeft(object, gone.cluster);
      else if (hasBegun(object)) {
        const left = await methodOf(object).clean(this.#transferOf(object));
        if (left.kind !== 'done') return await this.#left(object, left);
      }
    } catch (error) {
      return this.#blocked(object, error);
    }
    this.#backoffs.delete(uidOf(object));
    const { client } = this.#c;
    await removeFinalizer(client, volumeTransfers, object, finalizers.volumeTransfer);
    return {};
  }

  #tellLeft(object: VolumeTransfer, cluster: string): void {
    const what = { type: 'Warning', reason: 'NotFound', action: 'CleaningUp' } as const;
    const note = `cluster ${cluster} is not known any more: helpers of this copy may be left there`;
    this.#c.ports.events.record({ regarding: object, ...what, note });
  }
}

/** Rights can be granted, tokens renewed and defects be chance: these are waited for. */
const waitedFor: ReadonlySet<Reason> = new Set(['Unauthorized', 'Forbidden', 'Internal']);

function endsIt(reason: Reason): boolean {
  return !reasons[reason].retryable && !waitedFor.has(reason);
}
