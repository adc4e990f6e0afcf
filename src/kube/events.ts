/**
 * Kubernetes events (events.k8s.io/v1): told beside the work, never in its way. What is told again
 * becomes a series of the first event; what cannot be told is dropped.
 */
import { asTransshipError } from '../base/errors.ts';
import type { EventDraft, EventRecorder, KubeClient } from './api.ts';
import { microTime } from './lease.ts';
import { keyOf } from './objects.ts';
import { events, type Event } from './resources.ts';
import { ApiError } from './status-errors.ts';
import { sleep } from '../base/sleep.ts';

/** Events that wait to be sent; later ones are dropped while the server is slow. */
const waitingMax = 256;
/** Events that a repetition finds again. */
const seriesMax = 512;
/** A pause this long between repetitions begins a new event (as Kubernetes has it). */
const seriesGapMs = 360_000;
/** A running series is written this often, however often it repeats. */
const seriesWriteMs = 30_000;
/** Servers refuse longer notes (in bytes). */
const noteBytesMax = 1024;
const reasonLengthMax = 128;
const nameLengthMax = 253;
/** `stop` waits so long for what is not sent yet. */
const stopMs = 5_000;

export interface EventRecorderOptions {
  readonly client: KubeClient;
  /** As what writes the events: `transship.dev/controller`. */
  readonly reporter: string;
  /** Which one of its kind: the pod or host name. */
  readonly instance: string;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new QueuedRecorder(options);
}

interface Series {
  readonly draft: EventDraft;
  readonly name: string;
  readonly firstWallMs: number;
  count: number;
  lastMs: number;
  lastWallMs: number;
  /** Nothing yet, or how often the server knows of. */
  writtenCount: number;
  writtenMs: number;
  isWaiting: boolean;
}

class QueuedRecorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  /** The least recently repeated first. */
  readonly #series = new Map<string, Series>();
  readonly #waiting: Series[] = [];
  #sending: Promise<void> | undefined;
  #isStopped = false;
  #said = '';

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  record(draft: EventDraft): void {
    if (this.#isStopped) return;
    const nowMs = this.#clock.monotonicMs();
    const identity = identityOf(draft);
    let series = this.#series.get(identity);
    if (series === undefined || nowMs - series.lastMs > seriesGapMs) series = this.#begin(draft);
    this.#series.delete(identity);
    this.#series.set(identity, series);
    if (this.#series.size > seriesMax) {
      const [oldest] = this.#series.keys();
      if (oldest !== undefined) this.#series.delete(oldest);
    }
    series.count++;
    series.lastMs = nowMs;
    series.lastWallMs = this.#clock.wallMs();
    const isNews = series.count <= 2 || nowMs - series.writtenMs >= seriesWriteMs;
    if (isNews && !series.isWaiting) this.#enqueue(series);
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    // What repeated since it was last written is not lost with the process.
    for (const series of this.#series.values()) {
      if (series.count > series.writtenCount && !series.isWaiting) this.#enqueue(series);
    }
    await Promise.race([this.#sending, sleep(this.#clock, stopMs)]);
    this.#waiting.length = 0;
  }

  get #clock() {
    return this.#options.client.connection.clock;
  }

  #begin(draft: EventDraft): Series {
    const { random } = this.#options.client.connection;
    const suffix = Buffer.from(random.bytes(8)).toString('hex');
    const { name } = keyOf(draft.regarding);
    return {
      draft,
      name: `${name.slice(0, nameLengthMax - suffix.length - 1)}.${suffix}`,
      firstWallMs: this.#clock.wallMs(),
      count: 0,
      lastMs: 0,
      lastWallMs: 0,
      writtenCount: 0,
      writtenMs: 0,
      isWaiting: false,
    };
  }

  #enqueue(series: Series): void {
    if (this.#waiting.length >= waitingMax) {
      this.#say('events are dropped: the server takes them too slowly', 'LimitExceeded');
      return;
    }
    series.isWaiting = true;
    this.#waiting.push(series);
    this.#sending ??= this.#sendAll();
  }

  async #sendAll(): Promise<void> {
    for (let series = this.#waiting.shift(); series !== undefined; series = this.#waiting.shift()) {
      series.isWaiting = false;
      try {
        await this.#send(series);
        this.#said = '';
      } catch (error) {
        const { reason, message } = asTransshipError(error);
        this.#say(`an event was not told: ${message}`, reason);
      }
    }
    this.#sending = undefined;
  }

  async #send(series: Series): Promise<void> {
    const { client } = this.#options;
    const { count } = series;
    series.writtenMs = this.#clock.monotonicMs();
    if (series.writtenCount > 0) {
      const key = { namespace: namespaceOf(series.draft), name: series.name };
      try {
        await client.patch(events, key, { series: seriesOf(series) });
        series.writtenCount = count;
        return;
      } catch (error) {
        // Events have a short life of their own: the series goes on in a new one.
        if (!(error instanceof ApiError) || error.httpStatus !== 404) throw error;
      }
    }
    try {
      await client.create(events, this.#eventOf(series));
    } catch (error) {
      // Our own, of an attempt whose answer was lost.
      if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    }
    series.writtenCount = count;
  }

  #eventOf(series: Series): Event {
    const { draft, name } = series;
    const { regarding, type, action } = draft;
    const { uid, resourceVersion } = regarding.metadata;
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { namespace: namespaceOf(draft), name },
      eventTime: microTime(series.firstWallMs),
      reportingController: this.#options.reporter,
      reportingInstance: this.#options.instance.slice(0, reasonLengthMax),
      action: action.slice(0, reasonLengthMax),
      reason: draft.reason.slice(0, reasonLengthMax),
      type,
      note: cutToBytes(draft.note, noteBytesMax),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        ...keyOf(regarding),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      ...(series.count > 1 && { series: seriesOf(series) }),
    };
  }

  /** Once, until it goes well again or goes wrong in another way. */
  #say(message: string, reason: string): void {
    if (this.#said === reason) return;
    this.#said = reason;
    const { log, cluster } = this.#options.client.connection;
    log.log('warn', message, { cluster, reason });
  }
}

function seriesOf(series: Series): NonNullable<Event['series']> {
  return { count: series.count, lastObservedTime: microTime(series.lastWallMs) };
}

/** Events of what is in no namespace are in the default one. */
function namespaceOf({ regarding }: EventDraft): string {
  return keyOf(regarding).namespace || 'default';
}

function identityOf({ regarding, type, reason, action, note }: EventDraft): string {
  const { namespace, name } = keyOf(regarding);
  const { uid = '' } = regarding.metadata;
  return JSON.stringify([regarding.kind, namespace, name, uid, type, reason, action, note]);
}

/** Without half a character at the end. */
function cutToBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= bytesMax) return text;
  const ellipsis = '…';
  let end = bytesMax - Buffer.byteLength(ellipsis);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.subarray(0, end).toString('utf8')}${ellipsis}`;
}
