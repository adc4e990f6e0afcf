import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import type { StoredChange } from '../../embedded/server/api.ts';
import { openSqlite } from './sqlite.ts';

function inDirectory(run: (directory: string) => Promise<void> | void): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'transship-sqlite-'));
    try {
      await run(directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  };
}

function change(version: number, key: string, body?: string): StoredChange {
  return { version, key, body };
}

function loaded(path: string): { readonly version: number; readonly changes: StoredChange[] } {
  const persistence = openSqlite(path);
  try {
    const { version, changes } = persistence.load();
    return { version, changes: [...changes].toSorted((a, b) => a.version - b.version) };
  } finally {
    persistence.close();
  }
}

function reasonOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TransshipError) return error.reason;
    throw error;
  }
  return 'none';
}

test(
  'what was committed is there again, the highest version even when its key is gone',
  inDirectory((directory) => {
    const path = join(directory, 'state.db');
    const persistence = openSqlite(path);
    assert.deepEqual([...persistence.load().changes], []);
    persistence.commit([change(1, '/a', '{"é":1}'), change(2, '/b', '{}')]);
    persistence.commit([change(3, '/a', '{"a":2}')]);
    persistence.commit([change(4, '/b')]);
    persistence.close();
    assert.deepEqual(loaded(path), { version: 4, changes: [change(3, '/a', '{"a":2}')] });
    assert.equal(statSync(path).mode & 0o777, 0o600);
  }),
);

test(
  'one process at a time',
  inDirectory((directory) => {
    const path = join(directory, 'state.db');
    const persistence = openSqlite(path, { lockedMs: 0 });
    assert.equal(
      reasonOf(() => openSqlite(path, { lockedMs: 0 })),
      'InUse',
    );
    persistence.close();
    assert.deepEqual(loaded(path).changes, []);
  }),
);

test(
  'a damaged file, a foreign one and one of a newer version are refused, and kept',
  inDirectory((directory) => {
    const path = join(directory, 'state.db');
    writeFileSync(
      path,
      'this is no database, but it is long enough to be looked at as one'.repeat(20),
    );
    const before = readFileSync(path);
    assert.equal(
      reasonOf(() => openSqlite(path)),
      'PoolUnusable',
    );
    assert.deepEqual(readFileSync(path), before);
    const foreign = join(directory, 'foreign.db');
    const other = new DatabaseSync(foreign);
    other.exec('CREATE TABLE x (y)');
    other.close();
    assert.equal(
      reasonOf(() => openSqlite(foreign)),
      'PoolUnusable',
    );
    const newer = join(directory, 'newer.db');
    openSqlite(newer).close();
    const raised = new DatabaseSync(newer);
    raised.exec('PRAGMA user_version = 99');
    raised.close();
    assert.equal(
      reasonOf(() => openSqlite(newer)),
      'PoolUnusable',
    );
  }),
);

/** Commits pairs of keys for ever, and says each version once it is acknowledged. */
const writer = `
  const { openSqlite } = await import(process.argv[2]);
  const persistence = openSqlite(process.argv[3]);
  let version = persistence.load().version;
  for (;;) {
    const body = JSON.stringify({ filler: 'x'.repeat(2000), version });
    persistence.commit([
      { version: version + 1, key: '/pair/a' + (version % 7), body },
      { version: version + 2, key: '/pair/b' + (version % 7), body },
    ]);
    version += 2;
    process.stdout.write(version + '\\n');
  }
`;

test(
  'kill -9 in the middle of commits loses nothing that was acknowledged, and halves nothing',
  inDirectory(async (directory) => {
    const path = join(directory, 'state.db');
    const program = join(directory, 'writer.mjs');
    writeFileSync(program, writer);
    const module = new URL('./sqlite.ts', import.meta.url).href;
    for (const commits of [1, 13, 40]) {
      const child = spawn(process.execPath, [program, module, path]);
      const closed = once(child, 'close');
      let acknowledged = 0;
      let seen = 0;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line);
        seen += 1;
        if (seen === commits) child.kill('SIGKILL');
      }
      await closed;
      assert(seen >= commits, `the writer ended by itself after ${seen}`);
      const { version, changes } = loaded(path);
      assert(version >= acknowledged);
      const bodies = new Map(changes.map(({ key, body }) => [key, body]));
      for (const [key, body] of bodies) {
        assert.equal(bodies.get(key.replace(/[ab](\d)$/, (_, n) => `a${n}`)), body);
      }
      assert.equal(changes.at(-1)?.version, version);
    }
  }),
);
