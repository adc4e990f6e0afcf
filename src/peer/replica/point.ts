/** One operation on all replicas in step, between two writes: all of a majority, or none. */
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import type { PointOperation, ReplicaStatus } from './api.ts';
import { isMajority } from './configuration.ts';
import type { MemberStream } from './member-stream.ts';
import { most } from './most.ts';
import type { Quorum } from './quorum.ts';

export interface PointRun {
  readonly clock: Clock;
  readonly quorum: Quorum;
  readonly sequence: number;
  /** Numbers in rising order, also for taking back. */
  readonly nextPoint: () => number;
  readonly operation: PointOperation;
}

export interface PointResult {
  readonly status: ReplicaStatus;
  /** What those said that have done it, by agent. */
  readonly done: ReadonlyMap<string, ReplicaStatus>;
}

export async function atAll(run: PointRun): Promise<PointResult> {
  const { quorum, sequence, operation } = run;
  const point = { sequence, points: run.nextPoint(), operation };
  const streams = quorum.inStep();
  const failed = new Map<MemberStream, TransshipError>();
  const done = new Map<string, ReplicaStatus>();
  const agents = await most({
    clock: run.clock,
    quorum,
    streams,
    work: async (stream, signal) => {
      try {
        const status = await stream.port.point(quorum.term, point, signal);
        done.set(stream.port.member.agent, status);
      } catch (error) {
        failed.set(stream, asTransshipError(error));
        throw error;
      }
    },
  });
  const result = new Map([...done].filter(([agent]) => agents.has(agent)));
  if (!isMajority(quorum.configuration, new Set(result.keys()))) {
    // Who has not answered may still do it.
    for (const stream of streams) {
      if (!done.has(stream.port.member.agent) && !failed.has(stream)) stream.leave(late(false));
    }
    await undo(run, streams, done);
    throw [...failed.values()][0] ?? quorum.noQuorum();
  }
  const [status] = agreed(operation, result);
  // Also who came into step meanwhile: nobody asked it.
  for (const stream of quorum.streams()) {
    const { agent } = stream.port.member;
    if (result.has(agent) || stream.standing !== 'InStep') continue;
    stream.leave(failed.get(stream) ?? late(done.has(agent) || !streams.includes(stream)));
  }
  return { status: status!, done: result };
}

/** Replicas that differ from most are not alike, whatever their marks say: they leave. */
function agreed(operation: PointOperation, result: Map<string, ReplicaStatus>): ReplicaStatus[] {
  if (operation.kind !== 'snapshot') return [...result.values()];
  const rootOf = ({ snapshots }: ReplicaStatus) =>
    snapshots.find(({ name }) => name === operation.name)?.root ?? '';
  const counts = new Map<string, number>();
  for (const status of result.values()) {
    counts.set(rootOf(status), (counts.get(rootOf(status)) ?? 0) + 1);
  }
  const [common = ''] = [...counts].sort((a, b) => b[1] - a[1]).map(([root]) => root);
  for (const [agent, status] of result) if (rootOf(status) !== common) result.delete(agent);
  return [...result.values()];
}

async function undo(
  { quorum, sequence, nextPoint, operation }: PointRun,
  streams: readonly MemberStream[],
  done: ReadonlyMap<string, ReplicaStatus>,
): Promise<void> {
  for (const stream of streams) {
    if (!done.has(stream.port.member.agent)) continue;
    if (operation.kind !== 'snapshot') {
      // It cannot be taken back there: it is made like the others again.
      stream.leave(quorum.noQuorum());
      continue;
    }
    const back = { kind: 'deleteSnapshot' as const, name: operation.name };
    const point = { sequence, points: nextPoint(), operation: back };
    await stream.port
      .point(quorum.term, point, new AbortController().signal)
      .catch((error: unknown) => {
        stream.leave(asTransshipError(error));
      });
  }
}

function late(differs: boolean): TransshipError {
  if (differs) return new TransshipError('Conflict', 'it differs from the others');
  return new TransshipError('TimedOut', 'it did not answer in time');
}
