/** What a replication is judged by: all that was seen of both clusters at one time, as data. */
import type { HistoryPolicy } from '../../api/kinds/history-policy.ts';
import type { Replication } from '../../api/kinds/replication.ts';
import type { CustomResourceDefinition } from '../../kube/resources.ts';
import type { ImageWish } from '../plan/image-rules.ts';
import type { Observation } from '../plan/observation.ts';
import type { PlanType } from '../plan/type.ts';
import type { PlannedVolume } from '../plan/volumes.ts';

/** Room that a storage class is known to have. */
export interface ClassRoom {
  readonly storageClass: string;
  readonly freeBytes: number;
  /** The largest volume that it gives, where that is known. */
  readonly largestBytes: number | undefined;
}

/** A namespace on a slice of KubeSlice. */
export interface OnSlice {
  readonly namespace: string;
  readonly slice: string;
}

/** What is known of KubeSlice; empty where none is installed. */
export interface Slices {
  readonly atSource: readonly OnSlice[];
  readonly atDestination: readonly OnSlice[];
  /** Onboarded by name from all clusters of their slice. */
  readonly everywhere: readonly OnSlice[];
  /** Slices that may not be listed, and why. */
  readonly unread: readonly string[];
}

export interface MissingDefinition {
  /** `certificates.cert-manager.io`. */
  readonly name: string;
  readonly objects: number;
  /** As the source has it; undefined: it is served by something else there. */
  readonly definition: CustomResourceDefinition | undefined;
}

export interface NamedPolicy {
  readonly name: string;
  /** A claim or class that names it. */
  readonly neededBy: string;
  /** As the source has it; undefined: it has none of that name either. */
  readonly policy: HistoryPolicy | undefined;
}

export interface ReplicationSeen {
  readonly replication: Replication;
  /** As of the plan that it amounts to. */
  readonly plan: Observation;
  readonly type: PlanType;
  readonly volumes: readonly PlannedVolume[];
  /** `namespace/claim` at the destination of those that this replication made. */
  readonly claimsThere: ReadonlySet<string>;
  readonly rooms: readonly ClassRoom[];
  /** Why what drivers say of their room is unknown. */
  readonly unreadRooms: readonly string[];
  readonly definitions: readonly MissingDefinition[];
  /** Those that the destination does not have. */
  readonly policies: readonly NamedPolicy[];
  /** In the registry of the source. */
  readonly images: readonly ImageWish[];
  readonly slices: Slices;
}
