/** The single steps of an attachment, and how each is undone whatever became of it. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '../base/errors.ts';
import type { AttachRecord } from './attach-record.ts';
import {
  argumentsOf,
  canDiscard,
  describeHolder,
  findProcesses,
  holdersBelow,
  isAlive,
  kernelNbdDevices,
  loopDevicesOf,
  mounts,
} from './block-probe.ts';
import { statOf } from './control-plane/processes-table.ts';
import { parseNbdUri } from './nbd-client.ts';
import { findTool, mustRunTool, runTool } from './run-tool.ts';

const pollMs = 20;
const waitMs = 15_000;
/** What is looked at beside signatures before formatting. */
const blankBytes = 1024 * 1024;

export type FileSystem = 'ext4' | 'xfs';

/** True as soon as `test` is; false after `waitMs`. */
async function eventually(test: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let waitedMs = 0; waitedMs < waitMs; waitedMs += pollMs) {
    if (await test()) return true;
    await sleep(pollMs);
  }
  return test();
}

export function diskFile(directory: string): string {
  return path.join(directory, 'disk');
}

function isOurFuse(words: readonly string[], directory: string): boolean {
  return path.basename(words[0] ?? '') === 'nbdfuse' && words.includes(diskFile(directory));
}

/** nbdfuse processes that serve this directory; by what they run, a number alone proves nothing. */
export function fuseProcesses(directory: string): number[] {
  return findProcesses((words) => isOurFuse(words, directory));
}

/** Starts nbdfuse; it outlives this process. Returns its number when its file is there. */
export async function startFuse(
  uri: string,
  directory: string,
  readOnly: boolean,
): Promise<number> {
  const program = findTool('nbdfuse');
  const logFile = path.join(path.dirname(directory), 'nbdfuse.log');
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const log = fs.openSync(logFile, 'w', 0o600);
  const words = [...(readOnly ? ['-r'] : []), diskFile(directory), uri];
  // Its own session, so that a Ctrl-C for us does not take the volume from under a mount.
  const child = spawn(program, words, { detached: true, stdio: ['ignore', log, log] });
  fs.closeSync(log);
  let failure: string | undefined;
  child.once('error', (error) => {
    failure = error.message;
  });
  child.once('exit', (code) => {
    failure ??= `it ended with code ${code}`;
  });
  child.unref();
  const isThere = () => mounts().some((mount) => mount.path === directory);
  const ready = await eventually(() => failure !== undefined || isThere());
  if (ready && failure === undefined && child.pid !== undefined) return child.pid;
  const said = fs.readFileSync(logFile, 'utf8').trim().slice(0, 500);
  return fail('SourceUnreachable', `nbdfuse does not serve ${uri}: ${said || failure}`);
}

/** Undoes `startFuse`, or what the keeper did; done, half done or never begun. */
export async function stopFuse(directory: string, force: boolean): Promise<void> {
  if (mounts().some((mount) => mount.path === directory)) {
    const lazily = force ? ['--lazy'] : [];
    await mustRunTool('umount', ...lazily, directory);
  }
  // Also ends the copies of the mount that other mount namespaces made.
  await removeEmpty(directory);
  // It ends by itself once unmounted everywhere, after the last request.
  const isGone = () => fuseProcesses(directory).length === 0;
  if (!(await eventually(isGone))) {
    for (const pid of fuseProcesses(directory)) killOurs(pid, directory);
    await eventually(isGone);
  }
  fs.rmSync(path.join(path.dirname(directory), 'nbdfuse.log'), { force: true });
}

function killOurs(pid: number, directory: string): void {
  if (!isOurFuse(argumentsOf(pid), directory)) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended between the look and the signal.
  }
}

export async function startLoop(directory: string, readOnly: boolean): Promise<string> {
  const words = ['--find', '--show', ...(readOnly ? ['--read-only'] : []), diskFile(directory)];
  return (await mustRunTool('losetup', ...words)).trim();
}

/**
 * Undoes `startLoop`, also when the device's number was never recorded. With `force`, a device that
 * is still open goes when its last user closes it; until then it gives errors.
 */
export async function stopLoop(directory: string, force: boolean): Promise<void> {
  const file = diskFile(directory);
  for (const device of loopDevicesOf(file)) await mustRunTool('losetup', '--detach', device);
  if (force || (await eventually(() => loopDevicesOf(file).length === 0))) return;
  fail('InUse', `${loopDevicesOf(file).join(', ')} is still used by the kernel`);
}

/**
 * Makes the device as large as its file is now. The kernel knows the size of a file as of when it
 * was last asked for.
 */
export async function growLoop(directory: string, device: string): Promise<void> {
  await fs.promises.stat(diskFile(directory));
  await mustRunTool('losetup', '--set-capacity', device);
}

export function freeKernelDevice(): string | undefined {
  return kernelNbdDevices().find(({ pid }) => pid === undefined)?.device;
}

/** Connects the kernel's own client; `uri` names a unix socket. */
export async function startKernel(uri: string, device: string, readOnly: boolean): Promise<void> {
  const words = [...kernelWords(uri), ...(readOnly ? ['-readonly'] : []), device];
  await mustRunTool('nbd-client', ...words);
}

function kernelWords(uri: string): string[] {
  const { socketPath, exportName } = parseNbdUri(uri);
  // Without netlink a process of ours stays with the device, by which we know it again.
  return ['-unix', socketPath ?? '', '-name', exportName, '-nonetlink'];
}

/** Undoes `startKernel`, unless the device meanwhile belongs to somebody else. */
export async function stopKernel(uri: string, device: string): Promise<void> {
  const pid = kernelNbdDevices().find((found) => found.device === device)?.pid;
  if (pid === undefined) return;
  const words = argumentsOf(pid);
  const ours = [...kernelWords(uri), device].every((word) => words.includes(word));
  if (ours) await mustRunTool('nbd-client', '-d', device);
}

/** The type of what the device holds; undefined when it is blank. */
async function contentOf(device: string): Promise<string | undefined> {
  const result = await runTool('blkid', '-p', '-o', 'export', device);
  // 2: nothing found. 8: several contradicting signatures, which is certainly not blank.
  if (result.code === 0 || result.code === 8) {
    return /^(?:TYPE|PTTYPE)=(.*)$/m.exec(result.stdout)?.[1] ?? 'data';
  }
  if (result.code !== 2) fail('DiskFailed', `blkid ${device}: ${result.stderr.trim()}`);
  const handle = await fs.promises.open(device, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(blankBytes), 0, blankBytes, 0);
    const start = buffer.subarray(0, bytesRead);
    // Not everything that is worth keeping has a signature.
    return start.every((byte) => byte === 0) ? undefined : 'data without a known signature';
  } finally {
    await handle.close();
  }
}

/** Formats a blank device; `BadArgument` when it is not blank, or blank without `format`. */
export async function prepare(device: string, format: FileSystem | undefined): Promise<string> {
  const content = await contentOf(device);
  if (format === undefined) {
    if (content !== undefined) return content;
    return fail('BadArgument', 'the volume is blank: give --format ext4 or --format xfs');
  }
  if (content !== undefined) {
    fail('BadArgument', `the volume holds ${content} and is not formatted: leave --format out`);
  }
  if (format === 'ext4') await mustRunTool('mkfs.ext4', '-q', device);
  else await mustRunTool('mkfs.xfs', '-q', device);
  return format;
}

export async function startMount(
  device: string,
  target: string,
  options: { readonly type: string; readonly readOnly: boolean },
): Promise<void> {
  await fs.promises.mkdir(target, { recursive: true });
  const words = options.readOnly ? ['ro'] : [];
  // What the file system frees is given back to the pool.
  if (!options.readOnly && canDiscard(device)) words.push('discard');
  // A clone has its source's identifier; XFS would refuse to mount both.
  if (options.type === 'xfs') words.push('nouuid');
  const optionWords = words.length === 0 ? [] : ['-o', words.join(',')];
  const result = await runTool('mount', ...optionWords, device, target);
  if (result.code === 0) return;
  if (options.readOnly) {
    // A snapshot of a live file system has a journal to replay, which read-only cannot do.
    words.push(options.type === 'xfs' ? 'norecovery' : 'noload');
    const second = await runTool('mount', '-o', words.join(','), device, target);
    if (second.code === 0) return;
  }
  fail('DiskFailed', `cannot mount ${device} at ${target}: ${result.stderr.trim()}`);
}

/** Undoes `startMount`. `InUse` names who holds files below, and leaves all as it was. */
export async function stopMount(
  mount: { readonly path: string; readonly made: boolean },
  devices: readonly string[],
  force: boolean,
): Promise<void> {
  const isOurs = () =>
    mounts().some(({ path: at, source }) => at === mount.path && devices.includes(source));
  if (isOurs()) {
    const result = await runTool('umount', mount.path);
    if (result.code !== 0 && force) await mustRunTool('umount', '--lazy', mount.path);
    else if (result.code !== 0) failBusy(mount.path, result.stderr);
  }
  if (!mount.made || mounts().some(({ path: at }) => at === mount.path)) return;
  await removeEmpty(mount.path);
}

function failBusy(directory: string, stderr: string): never {
  const inside = mounts().filter((mount) => mount.path.startsWith(`${directory}/`));
  const holders = [
    ...holdersBelow(directory).map(describeHolder),
    ...inside.map((mount) => `the mount at ${mount.path}`),
  ];
  if (holders.length === 0) fail('InUse', `cannot unmount ${directory}: ${stderr.trim()}`);
  return fail('InUse', `${directory} is used by ${holders.join(', ')}`);
}

/** Makes everything written to the device durable in the volume. False when that failed. */
export async function syncDevice(device: string): Promise<boolean> {
  try {
    const handle = await fs.promises.open(device, 'r+');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
    return true;
  } catch {
    // The server is gone. Detaching must go on, or nothing could ever clear the device away.
    return false;
  }
}

/** When a process was started; empty where the kernel does not say. */
export function startOf(pid: number): string {
  return statOf(pid)?.startedTicks ?? '';
}

/** Whether the process that serves the file is there: nbdfuse, or of a kept device the keeper. */
export function isFuseAlive(fuse: NonNullable<AttachRecord['fuse']>): boolean {
  const { directory, pid, keptSince } = fuse;
  if (pid === undefined || !isAlive(pid)) return false;
  if (keptSince !== undefined) return startOf(pid) === keptSince;
  return isOurFuse(argumentsOf(pid), directory);
}

/**
 * Never on this thread: where another mount namespace still has the mount, removing the directory
 * ends it there, which writes to the volume that this very process serves.
 */
async function removeEmpty(directory: string): Promise<void> {
  try {
    await fs.promises.rmdir(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not empty: something else was put there, and is not ours to remove.
    if (code !== 'ENOENT' && code !== 'ENOTEMPTY') throw error;
  }
}
