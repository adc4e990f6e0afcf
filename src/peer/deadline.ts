/** Ends of waiting, as abort signals. */
import type { TransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';

export interface Deadline {
  readonly signal: AbortSignal;
  /** The work is over: nothing is aborted any more. */
  done(): void;
}

/** Aborts with `error()` after `ms`, or with the reason of `outer` when that comes first. */
export function startDeadline(options: {
  readonly clock: Clock;
  readonly ms: number;
  readonly error: () => TransshipError;
  readonly outer?: AbortSignal | undefined;
}): Deadline {
  const { clock, ms, error, outer } = options;
  const controller = new AbortController();
  const follow = () => controller.abort(outer?.reason);
  const timer = clock.after(ms, () => controller.abort(error()));
  if (outer?.aborted === true) follow();
  else outer?.addEventListener('abort', follow, { once: true });
  return {
    signal: controller.signal,
    done: () => {
      timer.cancel();
      outer?.removeEventListener('abort', follow);
    },
  };
}
