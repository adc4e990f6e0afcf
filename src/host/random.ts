import { randomFillSync } from 'node:crypto';
import type { Random } from '../base/ports.ts';

export function createRandom(): Random {
  return {
    bytes: (count) => randomFillSync(new Uint8Array(count)),
    fraction: () => Math.random(),
  };
}
