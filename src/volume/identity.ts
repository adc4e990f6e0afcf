/** Who a pool is: its id, made once (docs/formats/pool.md). */
import { fail } from '../base/errors.ts';
import type { Clock, Disk, Random } from '../base/ports.ts';
import { readDocument, replaceDocument } from './document.ts';

const formatVersion = 1;

/** The pool's id in hex. An empty directory becomes a pool; another one is `PoolUnusable`. */
export function openIdentity(disk: Disk, random: Random, clock: Clock): string {
  const known = readDocument(disk, 'pool.json') as { id: string; version: number } | undefined;
  if (known !== undefined) {
    if (known.version > formatVersion) {
      fail('PoolUnusable', `the pool has format ${known.version}; this program knows 1`);
    }
    return known.id;
  }
  if (disk.list('segments').length > 0 || disk.list('volumes').length > 0) {
    fail('PoolUnusable', 'the directory has segments or volumes but no pool.json');
  }
  const id = Buffer.from(random.bytes(16)).toString('hex');
  replaceDocument(disk, 'pool.json', { id, version: formatVersion, createdMs: clock.wallMs() });
  return id;
}
