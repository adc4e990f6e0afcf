/**
 * A volume as a block device or a mounted directory of this machine: through the kernel's NBD
 * client where there is one, else a file of a FUSE mount, which the keeper of devices or `nbdfuse`
 * serves, and a loop device. Every step is recorded before it is taken, so that `detachVolume`
 * leaves nothing behind after a crash at any point.
 */
import fs from 'node:fs';
import path from 'node:path';
import { TransshipError, fail } from '../base/errors.ts';
import { checkName } from '../base/names.ts';
import {
  type AttachRecord,
  attachmentDirectory,
  readRecord,
  recordedNames,
  removeRecord,
  writeRecord,
} from './attach-record.ts';
import {
  type FileSystem,
  diskFile,
  freeKernelDevice,
  growLoop,
  isFuseAlive,
  prepare,
  startFuse,
  startKernel,
  startLoop,
  startMount,
  startOf,
  stopFuse,
  stopKernel,
  stopLoop,
  stopMount,
  syncDevice,
} from './attach-steps.ts';
import { holdersOfDevice, kernelNbdDevices, loopDevicesOf, mounts } from './block-probe.ts';
import { parseNbdUri } from './nbd-client.ts';

export interface AttachRequest {
  /** `nbd+unix:///NAME?socket=PATH`. */
  readonly uri: string;
  readonly name: string;
  /** Where the records are, and the mount of nbdfuse. The same for attach, detach and list. */
  readonly stateDirectory: string;
  /** An absolute path to mount the volume's file system at. */
  readonly mount?: string;
  /** Make a file system first. Refused unless the volume is blank. */
  readonly format?: FileSystem;
  readonly readOnly?: boolean;
  /**
   * Mounts the volume as the file `disk` at this directory, where the kernel has no NBD client.
   * Returns the process that serves it; without one, nbdfuse does.
   */
  readonly serve?: (directory: string) => Promise<number | undefined>;
}

export interface Attachment {
  readonly name: string;
  readonly uri: string;
  readonly device: string;
  readonly mount: string | undefined;
  readonly readOnly: boolean;
  readonly way: 'kernel' | 'fuse';
  /** Its device can grow while it is in use. */
  readonly grows: boolean;
  /** False after a crash: detach, then attach again. */
  readonly working: boolean;
}

/**
 * Attaching what is attached already, in the same way, changes nothing. Leftovers of a crashed
 * attachment are cleared first. Errors: `ToolMissing`, `NotAllowed` (needs root), `BadArgument`
 * (blank or not blank), `InUse` (attached differently), `SourceUnreachable`, `DiskFailed`; after an
 * error nothing is left attached.
 */
export async function attachVolume(request: AttachRequest): Promise<Attachment> {
  const { stateDirectory } = request;
  const name = checkName(request.name, 'volume');
  checkRequest(request);
  const before = readRecord(stateDirectory, name);
  if (before !== undefined) {
    const attachment = attachmentOf(before);
    if (attachment?.working === true) return sameOrInUse(attachment, request);
    await undo(stateDirectory, before, false);
  }
  const progress = new Progress(stateDirectory, {
    version: 1,
    name,
    uri: request.uri,
    readOnly: request.readOnly ?? false,
    complete: false,
  });
  try {
    const device = await makeDevice(progress, request);
    if (request.mount !== undefined) await makeMount(progress, device, request);
    progress.note({ complete: true });
  } catch (error) {
    await undo(stateDirectory, progress.record, true);
    throw error;
  }
  return attachmentOf(progress.record)!;
}

/**
 * Detaching what is not attached changes nothing. `InUse` names the processes in the way and
 * leaves all as it was; `force` takes the volume from under them. `flushed` is false when the last
 * writes could not be made durable, because the volume's server is gone.
 */
export async function detachVolume(request: {
  readonly name: string;
  readonly stateDirectory: string;
  readonly force?: boolean;
}): Promise<{ readonly flushed: boolean }> {
  const name = checkName(request.name, 'volume');
  const record = readRecord(request.stateDirectory, name);
  if (record === undefined) return { flushed: true };
  return undo(request.stateDirectory, record, request.force ?? false);
}

export function listAttachments(stateDirectory: string): Attachment[] {
  return recordedNames(stateDirectory).flatMap((name) => {
    const record = readRecord(stateDirectory, name);
    if (record === undefined) return [];
    const { uri, readOnly } = record;
    const way = record.kernel === undefined ? 'fuse' : 'kernel';
    const mount = record.mount?.path;
    const nowhere = { name, uri, device: '', mount, readOnly, way } as const;
    return [attachmentOf(record) ?? { ...nowhere, grows: false, working: false }];
  });
}

/**
 * Makes the device as large as the file below it is now. Changes nothing where that cannot be done
 * while it is in use (`Attachment.grows`).
 */
export async function growAttached(stateDirectory: string, name: string): Promise<void> {
  const record = readRecord(stateDirectory, name);
  if (record?.fuse?.keptSince === undefined) return;
  for (const device of devicesOf(record)) await growLoop(record.fuse.directory, device);
}

function checkRequest(request: AttachRequest): void {
  if (process.getuid?.() !== 0) {
    fail('NotAllowed', 'attaching needs root: block devices and mounts belong to the system');
  }
  if (request.format !== undefined && request.mount === undefined) {
    fail('BadArgument', '--format needs --mount');
  }
  if (request.format !== undefined && request.readOnly === true) {
    fail('BadArgument', 'a read-only volume cannot be formatted');
  }
  const { mount } = request;
  if (mount === undefined) return;
  if (!path.isAbsolute(mount)) fail('BadArgument', `the mount path ${mount} is not absolute`);
  if (mount !== path.normalize(mount).replace(/(.)\/$/, '$1')) {
    fail('BadArgument', `write the mount path as ${path.normalize(mount)}`);
  }
}

function sameOrInUse(attachment: Attachment, request: AttachRequest): Attachment {
  const same =
    attachment.uri === request.uri &&
    attachment.mount === request.mount &&
    attachment.readOnly === (request.readOnly ?? false);
  if (same) return attachment;
  const where = attachment.mount ?? attachment.device;
  return fail('InUse', `${attachment.name} is attached at ${where} already: detach it first`);
}

/** The record, written before each step. */
class Progress {
  readonly stateDirectory: string;
  record: AttachRecord;

  constructor(stateDirectory: string, record: AttachRecord) {
    this.stateDirectory = stateDirectory;
    this.record = record;
    writeRecord(stateDirectory, record);
  }

  note(change: Partial<AttachRecord>): void {
    this.record = { ...this.record, ...change };
    writeRecord(this.stateDirectory, this.record);
  }
}

async function makeDevice(progress: Progress, request: AttachRequest): Promise<string> {
  const { name, uri, readOnly } = progress.record;
  const kernelDevice = parseNbdUri(uri).socketPath === undefined ? undefined : freeKernelDevice();
  if (kernelDevice !== undefined) {
    progress.note({ kernel: { device: kernelDevice } });
    await startKernel(uri, kernelDevice, readOnly);
    return kernelDevice;
  }
  const directory = path.join(
    fs.realpathSync(attachmentDirectory(progress.stateDirectory, name)),
    'fuse',
  );
  progress.note({ fuse: { directory } });
  const keeper = await request.serve?.(directory);
  const pid = keeper ?? (await startFuse(uri, directory, readOnly));
  const kept = keeper === undefined ? {} : { keptSince: startOf(keeper) };
  progress.note({ fuse: { directory, pid, ...kept }, loop: {} });
  const device = await startLoop(directory, readOnly);
  progress.note({ loop: { device } });
  return device;
}

async function makeMount(
  progress: Progress,
  device: string,
  request: AttachRequest,
): Promise<void> {
  const target = request.mount!;
  // Not on this thread: the path may be below a mount of a volume that this process serves.
  const there = await fs.promises.stat(target).catch(() => undefined);
  const made = there === undefined;
  if (there?.isDirectory() === false) {
    fail('BadArgument', `${target} is not a directory`);
  }
  if (mounts().some((mount) => mount.path === target)) {
    fail('InUse', `something is mounted at ${target} already`);
  }
  const type = await prepare(device, request.format);
  progress.note({ mount: { path: target, made } });
  await startMount(device, target, { type, readOnly: progress.record.readOnly });
}

/** Devices of a record that exist now and are its own. */
function devicesOf(record: AttachRecord): string[] {
  if (record.kernel !== undefined) {
    const { device } = record.kernel;
    const isUp = kernelNbdDevices().some((found) => found.device === device && found.pid);
    return isUp ? [device] : [];
  }
  return record.fuse === undefined ? [] : loopDevicesOf(diskFile(record.fuse.directory));
}

function attachmentOf(record: AttachRecord): Attachment | undefined {
  const [device] = devicesOf(record);
  if (device === undefined) return undefined;
  const { name, uri, readOnly, fuse, mount } = record;
  const isServed = fuse === undefined || isFuseAlive(fuse);
  const isMounted =
    mount === undefined ||
    mounts().some((found) => found.path === mount.path && found.source === device);
  return {
    name,
    uri,
    device,
    mount: mount?.path,
    readOnly,
    way: fuse === undefined ? 'kernel' : 'fuse',
    grows: fuse?.keptSince !== undefined,
    working: record.complete && isServed && isMounted,
  };
}

/** Undoes whatever of the record was done. Can be repeated. */
async function undo(
  stateDirectory: string,
  record: AttachRecord,
  force: boolean,
): Promise<{ readonly flushed: boolean }> {
  const devices = devicesOf(record);
  if (!force) refuseHeld(devices, record.mount?.path);
  if (record.mount !== undefined) await stopMount(record.mount, devices, force);
  const results = record.readOnly ? [] : await Promise.all(devices.map(syncDevice));
  if (record.kernel !== undefined) await stopKernel(record.uri, record.kernel.device);
  if (record.fuse !== undefined) {
    await stopLoop(record.fuse.directory, force);
    await stopFuse(record.fuse.directory, force);
  }
  removeRecord(stateDirectory, record.name);
  return { flushed: results.every((flushed) => flushed) };
}

function refuseHeld(devices: readonly string[], ownMount: string | undefined): void {
  const elsewhere = mounts()
    .filter((mount) => devices.includes(mount.source) && mount.path !== ownMount)
    .map((mount) => `the mount at ${mount.path}`);
  const holders = [...devices.flatMap(holdersOfDevice), ...elsewhere];
  if (holders.length > 0) {
    throw new TransshipError('InUse', `${devices.join(', ')} is used by ${holders.join(', ')}`);
  }
}
