/** Waiting for others, and how long before they are asked again. */
import { TransshipError } from '../base/errors.ts';
import type { Random } from '../base/ports.ts';

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error
    ? signal.reason
    : new TransshipError('Canceled', 'it was canceled');
}

/** The promise, or the signal's reason if that comes first: for callees that heed no signal. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal));
    if (signal.aborted) {
      promise.catch(() => undefined);
      return abort();
    }
    signal.addEventListener('abort', abort);
    const settled = (): void => signal.removeEventListener('abort', abort);
    promise.then(
      (value) => {
        settled();
        resolve(value);
      },
      (error: unknown) => {
        settled();
        reject(error instanceof Error ? error : new TransshipError('Internal', String(error)));
      },
    );
  });
}

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Doubles from `minMs` to `maxMs`; jitter of ±50 % keeps many clients from coming in step. */
export function backoffMs(limits: BackoffLimits, failures: number, random: Random): number {
  const plain = Math.min(limits.maxMs, limits.minMs * 2 ** Math.min(Math.max(0, failures), 40));
  return Math.min(limits.maxMs, plain * (0.5 + random.fraction()));
}
