/** Who a pool is: its id, made once (docs/formats/pool.md). */
import { fail } from '../base/errors.ts';
import type { Clock, Disk, Random } from '../base/ports.ts';
import { readDocument, replaceDocument } from './document.ts';

/** A pool has the first until it keeps a replica. */
const formatVersions = { first: 1, replicas: 2 } as const;

interface IdentityDocument {
  readonly id: string;
  readonly version: number;
  readonly createdMs: number;
}

/** The pool's id in hex. An empty directory becomes a pool; another one is `PoolUnusable`. */
export function openIdentity(disk: Disk, random: Random, clock: Clock): string {
  const known = readDocument(disk, 'pool.json') as IdentityDocument | undefined;
  if (known !== undefined) {
    if (known.version > formatVersions.replicas) {
      const { version } = known;
      fail('PoolUnusable', `the pool has format ${version}; this program knows 1 and 2`);
    }
    return known.id;
  }
  if (disk.list('segments').length > 0 || disk.list('volumes').length > 0) {
    fail('PoolUnusable', 'the directory has segments or volumes but no pool.json');
  }
  const id = Buffer.from(random.bytes(16)).toString('hex');
  const version = formatVersions.first;
  replaceDocument(disk, 'pool.json', { id, version, createdMs: clock.wallMs() });
  return id;
}

/** Before the first mark in its journal: older programs must refuse the pool from now on. */
export function allowReplicas(disk: Disk): void {
  const known = readDocument(disk, 'pool.json') as IdentityDocument;
  if (known.version >= formatVersions.replicas) return;
  replaceDocument(disk, 'pool.json', { ...known, version: formatVersions.replicas });
}
