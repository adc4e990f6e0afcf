/** What a reader must know about the machine to judge the numbers. */
import { spawnSync } from 'node:child_process';
import * as os from 'node:os';
import type { Programs } from './programs.ts';
import type { Machine } from './report.ts';

const programs = ['fio', 'nbdkit', 'qemu-nbd', 'nbdcopy', 'rsync', 'zstd', 'restic', 'borg'];

type Facts = Omit<Machine, 'load' | 'minutes' | 'quick'>;

export function machineFacts(runner: Programs): Facts {
  const { stdout } = spawnSync('df', ['--output=fstype', import.meta.dirname], {
    encoding: 'utf8',
  });
  const filesystem = stdout.trim().split('\n')[1] ?? 'unknown';
  const versions = programs
    .filter((program) => runner.has(program))
    .map((program) => runner.version(program, program === 'restic' ? 'version' : '--version'));
  return {
    processor: os.cpus()[0]?.model ?? 'unknown processor',
    cores: os.availableParallelism(),
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    kernel: `${os.type()} ${os.release()}`,
    disk: `${filesystem} on a local disk`,
    node: process.version,
    versions,
    date: new Date().toISOString().slice(0, 10),
  };
}
