/** A process of the simulator: takes orders, runs schedules, answers with verdicts. */
import type { Order, Verdict } from './messages.ts';
import { runAny } from './schedules.ts';
import { withStray } from './stray.ts';

export async function obey({ seed, mutant }: Order): Promise<Verdict> {
  const { result, stray } = await withStray(() => runAny({ seed, mutant }));
  const { traceHash, events, lives, violation = stray } = result;
  return { seed, traceHash, events, lives, violation: describe(violation) };
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
