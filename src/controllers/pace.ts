/** Deadlines on a clock. */
import type { Clock } from '../base/ports.ts';

/** What `work` gives, or what `late` throws when it takes longer than `ms`. */
export async function within<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  late: () => never,
): Promise<T> {
  const over = Promise.withResolvers<'late'>();
  const timer = clock.after(ms, () => over.resolve('late'));
  try {
    const first = await Promise.race([work.then((value) => ({ value })), over.promise]);
    return first === 'late' ? late() : first.value;
  } finally {
    timer.cancel();
  }
}
