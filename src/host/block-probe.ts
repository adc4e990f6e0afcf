/** What the kernel says about processes, mounts and block devices. Reads /proc and /sys only. */
import fs from 'node:fs';
import path from 'node:path';

export interface Holder {
  readonly pid: number;
  readonly program: string;
}

export interface MountEntry {
  readonly path: string;
  readonly source: string;
  readonly type: string;
}

function readText(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    // Processes and devices come and go while we look.
    return undefined;
  }
}

function readLink(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}

function listOf(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}

function pids(): number[] {
  return listOf('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** The arguments a process was started with; empty when it is gone. */
export function argumentsOf(pid: number): string[] {
  return (readText(`/proc/${pid}/cmdline`) ?? '').split('\0').slice(0, -1);
}

/** A zombie still has its number, but nothing else. */
export function isAlive(pid: number): boolean {
  return argumentsOf(pid).length > 0;
}

/** Processes whose program and arguments satisfy `test`. */
export function findProcesses(test: (words: readonly string[]) => boolean): number[] {
  return pids().filter((pid) => test(argumentsOf(pid)));
}

/** Processes with an open file, working directory, root or program that satisfies `test`. */
function holdersOf(test: (path: string) => boolean): Holder[] {
  return pids()
    .filter((pid) => {
      const base = `/proc/${pid}`;
      const links = ['cwd', 'root', 'exe'].map((name) => `${base}/${name}`);
      const files = listOf(`${base}/fd`).map((name) => `${base}/fd/${name}`);
      return [...links, ...files].some((link) => {
        const target = readLink(link);
        return target !== undefined && test(target);
      });
    })
    .map((pid) => ({ pid, program: (readText(`/proc/${pid}/comm`) ?? '?').trim() }));
}

export function holdersBelow(directory: string): Holder[] {
  return holdersOf((path) => path === directory || path.startsWith(`${directory}/`));
}

/** Who has the device open, and what the kernel has stacked on it. */
export function holdersOfDevice(device: string): readonly string[] {
  const open = holdersOf((path) => path === device).map(describeHolder);
  const name = device.replace(/^\/dev\//, '');
  return [...open, ...listOf(`/sys/block/${name}/holders`)];
}

export function describeHolder(holder: Holder): string {
  return `${holder.program} (process ${holder.pid})`;
}

/** Octal escapes of /proc/self/mountinfo: space, tab, newline, backslash. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

export function mounts(): MountEntry[] {
  const lines = (readText('/proc/self/mountinfo') ?? '').split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [type = '', source = ''] = after.split(' ');
    return {
      path: unescapeMount(before.split(' ')[4] ?? ''),
      source: unescapeMount(source),
      type,
    };
  });
}

/** What the size of a device is counted in. */
export const sectorBytes = 512;

/** The size of a device; undefined when there is none of this name. */
export function loopBytes(device: string): number | undefined {
  const sectors = readText(`/sys/class/block/${path.basename(device)}/size`);
  return sectors === undefined ? undefined : Number(sectors) * sectorBytes;
}

/** Loop devices of a file, from the kernel: `losetup -j` would have to look at the file itself. */
export function loopDevicesOf(file: string): string[] {
  return listOf('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .filter((name) => {
      const backing = readText(`/sys/block/${name}/loop/backing_file`)?.trim();
      return backing === file || backing === `${file} (deleted)`;
    })
    .map((name) => `/dev/${name}`);
}

export function canDiscard(device: string): boolean {
  const name = device.replace(/^\/dev\//, '');
  return Number(readText(`/sys/block/${name}/queue/discard_max_bytes`) ?? 0) > 0;
}

/** The kernel's NBD devices, with the process that keeps each connected. */
export function kernelNbdDevices(): {
  readonly device: string;
  readonly pid: number | undefined;
}[] {
  return listOf('/sys/block')
    .filter((name) => /^nbd\d+$/.test(name))
    .map((name) => {
      const pid = readText(`/sys/block/${name}/pid`)?.trim();
      return { device: `/dev/${name}`, pid: pid === undefined ? undefined : Number(pid) };
    });
}
