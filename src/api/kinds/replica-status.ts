/** How one copy of a volume stands; in the status of volumes, and of the view of each copy. */
import { replicaStates } from '../objects.ts';
import { bytes, count, flag, optional, shown, text, word } from './schema.ts';

/**
 * As an agent tells them, and two more: `Pending`, nothing was made yet, and `Filling`, the only
 * copy of a volume that is still being teleported.
 */
const states = ['Pending', 'Filling', ...replicaStates] as const;

export const replicaStatus = {
  state: word(
    states,
    'Rebuilding: only what it missed comes. ReconstructingNewReplica: it is made from nothing. ' +
      'Degraded: it fell behind, or blocks failed their check. Filling: blocks are elsewhere.',
  ),
  voter: optional(flag('It counts for the majority that a write needs.')),
  progress: optional(count('Percent of its blocks that it has.', { max: 100 })),
  usedBytes: optional(bytes('Bytes of the volume that it has, before compression.')),
  allocatedBytes: optional(bytes('Bytes of the volume’s content that lie in its pool.')),
  missingBytes: optional(bytes('Bytes that it does not have yet.')),
  totalBytes: optional(bytes('Bytes that it is to have.')),
  bytesPerSecond: optional(bytes('Bytes that come in a second while it is rebuilt.')),
  etaSeconds: optional(count('Seconds until it has everything, at this rate.')),
  message: optional(text('Why it is not Healthy.')),
};

export const replicaColumns = {
  used: optional(shown('Bytes of the volume that it has.')),
  allocated: optional(shown('Bytes of the volume’s content in its pool.')),
};
