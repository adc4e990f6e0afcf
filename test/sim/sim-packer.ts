/** A packer that answers when the scheduler says, and looks at its input as late as it may. */
import { crc32 } from 'node:zlib';
import {
  blocksOf,
  isZero,
  nameOf,
  packInline,
  unpackChunk,
  unpackInline,
} from '../../src/volume/pack.ts';
import { codecs, type Name, type PackedBlock, type Packer } from '../../src/volume/types.ts';
import type { Rng } from './rng.ts';
import type { Scheduler } from './scheduler.ts';

/** `fast` stores everything raw: most schedules are about order, not about compression. */
export function createSimPacker(
  scheduler: Pick<Scheduler, 'later'>,
  rng: Rng,
  fast: boolean,
): Packer {
  const pack = fast ? packRaw : packInline;
  const answer = <T>(label: string, work: () => T): Promise<T> => {
    if (rng.chance(0.5)) return scheduler.later(label, work);
    const early = work();
    return scheduler.later(label, () => early);
  };
  return {
    pack: (blocks, blockBytes, known) => answer('packed', () => pack(blocks, blockBytes, known)),
    unpack: (chunks) => answer('unpacked', () => chunks.map(unpackInline)),
    verify: (chunks) =>
      answer('verified', () => chunks.map((chunk) => unpackChunk(chunk) !== undefined)),
  };
}

function packRaw(
  blocks: Uint8Array,
  blockBytes: number,
  known?: (name: Name) => boolean,
): PackedBlock[] {
  return [...blocksOf(blocks, blockBytes)].map((block) => {
    const empty = { codec: codecs.raw, checksum: 0, bytes: undefined };
    if (isZero(block)) return { ...empty, name: new Uint8Array(32) };
    const name = nameOf(block);
    if (known?.(name) === true) return { ...empty, name };
    const bytes = new Uint8Array(block);
    return { name, codec: codecs.raw, checksum: crc32(bytes), bytes };
  });
}
