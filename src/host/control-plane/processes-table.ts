/** What the kernel says of processes (proc(5)). */
import fs from 'node:fs';

/** A process id alone may name another process by now; with the start time it does not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks after the start of the machine. */
  readonly startedTicks: string;
}

/** From a line of `/proc/PID/stat`; its second field is a name that may hold anything. */
export function parseStat(
  line: string,
): (ProcessIdentity & { readonly state: string }) | undefined {
  const pid = Number.parseInt(line, 10);
  const rest = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [state, startedTicks] = [rest[0], rest[19]];
  if (!(pid > 0) || state === undefined || startedTicks === undefined) return undefined;
  return { pid, startedTicks: startedTicks.trim(), state };
}

/** Is it still this process, and not one that only waits to be buried? */
export function isAlive({ pid, startedTicks }: ProcessIdentity): boolean {
  const now = statOf(pid);
  return (
    now !== undefined && now.startedTicks === startedTicks && now.state !== 'Z' && now.state !== 'X'
  );
}

/** Undefined when there is no such process, or no /proc. */
export function statOf(pid: number): (ProcessIdentity & { readonly state: string }) | undefined {
  try {
    return parseStat(fs.readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** Processes that carry this word in their environment, wherever they were started from. */
export function processesWith(word: string): readonly number[] {
  const found: number[] = [];
  const wanted = Buffer.from(`\0${word}\0`);
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const env = fs.readFileSync(`/proc/${name}/environ`);
      if (Buffer.concat([Buffer.from('\0'), env]).includes(wanted)) found.push(Number(name));
    } catch {
      // Gone since, or somebody else's.
    }
  }
  return found;
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone: what was wanted.
  }
}
