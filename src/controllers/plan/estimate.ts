/** What a cutover will take, from rates that were measured or, before the first run, assumed. */
import type { Migration } from '../../api/kinds/migration.ts';
import { formatSize, parseRate } from '../../base/units.ts';
import type { Observation } from './observation.ts';
import type { PlannedVolume } from './volumes.ts';

/** Over a link of 1 Gbit/s, with files of all sizes. */
export const assumedBytesPerSecond = 50 * 1024 * 1024;
/** Less than this measures how fast pods start. */
const measuredBytesMin = 64 * 1024 * 1024;
/** To stop workloads, make objects, and start again. */
const restartSeconds = 30;
/** What changed since a stage, where nobody measured. */
const changedShare = 0.05;

export interface Estimate {
  readonly bytesToMove: number;
  readonly seconds: number;
  readonly downtimeSeconds: number;
  readonly moves: string;
  /** Where the rate is from. */
  readonly basis: string;
}

function measuredRate(migrations: readonly Migration[]): number | undefined {
  for (const { status } of migrations) {
    const rate = status?.report?.bytesPerSecond ?? status?.bytesPerSecond;
    const bytes = status?.report?.bytes ?? status?.copiedBytes ?? measuredBytesMin;
    // A few small files take as long as their pods: they say nothing about the way.
    if (bytes < measuredBytesMin) continue;
    if (rate !== undefined && rate > 0) return rate;
  }
  return undefined;
}

function isStaged({ spec, status }: Migration): boolean {
  const ended = status?.conditions?.some(
    (one) => one.type === 'Succeeded' && one.status === 'True',
  );
  return spec.type === 'Stage' && ended === true;
}

export function estimate(
  { plan, migrations }: Observation,
  volumes: readonly PlannedVolume[],
): Estimate {
  const copied = volumes.filter(({ action }) => action === 'Copy');
  const sum = (some: readonly PlannedVolume[]) =>
    some.reduce((all, { usedBytes, capacityBytes }) => all + (usedBytes ?? capacityBytes), 0);
  const staged = migrations.some(isStaged);
  const share = staged ? changedShare : 1;
  const bytesToMove = Math.ceil(sum(copied) * share);
  const measured = measuredRate(migrations);
  const limit = parseRate(plan.spec.bandwidth ?? 'unlimited') ?? Number.POSITIVE_INFINITY;
  const rate = Math.max(1, Math.min(measured ?? assumedBytesPerSecond, limit));
  // A teleported volume is usable at once; its bytes come behind.
  const waited = copied.filter(({ choice }) => choice.method !== 'Teleport');
  const frozen = plan.spec.quiesce === false ? 0 : restartSeconds;
  const from = measured === undefined ? 'assumed' : 'measured in its last migration';
  return {
    bytesToMove,
    seconds: restartSeconds + Math.ceil(bytesToMove / rate),
    downtimeSeconds: frozen + Math.ceil((sum(waited) * share) / rate),
    moves: formatSize(bytesToMove),
    basis:
      `${formatSize(rate)} a second, ${from}` +
      (staged ? '; a stage has brought all but what changed since' : ''),
  };
}
