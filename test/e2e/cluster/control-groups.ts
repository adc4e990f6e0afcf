/** Control groups (version 1, as they are mounted) for the pods of one node. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const mounted = '/sys/fs/cgroup';
const emptyMs = 20_000;
const pollMs = 50;

function controllers(): readonly string[] {
  return readdirSync(mounted).map((name) => join(mounted, name));
}

export function makeControlGroups(name: string): void {
  for (const controller of controllers()) {
    const group = join(controller, name);
    mkdirSync(group, { recursive: true });
    // A new one has none, and takes no process before it has some.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      const from = join(controller, file);
      if (existsSync(from)) writeFileSync(join(group, file), readFileSync(from));
    }
  }
}

/** Once their processes have ended. */
export async function clearControlGroups(name: string): Promise<void> {
  for (const controller of controllers()) await clear(join(controller, name));
}

async function clear(group: string): Promise<void> {
  if (!existsSync(group)) return;
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) await clear(join(group, entry.name));
  }
  const deadline = performance.now() + emptyMs;
  for (;;) {
    try {
      rmdirSync(group);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      if (performance.now() > deadline) throw error;
      await sleep(pollMs);
    }
  }
}
