/** The last things that happened, for people (I-31). In memory: the log file keeps the rest. */
import { apiVersion, type EventObject, type EventType } from '../api/objects.ts';
import type { Clock, Log } from '../base/ports.ts';
import { formatMoment } from '../base/units.ts';

const eventsMax = 1000;
/** The same thing again within this time counts up instead of filling the ring. */
const aggregateMs = 10 * 60_000;

export interface Happening {
  readonly type: EventType;
  readonly reason: string;
  readonly kind: string;
  readonly name: string;
  readonly note: string;
}

type Listener = (event: EventObject) => void;

const logLevels = {
  Information: 'info',
  Warning: 'warn',
  Error: 'error',
  Critical: 'error',
} as const;

export class Events {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #cluster: string;
  readonly #ring: EventObject[] = [];
  readonly #listeners = new Set<Listener>();
  #next = 1;

  constructor(ports: { readonly clock: Clock; readonly log: Log }, cluster: string) {
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#cluster = cluster;
  }

  add(happening: Happening): void {
    const { type, reason, kind, name, note } = happening;
    this.#log.log(logLevels[type], note, { reason, kind, name });
    const nowMs = this.#clock.wallMs();
    const same = this.#ring.findIndex((event) => isSame(event, happening, nowMs));
    const before = same < 0 ? undefined : this.#ring.splice(same, 1)[0];
    const event: EventObject = {
      kind: 'Event',
      apiVersion,
      metadata: before?.metadata ?? {
        name: `event-${this.#next++}`,
        cluster: this.#cluster,
        creationTimestamp: formatMoment(nowMs),
      },
      type,
      reason,
      regarding: { kind, name },
      note,
      eventTime: formatMoment(nowMs),
      count: (before?.count ?? 0) + 1,
    };
    this.#ring.push(event);
    if (this.#ring.length > eventsMax) this.#ring.shift();
    for (const listener of this.#listeners) listener(event);
  }

  list(): readonly EventObject[] {
    return [...this.#ring];
  }

  onEvent(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function isSame(event: EventObject, happening: Happening, nowMs: number): boolean {
  return (
    event.reason === happening.reason &&
    event.regarding.kind === happening.kind &&
    event.regarding.name === happening.name &&
    event.note === happening.note &&
    nowMs - Date.parse(event.eventTime) < aggregateMs
  );
}
