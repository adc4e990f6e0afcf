/** All extents of a range, however many: a device answers with a bounded list at a time. */
import { assert } from '../base/errors.ts';
import type { BlockDevice } from '../base/ports.ts';

export interface PlacedExtent {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly hole: boolean;
}

/** Asked for in ranges of at most this much, so that a hole of any size answers soon. */
const askBytes = 4 * 1024 * 1024 * 1024;

export async function* extentsOf(
  device: Pick<BlockDevice, 'extents'>,
  from: number,
  end: number,
): AsyncGenerator<PlacedExtent, void, undefined> {
  let offset = from;
  while (offset < end) {
    const asked = offset;
    for (const { lengthBytes, hole } of await device.extents(
      asked,
      Math.min(askBytes, end - asked),
    )) {
      yield { offset, lengthBytes, hole };
      offset += lengthBytes;
    }
    assert(offset > asked, 'extents say something of the range');
  }
}
