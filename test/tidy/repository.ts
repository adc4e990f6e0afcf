// Reads the checkout the rules run on.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Repository } from './rule.ts';
import { parseSource } from './source.ts';

export const root = join(import.meta.dirname, '../..');

/** Tracked files and those about to be; all of them where there is no Git. */
function listFiles(): readonly string[] {
  try {
    const options = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const listed = execFileSync('git', options, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
    const paths = listed.toString().split('\0').filter(Boolean);
    if (paths.length > 0) return paths.filter((path) => existsSync(join(root, path)));
  } catch {
    // An archive of the sources has no Git to ask.
  }
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => !/(^|\/)(node_modules|\.git|\.state|dist)\//.test(path));
}

export function readRepository(): Repository {
  const files = listFiles();
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');
  // The page in web/ is a TypeScript project with tools and habits of its own.
  const isJudged = (path: string): boolean => /^(src|test|bench|tools)\/.*\.ts$/.test(path);
  return {
    sources: files.filter(isJudged).map((path) => parseSource(path, read(path))),
    documents: new Map(
      files.filter((path) => path.endsWith('.md')).map((path) => [path, read(path)]),
    ),
    files: new Set(files),
  };
}
