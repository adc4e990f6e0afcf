/** Mounts of this node for the CSI driver, by the tools of the system. */
import fs from 'node:fs';
import path from 'node:path';
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import type { MountRequest, Mounts, PathUsage } from '../../csi/ports.ts';
import { mustRunTool, runTool, type Tool } from '../run-tool.ts';

interface Entry {
  readonly path: string;
  readonly root: string;
  readonly source: string;
  readonly type: string;
  readonly readOnly: boolean;
}

/** Octal escapes of the kernel: spaces, tabs, line ends and backslashes in paths. */
function unescaped(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** `/proc/self/mountinfo`, proc(5): optional fields end with a hyphen. */
export function parseMountInfo(text: string): readonly Entry[] {
  return text.split('\n').flatMap((line) => {
    const words = line.split(' ');
    const hyphen = words.indexOf('-', 6);
    const [, , , root, at, options] = words;
    const [type, source] = words.slice(hyphen + 1);
    if (hyphen < 0 || root === undefined || at === undefined || options === undefined) return [];
    return [
      {
        path: unescaped(at),
        root: unescaped(root),
        source: unescaped(source ?? ''),
        type: type ?? '',
        readOnly: options.split(',').includes('ro'),
      },
    ];
  });
}

/** The last one wins: mounts at one path lie upon another. */
function entryAt(at: string): Entry | undefined {
  return parseMountInfo(fs.readFileSync('/proc/self/mountinfo', 'utf8')).findLast(
    (entry) => entry.path === at,
  );
}

const growTool: Readonly<Record<string, Tool>> = { ext4: 'resize2fs', xfs: 'xfs_growfs' };

export function createMounts(): Mounts {
  return {
    at: async (at) => {
      const entry = entryAt(at);
      if (entry === undefined) return undefined;
      // A bound device node is a file of the file system that /dev is.
      const isNode = fs.statSync(at).isBlockDevice();
      return {
        device: isNode ? path.join('/dev', entry.root) : entry.source,
        readOnly: entry.readOnly,
      };
    },
    fileSystemOn,
    makeFileSystem,
    mount,
    bindDirectory: async (from, to, readOnly) => {
      fs.mkdirSync(to, { recursive: true });
      await bind(from, to, readOnly);
    },
    bindDevice: async (device, to, readOnly) => {
      fs.mkdirSync(path.dirname(to), { recursive: true });
      if (!fs.existsSync(to)) fs.writeFileSync(to, '');
      await bind(device, to, readOnly);
    },
    unmount,
    grow,
    usage,
  };
}

async function fileSystemOn(device: string): Promise<string | undefined> {
  const words = ['--probe', '--output', 'value', '--match-tag', 'TYPE', device];
  const { code, stdout, stderr } = await runTool('blkid', ...words);
  // 2: nothing was found, which a torn partition table also gives: refused below.
  if (code === 0 && stdout.trim() !== '') return stdout.trim();
  if (code === 8) fail('Conflict', `${device} has signatures that contradict each other`);
  if (code !== 2 && code !== 0) fail('DiskFailed', `blkid ${device}: ${stderr.trim()}`);
  if (code === 0) fail('Conflict', `${device} is not blank and has no file system`);
  return undefined;
}

async function makeFileSystem(device: string, fsType: string): Promise<void> {
  // A volume is all zeroes already, and discarding it would touch every block.
  if (fsType === 'xfs') await mustRunTool('mkfs.xfs', '-K', '-q', device);
  else await mustRunTool('mkfs.ext4', '-q', '-m', '0', '-E', 'nodiscard', device);
}

async function mount(request: MountRequest): Promise<void> {
  const { from, to, fsType, flags, readOnly } = request;
  fs.mkdirSync(to, { recursive: true });
  const options = [...flags, ...(readOnly ? ['ro'] : []), ...(fsType === 'xfs' ? ['nouuid'] : [])];
  const words = options.length === 0 ? [] : ['-o', options.join(',')];
  await mustRunTool('mount', '-t', fsType, ...words, from, to);
}

async function bind(from: string, to: string, readOnly: boolean): Promise<void> {
  await mustRunTool('mount', '--bind', from, to);
  if (!readOnly) return;
  try {
    await mustRunTool('mount', '-o', 'remount,bind,ro', to);
  } catch (error) {
    // Never writable where read-only was asked for.
    await runTool('umount', to);
    throw error;
  }
}

async function unmount(at: string): Promise<void> {
  while (entryAt(at) !== undefined) await mustRunTool('umount', at);
  if (!fs.existsSync(at)) return;
  if (fs.statSync(at).isDirectory()) {
    // Never more than an empty directory: what is in there is nobody's copy.
    fs.rmdirSync(at);
    return;
  }
  fs.rmSync(at);
}

async function grow(device: string, at: string): Promise<number> {
  const entry = entryAt(at);
  const tool = growTool[entry?.type ?? ''];
  if (tool === undefined) fail('Unsupported', `${entry?.type ?? 'nothing'} at ${at} cannot grow`);
  try {
    await mustRunTool(tool, tool === 'xfs_growfs' ? at : device);
  } catch (error) {
    // The kernel's check of ext4_resize_begin; no other grower is refused so.
    const { message } = asTransshipError(error);
    if (tool !== 'resize2fs' || !message.includes('Permission denied')) throw error;
    const right =
      'a mounted ext4 grows only for who has CAP_SYS_RESOURCE: run the driver privileged';
    fail('Forbidden', `${right} (${message})`, error);
  }
  const { bsize, blocks } = fs.statfsSync(at);
  return bsize * blocks;
}

async function usage(at: string): Promise<PathUsage> {
  const stat = fs.statSync(at, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new TransshipError('NotFound', `nothing is at ${at}`);
  }
  if (stat.isBlockDevice()) {
    return { bytes: { total: Number(await mustRunTool('blockdev', '--getsize64', at)) } };
  }
  const { bsize, blocks, bavail, bfree, files, ffree } = fs.statfsSync(at);
  return {
    bytes: { total: bsize * blocks, free: bsize * bavail, used: bsize * (blocks - bfree) },
    inodes: { total: files, free: ffree, used: files - ffree },
  };
}
