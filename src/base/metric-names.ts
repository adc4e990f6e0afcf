/**
 * Every metric of an agent. Counters end in `_total`, durations are seconds, sizes are bytes.
 * Labels are bounded sets; `volume` is bounded by the volumes that exist (its series go when the
 * volume goes).
 */

export interface MetricDefinition {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds in seconds; histograms only. */
  readonly buckets?: readonly number[];
}

function counter(help: string, ...labels: readonly string[]): MetricDefinition {
  return { kind: 'counter', help, labels };
}

function gauge(help: string, ...labels: readonly string[]): MetricDefinition {
  return { kind: 'gauge', help, labels };
}

function histogram(
  help: string,
  buckets: readonly number[],
  ...labels: readonly string[]
): MetricDefinition {
  return { kind: 'histogram', help, labels, buckets };
}

/** From a page-cache hit to a disk in trouble. */
const ioSeconds = [1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 0.02, 0.1, 0.5, 2, 10];
/** From a local network to the demand time-out. */
const linkSeconds = [5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30];
/** Background work. */
const workSeconds = [1e-3, 0.01, 0.05, 0.25, 1, 5, 30, 120, 600];

/** From a patch of one object to the copy of a large volume. */
const moveSeconds = [0.5, 2, 10, 30, 120, 600, 3600, 14_400, 86_400];

export const metricDefinitions = {
  transship_build_info: gauge('Always 1; the labels say what runs.', 'version', 'node'),

  transship_volume_reads_total: counter('Read requests.', 'volume'),
  transship_volume_writes_total: counter('Write, trim and zero requests.', 'volume'),
  transship_volume_flushes_total: counter('Flush requests.', 'volume'),
  transship_volume_read_bytes_total: counter('Bytes read by clients.', 'volume'),
  transship_volume_written_bytes_total: counter('Bytes written by clients.', 'volume'),
  transship_volume_errors_total: counter('Requests that failed.', 'volume', 'reason'),
  transship_volume_size_bytes: gauge('Size of the volume.', 'volume'),
  transship_volume_allocated_bytes: gauge('Blocks that are not holes.', 'volume'),
  transship_volume_unsettled_bytes: gauge('Bytes that only the journal has yet.', 'volume'),
  transship_volume_missing_bytes: gauge('Bytes that only the source has yet.', 'volume'),
  transship_replicas: gauge('Replicas of the volumes led here.', 'volume', 'state'),
  transship_replica_missing_bytes: gauge('Bytes that replicas being rebuilt lack.', 'volume'),
  transship_replica_rebuilds_total: counter('Rebuilds that were begun.', 'volume'),
  transship_replica_elections_total: counter('Times that this agent came to lead.', 'volume'),
  transship_replica_reads_elsewhere_total: counter(
    'Reads that another replica answered because the near one could not.',
    'volume',
  ),
  transship_replica_healed_chunks_total: counter('Damaged chunks that another replica gave.'),
  transship_cluster_reads_total: counter('Read requests of all volumes.'),
  transship_cluster_writes_total: counter('Write requests of all volumes.'),
  transship_cluster_read_bytes_total: counter('Bytes read of all volumes.'),
  transship_cluster_written_bytes_total: counter('Bytes written of all volumes.'),
  transship_request_seconds: histogram('Time of a client request.', ioSeconds, 'operation'),
  /** Without buckets: sum and count give each volume its mean without a dozen series. */
  transship_volume_request_seconds: histogram(
    'Time of a client request, by volume.',
    [],
    'volume',
    'operation',
  ),

  transship_pool_capacity_bytes: gauge('What the pool may use.', 'pool'),
  transship_pool_allocated_bytes: gauge('What the pool uses.', 'pool'),
  transship_pool_free_bytes: gauge('What is left before the pool turns read-only.', 'pool'),
  transship_pool_read_only: gauge('1 while the pool refuses writes.', 'pool'),
  transship_pool_failed: gauge('1 after a disk failure, until the pool is reopened.', 'pool'),
  transship_pool_chunks: gauge('Distinct chunks.', 'pool'),
  transship_pool_segments: gauge('Segment files.', 'pool'),
  transship_pool_logical_bytes: gauge('Allocated bytes of all volumes.', 'pool'),
  transship_pool_unique_bytes: gauge('Distinct chunks before compression.', 'pool'),
  transship_pool_stored_bytes: gauge('What the segments hold.', 'pool'),

  transship_journal_bytes: gauge('Live journal files.', 'pool'),
  transship_journal_written_bytes_total: counter('Bytes appended to the journal.', 'pool'),
  transship_journal_sync_seconds: histogram('Time of one journal sync.', ioSeconds, 'pool'),
  transship_disk_failures_total: counter('Failures that stopped the pool.', 'pool', 'reason'),
  transship_packed_bytes_total: counter('Bytes hashed, and compressed where new.', 'pool'),
  transship_rejected_chunks_total: counter('Chunks whose content is not what they say.', 'pool'),

  transship_collections_total: counter('Collections finished.', 'pool'),
  transship_collected_bytes_total: counter('Bytes given back by collection.', 'pool'),
  transship_collection_seconds: histogram('Time of one collection.', workSeconds, 'pool'),
  transship_scrubbed_bytes_total: counter('Bytes verified by scrubs.', 'pool'),
  transship_scrub_corrupt_chunks_total: counter('Chunks that failed verification.', 'pool'),
  transship_scrub_repaired_chunks_total: counter('Corrupt chunks replaced.', 'pool'),
  transship_leases: gauge('Leases held by others.', 'pool'),

  transship_teleports: gauge('Volumes that came by teleport.', 'phase'),
  transship_teleport_received_bytes_total: counter('Bytes received as stored.', 'lane'),
  transship_teleport_sent_bytes_total: counter('Bytes served as stored.', 'lane'),
  transship_teleport_deduplicated_bytes_total: counter('Bytes not fetched: present before.'),
  transship_demand_read_seconds: histogram('Time of a read that went to the source.', linkSeconds),

  transship_peer_connected: gauge('1 while the link to a peer works.', 'peer'),
  transship_peer_round_trip_seconds: gauge('Last measured round trip.', 'peer'),
  transship_peer_reconnects_total: counter('Links made again.', 'peer'),
  transship_nbd_connections: gauge('Open NBD connections.'),
  transship_nbd_requests_total: counter('NBD requests.', 'command'),
  transship_nbd_errors_total: counter('NBD requests answered with an error.', 'command'),

  transship_api_requests_total: counter(
    'Requests to the API server of an embedded cluster.',
    'client',
    'verb',
  ),
  transship_migrations: gauge('Migrations that are not over.', 'type'),
  transship_migrations_total: counter('Migrations that ended.', 'type', 'result'),
  transship_migration_steps_total: counter('Steps of migrations that ended.', 'step', 'result'),
  transship_migration_step_seconds: histogram('Time of one step.', moveSeconds, 'step'),
  transship_replications: gauge('Replications, by how they stand.', 'state'),
  transship_replications_total: counter('Runs of replications that ended.', 'result'),
  transship_replication_checks_total: counter('Checks of replications.', 'result'),
  transship_replication_lag_seconds: gauge(
    'How old the data of a replication is at its destination.',
    'replication',
  ),
  transship_transfers_total: counter('Copies of volumes that ended.', 'method', 'result'),
  transship_transfer_bytes_total: counter('Bytes that these brought.', 'method'),
  transship_transfer_wire_bytes_total: counter('These, as they travelled.', 'method'),
  transship_transfer_seconds: histogram('Time of one copy of a volume.', moveSeconds, 'method'),
  transship_reconcile_total: counter('Reconciliations finished.', 'kind', 'result'),
  transship_reconcile_seconds: histogram('Time of one reconciliation.', workSeconds, 'kind'),
  transship_reconcile_queue_depth: gauge('Objects waiting or at work.', 'kind'),
} as const satisfies Record<string, MetricDefinition>;

export type MetricName = keyof typeof metricDefinitions;

export function metricDefinition(name: string): MetricDefinition | undefined {
  return Object.hasOwn(metricDefinitions, name) ? metricDefinitions[name as MetricName] : undefined;
}
