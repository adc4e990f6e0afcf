/** Volumes that a change of a pool concerns: of what it is, not of how full it is. */
import type { Pool } from '../../api/kinds/pool.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import type { Change } from '../../kube/api.ts';
import { labels } from '../labels.ts';

export function poolKeysOf({ key, before, now }: Change<Pool>, all: Iterable<Volume>): string[] {
  if (before !== undefined && now !== undefined && isAlike(before, now)) return [];
  const keys: string[] = [];
  for (const { metadata, spec } of all) {
    if (spec.replicas?.some(({ pool }) => pool === key.name) === true) {
      keys.push(metadata.name ?? '');
    }
  }
  return keys;
}

function isAlike(before: Pool, now: Pool): boolean {
  const facts = ({ metadata, spec, status }: Pool) =>
    JSON.stringify([
      metadata.labels?.[labels.agent],
      metadata.labels?.[labels.pool],
      spec.drain === undefined,
      status?.readOnly === true,
    ]);
  return facts(before) === facts(now);
}
