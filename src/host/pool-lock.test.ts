import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { lockPool } from './pool-lock.ts';

test('a pool directory has one owner until it releases or dies', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'transship-lock-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const first = lockPool(directory);
  assert.throws(() => lockPool(directory), {
    reason: 'PoolLocked',
    message: `pool ${directory} is used by process ${process.pid}`,
  });
  first.release();
  first.release();

  const module = new URL('./pool-lock.ts', import.meta.url).href;
  // What nobody refers to is collected one day, and a lock with it.
  const script = `import { lockPool } from '${module}'; const lock = lockPool('${directory}');
    console.log('held'); setInterval(() => lock, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  context.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.throws(() => lockPool(directory), { message: new RegExp(`process ${child.pid}$`) });
  child.kill('SIGKILL');
  await once(child, 'exit');
  lockPool(directory).release();
});
