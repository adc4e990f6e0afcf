/** Programs of this machine, copied into a root file system with the libraries they load. */
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

const directories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/** Undefined when this machine has none of that name. */
export function findProgram(name: string): string | undefined {
  return directories.map((one) => join(one, name)).find((path) => existsSync(path));
}

/** To the path it has here, with /bin, /sbin and /lib as what they are: names of /usr/... */
export function copyProgram(rootDirectory: string, name: string): void {
  const path = name.startsWith('/') ? name : findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed`);
  copyTo(rootDirectory, path, merged(path));
  for (const library of librariesOf(path)) copyTo(rootDirectory, library, merged(library));
}

export function copyFile(rootDirectory: string, path: string): void {
  copyTo(rootDirectory, path, merged(path));
}

function copyTo(rootDirectory: string, from: string, to: string): void {
  const target = join(rootDirectory, to);
  if (existsSync(target)) return;
  mkdirSync(dirname(target), { recursive: true });
  const real = realpathSync(from);
  copyFileSync(real, target);
  // No program of an image needs the rights of its owner.
  chmodSync(target, isShared(real) ? 0o644 : 0o755);
}

const isShared = (path: string): boolean => path.startsWith('/etc/');

function merged(path: string): string {
  return path.replace(/^\/(bin|sbin|lib|lib64)\//, '/usr/$1/');
}

/** Scripts and static programs have none. */
export function librariesOf(path: string): readonly string[] {
  let text: string;
  try {
    text = execFileSync('ldd', [path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const found = /(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/.exec(line)?.[1];
    return found === undefined ? [] : [found];
  });
}
