/** The programs that movers run, and who they run as. */
import fs from 'node:fs';
import { fail } from '../../base/errors.ts';

const directories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];
const packages = {
  rsync: 'rsync',
  stunnel4: 'stunnel4',
  stunnel: 'stunnel',
  getfattr: 'attr',
  restic: 'restic',
};

type Program = keyof typeof packages;

export function findProgram(...names: readonly Program[]): string | undefined {
  const paths = names.flatMap((name) => directories.map((directory) => `${directory}/${name}`));
  return paths.find((path) => fs.existsSync(path));
}

/** `ToolMissing` names the package of the first name. */
export function needProgram(first: Program, ...others: readonly Program[]): string {
  const path = findProgram(first, ...others);
  return (
    path ?? fail('ToolMissing', `${first} is not installed: apt-get install ${packages[first]}`)
  );
}

export const isRoot = (): boolean => process.geteuid?.() === 0;

const chrootBit = 18n;

/** Root in a container may lack it. */
export function mayChroot(): boolean {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0';
  return isRoot() && ((BigInt(`0x${effective}`) >> chrootBit) & 1n) === 1n;
}

/** The key of a mounted Secret is readable by a group where pods have one; ours is not. */
export function copyKey(certificates: string, to: string): void {
  const key = fs.readFileSync(`${certificates}/tls.key`);
  fs.rmSync(to, { force: true });
  fs.writeFileSync(to, key, { mode: 0o600 });
}

/** Ids of processes whose command line names this file: ours, as the state directory is. */
export function processesOf(...files: readonly string[]): readonly number[] {
  const ids = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return ids.map(Number).filter((id) => {
    if (id === process.pid) return false;
    try {
      const words = fs.readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0');
      return files.some((file) => words.some((word) => word.endsWith(file)));
    } catch {
      // It has ended.
      return false;
    }
  });
}

export function signalAll(ids: readonly number[], signal: NodeJS.Signals): void {
  for (const id of ids) {
    try {
      process.kill(id, signal);
    } catch {
      // It has ended.
    }
  }
}

/** Changes while the process computes (user and system time of proc_pid_stat(5)). */
export function processorUse(id: number | undefined): string {
  try {
    const text = fs.readFileSync(`/proc/${id}/stat`, 'latin1');
    // Counted from behind the name, in which anything may be.
    return text.slice(text.lastIndexOf(')')).split(' ').slice(12, 14).join(' ');
  } catch {
    // It has ended.
    return '';
  }
}
