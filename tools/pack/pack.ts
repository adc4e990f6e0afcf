// What a published package and the image run: Node strips no types below node_modules, so what npm
// installs has to be JavaScript already. Blanking types keeps every line and column in place,
// so a stack trace from a user points at the source as it is in the repository.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, join } from 'node:path';

const from = join(import.meta.dirname, '../../src');

/** Imports and worker addresses name sources by their extension. */
function renameImports(code: string): string {
  return code.replace(/(['"])(\.{1,2}\/[^'"\n]+)\.ts\1/g, '$1$2.js$1');
}

/** Replaces what is at `to`; returns how many files are there now. */
export function packInto(to: string): number {
  rmSync(to, { recursive: true, force: true });
  let files = 0;
  for (const path of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
    if (path.endsWith('.test.ts') || path.endsWith('.md') || !/\.[a-z0-9]+$/.test(path)) continue;
    const target = join(to, path.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    if (path.endsWith('.ts')) {
      const code = stripTypeScriptTypes(readFileSync(join(from, path), 'utf8'));
      writeFileSync(target, renameImports(code));
    } else {
      cpSync(join(from, path), target);
    }
    files++;
  }
  return files;
}
