/** Every byte of two volumes, read through NBD and compared: trusts no hash of ours. */
import type { NbdClient } from '../../nbd/client.ts';
import { connectNbd, parseNbdUri } from '../nbd-client.ts';

const pieceBytes = 4 * 1024 * 1024;
const extentBytes = 1024 * 1024 * 1024;

export interface Comparison {
  readonly equal: boolean;
  /** What was read of each; the rest is holes in both. */
  readonly comparedBytes: number;
}

export async function compareVolumes(uriA: string, uriB: string): Promise<Comparison> {
  const [a, b] = await Promise.all([uriA, uriB].map((uri) => connectNbd(parseNbdUri(uri))));
  try {
    return await compareDevices(a!, b!);
  } finally {
    a!.disconnect();
    b!.disconnect();
  }
}

async function compareDevices(a: NbdClient, b: NbdClient): Promise<Comparison> {
  if (a.sizeBytes !== b.sizeBytes) return { equal: false, comparedBytes: 0 };
  let comparedBytes = 0;
  for (const { offset, length } of await dataOf(a, b)) {
    const [left, right] = [Buffer.alloc(length), Buffer.alloc(length)];
    await Promise.all([a.read(left, offset), b.read(right, offset)]);
    if (!left.equals(right)) return { equal: false, comparedBytes };
    comparedBytes += length;
  }
  return { equal: true, comparedBytes };
}

/** Pieces that at least one of the two does not call a hole. */
async function dataOf(
  a: NbdClient,
  b: NbdClient,
): Promise<readonly { readonly offset: number; readonly length: number }[]> {
  const wanted = new Set<number>();
  for (const device of [a, b]) {
    for (let offset = 0; offset < device.sizeBytes; offset += extentBytes) {
      const length = Math.min(extentBytes, device.sizeBytes - offset);
      let at = offset;
      for (const { lengthBytes, hole } of await device.extents(offset, length)) {
        const last = Math.floor((at + lengthBytes - 1) / pieceBytes);
        for (let i = Math.floor(at / pieceBytes); !hole && i <= last; i++) wanted.add(i);
        at += lengthBytes;
      }
    }
  }
  return [...wanted]
    .toSorted((x, y) => x - y)
    .map((index) => {
      const offset = index * pieceBytes;
      return { offset, length: Math.min(pieceBytes, a.sizeBytes - offset) };
    });
}
