/** Agents that are broken on purpose, by a wrapper around a replica, a pool or a disk. */
import type { SealedVersion } from '../../src/peer/replica/api.ts';
import type { LocalReplica } from '../../src/peer/replica/local-replica.ts';
import type { ReplicaMutation } from './replica-node.ts';

export interface ReplicaMutant {
  readonly promise: string;
  readonly mutation: ReplicaMutation;
}

function withReplica(
  promise: string,
  change: (replica: LocalReplica) => Partial<LocalReplica>,
): ReplicaMutant {
  return { promise, mutation: { replica: change } };
}

/** What the replica obeys now, whoever asks. */
function obeyed(replica: LocalReplica) {
  return replica.volume?.replica.document?.promised;
}

export const replicaMutants: Readonly<Record<string, ReplicaMutant>> = {
  'acknowledged-before-applied': withReplica('an acknowledged write is applied', (replica) => ({
    write: (term, batch) => {
      void Promise.resolve()
        .then(() => replica.write(term, batch))
        .catch(() => undefined);
      return undefined;
    },
  })),
  'replica-flush-for-nothing': withReplica('a flush is durable at a majority', () => ({
    flush: async () => undefined,
  })),
  'no-fence': withReplica('a replica obeys one leader', (replica) => ({
    write: (term, batch) => replica.write(obeyed(replica) ?? term, batch),
    flush: (term, sequence) => replica.flush(obeyed(replica) ?? term, sequence),
  })),
  'old-version-sealed': withReplica('a rebuild begins with what is there now', (replica) => {
    let first: SealedVersion | undefined;
    return {
      seal: async (term, sequence, leaseId) => {
        const now = await replica.seal(term, sequence, leaseId);
        first ??= now;
        const { mark } = now;
        return { ...first, mark };
      },
    };
  }),
  'marks-not-durable': {
    promise: 'marks and writes are durable after a flush',
    mutation: { disk: { lyingSync: 'journal/' } },
  },
  'healthy-too-early': {
    promise: 'a replica is healthy when nothing is missing',
    mutation: { pool: () => ({ missing: () => [] }) },
  },
};
