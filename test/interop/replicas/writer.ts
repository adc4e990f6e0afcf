// fio at a volume's door, one short job after another: each verifies all that it wrote.
import { spawn } from 'node:child_process';

const words = [
  ...'--name=t --ioengine=nbd --size=8M --bs=16k --rw=randwrite --iodepth=8'.split(' '),
  ...'--fsync=16 --rate_iops=,150 --verify=crc32c --verify_fatal=1'.split(' '),
  ...'--verify_state_save=0'.split(' '),
];

export interface Writer {
  /** What ended it, when something did. */
  readonly problem: string | undefined;
  /** Lets the job that runs come to its end. Fails with what fio said when any job failed. */
  stop(): Promise<number>;
}

export function startWriter(uri: string): Writer {
  let isOver = false;
  let jobs = 0;
  let problem: string | undefined;
  const work = async (): Promise<void> => {
    while (!isOver && problem === undefined) {
      jobs += 1;
      problem = await job(uri, jobs);
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
  };
}

/** What went wrong. */
function job(uri: string, seed: number): Promise<string | undefined> {
  const load = spawn('fio', [...words, `--uri=${uri}`, `--randseed=${seed}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  load.stdout.on('data', (text: Buffer) => (said += text.toString()));
  load.stderr.on('data', (text: Buffer) => (said += text.toString()));
  return new Promise((resolve) => {
    load.once('close', (code) => resolve(code === 0 ? undefined : `exit ${code}: ${said}`));
  });
}
