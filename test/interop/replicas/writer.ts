// fio at a volume's door, one short job after another: each verifies all that it wrote.
import { type ChildProcess, spawn } from 'node:child_process';

const words = [
  ...'--name=t --ioengine=nbd --size=8M --bs=16k --rw=randwrite --iodepth=8'.split(' '),
  ...'--fsync=16 --rate_iops=,150 --verify=crc32c --verify_fatal=1'.split(' '),
  ...'--verify_state_save=0'.split(' '),
];

/** Disposing of it ends it where it is. */
export interface Writer extends AsyncDisposable {
  /** What ended it, when something did. */
  readonly problem: string | undefined;
  /** Lets the job that runs come to its end. Fails with what fio said when any job failed. */
  stop(): Promise<number>;
}

export function startWriter(uri: string): Writer {
  let isOver = false;
  let jobs = 0;
  let problem: string | undefined;
  let running: ChildProcess | undefined;
  const work = async (): Promise<void> => {
    while (!isOver && problem === undefined) {
      jobs += 1;
      running = fio(uri, jobs);
      problem = await ended(running);
    }
  };
  const working = work();
  return {
    get problem() {
      return problem;
    },
    stop: async () => {
      isOver = true;
      await working;
      if (problem !== undefined) throw new Error(`fio in job ${jobs}: ${problem}`);
      return jobs;
    },
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      running?.kill('SIGKILL');
      await working;
    },
  };
}

function fio(uri: string, seed: number): ChildProcess {
  return spawn('fio', [...words, `--uri=${uri}`, `--randseed=${seed}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** What went wrong. */
function ended(load: ChildProcess): Promise<string | undefined> {
  let said = '';
  load.stdout?.on('data', (text: Buffer) => (said += text.toString()));
  load.stderr?.on('data', (text: Buffer) => (said += text.toString()));
  return new Promise((resolve) => {
    load.once('close', (code) => resolve(code === 0 ? undefined : `exit ${code}: ${said}`));
  });
}
