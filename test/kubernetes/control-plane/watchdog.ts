import { spawn } from 'node:child_process';

/**
 * Reads `+ PID` and `- PID`; when its input ends, kills what is left. Ignores what a terminal or
 * a runner sends to everybody, since it has to outlive them.
 */
const script = `
trap '' INT TERM HUP
live=' '
while read -r op pid; do
  case $op in
    +) live="$live$pid " ;;
    -) live="\${live%% $pid *} \${live#* $pid }" ;;
  esac
done
for pid in $live; do kill -9 "$pid" 2>/dev/null; done
exit 0`;

/** Ends processes of ours when we end in any way, kill -9 included. */
export interface Watchdog {
  watch(pid: number): void;
  /** Right after its exit is seen: a process id may be given to somebody else. */
  forget(pid: number): void;
  stop(): Promise<void>;
}

export function startWatchdog(): Watchdog {
  // A session of its own, or a kill of our process group would take it along.
  const child = spawn('/bin/sh', ['-c', script], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // Its death is seen by `ended`; a line that does not reach it is no reason to fail.
  child.stdin.on('error', () => undefined);
  return {
    watch: (pid) => void child.stdin.write(`+ ${pid}\n`),
    forget: (pid) => void child.stdin.write(`- ${pid}\n`),
    stop: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
