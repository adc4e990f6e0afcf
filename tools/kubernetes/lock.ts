import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const pollMs = 500;

/**
 * Waits until this is the only process that fills the directory. The lock is SQLite's on a file:
 * the kernel gives it up when the process ends in any way, so none can be left behind.
 */
export async function lockDirectory(directory: string, onWait: () => void): Promise<Disposable> {
  for (let attempt = 0; ; attempt++) {
    const database = new DatabaseSync(join(directory, '.lock.db'), { timeout: 0 });
    try {
      database.exec('PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
      return { [Symbol.dispose]: () => database.close() };
    } catch (error) {
      database.close();
      if (!isBusy(error)) throw error;
      if (attempt === 0) onWait();
      await sleep(pollMs);
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === 5;
}
