/**
 * Teleports, at the hub: the destination's API is asked for a Volume that comes from the source,
 * and for a claim on it; what happens there is told here.
 *
 * What a restart must know is written before it matters: the finalizer before anything, the source
 * Volume and the start before the first effect elsewhere, that it was accessible before a claim is
 * made (from then on somebody may write), and how it ended before anything is cleaned up. The
 * finalizer goes last, when nothing is left to do elsewhere.
 *
 * Deleting a Teleport cancels it until its claim is there; later it only stops the telling: the
 * destination goes on filling, and the agents' lease keeps the source (`source.ts`).
 */
import { type Teleport, teleports } from '../../api/kinds/teleport.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import { isReason, type Reason, reasons } from '../../base/reasons.ts';
import { formatMoment } from '../../base/units.ts';
import type { Outcome } from '../../kube/api.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { keyOf, keyText, parseKey } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context, Controller } from '../context.ts';
import { finalizers, labels } from '../labels.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import type { RemoteChange } from '../remotes/remotes.ts';
import { conditionOf, isTrue, type Report } from '../status.ts';
import {
  type Arrived,
  arrivedAt,
  arrivedNow,
  makeClaim,
  makeVolume,
  passOnChanges,
  unmake,
} from './destination.ts';
import { endingOf, hasStarted, sidesOf, sideText, volumeNameOf, wasAccessible } from './plan.ts';
import { NotYet, preflight, reach, Unsettled } from './preflight.ts';
import { endingReport, endReport, fieldsOf, runningReport } from './report.ts';
import { SourceGuard } from './source.ts';

/** For what may still come: objects applied together, claims about to be bound. */
const preflightMs = 120_000;
const waitAgainMs = 5_000;
/** What was applied together comes within moments: asked for often at first. */
const waitFirstMs = 250;
const cleanAgainMs = 10_000;
/** After a start other clusters are not open yet, which is not worth a word. */
const settleMs = 15_000;
const settleAgainMs = 1_000;

export class TeleportController implements Controller {
  readonly name = 'Teleport';
  readonly concurrency = 16;
  readonly sources: readonly Source[];
  readonly #c: Context;
  readonly #startedMs: number;
  readonly #guard = new SourceGuard();

  constructor(context: Context) {
    this.#c = context;
    this.#startedMs = context.ports.clock.monotonicMs();
    this.sources = [
      watching(context.informers.teleports),
      watching(context.informers.clusters, () => []),
      context.remotes.source((change) => this.#keysOf(change)),
    ];
  }

  async reconcile(key: string): Promise<Outcome> {
    const cached = this.#c.informers.teleports.get(parseKey(key));
    if (cached === undefined) return {};
    const teleport = this.#c.statuses.newest(cached);
    const isHeld = teleport.metadata.finalizers?.includes(finalizers.teleport) === true;
    const isDeleting = teleport.metadata.deletionTimestamp !== undefined;
    if (endingOf(teleport) !== undefined || isDeleting) {
      return isHeld ? this.#finish(teleport) : {};
    }
    const { client } = this.#c;
    const held = isHeld
      ? teleport
      : await ensureFinalizer(client, teleports, teleport, finalizers.teleport);
    return this.#run(held);
  }

  #keysOf({ cluster, object }: RemoteChange): readonly string[] {
    const uid = object?.metadata.labels?.[labels.teleport];
    const { teleports: known } = this.#c.informers;
    if (object !== undefined) {
      return uid === undefined ? [] : known.byIndex('uid', uid).map((one) => keyText(keyOf(one)));
    }
    return known.byIndex('cluster', cluster).map((one) => keyText(keyOf(one)));
  }

  async #run(teleport: Teleport): Promise<Outcome> {
    const { destination: side } = sidesOf(teleport);
    try {
      const destination = this.#reach(side.cluster);
      const arrived = arrivedAt(teleport, destination);
      if (arrived.volume !== undefined) return await this.#follow(teleport, destination, arrived);
      if (wasAccessible(teleport)) return await this.#missing(teleport, destination);
      return await this.#start(teleport, destination);
    } catch (error) {
      return this.#trouble(this.#c.statuses.newest(teleport), asTransshipError(error));
    }
  }

  /** Nothing is at the destination yet, or the watch does not show it yet. */
  async #start(teleport: Teleport, destination: ClusterAccess): Promise<Outcome> {
    const { source: side } = sidesOf(teleport);
    const source = this.#hasAgentsOnly(side.cluster) ? undefined : this.#reach(side.cluster);
    const plan = await preflight(teleport, { source, destination });
    const { sourceVolume } = plan;
    const known = teleport.status;
    const started =
      hasStarted(teleport) && known?.sourceVolume === sourceVolume
        ? teleport
        : await this.#write(teleport, {
            phase: 'Initializing',
            startTime: known?.startTime ?? this.#now(),
            sourceVolume,
            volume: volumeNameOf(teleport),
          });
    // Where its API is not known the agents' lease alone keeps the source.
    if (source !== undefined && plan.source !== undefined) {
      await this.#guard.protect(started, source, plan.source);
    }
    const volume = await makeVolume(started, destination, plan);
    return this.#follow(started, destination, { volume, bound: undefined, claim: undefined });
  }

  /** A cluster that no object names may come yet, as everything else that was applied together. */
  #reach(cluster: string): ClusterAccess {
    if (!this.#isGone(cluster)) return reach(this.#c.remotes.find(cluster), cluster);
    throw new NotYet('NotFound', `there is no Cluster ${cluster}`);
  }

  /** Some fields now, because what follows relies on them. */
  #write(teleport: Teleport, change: Parameters<typeof fieldsOf>[2]): Promise<Teleport> {
    const status = fieldsOf(teleport, undefined, change);
    return this.#c.statuses.set(teleports, teleport, status);
  }

  async #follow(
    teleport: Teleport,
    destination: ClusterAccess,
    arrived: Arrived,
  ): Promise<Outcome> {
    const volume = arrived.volume!;
    if (volume.metadata.deletionTimestamp !== undefined) return this.#cancel(teleport);
    await passOnChanges(teleport, destination, volume);
    if (!wasAccessible(teleport) && !isTrue(volume, 'Ready'))
      return this.#initializing(teleport, volume);
    const since = wasAccessible(teleport) ? teleport : await this.#accessible(teleport, volume);
    const wantsClaim = sidesOf(teleport).destination.claim !== undefined;
    if (wantsClaim && arrived.claim === undefined) {
      const now = await arrivedNow(teleport, destination);
      if (now.claim === undefined && wasClaimed(teleport, now)) return this.#cancel(teleport);
      if (now.volume === undefined) return this.#cancel(teleport);
      await makeClaim(since, destination, { ...now, volume: now.volume });
      return this.#tell(runningReport(this.#news(since, volume, false)), since);
    }
    const isBound = !wantsClaim || arrived.claim?.status?.phase === 'Bound';
    if (isBound && isTrue(volume, 'Complete')) return this.#succeed(since, volume);
    return this.#tell(runningReport(this.#news(since, volume, isBound)), since);
  }

  #news(teleport: Teleport, volume: Volume | undefined, isBound: boolean) {
    return { teleport, volume, isBound, blocker: undefined, isWatched: true };
  }

  /** The destination says how it goes; what no waiting can mend is the end. */
  async #initializing(teleport: Teleport, volume: Volume): Promise<Outcome> {
    const ready = conditionOf(volume, 'Ready');
    const { reason = '', message = '' } = ready ?? {};
    const news = this.#news(teleport, volume, false);
    if (!isReason(reason)) return this.#tell(runningReport(news), teleport);
    if (endsIt(reason)) return this.#end(teleport, volume, reason, message);
    const blocker = new TransshipError(reason, message);
    return this.#tell(runningReport({ ...news, blocker }), teleport);
  }

  async #accessible(teleport: Teleport, volume: Volume): Promise<Teleport> {
    const accessibleTime = volume.status?.teleport?.accessibleTime ?? this.#now();
    const { startTime } = teleport.status ?? {};
    const startMs = Date.parse(startTime ?? accessibleTime);
    const afterMs = Math.max(0, Date.parse(accessibleTime) - startMs);
    return this.#write(teleport, {
      phase: 'Accessible',
      accessibleTime,
      accessibleAfterMilliseconds: afterMs,
    });
  }

  /** Was there, and is not in the cache any more: asked again before it counts. */
  async #missing(teleport: Teleport, destination: ClusterAccess): Promise<Outcome> {
    const now = await arrivedNow(teleport, destination);
    if (now.volume === undefined) return this.#cancel(teleport);
    return this.#follow(teleport, destination, now);
  }

  async #cancel(teleport: Teleport): Promise<Outcome> {
    const where = sideText(sidesOf(teleport).destination);
    const message = `${where} was deleted at the destination`;
    return this.#end(teleport, undefined, 'Canceled', message);
  }

  async #succeed(teleport: Teleport, volume: Volume): Promise<Outcome> {
    const { source, destination } = sidesOf(teleport);
    const message = `all data is at ${sideText(destination)}; ${source.cluster} is not needed`;
    return this.#end(teleport, volume, 'Available', message);
  }

  async #end(
    teleport: Teleport,
    volume: Volume | undefined,
    reason: string,
    message: string,
  ): Promise<Outcome> {
    const report = endReport(teleport, volume, { reason, message, time: this.#now() });
    const type = reason === 'Available' ? ('Normal' as const) : ('Warning' as const);
    const action = 'Teleporting';
    this.#c.ports.events.record({ regarding: teleport, type, reason, action, note: message });
    // The watch brings it back here, for the cleaning up.
    return this.#tell(report, teleport);
  }

  async #trouble(teleport: Teleport, error: TransshipError): Promise<Outcome> {
    const { message, reason } = error;
    if (this.#isSettling(error)) return { againAfterMs: settleAgainMs };
    // Somebody was quicker, or nobody may write here any more: nothing to tell anybody.
    if (reason === 'Conflict' || reason === 'Stopping') throw error;
    const isLate = this.#ageMs(teleport) > preflightMs;
    const isFinal = error instanceof NotYet ? isLate : endsIt(reason);
    // A name that was taken at the last moment: nobody can have written to what has no claim.
    if (isFinal && (!wasAccessible(teleport) || reason === 'AlreadyExists')) {
      return this.#end(teleport, undefined, reason, message);
    }
    const isWatched = reason !== 'ApiUnreachable' && reason !== 'Unauthorized';
    const news = { teleport, volume: undefined, isBound: false, blocker: error, isWatched };
    const { againAfterMs } = await this.#tell(runningReport(news), teleport);
    const youngMs = Math.max(waitFirstMs, this.#ageMs(teleport) / 4);
    const waitMs = error instanceof NotYet ? Math.min(youngMs, waitAgainMs) : waitAgainMs;
    return { againAfterMs: Math.min(againAfterMs ?? waitMs, waitMs) };
  }

  #isSettling(error: unknown): boolean {
    const upMs = this.#c.ports.clock.monotonicMs() - this.#startedMs;
    return error instanceof Unsettled && upMs < settleMs;
  }

  #ageMs({ metadata }: Teleport): number {
    return this.#c.ports.clock.wallMs() - Date.parse(metadata.creationTimestamp ?? '');
  }

  #now(): string {
    return formatMoment(this.#c.ports.clock.wallMs());
  }

  /** Ended or deleted: what is not to stay is removed, and the source given back. */
  async #finish(known: Teleport): Promise<Outcome> {
    // Asked now: what was begun and is not known of would be left for ever.
    const teleport = await this.#c.client.get(teleports, keyOf(known));
    if (teleport === undefined || teleport.metadata.uid !== known.metadata.uid) return {};
    try {
      await this.#cleanDestination(teleport);
      await this.#letSourceGo(teleport);
    } catch (error) {
      if (this.#isSettling(error)) return { againAfterMs: settleAgainMs };
      const { message } = asTransshipError(error);
      await this.#tell(endingReport(teleport, message), teleport);
      return { againAfterMs: cleanAgainMs };
    }
    if (conditionOf(teleport, 'CleanedUp') !== undefined) {
      const waitMs = await this.#c.statuses.write(teleports, teleport, endingReport(teleport));
      if (waitMs !== undefined) return { againAfterMs: waitMs };
    }
    await removeFinalizer(this.#c.client, teleports, teleport, finalizers.teleport);
    return {};
  }

  /** Throws what keeps the destination from being clean. */
  async #cleanDestination(teleport: Teleport): Promise<void> {
    if (endingOf(teleport) === 'Available' || !hasStarted(teleport)) return;
    const { cluster, claim } = sidesOf(teleport).destination;
    if (this.#isGone(cluster)) return;
    const access = reach(this.#c.remotes.find(cluster), cluster);
    const isOver = endingOf(teleport) !== undefined;
    const now = await arrivedNow(teleport, access);
    const isInUse = (claim === undefined ? now.volume : now.claim) !== undefined;
    // Deleted, not cancelled: what can be used goes on without being told about.
    if (!isOver && wasAccessible(teleport) && isInUse) return;
    const left = await unmake(teleport, access);
    if (left !== undefined) fail('InUse', left);
  }

  async #letSourceGo(teleport: Teleport): Promise<void> {
    const { cluster } = sidesOf(teleport).source;
    const { sourceVolume } = teleport.status ?? {};
    if (sourceVolume === undefined || this.#hasAgentsOnly(cluster)) return;
    if (!this.#isGone(cluster)) {
      return this.#guard.release(teleport, reach(this.#c.remotes.find(cluster), cluster));
    }
    const note =
      `cluster ${cluster} is not known any more: a finalizer of this teleport may be left ` +
      `on its volume ${sourceVolume}`;
    const what = { type: 'Warning', reason: 'NotFound', action: 'CleaningUp' } as const;
    this.#c.ports.events.record({ regarding: teleport, ...what, note });
  }

  /** It joined by a token: nobody gave us a kubeconfig of it. */
  #hasAgentsOnly(cluster: string): boolean {
    const object = this.#c.informers.clusters.get({ namespace: '', name: cluster });
    if (object === undefined || object.spec.local === true) return false;
    return object.spec.kubeconfigSecretRef === undefined;
  }

  #isGone(cluster: string): boolean {
    if (this.#c.remotes.find(cluster) !== undefined) return false;
    return this.#c.informers.clusters.get({ namespace: '', name: cluster }) === undefined;
  }

  async #tell(report: Report, teleport: Teleport): Promise<Outcome> {
    const heldBackMs = await this.#c.statuses.write(teleports, teleport, report);
    return heldBackMs === undefined ? {} : { againAfterMs: heldBackMs };
  }
}

/** Rights can be granted, tokens renewed and defects be chance: these are waited for. */
const waitedFor: ReadonlySet<Reason> = new Set(['Unauthorized', 'Forbidden', 'Internal']);

function endsIt(reason: Reason): boolean {
  return !reasons[reason].retryable && !waitedFor.has(reason);
}

/** Somebody could have used the claim: that it is gone now was somebody's will. */
function wasClaimed(teleport: Teleport, { bound }: Arrived): boolean {
  if (conditionOf(teleport, 'Ready')?.status === 'True') return true;
  const isReleased = bound?.status?.phase === 'Released' || bound?.status?.phase === 'Failed';
  const isLetGo = bound?.metadata.deletionTimestamp !== undefined;
  return bound?.spec?.claimRef?.uid !== undefined || isReleased || isLetGo;
}
