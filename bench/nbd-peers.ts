/** NBD servers of others over a raw file, each on a unix socket. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Programs } from './programs.ts';

export interface NbdPeer {
  readonly uri: string;
  readonly file: string;
  stop(): Promise<void>;
}

/** The file is written once from end to end, so that no contender allocates during the run. */
export function makeFile(path: string, sizeBytes: number): void {
  const piece = Buffer.alloc(4 * 1024 * 1024, 0xa5);
  const descriptor = fs.openSync(path, 'w');
  for (let at = 0; at < sizeBytes; at += piece.length) {
    fs.writeSync(descriptor, piece, 0, Math.min(piece.length, sizeBytes - at), at);
  }
  fs.fsyncSync(descriptor);
  fs.closeSync(descriptor);
}

/** An empty sparse file. */
export function makeSparse(path: string, sizeBytes: number): void {
  fs.writeFileSync(path, '');
  fs.truncateSync(path, sizeBytes);
}

export async function serveNbdkit(
  programs: Programs,
  directory: string,
  file: string,
): Promise<NbdPeer> {
  const path = join(directory, `nbdkit-${fs.readdirSync(directory).length}.sock`);
  const args = ['--foreground', '--unix', path, 'file', file];
  const { stop } = await programs.serve('nbdkit', args, { path });
  return { uri: `nbd+unix:///?socket=${path}`, file, stop };
}

export async function serveQemu(
  programs: Programs,
  directory: string,
  file: string,
): Promise<NbdPeer> {
  const path = join(directory, `qemu-${fs.readdirSync(directory).length}.sock`);
  const args = ['--persistent', '--shared=8', '--format=raw', '--export-name=', '-k', path, file];
  const { stop } = await programs.serve('qemu-nbd', args, { path });
  return { uri: `nbd+unix:///?socket=${path}`, file, stop };
}
