/** Time that moves only when a test says so. */
import type { Clock, Timer } from '../base/ports.ts';

export interface ManualClock extends Clock {
  /** Moves time on, running the timers that fall due and what they start, in order. */
  advance(ms: number): Promise<void>;
}

interface Alarm {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export function createManualClock(startWallMs = 1_700_000_000_000): ManualClock {
  const alarms = new Set<Alarm>();
  let nowMs = 0;
  let order = 0;
  const after = (ms: number, run: () => void): Timer => {
    const alarm = { atMs: nowMs + Math.max(0, ms), order: order++, run };
    alarms.add(alarm);
    return { cancel: () => void alarms.delete(alarm) };
  };
  const next = (untilMs: number): Alarm | undefined => {
    const due = [...alarms].filter(({ atMs }) => atMs <= untilMs);
    return due.toSorted((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
  };
  const advance = async (ms: number): Promise<void> => {
    const untilMs = nowMs + ms;
    await settle();
    for (let alarm = next(untilMs); alarm !== undefined; alarm = next(untilMs)) {
      alarms.delete(alarm);
      nowMs = Math.max(nowMs, alarm.atMs);
      alarm.run();
      await settle();
    }
    nowMs = untilMs;
  };
  return { wallMs: () => startWallMs + nowMs, monotonicMs: () => nowMs, after, advance };
}

/** Lets promises that are already resolved run on, and those that they resolve. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
