/** Gives space back unasked: after something was deleted, when space runs short, and daily. */
import { asTransshipError } from '../base/errors.ts';
import type { Clock, Log, Metrics, Timer } from '../base/ports.ts';
import type { CollectReport } from '../volume/api.ts';
import type { Events } from './events.ts';
import type { OpenPool } from './ports.ts';

const lookMs = 15_000;
/** Deletions often come in groups; one collection serves them all. */
const afterFreeMs = 30_000;
/** What a short pool may spend: history that ages out frees a little all the time. */
const shortMs = 10 * 60_000;
const routineMs = 24 * 3_600_000;
/** Above this share of its capacity a pool is short. */
const shortRatio = 0.8;

/** Events after which there may be something to give back. */
const freeing: readonly string[] = [
  'Deleted',
  'SnapshotDeleted',
  'Restored',
  'PolicyChanged',
  'Canceled',
];

interface CollectorOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly events: Pick<Events, 'onEvent'>;
  readonly pools: readonly OpenPool[];
}

export function startCollector(options: CollectorOptions): Timer {
  const { clock, events, pools } = options;
  let freedMs: number | undefined;
  let timer: Timer;
  let ended = false;
  const lastMs = new Map(pools.map(({ name }) => [name, clock.monotonicMs()]));
  const stopListening = events.onEvent(({ reason }) => {
    if (freeing.includes(reason)) freedMs ??= clock.monotonicMs();
  });
  const look = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const isFreed = freedMs !== undefined && nowMs - freedMs >= afterFreeMs;
    // What is freed while this runs is for the next time.
    if (isFreed) freedMs = undefined;
    for (const pool of pools) {
      const sinceMs = nowMs - (lastMs.get(pool.name) ?? 0);
      const { capacityBytes, allocatedBytes, readOnly } = pool.api.status();
      const isShort = readOnly || allocatedBytes > capacityBytes * shortRatio;
      if (!isFreed && sinceMs < (isShort ? shortMs : routineMs)) continue;
      lastMs.set(pool.name, nowMs);
      await tryCollect(options, pool);
    }
    if (!ended) again();
  };
  const again = (): void => {
    timer = clock.after(lookMs, () => void look());
  };
  again();
  return {
    cancel: () => {
      ended = true;
      stopListening();
      timer.cancel();
    },
  };
}

async function tryCollect(options: CollectorOptions, pool: OpenPool): Promise<void> {
  try {
    const { bytesFreed } = await collectPool(options, pool);
    options.log.log('debug', 'collected', { pool: pool.name, bytesFreed });
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    if (reason === 'Stopping') return;
    options.log.log('warn', 'nothing was collected', { pool: pool.name, reason, message });
  }
}

/** A collection, and what it did, in the metrics. */
export async function collectPool(
  ports: { readonly clock: Clock; readonly metrics: Metrics },
  { name, api }: OpenPool,
): Promise<CollectReport> {
  const { clock, metrics } = ports;
  const startMs = clock.monotonicMs();
  const report = await api.collect();
  const labels = { pool: name };
  const seconds = (clock.monotonicMs() - startMs) / 1000;
  metrics.add('transship_collections_total', 1, labels);
  metrics.add('transship_collected_bytes_total', report.bytesFreed, labels);
  metrics.observe('transship_collection_seconds', seconds, labels);
  return report;
}
