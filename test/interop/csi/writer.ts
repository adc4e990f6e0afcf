// Who writes to a device below which something happens, and the keepers of such devices.
import { spawn } from 'node:child_process';
import { findProcesses } from '../../../src/host/block-probe.ts';

export interface Writer extends AsyncDisposable {
  readonly ended: Promise<number | null>;
  readonly hasEnded: () => boolean;
  readonly said: () => string;
}

export interface FioOptions {
  readonly seconds: number;
  /** As fio reads it. */
  readonly size: string;
}

/** Writes a file or a device over and over, each block with a header, by which fio judges it. */
export function startFio(file: string, { seconds, size }: FioOptions): Writer {
  const words = [
    '--name=pod',
    `--filename=${file}`,
    '--rw=randwrite',
    '--bs=16k',
    `--size=${size}`,
    '--ioengine=libaio',
    '--iodepth=8',
    '--direct=1',
    '--fsync=32',
    '--loops=1000',
    `--runtime=${seconds}`,
    '--verify=crc32c',
    '--verify_fatal=1',
    '--verify_backlog=256',
    '--verify_state_save=0',
  ];
  const child = spawn('fio', words, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
  }
  let isOver = false;
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      isOver = true;
      resolve(code);
    });
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { ended, hasEnded: () => isOver, said: () => text, [Symbol.asyncDispose]: stop };
}

/** Of the attachments below a directory. */
export function keepersOf(home: string): readonly number[] {
  return findProcesses((words) => {
    return words.includes('door-keeper') && words.some((word) => word.startsWith(home));
  });
}
