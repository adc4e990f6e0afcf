/** kubectl and our own command, as somebody uses them from beside the clusters. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const mainPath = join(import.meta.dirname, '../../src/main.ts');
const outputBytesMax = 64 * 1024 * 1024;
const pollMs = 200;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export function run(program: string, words: readonly string[], options: RunOptions = {}) {
  const { input = '', environment = {} } = options;
  const env = { ...process.env, ...environment };
  return new Promise<Ran>((resolve, reject) => {
    const settings = { maxBuffer: outputBytesMax, encoding: 'utf8', env } as const;
    const child = execFile(program, [...words], settings, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
      else reject(new Error(`${program}: ${error.message}`, { cause: error }));
    });
    // A program that ends without reading it all is judged by its code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Its standard output; rejects with what it said if it failed. */
export async function must(
  program: string,
  words: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(program, words, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${words.join(' ')}: exit ${code}\n${stdout}${stderr}`);
}

/** `transship` from the sources, with a home of its own. */
export function transship(home: string, words: readonly string[]): Promise<string> {
  const program = ['--disable-warning=ExperimentalWarning', mainPath, ...words];
  return must(process.execPath, program, { environment: { TRANSSHIP_HOME: home } });
}

/** What `look` gives as soon as it gives something; an error of its is like nothing. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined>,
  patienceMs = 180_000,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`${what}: not after ${patienceMs / 1000} s`, { cause: last });
    }
    await sleep(pollMs);
  }
}
