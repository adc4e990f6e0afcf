/** Files that a command writes for the person who called it. */
import * as fs from 'node:fs';
import { fail } from '../base/errors.ts';

/** Whole or not at all. `AlreadyExists` when the file is there; readable by its owner only. */
export function writeText(path: string, text: string): void {
  let file: number;
  try {
    file = fs.openSync(path, 'wx', 0o600);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') fail('AlreadyExists', `${path} is there already`, error);
    fail('BadArgument', `${path} cannot be written: ${message}`, error);
  }
  try {
    fs.writeFileSync(file, text, { flush: true });
  } catch (error) {
    fs.rmSync(path, { force: true });
    fail('BadArgument', `${path} cannot be written: ${(error as Error).message}`, error);
  } finally {
    fs.closeSync(file);
  }
}
