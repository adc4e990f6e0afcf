/** Rejections that nobody waits for: from a process that crashed they are right, else a bug. */
import { Crashed } from './scheduler.ts';

export async function withStray<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly stray: unknown }> {
  const stray: unknown[] = [];
  const onStray = (error: unknown) => {
    if (!(error instanceof Crashed)) stray.push(error);
  };
  process.on('unhandledRejection', onStray);
  try {
    const result = await work();
    return { result, stray: stray[0] };
  } finally {
    process.off('unhandledRejection', onStray);
  }
}
