/** Files for their owner's eyes: secrets, and what a process remembers. */
import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { fail } from '../base/errors.ts';

/** Whole or not at all, readable by its owner only. */
export function writePrivate(path: string, text: string): void {
  fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.new`;
  fs.writeFileSync(fresh, text, { mode: 0o600, flush: true });
  fs.renameSync(fresh, path);
}

/** What `writePrivate` kept as JSON; `{}` before the first time. `BadArgument`: it is damaged. */
export function readRemembered<T extends object>(path: string): Partial<T> {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8')) as Partial<T>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    return fail('BadArgument', `${path} is damaged; correct or remove it`, error);
  }
}
