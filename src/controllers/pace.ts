/** Deadlines on a clock. */
import type { Clock } from '../base/ports.ts';

/** What `work` gives, or what `late` throws when it takes longer than `ms`. */
export function within<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  late: () => never,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.after(ms, () => {
      try {
        late();
      } catch (error) {
        reject(error);
      }
    });
    work.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
