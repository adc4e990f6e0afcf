/**
 * Versioned objects: what `-o json` prints and the control API sends. Conditions follow the
 * conventions of the Kubernetes API; `phase` is derived, for people.
 */

export const apiVersion = 'transship.dev/v1alpha1';

export interface Metadata {
  readonly name: string;
  /** The cluster whose agent answered. */
  readonly cluster?: string;
  readonly uid?: string;
  /** RFC 3339. */
  readonly creationTimestamp?: string;
}

/** Any object; the kinds below say more. */
export interface ApiObject {
  readonly kind: string;
  readonly apiVersion: typeof apiVersion;
  readonly metadata: Metadata;
}

export interface ListOf<Item extends ApiObject> {
  readonly kind: `${Item['kind']}List`;
  readonly apiVersion: typeof apiVersion;
  readonly items: readonly Item[];
}

export interface ConditionView {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
}

/** Condition types whose `True` is bad; of all others it is `False`. */
export const badWhenTrue: readonly string[] = ['DataDamaged', 'JournalDamaged'];

export type Phase = 'Initializing' | 'Accessible' | 'Available';

export interface VolumeObject extends ApiObject {
  readonly kind: 'Volume';
  readonly spec: {
    readonly size: string;
    readonly blockSize: string;
    readonly pool: string;
    /** `custom` when the policy that set it is gone or was changed since. */
    readonly historyPolicy: string;
  };
  readonly status: {
    readonly phase: Phase;
    readonly sizeBytes: number;
    readonly allocatedBytes: number;
    /** Fetched by nobody yet: only the source has it. */
    readonly missingBytes: number;
    readonly unsettledBytes: number;
    /** Hex; it is that of the last checkpoint, `volume verify` seals first. */
    readonly root: string;
    readonly snapshots: number;
    readonly oldestRestorable?: string;
    /** Doors open now: NBD clients, attachments, imports. */
    readonly doors: readonly string[];
    /** Other clusters that still read a version of it: `west/db`. */
    readonly leasedBy: readonly string[];
    readonly attachedTo?: string;
    /** Where it is being teleported from, until nothing is missing. */
    readonly source?: string;
    readonly teleport?: string;
    readonly conditions: readonly ConditionView[];
  };
}

export interface SnapshotObject extends ApiObject {
  readonly kind: 'Snapshot';
  readonly spec: { readonly volume: string };
  readonly status: {
    readonly sizeBytes: number;
    readonly allocatedBytes: number;
    readonly root: string;
    readonly trace: boolean;
  };
}

export interface HistoryObject extends ApiObject {
  readonly kind: 'History';
  readonly status: {
    readonly historyPolicy: string;
    readonly retention: RetentionView;
    readonly oldest?: string;
    readonly newest?: string;
    readonly points: number;
    readonly snapshots: readonly SnapshotObject[];
  };
}

/** Durations as text; "0" keeps nothing at that step. */
export interface RetentionView {
  readonly seconds: string;
  readonly minutes: string;
  readonly hours: string;
  readonly days: string;
}

export interface HistoryPolicyObject extends ApiObject {
  readonly kind: 'HistoryPolicy';
  readonly spec: RetentionView;
  readonly status: {
    /** Comes with Transship and cannot be deleted. */
    readonly preset: boolean;
    readonly volumes: readonly string[];
  };
}

export interface PoolObject extends ApiObject {
  readonly kind: 'Pool';
  readonly spec: { readonly path: string; readonly capacity: string };
  readonly status: {
    readonly phase: 'Healthy' | 'ReadOnly' | 'Failed';
    readonly readOnly: boolean;
    readonly capacityBytes: number;
    readonly allocatedBytes: number;
    readonly freeBytes: number;
    readonly journalBytes: number;
    readonly chunks: number;
    readonly segments: number;
    readonly logicalBytes: number;
    readonly uniqueBytes: number;
    readonly storedBytes: number;
    readonly volumes: number;
    readonly conditions: readonly ConditionView[];
  };
}

/** `None`: nothing to say; `Yellow`: degraded; `Red`: somebody must act (I-31). */
export type Health = 'None' | 'Yellow' | 'Red';

/** This agent's cluster, or a peer of it. */
export interface ClusterObject extends ApiObject {
  readonly kind: 'Cluster';
  readonly spec: {
    /** The agent that answered, as opposed to a peer it knows. */
    readonly local: boolean;
    readonly address: string;
    readonly fingerprint: string;
    /** The cluster that it is one agent of; absent: its own name is the cluster's. */
    readonly memberOf?: string;
  };
  readonly status: {
    readonly connected: boolean;
    readonly health: Health;
    readonly reasons: readonly string[];
    readonly version?: string;
    readonly roundTripMs?: number;
    readonly volumes?: number;
    readonly teleports?: number;
    readonly capacityBytes?: number;
    readonly allocatedBytes?: number;
    /** Logical bytes over stored bytes; 1 means nothing saved. */
    readonly savingRatio?: number;
    readonly pid?: number;
    readonly startTime?: string;
    readonly home?: string;
    readonly controlSocket?: string;
    readonly nbdSocket?: string;
    readonly metricsUrl?: string;
  };
}

export interface TeleportProgress {
  /** Blocks that are not holes, uncompressed. */
  readonly totalBytes: number;
  /** Found at the destination before anything was fetched. */
  readonly presentBytes: number;
  readonly demandBytes: number;
  readonly backgroundBytes: number;
  readonly missingBytes: number;
  /** As it travelled: compressed, with framing where known. */
  readonly wireBytes: number;
  readonly bytesPerSecond: number;
  readonly etaMs?: number;
}

export interface TeleportObject extends ApiObject {
  readonly kind: 'Teleport';
  readonly spec: {
    readonly source: { readonly cluster: string; readonly volume: string };
    readonly destination: { readonly cluster: string; readonly volume: string };
    readonly at?: string;
    readonly snapshot?: string;
    readonly thin: boolean;
    readonly historyPolicy: string;
    readonly bandwidth?: string;
  };
  readonly status: {
    readonly phase: Phase | 'Canceled' | 'Failed';
    readonly progress: TeleportProgress;
    /** Milliseconds from the command to `Accessible`. */
    readonly accessibleAfterMs?: number;
    readonly root?: string;
    readonly accessibleTime?: string;
    readonly completionTime?: string;
    readonly conditions: readonly ConditionView[];
  };
}

/** As users of cStor know them. */
export const replicaStates = [
  'Healthy',
  'Degraded',
  'Rebuilding',
  'ReconstructingNewReplica',
  'Offline',
  'Error',
] as const;
export type ReplicaState = (typeof replicaStates)[number];

/** One pool's copy of a replicated volume, as its leader sees it. */
export interface ReplicaView {
  /** The peer name of the agent that keeps it, and its pool there. */
  readonly agent: string;
  readonly pool: string;
  readonly state: ReplicaState;
  /** Counts for the majority; a replica that is being made does not. */
  readonly voter: boolean;
  /** Content that it does not have yet, uncompressed; 0 when `Healthy`. */
  readonly missingBytes: number;
  readonly totalBytes: number;
  readonly percent: number;
  readonly bytesPerSecond: number;
  /** Absent while nothing is being rebuilt or no rate is known. */
  readonly etaSeconds?: number;
  /** Content of the volume that is not holes, and what of it lies there. */
  readonly usedBytes: number;
  readonly allocatedBytes: number;
  /** Why it is not `Healthy`; empty otherwise. */
  readonly message: string;
}

/** A replicated volume as one agent sees it: all of it where it is led, else its own replica. */
export interface ReplicaSetObject extends ApiObject {
  readonly kind: 'ReplicaSet';
  readonly volume: string;
  /** 32 hexadecimal digits, the same for all replicas of one volume. */
  readonly set: string;
  readonly role: 'Leader' | 'Follower';
  /** The agent that leads, as far as this one knows. */
  readonly leader?: string;
  readonly epoch: number;
  /** Of the last write: acknowledged (leader) or applied here (follower). */
  readonly sequence: number;
  /** `Healthy`: all wanted are; `Offline`: no majority, so nothing can be written. */
  readonly phase: 'Healthy' | 'Degraded' | 'Offline' | 'Error';
  /** `agent/pool`; what a leader works towards. */
  readonly wanted: readonly string[];
  readonly replicas: readonly ReplicaView[];
  /** Replicas that must have a write before it is acknowledged. */
  readonly quorum: number;
  /** What keeps it from becoming as wanted, in words; absent when nothing does. */
  readonly blocker?: string;
}

export type EventType = 'Information' | 'Warning' | 'Error' | 'Critical';

export interface EventObject extends ApiObject {
  readonly kind: 'Event';
  readonly type: EventType;
  readonly reason: string;
  readonly regarding: { readonly kind: string; readonly name: string };
  readonly note: string;
  readonly eventTime: string;
  readonly count: number;
}

export interface AttachmentObject extends ApiObject {
  readonly kind: 'Attachment';
  readonly spec: { readonly volume: string; readonly mount?: string; readonly readOnly: boolean };
  readonly status: { readonly device?: string; readonly filesystem?: string; readonly how: string };
}

export interface TokenObject extends ApiObject {
  readonly kind: 'JoinToken';
  /** Secret, for one use. */
  readonly token: string;
  readonly expirationTime: string;
}

/** Work that goes on in the agent whether or not somebody watches. */
export interface JobObject extends ApiObject {
  readonly kind: 'Job';
  readonly spec: { readonly type: JobType; readonly target: string };
  readonly status: {
    readonly phase: 'Running' | 'Succeeded' | 'Failed' | 'Canceled';
    readonly doneBytes: number;
    readonly totalBytes: number;
    readonly reason?: string;
    readonly message?: string;
    /** What the job found or made, by name. */
    readonly result?: Readonly<Record<string, number | string | boolean | readonly string[]>>;
  };
}

export type JobType =
  | 'Import'
  | 'Export'
  | 'Scrub'
  | 'Collect'
  | 'Verify'
  | 'Replay'
  | 'Save'
  | 'Prune';

/** A yes or no with its ground, from `cluster check`, `doctor` and `volume verify`. */
export interface ReportObject extends ApiObject {
  readonly kind: 'Report';
  readonly passed: boolean;
  readonly findings: readonly Finding[];
}

export interface Finding {
  readonly check: string;
  readonly result: 'Passed' | 'Failed' | 'Warning' | 'Skipped';
  readonly message: string;
  readonly remedy?: string;
}

export interface UriObject extends ApiObject {
  readonly kind: 'VolumeUri';
  readonly uri: string;
}

export interface TraceObject extends ApiObject {
  readonly kind: 'Trace';
  readonly blockBytes: number;
  /** Most recently used first. */
  readonly ranges: readonly { readonly firstBlock: number; readonly blocks: number }[];
}

export function listOf<Item extends ApiObject>(
  kind: Item['kind'],
  items: readonly Item[],
): ListOf<Item> {
  return { kind: `${kind}List`, apiVersion, items };
}

/** A repository that the agent knows: where it is, never what opens it. */
export interface RepositoryObject extends ApiObject {
  readonly kind: 'Repository';
  readonly spec: {
    /** `directory /srv/between`, `bucket moves of s3.example.org`. */
    readonly place: string;
  };
  /** Absent in lists: counting asks the place. */
  readonly status?: {
    readonly versions: number;
    readonly chunks: number;
    readonly storedBytes: number;
    /** Sum of what the saved versions have allocated. */
    readonly logicalBytes: number;
  };
}

/** One saved version of a volume in a repository. */
export interface SavedVersionObject extends ApiObject {
  readonly kind: 'SavedVersion';
  readonly spec: {
    readonly repository: string;
    readonly volume: string;
    readonly version: string;
  };
  readonly status: {
    readonly sizeBytes: number;
    readonly allocatedBytes: number;
    readonly addedBytes: number;
    readonly root: string;
    /** The cluster that saved it. */
    readonly savedBy: string;
    /** The moment of the content. */
    readonly time: string;
    readonly savedTime: string;
  };
}

/** One part of a backup in a repository, as whoever put it wrote it. */
export interface BackupPartObject extends ApiObject {
  readonly kind: 'BackupPart';
  readonly spec: {
    readonly repository: string;
    readonly backup: string;
    readonly part: number;
    readonly content: string;
  };
  readonly status: {
    /** The cluster that put it. */
    readonly savedBy: string;
    readonly savedTime: string;
  };
}
