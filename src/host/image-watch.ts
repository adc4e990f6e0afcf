/** Notices that a file changed between two moments. */
import * as fsp from 'node:fs/promises';
import { fail } from '../base/errors.ts';

/**
 * A device has no times that follow its content, so for one this notices nothing; the docs say to
 * read devices that nobody writes to.
 */
export class ImageWatch {
  readonly #path: string;
  readonly #before: string;

  private constructor(path: string, before: string) {
    this.#path = path;
    this.#before = before;
  }

  static async start(path: string): Promise<ImageWatch> {
    return new ImageWatch(path, await fingerprint(path));
  }

  /** `BadImage` when it was written to, replaced or resized since `start`. */
  async check(): Promise<void> {
    if ((await fingerprint(this.#path)) === this.#before) return;
    fail('BadImage', `${this.#path} changed while it was read; stop its writer, or use a snapshot`);
  }
}

/** ctime cannot be set back by anybody, unlike mtime. */
async function fingerprint(path: string): Promise<string> {
  const stat = await fsp.stat(path, { bigint: true }).catch((error: unknown) => {
    fail('BadImage', `cannot read ${path}: ${(error as Error).message}`, error);
  });
  if (stat.isBlockDevice()) return `${stat.rdev}`;
  return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ');
}
