/** A `--rate` as the field `bandwidth` of objects has it. */
import { exactSize } from '../base/units.ts';
import type { RateOption } from './command.ts';

export function bandwidthOf({ bytesPerSecond }: NonNullable<RateOption['rate']>): string {
  return bytesPerSecond === undefined ? 'unlimited' : exactSize(bytesPerSecond);
}
