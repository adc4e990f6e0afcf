/**
 * The state of an embedded cluster in one SQLite file: write-ahead log, a synced commit per change.
 * What `commit` returned for is there after kill -9 and after a power failure.
 */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { fail } from '../../base/errors.ts';
import type { Persistence, StoredChange } from '../../embedded/server/api.ts';

/** In the file's header, so that `file` and we can tell whose it is. */
const applicationId = 0x54726e73;
const formatNewest = 1;
/** Bytes of the log that stay on disk after its content was moved. */
const logBytesMax = 16 * 1024 * 1024;
/** Another process that ends just now gets this long. */
const lockedMs = 2_000;

const schema = `
  CREATE TABLE entry (key TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL) STRICT,
    WITHOUT ROWID;
  CREATE TABLE newest (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL) STRICT;
  INSERT INTO newest VALUES (1, 0);
`;

/**
 * Opens the file, or makes it, mode 0600. `InUse` when another process has it open,
 * `PoolUnusable` when it is damaged, of somebody else, or of a newer version.
 */
export function openSqlite(
  path: string,
  options: { readonly lockedMs?: number } = {},
): Persistence {
  closeSync(openSync(path, 'a', 0o600));
  const database = open(path, options.lockedMs ?? lockedMs);
  try {
    prepareFile(database, path);
    return new SqlitePersistence(database, path);
  } catch (error) {
    database.close();
    throw translated(error, path);
  }
}

function open(path: string, timeout: number): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout });
  } catch (error) {
    throw translated(error, path);
  }
}

function prepareFile(database: DatabaseSync, path: string): void {
  // One process owns the file; this also saves the shared-memory index.
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  database.exec('PRAGMA journal_mode = WAL');
  database.exec('PRAGMA synchronous = FULL');
  database.exec(`PRAGMA journal_size_limit = ${logBytesMax}`);
  const format = numberOf(database, 'PRAGMA user_version');
  const owner = numberOf(database, 'PRAGMA application_id');
  const tables = numberOf(database, 'SELECT count(*) FROM sqlite_schema');
  if (tables === 0 && format === 0) {
    database.exec(
      `BEGIN EXCLUSIVE; ${schema} PRAGMA application_id = ${applicationId}; ` +
        `PRAGMA user_version = ${formatNewest}; COMMIT`,
    );
    return;
  }
  if (owner !== applicationId) fail('PoolUnusable', `${path} is not the state of a cluster`);
  if (format > formatNewest) {
    const known = `this version reads format ${formatNewest}`;
    fail('PoolUnusable', `${path} has format ${format}; ${known}: run a newer version`);
  }
  const check = database.prepare('PRAGMA quick_check(1)').get() ?? {};
  const [verdict] = Object.values(check);
  if (verdict !== 'ok') fail('PoolUnusable', `${path} is damaged: ${String(verdict)}`);
}

function numberOf(database: DatabaseSync, query: string): number {
  const [value] = Object.values(database.prepare(query).get() ?? {});
  return Number(value ?? 0);
}

class SqlitePersistence implements Persistence {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #advance: StatementSync;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  /** After a failed sync nobody knows what is on the disk: only opening it again tells. */
  #failed = false;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
    this.#put = database.prepare(
      'INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT (key) ' +
        'DO UPDATE SET version = excluded.version, body = excluded.body',
    );
    this.#remove = database.prepare('DELETE FROM entry WHERE key = ?');
    this.#advance = database.prepare('UPDATE newest SET version = ?');
    this.#begin = database.prepare('BEGIN IMMEDIATE');
    this.#commit = database.prepare('COMMIT');
  }

  load(): { readonly version: number; readonly changes: Iterable<StoredChange> } {
    const version = numberOf(this.#database, 'SELECT version FROM newest');
    return { version, changes: this.#changes() };
  }

  *#changes(): Generator<StoredChange, void, undefined> {
    const rows = this.#database.prepare('SELECT key, version, body FROM entry').iterate();
    for (const { key, version, body } of rows) {
      yield { key: String(key), version: Number(version), body: String(body) };
    }
  }

  commit(changes: readonly StoredChange[]): void {
    const last = changes.at(-1);
    if (last === undefined) return;
    if (this.#failed) fail('DiskFailed', `${this.#path} failed before: restart to read it again`);
    try {
      this.#begin.run();
      for (const { key, version, body } of changes) {
        if (body === undefined) this.#remove.run(key);
        else this.#put.run(key, version, body);
      }
      this.#advance.run(last.version);
      this.#commit.run();
    } catch (error) {
      this.#undo(error);
      throw translated(error, this.#path);
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #undo(error: unknown): void {
    // A full disk is found before the sync: nothing has been promised, and space may return.
    this.#failed = codeOf(error) !== codes.full;
    try {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    } catch {
      this.#failed = true;
    }
  }
}

/** Primary result codes of SQLite. */
const codes = { busy: 5, locked: 6, corrupt: 11, full: 13, notADatabase: 26 } as const;

function codeOf(error: unknown): number {
  const isCoded = error instanceof Error && 'errcode' in error;
  return isCoded && typeof error.errcode === 'number' ? error.errcode & 0xff : 0;
}

function translated(error: unknown, path: string): unknown {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  try {
    if (code === codes.busy || code === codes.locked) {
      fail('InUse', `${path} is open in another process`, error);
    }
    if (code === codes.corrupt || code === codes.notADatabase) {
      fail('PoolUnusable', `${path} is damaged: ${message}`, error);
    }
    if (code === codes.full) fail('PoolFull', `no space left for ${path}`, error);
    if (code !== 0) fail('DiskFailed', `${path}: ${message}`, error);
  } catch (clear) {
    return clear;
  }
  return error;
}
