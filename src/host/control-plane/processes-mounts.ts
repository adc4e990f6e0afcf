/**
 * Places in the host's directories where pods have mounts. Directories that had to be made for
 * them are removed with the last pod that uses them; who uses which is written down first. The
 * register is one for the machine: a workload that moves from one cluster here to another has its
 * mounts at the same places in both, and a directory that is removed takes along what others have
 * mounted on it (rmdir(2) succeeds on a mount point of another namespace).
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fail } from '../../base/errors.ts';

/** Others hold it for as long as some directories take. */
const lockWaitMs = 10_000;

/** Can this process give its children mounts of their own? Tried, as no flag says it. */
export function canBind(scratch: string): boolean {
  const target = path.join(scratch, 'mount-trial');
  fs.mkdirSync(target, { recursive: true });
  const script = `mount --bind -- "$0" "$0" && command -v nsenter >/dev/null`;
  const tried = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-c', script, target],
    {
      stdio: 'ignore',
    },
  );
  fs.rmdirSync(target);
  return tried.status === 0;
}

/** Makes a mount's target where there is none. */
export function makeTarget(registry: string, pod: string, target: string, isFile: boolean): void {
  if (!path.isAbsolute(target) || path.normalize(target) === '/') {
    fail('Invalid', `a volume cannot be mounted at ${target}`);
  }
  alone(registry, () => make(registry, pod, target, isFile));
}

function make(registry: string, pod: string, target: string, isFile: boolean): void {
  const missing: string[] = [];
  for (let at = path.normalize(target); !fs.existsSync(at); at = path.dirname(at)) missing.push(at);
  for (const at of missing.toReversed()) {
    note(registry, pod, at);
    if (isFile && at === path.normalize(target)) fs.writeFileSync(at, '', { flag: 'a' });
    else fs.mkdirSync(at, { recursive: true });
  }
  // Another pod's: it must stay for us too.
  for (let at = path.normalize(target); at !== '/'; at = path.dirname(at)) {
    if (fs.existsSync(entryOf(registry, at))) note(registry, pod, at);
  }
}

function entryOf(registry: string, target: string): string {
  return path.join(registry, encodeURIComponent(target));
}

function note(registry: string, pod: string, target: string): void {
  fs.mkdirSync(entryOf(registry, target), { recursive: true });
  fs.writeFileSync(path.join(entryOf(registry, target), pod), '');
}

/** Lets go of what was made for a pod; what is not empty by now is no longer ours to remove. */
export function releaseTargets(registry: string, pod: string): void {
  if (!fs.existsSync(registry)) return;
  const isNoted = (name: string) => fs.existsSync(path.join(registry, name, pod));
  if (fs.readdirSync(registry).some(isNoted)) alone(registry, () => release(registry, pod));
}

function release(registry: string, pod: string): void {
  const entries = fs.readdirSync(registry).map((name) => ({ name, at: decodeURIComponent(name) }));
  for (const { name, at } of entries.toSorted((a, b) => b.at.length - a.at.length)) {
    const entry = path.join(registry, name);
    if (!fs.existsSync(path.join(entry, pod))) continue;
    fs.rmSync(path.join(entry, pod));
    if (fs.readdirSync(entry).length > 0) continue;
    removeIfEmpty(at);
    fs.rmdirSync(entry);
  }
}

/** Between a look at who uses a place and its removal nobody may begin to use it. */
function alone(registry: string, work: () => void): void {
  fs.mkdirSync(registry, { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(`${registry}.lock`, { timeout: lockWaitMs });
  try {
    lock.exec('PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
    work();
  } finally {
    lock.close();
  }
}

function removeIfEmpty(at: string): void {
  try {
    const found = fs.lstatSync(at);
    if (found.isDirectory()) fs.rmdirSync(at);
    else if (found.size === 0) fs.unlinkSync(at);
  } catch {
    // Not empty, or gone.
  }
}
