/** A set as its leader sees it, and a replica as it sees itself: plain data for the control API. */
import type { ReplicaSetObject, ReplicaState } from '../../api/objects.ts';
import type { Member } from '../../volume/replica-types.ts';
import type { ReplicaStatus } from './api.ts';
import type { LedSet } from './led-set.ts';
import type { MemberStream } from './member-stream.ts';
import type { Led } from './replicas.ts';

export interface MemberState {
  readonly member: Member;
  readonly state: ReplicaState;
  readonly voter: boolean;
  readonly missingBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly allocatedBytes: number;
  readonly message: string;
}

export interface ReplicaSetState {
  readonly volume: string;
  readonly set: string;
  readonly leader: string;
  readonly leads: boolean;
  readonly epoch: number;
  readonly sequence: number;
  readonly phase: ReplicaSetObject['phase'];
  readonly wanted: readonly Member[];
  readonly replicas: readonly MemberState[];
  readonly quorum: number;
  readonly blocker: string | undefined;
}

export function viewOfLed({ set }: Led, volume: string): ReplicaSetState {
  const { quorum } = set.leader;
  const { voters, learners } = set.configuration;
  const replicas = [...voters, ...learners].map((member) => replicaOf(set, member));
  const isAll = set.wanted.every((one) =>
    replicas.some(({ member, state, voter }) => {
      return voter && state === 'Healthy' && member.agent === one.agent && member.pool === one.pool;
    }),
  );
  const works = quorum.stopped === undefined && quorum.hasQuorum;
  const isSettled = isAll && replicas.length === set.wanted.length;
  return {
    volume,
    set: set.set,
    leader: quorum.term.leader,
    leads: true,
    epoch: quorum.term.epoch,
    sequence: quorum.acked,
    phase: !works ? 'Offline' : isSettled ? 'Healthy' : 'Degraded',
    wanted: set.wanted,
    replicas,
    quorum: quorum.quorum,
    blocker: quorum.stopped?.message ?? set.blocker,
  };
}

function replicaOf(set: LedSet, member: Member): MemberState {
  const stream = set.leader.quorum.stream(member.agent);
  const status = set.statusOf(member.agent);
  const state = stateOf(set, stream, status);
  const totalBytes = (status?.allocatedBlocks ?? 0) * (status?.blockBytes ?? 0);
  const isWhole = state === 'Healthy' || state === 'Degraded';
  const missingBytes = isWhole ? 0 : (status?.fill?.missingBytes ?? totalBytes);
  const message = state === 'Healthy' ? '' : messageOf(stream, status);
  return {
    member,
    state,
    voter: set.configuration.voters.some(({ agent }) => agent === member.agent),
    missingBytes,
    totalBytes,
    bytesPerSecond: isWhole ? 0 : (status?.fill?.bytesPerSecond ?? 0),
    allocatedBytes: Math.max(0, totalBytes - missingBytes),
    message,
  };
}

function stateOf(
  set: LedSet,
  stream: MemberStream | undefined,
  status: ReplicaStatus | undefined,
): ReplicaState {
  if (stream?.standing === 'InStep') return stream.full === undefined ? 'Healthy' : 'Degraded';
  const { agent = '' } = stream?.port.member ?? {};
  const rebuilding = set.rebuildOf(agent);
  if (rebuilding === 'new') return 'ReconstructingNewReplica';
  if (rebuilding !== undefined) return 'Rebuilding';
  const reason = stream?.problem?.reason;
  if (reason !== undefined && lasting.includes(reason)) return 'Error';
  if (reason === undefined) return status === undefined ? 'ReconstructingNewReplica' : 'Degraded';
  return away.includes(reason) ? 'Offline' : 'Degraded';
}

const lasting: readonly string[] = ['ReadOnly', 'PoolFull', 'DiskFailed', 'DataCorrupt'];
const away: readonly string[] = ['SourceUnreachable', 'TimedOut', 'Stopping', 'AgentUnreachable'];

function messageOf(stream: MemberStream | undefined, status: ReplicaStatus | undefined): string {
  return stream?.full?.message ?? stream?.problem?.message ?? status?.fill?.problem ?? '';
}

/** A replica that is kept here for another leader. */
export function viewOfKept(status: ReplicaStatus): ReplicaSetState {
  const { member, phase, promised, configuration, fill } = status;
  const total = status.allocatedBlocks * status.blockBytes;
  const isWhole = phase === 'Healthy';
  const filling = fill?.fromNothing === true ? 'ReconstructingNewReplica' : 'Rebuilding';
  const state = isWhole ? 'Healthy' : phase === 'Lost' ? 'Error' : filling;
  const missingBytes = isWhole ? 0 : (fill?.missingBytes ?? total);
  const voter = configuration.voters.some(({ agent }) => agent === member.agent);
  const one = {
    member,
    state,
    voter,
    missingBytes,
    totalBytes: total,
    bytesPerSecond: fill?.bytesPerSecond ?? 0,
    allocatedBytes: Math.max(0, total - missingBytes),
    message: status.problem || (fill?.problem ?? ''),
  } as const;
  return {
    volume: status.volume,
    set: status.set,
    leader: promised.leader,
    leads: false,
    epoch: promised.epoch,
    sequence: status.mark.sequence,
    phase: isWhole ? 'Healthy' : phase === 'Lost' ? 'Error' : 'Degraded',
    wanted: configuration.voters,
    replicas: [one],
    quorum: Math.floor(configuration.voters.length / 2) + 1,
    blocker: undefined,
  };
}
