/** Quotas and limits of the target namespaces: what is too little, and what would do. Pure. */
import { exactSize, formatSize } from '../../../base/units.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { type FieldPath, type Fields, fieldsAt, fieldsListAt } from '../../../workload/fields.ts';
import { textAt, valueAt } from '../../../workload/fields.ts';
import type { UndoField } from '../../../workload/undo.ts';
import { quantityBytes } from '../../claim/made.ts';
import { temporaryName } from '../../plan/temporary-claim.ts';
import type { PlannedVolume } from '../../plan/volumes.ts';
import type { ReplicationSeen } from '../seen.ts';
import { type Check, pairs } from './check.ts';

/** One object of the destination and what Remediate changes in it. */
export interface Raise {
  readonly object: KubeObject;
  readonly fields: readonly UndoField[];
  readonly problem: string;
  readonly fix: string;
}

function claimsIn({ volumes }: ReplicationSeen): ReadonlyMap<string, readonly PlannedVolume[]> {
  const made = volumes.filter(({ action }) => action !== 'Skip');
  return Map.groupBy(made, ({ target }) => target.namespace);
}

const storage = 'requests.storage';
const count = 'persistentvolumeclaims';

function change(object: KubeObject, path: FieldPath, during: unknown): UndoField {
  return { path, before: valueAt(object, path) ?? null, during };
}

/** Claims that come now: of a volume that is there a second one, unless that is there too. */
function comingTo(seen: ReplicationSeen, volumes: readonly PlannedVolume[]) {
  const uid = seen.replication.metadata.uid ?? '';
  return volumes.filter(({ target: { namespace, claim } }) => {
    const hasFirst = seen.claimsThere.has(`${namespace}/${claim}`);
    return !hasFirst || !seen.claimsThere.has(`${namespace}/${temporaryName(uid, claim)}`);
  });
}

const bytesOf = (volumes: readonly PlannedVolume[]): number =>
  volumes.reduce((all, { target }) => all + target.bytes, 0);

/**
 * One for each quota that has not room for the claims that come. It is raised so that the next copy
 * has room beside this one as well, and need not ask again.
 */
export function quotaRaises(seen: ReplicationSeen): readonly Raise[] {
  const claims = claimsIn(seen);
  return (seen.plan.seenDestination?.quotas ?? []).flatMap((object) => {
    const { namespace = '', name = '' } = object.metadata;
    const all = claims.get(namespace) ?? [];
    const coming = comingTo(seen, all);
    const [hard, used] = [fieldsAt(object, 'spec', 'hard'), fieldsAt(object, 'status', 'used')];
    const fields: UndoField[] = [];
    const [problems, fixes]: [string[], string[]] = [[], []];
    const limit = quantityBytes(textAt(hard, storage)) ?? Number.POSITIVE_INFINITY;
    const taken = quantityBytes(textAt(used, storage)) ?? 0;
    if (taken + bytesOf(coming) > limit) {
      const free = formatSize(Math.max(0, limit - taken));
      const raised = exactSize(taken + bytesOf(coming) + bytesOf(all));
      problems.push(`has room for ${free} of ${formatSize(bytesOf(coming))} of claims`);
      fixes.push(`${storage} ${raised}`);
      fields.push(change(object, ['spec', 'hard', storage], raised));
    }
    const most = Number(hard[count] ?? Number.POSITIVE_INFINITY);
    const held = Number(used[count] ?? 0);
    if (held + coming.length > most) {
      const raised = String(held + coming.length + all.length);
      problems.push(`has room for ${Math.max(0, most - held)} claims of ${coming.length}`);
      fixes.push(`${count} ${raised}`);
      fields.push(change(object, ['spec', 'hard', count], raised));
    }
    if (fields.length === 0) return [];
    const what = `quota ${namespace}/${name}`;
    const fix = `${what} is raised to ${fixes.join(' and ')}, with room for the next copy too`;
    return [{ object, fields, problem: `${what} ${problems.join(' and ')}`, fix }];
  });
}

/** One for each limit range that forbids the size of a claim. */
export function limitRaises(seen: ReplicationSeen): readonly Raise[] {
  const claims = claimsIn(seen);
  return (seen.plan.seenDestination?.limitRanges ?? []).flatMap((object) => {
    const { namespace = '', name = '' } = object.metadata;
    const sizes = (claims.get(namespace) ?? []).map(({ target }) => target.bytes);
    const limits = fieldsListAt(object, 'spec', 'limits');
    const widened = limits.map((limit) => widen(limit, sizes));
    const bad = widened.flatMap(({ outside }) => outside);
    if (bad.length === 0) return [];
    const what = `limit range ${namespace}/${name}`;
    const told = [...new Set(bad)].map(formatSize).join(', ');
    return [
      {
        object,
        fields: [
          change(
            object,
            ['spec', 'limits'],
            widened.map(({ limit }) => limit),
          ),
        ],
        problem: `${what} has no claims of ${told}`,
        fix: `${what} is widened to claims of ${told}`,
      },
    ];
  });
}

function widen(limit: Fields, sizes: readonly number[]) {
  if (limit['type'] !== 'PersistentVolumeClaim') return { limit, outside: [] };
  const max = quantityBytes(textAt(limit, 'max', 'storage')) ?? Number.POSITIVE_INFINITY;
  const min = quantityBytes(textAt(limit, 'min', 'storage')) ?? 0;
  const outside = sizes.filter((bytes) => bytes > max || bytes < min);
  const [most, least] = [Math.max(max, ...outside), Math.min(min, ...outside)];
  const wider = {
    ...limit,
    ...(most === max ? {} : { max: { ...fieldsAt(limit, 'max'), storage: exactSize(most) } }),
    ...(least === min ? {} : { min: { ...fieldsAt(limit, 'min'), storage: exactSize(least) } }),
  };
  return { limit: wider, outside };
}

export const roomChecks: readonly Check[] = [
  {
    name: 'QuotaExceeded',
    remedy: 'Raise the quota at the destination.',
    find: (seen) => pairs(quotaRaises(seen)),
  },
  {
    name: 'LimitRangeExceeded',
    remedy: 'Change the limit range at the destination.',
    find: (seen) => pairs(limitRaises(seen)),
  },
];
