/** A process of the simulator: takes orders, runs schedules, answers with verdicts. */
import type { Order, Verdict } from './messages.ts';
import { runMove } from './move-run.ts';
import type { Story } from './move-story.ts';
import { rememberingLibrary } from './remembering.ts';
import { runAny } from './schedules.ts';
import { withStray } from './stray.ts';

const library = rememberingLibrary();

export async function obey({ seed, mutant, story }: Order): Promise<Verdict> {
  if (story !== undefined) return tell(seed, story);
  const { result, stray } = await withStray(() => runAny({ seed, mutant, library }));
  const { traceHash, events, lives, violation = stray } = result;
  return { seed, traceHash, events, lives, violation: describe(violation) };
}

async function tell(seed: number, story: Story): Promise<Verdict> {
  const { result, stray } = await withStray(() => runMove({ seed, story, library }));
  const { traceHash, events, lives, violation = stray } = result;
  const { survey, happened, missed, endings } = result;
  const told = { survey, happened, missed, endings };
  return { seed, traceHash, events, lives, violation: describe(violation), told };
}

function describe(error: unknown): string | undefined {
  if (error === undefined) return undefined;
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `\n  because ${error.cause.stack}` : '';
  return `${error.stack}${cause}`;
}

process.on('message', (order: Order) => {
  void obey(order).then((verdict) => process.send?.(verdict));
});
