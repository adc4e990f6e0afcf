/**
 * Logs of containers: the process writes the file itself, so that it goes on without us. Beside it
 * lie the times at which the file had grown to which length: lines have times as exact as we look.
 */
import fs from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fail } from '../../base/errors.ts';
import type { LogOptions } from '../../embedded/runtime/ports.ts';

const MiB = 1024 * 1024;
export const logBytesMax = 10 * MiB;
const pieceBytes = 64 * 1024;
const followEveryMs = 100;
const newline = 10;

/** Notes how far the log has come by now. */
export function noteGrowth(log: string, nowMs: number, bytesMax = logBytesMax): void {
  const size = sizeOf(log);
  if (size === undefined) return;
  const times = readTimes(log);
  const last = times.at(-1);
  if (size > (last?.bytes ?? 0)) {
    fs.appendFileSync(`${log}.times`, `${size} ${nowMs}\n`, { mode: 0o600 });
  }
  if (size > bytesMax) rotate(log);
}

/**
 * The file is copied and emptied: the process keeps writing to it. A line written between the two,
 * some microseconds, is lost.
 */
function rotate(log: string): void {
  fs.copyFileSync(log, `${log}.old`);
  fs.truncateSync(log, 0);
  fs.rmSync(`${log}.times.old`, { force: true });
  if (fs.existsSync(`${log}.times`)) fs.renameSync(`${log}.times`, `${log}.times.old`);
}

function sizeOf(path: string): number | undefined {
  return fs.statSync(path, { throwIfNoEntry: false })?.size;
}

interface Mark {
  readonly bytes: number;
  readonly ms: number;
}

function readTimes(log: string, name = `${log}.times`): readonly Mark[] {
  if (!fs.existsSync(name)) return [];
  const lines = fs.readFileSync(name, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const [bytes = 0, ms = 0] = line.split(' ').map(Number);
    return { bytes, ms };
  });
}

/** When the byte at this place was there for sure. */
function timeAt(marks: readonly Mark[], place: number, nowMs: number): number {
  let [low, high] = [0, marks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((marks[middle]?.bytes ?? 0) > place) high = middle;
    else low = middle + 1;
  }
  return marks[low]?.ms ?? nowMs;
}

interface Line {
  readonly bytes: Uint8Array;
  readonly atMs: number;
}

/** `isOver` says that nothing more will be written. */
export async function* readLogFile(
  log: string,
  options: LogOptions,
  isOver: () => boolean,
): AsyncGenerator<Uint8Array> {
  if (sizeOf(log) === undefined) fail('NotFound', 'there is no log of this container');
  const { tailLines, sinceMs, signal } = options;
  const written = [...linesOf(`${log}.old`, `${log}.times.old`), ...linesOf(log, `${log}.times`)];
  const recent = written.filter((line) => sinceMs === undefined || line.atMs >= sinceMs);
  const shown = tailLines === undefined ? recent : tailLines === 0 ? [] : recent.slice(-tailLines);
  let left = options.limitBytes ?? Number.POSITIVE_INFINITY;
  const cut = (line: Line): Uint8Array => {
    const bytes = present(line, options.timestamps).subarray(0, Math.min(left, 2 ** 31));
    left -= bytes.length;
    return bytes;
  };
  for (const line of shown) {
    if (left <= 0 || signal?.aborted) return;
    yield cut(line);
  }
  if (!options.follow) return;
  let place = sizeOf(log) ?? 0;
  const last = written.at(-1);
  // A line without its end was shown as it was; its rest follows as it comes.
  let isFresh = last === undefined || last.bytes.at(-1) === newline;
  while (left > 0 && signal?.aborted !== true) {
    const wasOver = isOver();
    const size = sizeOf(log);
    if (size === undefined) return;
    if (size < place) place = 0;
    for (const bytes of piecesOf(log, place, size)) {
      place += bytes.length;
      for (const part of splitLines(bytes)) {
        yield cut({ bytes: part, atMs: isFresh ? Date.now() : Number.NaN });
        isFresh = part.at(-1) === newline;
      }
    }
    if (wasOver) return;
    await pause(followEveryMs, undefined, signal === undefined ? {} : { signal }).catch(() => 0);
  }
}

function present({ bytes, atMs }: Line, timestamps: boolean): Uint8Array {
  if (!timestamps || Number.isNaN(atMs)) return bytes;
  const time = new Date(atMs).toISOString().replace('Z', '000000Z');
  return Buffer.concat([Buffer.from(`${time} `), bytes]);
}

function* linesOf(log: string, times: string): Generator<Line> {
  const size = sizeOf(log);
  if (size === undefined) return;
  const marks = readTimes(log, times);
  const nowMs = Date.now();
  let place = 0;
  let rest: Uint8Array = new Uint8Array(0);
  for (const piece of piecesOf(log, 0, size)) {
    for (const part of splitLines(Buffer.concat([rest, piece]))) {
      rest = part;
      if (part.at(-1) !== newline) break;
      yield { bytes: part, atMs: timeAt(marks, place, nowMs) };
      place += part.length;
      rest = new Uint8Array(0);
    }
  }
  if (rest.length > 0) yield { bytes: rest, atMs: timeAt(marks, place, nowMs) };
}

function* piecesOf(path: string, from: number, to: number): Generator<Uint8Array> {
  if (from >= to) return;
  const file = fs.openSync(path, 'r');
  try {
    for (let place = from; place < to; ) {
      const piece = Buffer.alloc(Math.min(pieceBytes, to - place));
      const count = fs.readSync(file, piece, 0, piece.length, place);
      if (count === 0) return;
      place += count;
      yield piece.subarray(0, count);
    }
  } finally {
    fs.closeSync(file);
  }
}

/** Each with its newline; the last may lack one. */
function* splitLines(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(newline, from);
    const to = end < 0 ? bytes.length : end + 1;
    yield bytes.subarray(from, to);
    from = to;
  }
}
