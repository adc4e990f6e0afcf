/** An object store that is asked again, more and more slowly, for as long as its user can wait. */
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import type { Clock, Random } from '../../base/ports.ts';
import type { ObjectStore } from './object-store.ts';

const firstWaitMs = 250;
const waitMsMax = 30_000;

export interface Patience {
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined: for ever. */
  readonly deadlineMs: number | undefined;
  /** Told of each failure that is waited out, and of the next success. */
  readonly onState?: (problem: TransshipError | undefined) => void;
}

export function createRetryingStore(store: ObjectStore, patience: Patience): ObjectStore {
  const again = <T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> => {
    return persist(patience, signal, run);
  };
  return {
    place: store.place,
    put: (name, parts, options = {}) => {
      let isRepeated = false;
      return again(options.signal, async () => {
        try {
          await store.put(name, parts, options);
        } catch (error) {
          // Ours: the answer to an earlier attempt was lost. It is for names that say the content.
          const isOurs = isRepeated && asTransshipError(error).reason === 'AlreadyExists';
          isRepeated = true;
          if (!isOurs) throw error;
        }
      });
    },
    get: (name, options = {}) => again(options.signal, () => store.get(name, options)),
    list: async function* list(prefix, signal) {
      const found = await again(signal, async () => {
        const all = [];
        for await (const info of store.list(prefix, signal)) all.push(info);
        return all;
      });
      yield* found;
    },
    delete: (name, signal) => again(signal, () => store.delete(name, signal)),
  };
}

async function persist<T>(
  { clock, random, deadlineMs, onState }: Patience,
  signal: AbortSignal | undefined,
  run: () => Promise<T>,
): Promise<T> {
  const endMs =
    deadlineMs === undefined ? Number.POSITIVE_INFINITY : clock.monotonicMs() + deadlineMs;
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(waitMsMax, waitMs * 2)) {
    signal?.throwIfAborted();
    try {
      const result = await run();
      onState?.(undefined);
      return result;
    } catch (error) {
      const problem = asTransshipError(error);
      if (!problem.retryable || problem.reason === 'Canceled') throw error;
      onState?.(problem);
      const jittered = waitMs * (0.5 + random.fraction() / 2);
      if (clock.monotonicMs() + jittered > endMs) throw error;
      await pause(clock, jittered, signal);
    }
  }
}

/** Rejects with the signal's reason. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const canceled = () => {
      timer.cancel();
      reject(asTransshipError(signal?.reason));
    };
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', canceled);
      resolve();
    });
    if (signal?.aborted === true) canceled();
    else signal?.addEventListener('abort', canceled, { once: true });
  });
}

/** What an abort without a reason of ours means. */
export function canceled(what: string): TransshipError {
  return new TransshipError('Canceled', `${what} was canceled`);
}
