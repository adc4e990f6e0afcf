/**
 * watch: a cursor in the store's history. Nothing is kept per watcher, so one that reads slowly
 * costs no memory; when it falls behind the history, it is told 410 and its stream ends.
 */
import type { KubeResponse } from '../../kube/transport.ts';
import { breathe, type Call } from './kernel.ts';
import { type Negotiated, negotiate } from './negotiation.ts';
import {
  isSelected,
  narrowPrefix,
  prefixOf,
  type Selection,
  selectionOf,
  versionParameter,
} from './reading.ts';
import { countParameter, isTrue } from './request.ts';
import { encode, streamResponse } from './response.ts';
import { forbiddenValue } from './metadata.ts';
import { invalidOptions, StatusError, tooLargeVersion } from './status.ts';
import { errorLine, type LineWriter, makeLineWriter } from './watch-lines.ts';

const bookmarkEveryMs = 60_000;
/** The last bookmark comes this long before the end. */
const lastBookmarkMs = 2_000;
/** Without `timeoutSeconds`; up to twice as long, so that watches do not all end at once. */
const timeoutMsMin = 30 * 60_000;
/** Characters sent at once; a few milliseconds of work. */
const chunkCharsMax = 256 * 1024;

/** A stream of changes; throws when the parameters cannot be. */
export function watchObjects(call: Call): KubeResponse {
  const form = negotiate(call.info.request.headers['accept'], ['object', 'table', 'partial']);
  const start = startOf(call);
  const selection = selectionOf(call);
  const { store } = call.kernel;
  // Also found out here, so that the answer can still be a 410 itself.
  if (start.initial === 'none') store.changesAfter(start.version, prefixOf(call)).next();
  const open = (ended: AbortSignal): Watch => ({ call, form, start, selection, ended });
  return streamResponse(closable(call, (ended) => watching(open(ended))));
}

interface Start {
  /** Changes after this one are sent. */
  readonly version: number;
  /** What is there now is sent first, as if just added; `marked`: with a bookmark at its end. */
  readonly initial: 'none' | 'plain' | 'marked';
}

function startOf(call: Call): Start {
  const { store } = call.kernel;
  const { query } = call.info;
  const asked = versionParameter(query.get('resourceVersion') ?? '');
  const wantsInitial = query.get('sendInitialEvents');
  const match = query.get('resourceVersionMatch') ?? '';
  if (wantsInitial === null && match !== '') {
    throw forbiddenMatch(
      'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    );
  }
  if (wantsInitial !== null && match !== 'NotOlderThan') {
    throw forbiddenMatch('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
  }
  if (asked > store.version) throw tooLargeVersion(asked, store.version);
  if (isTrue(wantsInitial)) return { version: store.version, initial: 'marked' };
  if (asked > 0) return { version: asked, initial: 'none' };
  return { version: store.version, initial: wantsInitial === null ? 'plain' : 'none' };
}

function forbiddenMatch(why: string): Error {
  return invalidOptions('ListOptions', [forbiddenValue('resourceVersionMatch', why)]);
}

interface Watch {
  readonly call: Call;
  readonly form: Negotiated;
  readonly start: Start;
  readonly selection: Selection;
  /** Nobody reads any more, or the server ends. */
  readonly ended: AbortSignal;
}

/**
 * The stream, with an end that does not wait for the next event: leaving the loop, the request's
 * signal and the server's end stop it at once.
 */
function closable(
  call: Call,
  open: (ended: AbortSignal) => AsyncGenerator<Uint8Array, void, undefined>,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      const left = new AbortController();
      const signals = [left.signal, call.kernel.stopping];
      const { signal } = call.info.request;
      if (signal !== undefined) signals.push(signal);
      const inner = open(AbortSignal.any(signals));
      return {
        next: () => inner.next(),
        return: () => {
          left.abort();
          return inner.return();
        },
      };
    },
  };
}

async function* watching(watch: Watch): AsyncGenerator<Uint8Array, void, undefined> {
  const { call, form, start, selection, ended } = watch;
  const { store } = call.kernel;
  const lines = makeLineWriter(call, form, selection);
  const alarm = new Alarm(call, ended);
  const stopListening = store.onCommit(call.resource.collection, () => alarm.ring());
  try {
    if (start.initial !== 'none') yield* initialEvents(watch, lines);
    let { version } = start;
    while (!ended.aborted && !alarm.isOver) {
      const batch = readBatch(watch, lines, version);
      ({ version } = batch);
      if (batch.text !== '') yield encode(batch.text);
      if (batch.isLast) return;
      if (alarm.takeBookmark()) yield encode(lines.bookmark(version, false));
      if (store.version === version) await alarm.wait();
    }
    call.info.request.signal?.throwIfAborted();
  } finally {
    stopListening();
    alarm.stop();
  }
}

/** What there was at the start, without holding up the thread. */
async function* initialEvents(
  { call, start, selection }: Watch,
  lines: LineWriter,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { store, clock } = call.kernel;
  const range = { prefix: narrowPrefix(call), version: start.version };
  const entries = [...store.list(range)];
  let pending: string[] = [];
  let size = 0;
  for (const entry of entries) {
    if (!isSelected(call, selection, entry)) continue;
    const line = lines.added(entry);
    pending.push(line);
    size += line.length;
    if (size < chunkCharsMax) continue;
    yield encode(pending.join(''));
    pending = [];
    size = 0;
    await breathe(clock);
  }
  if (start.initial === 'marked') pending.push(lines.bookmark(start.version, true));
  if (pending.length > 0) yield encode(pending.join(''));
}

interface Batch {
  readonly text: string;
  /** Everything up to here has been told. */
  readonly version: number;
  /** Changes were forgotten before they could be sent. */
  readonly isLast: boolean;
}

function readBatch({ call }: Watch, lines: LineWriter, after: number): Batch {
  const { store } = call.kernel;
  const parts: string[] = [];
  let size = 0;
  try {
    for (const event of store.changesAfter(after, prefixOf(call))) {
      const line = lines.change(event);
      if (line === undefined) continue;
      parts.push(line);
      size += line.length;
      if (size < chunkCharsMax) continue;
      return { text: parts.join(''), version: event.version, isLast: false };
    }
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { text: errorLine(error), version: after, isLast: true };
  }
  return { text: parts.join(''), version: store.version, isLast: false };
}

/** What a watcher sleeps on: changes, its timeout, the time for a bookmark, its end. */
class Alarm {
  readonly #call: Call;
  readonly #ended: AbortSignal;
  readonly #timers: { cancel(): void }[] = [];
  readonly #onEnd = (): void => this.ring();
  #wake: (() => void) | undefined;
  #over = false;
  #bookmarkDue = false;

  constructor(call: Call, ended: AbortSignal) {
    this.#call = call;
    this.#ended = ended;
    const { clock, random } = call.kernel;
    const { query } = call.info;
    const seconds = countParameter(query, 'timeoutSeconds') ?? 0;
    const timeoutMs = seconds > 0 ? seconds * 1000 : timeoutMsMin * (1 + random.fraction());
    ended.addEventListener('abort', this.#onEnd);
    this.#timers.push(
      clock.after(timeoutMs, () => {
        this.#over = true;
        this.ring();
      }),
    );
    // One comes before the end, so that whoever watches again begins there.
    const untilMs = Math.min(bookmarkEveryMs, Math.max(timeoutMs / 2, timeoutMs - lastBookmarkMs));
    if (isTrue(query.get('allowWatchBookmarks'))) this.#armBookmark(untilMs);
  }

  get isOver(): boolean {
    return this.#over;
  }

  ring(): void {
    this.#wake?.();
  }

  /** Resolves at the next ring; at once when there is nothing to wait for any more. */
  async wait(): Promise<void> {
    if (this.#over || this.#bookmarkDue || this.#ended.aborted) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  /** True once each time a bookmark is due. */
  takeBookmark(): boolean {
    if (!this.#bookmarkDue) return false;
    this.#bookmarkDue = false;
    this.#armBookmark(bookmarkEveryMs);
    return true;
  }

  stop(): void {
    this.#ended.removeEventListener('abort', this.#onEnd);
    for (const timer of this.#timers) timer.cancel();
  }

  #armBookmark(afterMs: number): void {
    this.#timers[1] = this.#call.kernel.clock.after(afterMs, () => {
      this.#bookmarkDue = true;
      this.ring();
    });
  }
}
