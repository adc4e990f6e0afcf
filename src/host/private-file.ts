/** Files that hold secrets. */
import * as fs from 'node:fs';
import { dirname } from 'node:path';

/** Whole or not at all, readable by its owner only. */
export function writePrivate(path: string, text: string): void {
  fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}.new`;
  fs.writeFileSync(fresh, text, { mode: 0o600, flush: true });
  fs.renameSync(fresh, path);
}
