import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fail } from '../base/errors.ts';

export interface PoolLock {
  release(): void;
}

/**
 * Takes the one lock of a pool directory or fails with `PoolLocked`, naming the holder when it is
 * known. The lock is SQLite's exclusive file lock on `lock.db`: the kernel gives it up when the
 * process ends in any way, so a stale lock cannot exist.
 */
export function lockPool(directory: string): PoolLock {
  const holderPath = join(directory, 'lock.holder');
  let database: DatabaseSync | undefined;
  try {
    // No waiting: a pool in use stays in use.
    database = new DatabaseSync(join(directory, 'lock.db'), { timeout: 0 });
    // The transaction stays open and writes nothing, so that a full disk can be locked too.
    database.exec('PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (error) {
    database?.close();
    if (isBusy(error)) fail('PoolLocked', `pool ${directory} is used by ${holder(holderPath)}`);
    fail('DiskFailed', `cannot lock pool ${directory}: ${String(error)}`, error);
  }
  noteHolder(holderPath);
  const held = database;
  return { release: () => void (held.isOpen && held.close()) };
}

/** For people only: a full disk must not keep a pool from opening. */
function noteHolder(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // The lock itself is held; only the other side's message is poorer.
  }
}

/** SQLITE_BUSY and SQLITE_LOCKED, with any extension in the upper bits. */
function isBusy(error: unknown): boolean {
  if (!(error instanceof Error) || !('errcode' in error)) return false;
  const code = Number(error.errcode) & 0xff;
  return code === 5 || code === 6;
}

/** Read beside the lock, because the locked database itself cannot be read. */
function holder(path: string): string {
  try {
    const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isNaN(pid) ? 'another process' : `process ${pid}`;
  } catch {
    return 'another process';
  }
}
