import type { Clock, Timer } from '../base/ports.ts';

/** Longer delays overflow a timer and would fire at once. */
const delayMsMax = 2 ** 31 - 1;

export function createClock(): Clock {
  return {
    wallMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after: (ms, run) => startTimer(ms, run),
  };
}

function startTimer(ms: number, run: () => void): Timer {
  let remaining = Math.max(0, ms);
  let handle: NodeJS.Timeout | undefined;
  const arm = () => {
    const delay = Math.min(remaining, delayMsMax);
    remaining -= delay;
    handle = setTimeout(remaining > 0 ? arm : run, delay).unref();
  };
  arm();
  return { cancel: () => clearTimeout(handle) };
}
