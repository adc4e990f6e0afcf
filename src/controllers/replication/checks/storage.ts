/** Storage at the destination: a class for each claim, with room for it. Pure. */
import { formatSize } from '../../../base/units.ts';
import { driver } from '../../labels.ts';
import type { PlannedVolume } from '../../plan/volumes.ts';
import type { ReplicationSeen } from '../seen.ts';
import { type Check, nothing, pairs } from './check.ts';

/** Instead of the class `from`, as `status.agreed.storageClasses` has it. */
export interface Substitute {
  readonly from: string;
  readonly to: string;
}

const copied = ({ volumes }: ReplicationSeen): readonly PlannedVolume[] =>
  volumes.filter(({ action }) => action === 'Copy');

const agreedOn = ({ replication }: ReplicationSeen, name: string): boolean =>
  (replication.status?.agreed?.storageClasses ?? []).some(({ from }) => from === name);

interface Other {
  readonly name: string;
  readonly substitute: Substitute | undefined;
  readonly claims: readonly string[];
}

/** Classes of claims that the destination has under another name only. */
function otherClasses(seen: ReplicationSeen): readonly Other[] {
  const groups = Map.groupBy(copied(seen), ({ storageClass = '' }) => storageClass);
  return [...groups].flatMap(([name, volumes]) => {
    const [first] = volumes;
    const to = first?.target.storageClass?.metadata.name;
    if (name === '' || to === name || agreedOn(seen, name)) return [];
    const claims = volumes.map(({ namespace, claim }) => `${namespace}/${claim}`);
    // That there is none at all is told by StorageClassUnavailable.
    return to === undefined ? [] : [{ name, claims, substitute: { from: name, to } }];
  });
}

/** Bytes that come new to each class. */
function neededBytes(seen: ReplicationSeen): ReadonlyMap<string, readonly PlannedVolume[]> {
  const fresh = copied(seen).filter(({ target: { namespace, claim } }) => {
    return !seen.claimsThere.has(`${namespace}/${claim}`);
  });
  return Map.groupBy(fresh, ({ target }) => target.storageClass?.metadata.name ?? '');
}

/** An engine that stores what is used once takes no more than that; others take all at once. */
function bytesOf({ target, usedBytes, capacityBytes }: PlannedVolume): number {
  const isOurs = target.storageClass?.provisioner === driver;
  return isOurs ? (usedBytes ?? capacityBytes) : target.bytes;
}

interface Tight {
  readonly name: string;
  readonly problem: string;
  readonly volumes: readonly PlannedVolume[];
}

function tightClasses(seen: ReplicationSeen): readonly Tight[] {
  return [...neededBytes(seen)].flatMap(([name, volumes]) => {
    const room = seen.rooms.find(({ storageClass }) => storageClass === name);
    if (room === undefined) return [];
    const needed = volumes.reduce((all, one) => all + bytesOf(one), 0);
    const largest = Math.max(0, ...volumes.map(bytesOf));
    const { freeBytes, largestBytes = Number.POSITIVE_INFINITY } = room;
    if (needed <= freeBytes && largest <= largestBytes) return [];
    const free = formatSize(Math.min(freeBytes, largestBytes));
    const problem = `storage class ${name} has room for ${free} of ${formatSize(needed)}`;
    return [{ name, problem, volumes }];
  });
}

/** A class that is known to have room for all of it, of volumes that have files. */
function roomierThan(seen: ReplicationSeen, tight: Tight): string | undefined {
  if (tight.volumes.some(({ volumeMode }) => volumeMode !== 'Filesystem')) return undefined;
  const sizes = tight.volumes.map(({ capacityBytes }) => capacityBytes);
  const [wanted, largest] = [sizes.reduce((all, one) => all + one, 0), Math.max(...sizes)];
  const found = seen.rooms.find(({ storageClass, freeBytes, largestBytes }) => {
    const isLarge = (largestBytes ?? freeBytes) >= largest;
    return storageClass !== tight.name && freeBytes >= wanted && isLarge;
  });
  return found?.storageClass;
}

/** What Remediate settles about classes. */
export function substitutesFor(seen: ReplicationSeen): readonly Substitute[] {
  const byName = otherClasses(seen).flatMap(({ substitute }) => substitute ?? []);
  const bySize = tightClasses(seen).flatMap((tight) => {
    const to = roomierThan(seen, tight);
    if (to === undefined) return [];
    const names = new Set(tight.volumes.map(({ storageClass = '' }) => storageClass));
    return [...names].filter((from) => from !== '').map((from) => ({ from, to }));
  });
  // What has no room is no substitute for anything.
  const taken = new Set(bySize.map(({ from }) => from));
  return [...byName.filter(({ from }) => !taken.has(from)), ...bySize];
}

export const storageChecks: readonly Check[] = [
  {
    name: 'StorageClassMissing',
    remedy: 'Make a class of that name at the destination.',
    find: (seen) => {
      if (seen.plan.seenDestination === undefined) return nothing;
      return pairs(
        otherClasses(seen).map(({ name, claims, substitute }) => ({
          problem: `the destination has no class ${name} of that storage, for ${claims.join(', ')}`,
          fix: substitute && `class ${substitute.to} takes the place of ${name}`,
        })),
      );
    },
  },
  {
    name: 'StorageTooSmall',
    remedy: 'Add a pool or a disk at the destination, or free space there.',
    find: (seen) => {
      const found = pairs(
        tightClasses(seen).map((tight) => {
          const to = roomierThan(seen, tight);
          const fix = to && `class ${to}, which has room, takes the place of ${tight.name}`;
          return { problem: tight.problem, fix };
        }),
      );
      return { ...found, unread: seen.volumes.length === 0 ? [] : seen.unreadRooms };
    },
  },
];
