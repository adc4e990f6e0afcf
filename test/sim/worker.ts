/** A process of the simulator: takes orders, runs schedules, answers with verdicts. */
import { runSchedule } from './engine-run.ts';
import type { Order, Verdict } from './messages.ts';
import { mutants } from './mutants.ts';
import { Crashed } from './scheduler.ts';

export async function obey({ seed, mutant }: Order): Promise<Verdict> {
  const { mutate, open, profile } = (mutant === undefined ? undefined : mutants[mutant]) ?? {};
  const stray: unknown[] = [];
  // A process that crashed leaves promises behind that nobody waits for.
  const onStray = (error: unknown) => {
    if (!(error instanceof Crashed)) stray.push(error);
  };
  process.on('unhandledRejection', onStray);
  try {
    const result = await runSchedule({ seed, mutate, open, profile });
    const { traceHash, events, lives, violation = stray[0] } = result;
    return { seed, traceHash, events, lives, violation: describe(violation) };
  } finally {
    process.off('unhandledRejection', onStray);
  }
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
