/** Quotas and limits of the target namespaces, against what will be asked of them. */
import { formatSize } from '../../../base/units.ts';
import { fieldsAt, fieldsListAt, textAt } from '../../../workload/fields.ts';
import { quantityBytes } from '../../claim/made.ts';
import type { PlannedVolume } from '../volumes.ts';
import type { Check, Judged } from './check.ts';

/** Claims that will be made, by the namespace that they are made in. */
function claimsIn({ volumes }: Judged): ReadonlyMap<string, readonly PlannedVolume[]> {
  const made = volumes.filter(({ action }) => action !== 'Skip');
  return Map.groupBy(made, ({ target }) => target.namespace);
}

function quotaProblems(judged: Judged): readonly string[] | undefined {
  const { seen } = judged;
  const claims = claimsIn(judged);
  return seen.seenDestination?.quotas.flatMap((quota) => {
    const { namespace = '', name = '' } = quota.metadata;
    const wanted = claims.get(namespace) ?? [];
    const [hard, used] = [fieldsAt(quota, 'spec', 'hard'), fieldsAt(quota, 'status', 'used')];
    const what = `quota ${namespace}/${name}`;
    const problems: string[] = [];
    const countMax = Number(hard['persistentvolumeclaims'] ?? Number.POSITIVE_INFINITY);
    const count = Number(used['persistentvolumeclaims'] ?? 0);
    if (wanted.length + count > countMax) {
      problems.push(`${what} has room for ${countMax - count} claims of ${wanted.length}`);
    }
    const limit = quantityBytes(textAt(hard, 'requests.storage'));
    const taken = quantityBytes(textAt(used, 'requests.storage')) ?? 0;
    const bytes = wanted.reduce((all, { target }) => all + target.bytes, 0);
    if (limit !== undefined && bytes + taken > limit) {
      const free = formatSize(Math.max(0, limit - taken));
      problems.push(`${what} has room for ${free} of ${formatSize(bytes)} of claims`);
    }
    return problems;
  });
}

function limitProblems(judged: Judged): readonly string[] | undefined {
  const claims = claimsIn(judged);
  return judged.seen.seenDestination?.limitRanges.flatMap((range) => {
    const { namespace = '', name = '' } = range.metadata;
    const limits = fieldsListAt(range, 'spec', 'limits');
    return limits
      .filter(({ type }) => type === 'PersistentVolumeClaim')
      .flatMap((limit) => {
        const max = quantityBytes(textAt(limit, 'max', 'storage')) ?? Number.POSITIVE_INFINITY;
        const min = quantityBytes(textAt(limit, 'min', 'storage')) ?? 0;
        return (claims.get(namespace) ?? [])
          .filter(({ target }) => target.bytes > max || target.bytes < min)
          .map(({ target }) => {
            const size = formatSize(target.bytes);
            return `limit range ${namespace}/${name} has no claims of ${size}: ${target.claim}`;
          });
      });
  });
}

export const roomChecks: readonly Check[] = [
  {
    id: 'QuotaExceeded',
    category: 'Error',
    remedy: 'Raise the quota at the destination, or move less.',
    find: quotaProblems,
  },
  {
    id: 'LimitRangeExceeded',
    category: 'Error',
    remedy: 'Change the limit range at the destination, or the sizes in spec.volumes.',
    find: limitProblems,
  },
];
