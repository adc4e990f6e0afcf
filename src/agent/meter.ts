/** What clients do to volumes, counted; and the state of pools as numbers. */
import type { BlockDevice, Clock, Extent, Metrics } from '../base/ports.ts';
import { asTransshipError } from '../base/errors.ts';
import type { Pools } from './pools.ts';
import type { Teleports } from './teleports.ts';

interface Counts {
  reads: number;
  writes: number;
  flushes: number;
  readBytes: number;
  writtenBytes: number;
}

const nothing: Counts = { reads: 0, writes: 0, flushes: 0, readBytes: 0, writtenBytes: 0 };

/** One request of this many is timed: a histogram costs more than a 4 KiB read from memory. */
const timedEvery = 16;

/** Counts in plain numbers; the metrics hear of them when `report` is called. */
export class Meter {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #counts = new Map<string, Counts>();

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** The device, with everything that goes through it counted for the volume. */
  wrap(volume: string, device: BlockDevice): BlockDevice {
    const counts = this.#counts.get(volume) ?? { ...nothing };
    this.#counts.set(volume, counts);
    const onError = (error: unknown) => {
      const { reason } = asTransshipError(error);
      this.#metrics.add('transship_volume_errors_total', 1, { volume, reason });
    };
    return new MeteredDevice(device, {
      volume,
      clock: this.#clock,
      metrics: this.#metrics,
      counts,
      onError,
    });
  }

  forget(volume: string): void {
    this.#counts.delete(volume);
  }

  report(): void {
    for (const [volume, counts] of this.#counts) {
      this.#add('transship_volume_reads_total', 'transship_cluster_reads_total', [
        counts.reads,
        volume,
      ]);
      this.#add('transship_volume_writes_total', 'transship_cluster_writes_total', [
        counts.writes,
        volume,
      ]);
      this.#add('transship_volume_read_bytes_total', 'transship_cluster_read_bytes_total', [
        counts.readBytes,
        volume,
      ]);
      this.#add('transship_volume_written_bytes_total', 'transship_cluster_written_bytes_total', [
        counts.writtenBytes,
        volume,
      ]);
      if (counts.flushes > 0) {
        this.#metrics.add('transship_volume_flushes_total', counts.flushes, { volume });
      }
      Object.assign(counts, nothing);
    }
  }

  #add(perVolume: string, inAll: string, [value, volume]: readonly [number, string]): void {
    if (value === 0) return;
    this.#metrics.add(perVolume, value, { volume });
    this.#metrics.add(inAll, value);
  }
}

interface Metering {
  readonly volume: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly counts: Counts;
  readonly onError: (error: unknown) => void;
}

class MeteredDevice implements BlockDevice {
  readonly #device: BlockDevice;
  readonly #m: Metering;
  #requests = 0;

  constructor(device: BlockDevice, metering: Metering) {
    this.#device = device;
    this.#m = metering;
  }

  get sizeBytes(): number {
    return this.#device.sizeBytes;
  }

  get blockSizeBytes(): number {
    return this.#device.blockSizeBytes;
  }

  get readOnly(): boolean {
    return this.#device.readOnly;
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    const { counts } = this.#m;
    counts.reads += 1;
    counts.readBytes += into.length;
    const startMs = this.#start();
    return this.#settle('read', startMs, this.#device.read(into, offset));
  }

  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    const { counts } = this.#m;
    counts.writes += 1;
    counts.writtenBytes += from.length;
    const startMs = this.#start();
    return this.#settle('write', startMs, this.#device.write(from, offset));
  }

  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    this.#m.counts.writes += 1;
    return this.#settle('zero', undefined, this.#device.writeZeroes(offset, lengthBytes));
  }

  async flush(): Promise<void> {
    this.#m.counts.flushes += 1;
    const startMs = this.#m.clock.monotonicMs();
    await this.#settle('flush', startMs, this.#device.flush());
  }

  prefetch(offset: number, lengthBytes: number): Promise<void> {
    return this.#device.prefetch(offset, lengthBytes);
  }

  extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    return this.#device.extents(offset, lengthBytes);
  }

  cork(): void {
    this.#device.cork();
  }

  uncork(): void {
    this.#device.uncork();
  }

  #start(): number | undefined {
    this.#requests = (this.#requests + 1) % timedEvery;
    return this.#requests === 0 ? this.#m.clock.monotonicMs() : undefined;
  }

  #settle(
    operation: string,
    startMs: number | undefined,
    work: undefined | Promise<void>,
  ): undefined | Promise<void> {
    if (work === undefined) {
      this.#timed(operation, startMs);
      return undefined;
    }
    if (startMs === undefined) {
      work.catch(this.#m.onError);
      return work;
    }
    work.then(() => this.#timed(operation, startMs), this.#m.onError);
    return work;
  }

  #timed(operation: string, startMs: number | undefined): void {
    if (startMs === undefined) return;
    const { clock, metrics, volume } = this.#m;
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    metrics.observe('transship_request_seconds', seconds, { operation });
    metrics.observe('transship_volume_request_seconds', seconds, { volume, operation });
  }
}

/** Gauges of volumes, pools and teleports, as they are now. */
export function reportState(metrics: Metrics, pools: Pools, teleports: Teleports): void {
  for (const { volume } of pools.volumes()) {
    const status = volume.status();
    const labels = { volume: status.name };
    metrics.set('transship_volume_size_bytes', status.sizeBytes, labels);
    metrics.set('transship_volume_allocated_bytes', status.allocatedBytes, labels);
    metrics.set('transship_volume_unsettled_bytes', status.unsettledBytes, labels);
    const missingBytes = teleports.missingBytes(status.name);
    metrics.set('transship_volume_missing_bytes', missingBytes, labels);
  }
  for (const { name: pool, api } of pools.all) {
    const status = api.status();
    const labels = { pool };
    metrics.set('transship_pool_capacity_bytes', status.capacityBytes, labels);
    metrics.set('transship_pool_allocated_bytes', status.allocatedBytes, labels);
    metrics.set('transship_pool_free_bytes', status.freeBytes, labels);
    metrics.set('transship_pool_read_only', status.readOnly ? 1 : 0, labels);
    metrics.set('transship_pool_failed', status.phase === 'Failed' ? 1 : 0, labels);
    metrics.set('transship_pool_chunks', status.chunks, labels);
    metrics.set('transship_pool_segments', status.segments, labels);
    metrics.set('transship_pool_logical_bytes', status.logicalBytes, labels);
    metrics.set('transship_pool_unique_bytes', status.uniqueBytes, labels);
    metrics.set('transship_pool_stored_bytes', status.storedBytes, labels);
    metrics.set('transship_journal_bytes', status.journalBytes, labels);
    metrics.set('transship_leases', api.leases().length, labels);
  }
  for (const phase of ['Initializing', 'Accessible', 'Available', 'Failed', 'Canceled']) {
    const count = teleports.list().filter(({ status }) => status.phase === phase).length;
    metrics.set('transship_teleports', count, { phase });
  }
}
