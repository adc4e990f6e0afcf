// What bad disks do to the files of a pool (docs/formats): bytes that are others than were written,
// and writes that were acknowledged and are not there.
import * as fs from 'node:fs';
import { join } from 'node:path';

const sectorBytes = 4096;
const frameMagic = 0x4d415246;

interface Frame {
  readonly path: string;
  readonly position: number;
  readonly sequence: number;
  readonly dataBytes: number;
}

/** Of the files that are in use, oldest first. */
export function framesOf(pool: string): readonly Frame[] {
  const found: Frame[] = [];
  for (const name of fs.readdirSync(join(pool, 'journal'))) {
    if (!name.endsWith('.log')) continue;
    const path = join(pool, 'journal', name);
    const bytes = fs.readFileSync(path);
    const salt = bytes.subarray(32, 44);
    let last = 0;
    for (let position = sectorBytes; position + sectorBytes <= bytes.length; ) {
      const sequence = bytes.readDoubleLE(position + 16);
      const isFrame = bytes.readUInt32LE(position) === frameMagic && sequence > last;
      if (!isFrame || !salt.equals(bytes.subarray(position + 48, position + 60))) {
        position += sectorBytes;
        continue;
      }
      const dataBytes = bytes.readUInt32LE(position + 24);
      found.push({ path, position, sequence, dataBytes });
      last = sequence;
      position += sectorBytes + dataBytes;
    }
  }
  return found.toSorted((a, b) => a.sequence - b.sequence);
}

/** As a disk that acknowledged all from this frame on and stored none of it. */
export function loseFrom(pool: string, sequence: number): number {
  const lost = framesOf(pool).filter((frame) => frame.sequence >= sequence);
  for (const path of new Set(lost.map((frame) => frame.path))) {
    const first = lost.find((frame) => frame.path === path)!;
    const { size } = fs.statSync(path);
    fs.truncateSync(path, first.position);
    // As long as it was: only its content is older.
    fs.truncateSync(path, size);
  }
  return lost.length;
}

/** Of each of these frames one byte, of its header or its data. */
export function rotFrames(frames: readonly Frame[], where: 'header' | 'data'): number {
  const rotten = frames.filter(({ dataBytes }) => where === 'header' || dataBytes > 0);
  for (const { path, position } of rotten) {
    flip(path, where === 'header' ? position + 100 : position + sectorBytes + 100);
  }
  return rotten.length;
}

/** One byte of every so many of each segment, headers of files left alone. */
export function rotSegments(pool: string, everyBytes: number): number {
  let flips = 0;
  for (const name of fs.readdirSync(join(pool, 'segments'))) {
    const path = join(pool, 'segments', name);
    const { size } = fs.statSync(path);
    for (let at = everyBytes; at < size; at += everyBytes, flips++) flip(path, at);
  }
  return flips;
}

function flip(path: string, at: number): void {
  const fd = fs.openSync(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    fs.readSync(fd, byte, 0, 1, at);
    byte[0] = byte[0]! ^ 0x55;
    fs.writeSync(fd, byte, 0, 1, at);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
