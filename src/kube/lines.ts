/** A body as lines, however it is cut. */
import { fail } from '../base/errors.ts';

/** One event of a watch: an object of 1.5 MiB at most, with room for what servers add. */
export const lineBytesMax = 8 * 1024 * 1024;

const newline = 0x0a;

export interface LineReader {
  /** The lines that are complete with this piece. `LimitExceeded` when one grows too long. */
  push(piece: Uint8Array): string[];
  /** Bytes of a line that has no end yet. */
  readonly pendingBytes: number;
}

export function createLineReader(bytesMax = lineBytesMax): LineReader {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const keep = (part: Uint8Array): void => {
    pendingBytes += part.length;
    if (pendingBytes > bytesMax) {
      fail('LimitExceeded', `an event is longer than ${bytesMax} bytes`);
    }
    if (part.length > 0) pending.push(part);
  };
  return {
    push: (piece) => {
      const lines: string[] = [];
      let from = 0;
      for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, from)) {
        keep(piece.subarray(from, at));
        const line = Buffer.concat(pending).toString('utf8');
        pending = [];
        pendingBytes = 0;
        from = at + 1;
        if (line.trim() !== '') lines.push(line);
      }
      // A copy: the sender may use its buffer again.
      keep(piece.slice(from));
      return lines;
    },
    get pendingBytes() {
      return pendingBytes;
    },
  };
}
