/** What a teleport needs of the place that it comes from: a cluster, or a repository. */
import type { Peer } from './peer.ts';
import type { PeerState } from './record.ts';

export interface TeleportPeer
  extends Pick<
    Peer,
    'grantLease' | 'renewLease' | 'releaseLease' | 'sourceFor' | 'onState' | 'limitIncoming'
  > {
  status(): PeerState;
}
