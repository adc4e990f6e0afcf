/** What is in our images: the program, Node, and the tools of Debian that it calls. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { packInto } from '../pack/pack.ts';
import { copyFile, copyProgram, findProgram, librariesOf } from './programs.ts';

const checkout = join(import.meta.dirname, '../..');
/** As the Containerfile has it. */
const home = 'opt/transship';

export interface Recipe {
  readonly programs: readonly string[];
  /** Of the same packages, such as configuration. */
  readonly files: readonly string[];
}

/** readlink: of bin/transship, by which people call the program in a pod. */
const shell = 'sh cat ls sync sleep env readlink';
const words = (text: string): readonly string[] => text.split(/\s+/);

/** Volumes as devices and file systems; see `src/host/run-tool.ts`. */
const agentRecipe: Recipe = {
  programs: words(`${shell} mount umount losetup blkid blockdev
    mkfs.ext4 resize2fs e2fsck mkfs.xfs xfs_growfs nbdfuse fusermount3`),
  files: ['/etc/mke2fs.conf', '/etc/ssl/certs/ca-certificates.crt'],
};

/** Pods that move files: they have no devices. */
const moverRecipe: Recipe = {
  programs: words(`${shell} rsync stunnel4 restic getfattr`),
  files: ['/etc/ssl/certs/ca-certificates.crt'],
};

export const recipes: Readonly<Record<string, Recipe>> = {
  transship: agentRecipe,
  'transship-mover': moverRecipe,
};

/** Undefined when this machine has all of it; else what to install. */
export function missingFor(recipe: Recipe): string | undefined {
  const absent = recipe.programs.filter((name) => findProgram(name) === undefined);
  if (findProgram('ldd') === undefined) absent.push('ldd');
  return absent.length === 0 ? undefined : `not installed: ${absent.join(', ')}`;
}

/** A root file system in an empty directory. */
export function makeRoot(directory: string, recipe: Recipe): void {
  makeSkeleton(directory);
  for (const name of recipe.programs) copyProgram(directory, name);
  for (const file of recipe.files) if (existsSync(file)) copyFile(directory, file);
  const node = process.execPath;
  copyFileSync(node, join(directory, 'usr/local/bin/node'));
  for (const library of librariesOf(node)) copyFile(directory, library);
  addProgram(directory);
}

/** As a published package has it, with what npm installed for it here. */
function addProgram(directory: string): void {
  const root = join(directory, home);
  packInto(join(root, 'dist'));
  for (const one of ['package.json', 'LICENSE', 'bin']) {
    cpSync(join(checkout, one), join(root, one), { recursive: true });
  }
  for (const path of productionPackages()) {
    const filter = (from: string) => isNeeded(from.slice(path.length));
    cpSync(path, join(root, relative(checkout, path)), { recursive: true, filter });
  }
  symlinkSync(`/${home}/bin/transship`, join(directory, 'usr/local/bin/transship'));
}

/** Packages inside packages are in the list themselves; the rest is for people who write code. */
const isNeeded = (path: string): boolean =>
  !path.includes('/node_modules') && !/\.(?:ts|mts|cts|map|md)$/.test(path);

/** Directories. Not Node, which has its usual place, and no types. */
function productionPackages(): readonly string[] {
  const words = ['ls', '--omit=dev', '--all', '--parseable'];
  // It complains about optional packages of other platforms, which are rightly absent.
  const { stdout } = spawnSync('npm', words, { cwd: checkout, encoding: 'utf8' });
  const paths = stdout.split('\n').filter((path) => path.includes('/node_modules/'));
  if (paths.length === 0) throw new Error('npm names no installed packages: npm ci');
  return paths.filter((path) => !/\/(?:node-linux-[a-z0-9]+|@types\/[^/]+)$/.test(path));
}

function makeSkeleton(directory: string): void {
  for (const one of ['usr/bin', 'usr/sbin', 'usr/lib', 'usr/lib64', 'usr/local/bin']) {
    mkdirSync(join(directory, one), { recursive: true });
  }
  for (const one of ['bin', 'sbin', 'lib', 'lib64']) {
    symlinkSync(`usr/${one}`, join(directory, one));
  }
  chmodSync(directory, 0o755);
  for (const one of ['dev', 'etc', 'proc', 'run', 'sys', 'tmp', 'var/lib']) {
    mkdirSync(join(directory, one), { recursive: true });
  }
  chmodSync(join(directory, 'tmp'), 0o1777);
  const write = (path: string, text: string) => writeFileSync(join(directory, path), text);
  const people = ['root:x:0:0:root:/:/bin/sh', 'transship:x:65532:65532:transship:/:/bin/sh'];
  write('etc/passwd', `${people.join('\n')}\n`);
  write('etc/group', 'root:x:0:\ntransship:x:65532:\n');
  write('etc/nsswitch.conf', 'hosts: files dns\n');
}
