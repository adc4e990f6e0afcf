/** How long a story waits for what. */
import { ever, type Trouble } from './move-trouble.ts';
import type { MoveWorld } from './move-world.ts';

const lookMs = 1_000;
/** So long things may go wrong before all is calm again. */
const troubledMs = 240_000;
/** Longer than any step waits: then what fails for ever has led somewhere. */
const endlessMs = 35 * 60_000;
/** Of calm: back-offs, time-outs and retries fit in many times. */
export const patienceMs = 45 * 60_000;

export function troubledFor(trouble: Trouble): number {
  return trouble.kind === 'calls' && trouble.times >= ever ? endlessMs : troubledMs;
}

/** It concerns what it says in its call. */
export function isAbout(trouble: Trouble, word: string): boolean {
  if (trouble.kind === 'refused') return trouble.what.includes(word);
  return trouble.kind === 'calls' && trouble.calls.some(({ call }) => call.includes(word));
}

/** Looks often; not in time is no failure. */
export async function until(
  world: MoveWorld,
  what: string,
  holds: () => boolean,
  withinMs: number,
): Promise<void> {
  const { scheduler } = world;
  const endMs = scheduler.nowMs + withinMs;
  scheduler.note(`wait for ${what}`);
  while (!holds() && scheduler.nowMs < endMs) {
    await scheduler.idle(Math.min(lookMs, endMs - scheduler.nowMs));
    if (world.violation !== undefined) throw world.violation;
  }
}
