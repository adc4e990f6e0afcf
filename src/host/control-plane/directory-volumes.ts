/** Volumes of the class `directory`: directories and sparse files below the cluster's home. */
import * as fs from 'node:fs';
import { join, sep } from 'node:path';
import { TransshipError, fail } from '../../base/errors.ts';
import type { Log } from '../../base/ports.ts';
import type { DirectoryVolumes } from '../../embedded/runtime/ports.ts';
import { loopDevicesOf, mounts } from '../block-probe.ts';
import { mustRunTool } from '../run-tool.ts';

export interface HostDirectoryVolumes extends DirectoryVolumes {
  /** Lets the loop devices go; the files stay. For a stop after which no pod is left. */
  close(): Promise<void>;
}

/** As the names of claims' volumes are; nothing that could lead out of the root. */
const namePattern = /^pvc-[0-9a-f]+(?:-[0-9a-f]+)*$/;
/** Reasons of a machine on which nobody can have a loop device: pods get the file. */
const noLoop: ReadonlySet<string> = new Set(['ToolMissing', 'DiskFailed']);

export function createDirectoryVolumes(root: string, log: Log): HostDirectoryVolumes {
  fs.mkdirSync(root, { recursive: true, mode: 0o700 });
  // The kernel names the files of loop devices by their real paths.
  const base = fs.realpathSync(root);
  const homeOf = (name: string): string =>
    namePattern.test(name) ? join(base, name) : fail('Invalid', `${name} is no volume's name`);
  const contentOf = (name: string, block: boolean): string =>
    join(homeOf(name), block ? 'disk' : 'data');
  const attaching = new Map<string, Promise<string>>();
  const names = (): readonly string[] =>
    fs.readdirSync(base).filter((one) => namePattern.test(one));
  return {
    make: ({ name, block, sizeBytes }) => {
      const content = contentOf(name, block);
      fs.mkdirSync(homeOf(name), { recursive: true, mode: 0o700 });
      if (block) makeFile(content, sizeBytes);
      else makeDirectory(content);
      // Its object may be durable before a crash of the machine: then this must be there too.
      for (const one of [content, homeOf(name), base]) syncPath(one);
      return Promise.resolve(content);
    },
    path: ({ name, block }) => {
      const content = contentOf(name, block);
      if (!fs.existsSync(content)) fail('NotFound', `there is no ${content}`);
      if (!block) return Promise.resolve(content);
      // Two pods at once would get two devices.
      const begun = attaching.get(name) ?? attach(content, log);
      attaching.set(name, begun);
      return begun.finally(() => attaching.delete(name));
    },
    remove: async (name) => {
      const home = homeOf(name);
      await detach(contentOf(name, true));
      refuseMounts(home);
      fs.rmSync(home, { recursive: true, force: true });
    },
    removeUnused: (name) => Promise.resolve(removeUnused(homeOf(name))),
    names: () => Promise.resolve(names()),
    close: async () => {
      for (const name of names()) await detach(contentOf(name, true));
    },
  };
}

/** Containers may be other users; whoever is no pod does not come past the 0700 above it. */
function makeDirectory(path: string): void {
  if (fs.existsSync(path)) return;
  fs.mkdirSync(path);
  fs.chmodSync(path, 0o777);
}

/** A file that is there has its size: one cut short by a crash is still without any content. */
function makeFile(path: string, sizeBytes: number): void {
  const file = fs.openSync(path, 'a', 0o600);
  try {
    if (fs.fstatSync(file).size < sizeBytes) fs.ftruncateSync(file, sizeBytes);
  } finally {
    fs.closeSync(file);
  }
}

function syncPath(path: string): void {
  const open = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(open);
  } finally {
    fs.closeSync(open);
  }
}

async function attach(file: string, log: Log): Promise<string> {
  const [device] = loopDevicesOf(file);
  if (device !== undefined) return device;
  try {
    return (await mustRunTool('losetup', '--find', '--show', file)).trim();
  } catch (error) {
    if (!(error instanceof TransshipError) || !noLoop.has(error.reason)) throw error;
    log.log('warn', 'no loop device: the pod gets the file', { file, message: error.message });
    return file;
  }
}

async function detach(file: string): Promise<void> {
  for (const device of loopDevicesOf(file)) {
    // The kernel lets it go with its last user; until then it would be a device of a lost file.
    await mustRunTool('losetup', '--detach', device);
  }
  const [device] = loopDevicesOf(file);
  if (device !== undefined) fail('InUse', `${device} of ${file} is still open`);
}

/** What is mounted inside is somebody else's data. */
function refuseMounts(home: string): void {
  const found = mounts().find(({ path }) => path === home || path.startsWith(`${home}${sep}`));
  if (found !== undefined) fail('InUse', `${found.path} is a mount`);
}

/** An empty directory, or a file of which no block was ever written. */
function removeUnused(home: string): boolean {
  const content = ['data', 'disk'].map((one) => join(home, one));
  for (const path of content) {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    if (found?.isFile() === true && found.blocks > 0) return false;
    if (found?.isDirectory() === true && fs.readdirSync(path).length > 0) return false;
  }
  for (const path of content) {
    const found = fs.lstatSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory() === true) fs.rmdirSync(path);
    else if (found !== undefined) fs.unlinkSync(path);
  }
  fs.rmdirSync(home);
  return true;
}
