import { fail, TransshipError } from '../base/errors.ts';
import type { Clock, Random } from '../base/ports.ts';

const attemptsMax = 7;
const firstWaitMs = 250;
const waitMsMax = 15_000;
/** A registry may ask for more; then it is an error that the caller repeats. */
const toldWaitMsMax = 120_000;

/** Waits between attempts, longer each time, or as long as the other side said. */
export class Retry {
  readonly #ports: { readonly clock: Clock; readonly random: Random };
  readonly #signal: AbortSignal;
  #failures = 0;

  constructor(ports: { readonly clock: Clock; readonly random: Random }, signal: AbortSignal) {
    this.#ports = ports;
    this.#signal = signal;
  }

  /** Something was achieved: what fails next is a new trouble. */
  progressed(): void {
    this.#failures = 0;
  }

  /** Throws the error when another attempt would not help, else waits. */
  async after(error: unknown): Promise<void> {
    if (!(error instanceof TransshipError) || !error.retryable) throw error;
    this.#failures += 1;
    if (this.#failures >= attemptsMax) throw error;
    const told = toldWait(error);
    if (told > toldWaitMsMax) throw error;
    const grown = Math.min(waitMsMax, firstWaitMs * 2 ** (this.#failures - 1));
    await this.#wait(Math.max(told, grown * (0.5 + this.#ports.random.fraction() / 2)));
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const canceled = () => {
        timer.cancel();
        reject(new TransshipError('Canceled', 'copying the image was canceled'));
      };
      const timer = this.#ports.clock.after(ms, () => {
        this.#signal.removeEventListener('abort', canceled);
        resolve();
      });
      if (this.#signal.aborted) canceled();
      else this.#signal.addEventListener('abort', canceled, { once: true });
    });
  }

  /** Of a Retry-After: seconds or a date (RFC 9110 section 10.2.3). */
  static waitOf(header: string | undefined, nowMs: number): number {
    if (header === undefined) return 0;
    if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
    const atMs = Date.parse(header);
    return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
  }
}

function toldWait({ cause }: TransshipError): number {
  if (typeof cause !== 'object' || cause === null || !('waitMs' in cause)) return 0;
  return typeof cause.waitMs === 'number' ? cause.waitMs : fail('Internal', 'a wait is no number');
}
