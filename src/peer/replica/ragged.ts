/**
 * Writes that are not whole sectors: what surrounds them is read first, so nothing else may be
 * written to their sectors meanwhile. One at a time; they are rare.
 */
import { limits } from '../../base/limits.ts';

interface Range {
  readonly first: number;
  readonly end: number;
  readonly done: Promise<void>;
}

export class Ragged {
  #running: Range[] = [];

  /** What must end before these bytes may be written; undefined when nothing. */
  over(offset: number, lengthBytes: number): Promise<void> | undefined {
    if (this.#running.length === 0) return undefined;
    const { first, end } = sectorsOf(offset, lengthBytes);
    const found = this.#running.findLast((one) => one.first < end && first < one.end);
    return found?.done.catch(() => undefined);
  }

  run(offset: number, lengthBytes: number, work: () => Promise<void>): Promise<void> {
    const before = this.#running.at(-1)?.done.catch(() => undefined) ?? Promise.resolve();
    const done = before.then(work).finally(() => {
      this.#running = this.#running.filter((one) => one !== range);
    });
    const range = { ...sectorsOf(offset, lengthBytes), done };
    this.#running.push(range);
    return done;
  }
}

function sectorsOf(offset: number, lengthBytes: number): { first: number; end: number } {
  const { sectorBytes } = limits;
  const first = Math.floor(offset / sectorBytes);
  return { first, end: Math.ceil((offset + lengthBytes) / sectorBytes) };
}
