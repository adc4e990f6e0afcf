/** What happens to a set, for people and metrics. */
import type { Member } from '../../volume/replica-types.ts';

export interface SetEvent {
  readonly kind:
    | 'Leads'
    | 'Fenced'
    | 'ReplicaHealthy'
    | 'ReplicaOffline'
    | 'ReplicaRebuilding'
    | 'ReplicaAdded'
    | 'ReplicaRemoved'
    | 'ReadElsewhere';
  readonly member: Member | undefined;
  readonly note: string;
}
