// Runs the programs of others that we must work with.
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const directories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The first tool that is not installed, as a reason to skip; false when all are there. */
export function missing(...tools: readonly string[]): string | false {
  const absent = tools.find((tool) => !directories.some((at) => existsSync(join(at, tool))));
  return absent === undefined ? false : `${absent} is not installed`;
}

export function run(tool: string, ...words: readonly string[]): Promise<Ran> {
  const path = directories.map((at) => join(at, tool)).find((at) => existsSync(at)) ?? tool;
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 64 * 1024 * 1024, timeout: 110_000, encoding: 'utf8' } as const;
    execFile(path, [...words], options, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
      else reject(new Error(`${path}: ${error.message}`, { cause: error }));
    });
  });
}

/** Fails with the tool's own words unless it succeeds; returns what it printed. */
export async function must(tool: string, ...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run(tool, ...words);
  if (code !== 0) throw new Error(`${tool} ${words.join(' ')}: exit ${code}\n${stdout}${stderr}`);
  return stdout;
}

/** A directory of a test, removed by `Symbol.dispose`. Short, because socket paths are. */
export function scratch(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'ts-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Of this process; proc(5) writes spaces as `\\040`. */
export function mountsBelow(directory: string): readonly string[] {
  const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
  const paths = lines.map((line) => line.split(' ')[1]?.replaceAll('\\040', ' ') ?? '');
  return paths.filter((path) => path.startsWith(directory));
}
