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
export const controlGroupPrefix = 'transship-e2e-';
const emptyMs = 20_000;
const pollMs = 50;

export function controlGroupOf(machine: string): string {
  return `${controlGroupPrefix}${process.pid}-${machine}`;
}

function controllers(): readonly string[] {
  return readdirSync(mounted).map((name) => join(mounted, name));
}

/** A run that was killed leaves its own, empty. */
async function clearDead(): Promise<void> {
  const names = controllers().flatMap((controller) => {
    return readdirSync(controller).filter((name) => {
      const owner = name.startsWith(controlGroupPrefix)
        ? Number(name.slice(controlGroupPrefix.length).split('-')[0])
        : 0;
      return owner > 0 && !existsSync(`/proc/${owner}`);
    });
  });
  for (const name of new Set(names)) await clearControlGroups(name);
}

/** `name`: told apart from those of other runs by `controlGroupOf`. */
export async function makeControlGroups(name: string): Promise<void> {
  await clearDead();
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
