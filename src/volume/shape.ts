/** What sizes and block sizes a volume may have. */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';

export function checkSize(sizeBytes: number): void {
  const { volumeBytesMin, volumeBytesMax } = limits;
  const fits = Number.isSafeInteger(sizeBytes);
  if (fits && sizeBytes >= volumeBytesMin && sizeBytes <= volumeBytesMax) return;
  fail(
    'BadSize',
    `a volume has from ${volumeBytesMin} to ${volumeBytesMax} bytes, not ${sizeBytes}`,
  );
}

export function checkBlockBytes(blockBytes: number): void {
  if (limits.blockBytesAllowed.includes(blockBytes)) return;
  const allowed = limits.blockBytesAllowed.map((bytes) => `${bytes / 1024}Ki`).join(', ');
  fail('BadSize', `a block has one of ${allowed} bytes, not ${blockBytes}`);
}
