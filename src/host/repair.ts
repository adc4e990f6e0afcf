/** `transship pool repair`: the index of a pool again from what its segments say themselves. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../base/units.ts';
import { openPool } from '../volume/pool.ts';
import type { AgentPaths } from './agent-paths.ts';
import { createClock } from './clock.ts';
import { createDisk } from './disk.ts';
import { createLog } from './log.ts';
import { createPacker } from './packer.ts';
import { lockPool } from './pool-lock.ts';
import { createRandom } from './random.ts';
import { readSettings } from './settings.ts';

/** `PoolLocked` while an agent has it; `PoolUnusable` when segments are beyond reading. */
export async function repairPool(paths: AgentPaths, onLine: (line: string) => void): Promise<void> {
  const directory = readSettings(paths).poolDirectory ?? paths.pool;
  const lock = lockPool(directory);
  const packer = createPacker();
  try {
    // Derived data: without it the pool reads every segment at opening.
    fs.rmSync(join(directory, 'index.snapshot'), { force: true });
    onLine(`reading the segments of ${directory}`);
    const pool = await openPool({
      disk: createDisk(directory),
      clock: createClock(),
      random: createRandom(),
      log: createLog({ format: 'human', level: 'warn' }),
      packer,
    });
    const { chunks, storedBytes } = pool.status();
    onLine(`${chunks} chunks, ${formatBytes(storedBytes)}; verifying them`);
    const { corrupt, repaired, affectedVolumes } = await pool.scrub();
    if (corrupt > repaired) {
      onLine(`${corrupt - repaired} chunks are corrupt, in ${affectedVolumes.join(', ')}`);
    }
    await pool.close();
  } finally {
    await packer.close();
    lock.release();
  }
}
