/**
 * A FUSE mount that this process serves, without a library: /dev/fuse is opened here and inherited
 * by `mount`, whose system call connects the two (mount.fuse(8), kernel documentation, "fuse").
 * Node.js has no call of its own that waits for such a descriptor without holding a thread, but its
 * pipes read any that can be polled.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { asTransshipError, fail } from '../base/errors.ts';
import type { BlockDevice, Log } from '../base/ports.ts';
import { fuseLimits } from '../fuse/protocol.ts';
import { FuseSession } from '../fuse/session.ts';
import { findTool } from './run-tool.ts';

/** What is below a socket that Node.js made for a pipe. */
interface PipeHandle {
  open(fd: number): number;
}
type PipeConstructor = new (kind: number) => PipeHandle;
/** A pipe for bytes, not for handles. */
const plainPipe = 0;

export interface FuseMount {
  /** What still waits fails with an error of input and output; the mount stays, without use. */
  close(): void;
}

export interface FuseMountOptions {
  /** Made if need be. The device is the file `disk` in it. */
  readonly directory: string;
  readonly device: BlockDevice;
  readonly log: Log;
}

/** Resolves when it is mounted. It ends when it is unmounted everywhere, or with this process. */
export async function startFuseMount(options: FuseMountOptions): Promise<FuseMount> {
  const { directory, device, log } = options;
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const fd = fs.openSync('/dev/fuse', fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  let handle: PipeHandle;
  try {
    handle = new (await mount(fd, options))(plainPipe);
    if (handle.open(fd) !== 0) fail('Internal', 'this Node.js cannot read /dev/fuse');
  } catch (error) {
    // Where it is mounted already, this makes it one that only gives errors.
    fs.closeSync(fd);
    throw error;
  }
  const session = new FuseSession({
    device,
    send: (reply) => send(reply),
    onError: (error) => log.log('warn', 'a request of the kernel failed', { directory, error }),
  });
  const buffer = Buffer.allocUnsafeSlow(fuseLimits.requestBytesMax);
  // The kernel gives one whole request for each read.
  const callback = (count: number): boolean => {
    session.receive(buffer.subarray(0, count));
    return true;
  };
  const read = { handle, onread: { buffer, callback } } as unknown;
  // The declared options know `onread` only for connecting; the constructor takes it (Node 24).
  const socket = new net.Socket(read as net.SocketConstructorOpts);
  const send = (reply: Uint8Array): void => {
    // The number may be another file's by now.
    if (socket.destroyed) return;
    try {
      // Never waits: the kernel copies it to whoever asked.
      fs.writeSync(fd, reply);
    } catch (error) {
      // ENOENT: who asked is gone.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') socket.destroy(error as Error);
    }
  };
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // ENODEV: it was unmounted.
    if (error.code !== 'ENODEV') log.log('error', 'a mount ended', { directory, error });
  });
  socket.resume();
  return { close: () => void socket.destroy() };
}

/** Resolves with the class of pipes that Node.js has, by one to the child. */
function mount(
  fd: number,
  { directory, device }: Pick<FuseMountOptions, 'directory' | 'device'>,
): Promise<PipeConstructor> {
  const owner = [`user_id=${process.getuid!()}`, `group_id=${process.getgid!()}`];
  // Where pages are larger than ours, the kernel would read more at once.
  const bounds = [`max_read=${fuseLimits.dataBytesMax}`, device.readOnly ? 'ro' : 'rw'];
  const flags = ['fd=3', 'rootmode=40000', ...owner, ...bounds, 'nosuid', 'nodev', 'noexec'];
  // Without helpers (-i): mount.fuse would start a server of its own.
  const words = ['-i', '-t', 'fuse', '-o', flags.join(','), 'transship', directory];
  const child = spawn(findTool('mount'), words, { stdio: ['ignore', 'ignore', 'pipe', fd] });
  const stderr = child.stderr!;
  const pipe = (stderr as unknown as { readonly _handle: PipeHandle | null })._handle;
  let said = '';
  stderr.setEncoding('utf8').on('data', (part: string) => {
    said += part;
  });
  return new Promise((resolve, reject) => {
    const refuse = (why: string): void => {
      reject(asTransshipError(new Error(`cannot mount at ${directory}: ${why}`)));
    };
    child.once('error', ({ message }) => refuse(message));
    child.once('close', (code) => {
      if (code === 0 && pipe !== null) resolve(pipe.constructor as PipeConstructor);
      else refuse(said.trim() || `exit code ${code}`);
    });
  });
}
