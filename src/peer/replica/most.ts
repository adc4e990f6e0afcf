/** Something asked of all replicas in step: a majority is enough, and nobody is waited for long. */
import { TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import { isMajority } from './configuration.ts';
import type { MemberStream } from './member-stream.ts';
import type { Quorum } from './quorum.ts';

/** Once a majority has answered, so long for the others. */
const othersMs = 500;
/** And so long for a majority. */
const majorityMs = 20_000;

export interface MostRun {
  readonly clock: Clock;
  readonly quorum: Quorum;
  readonly streams: readonly MemberStream[];
  /**
   * Rejects when it could not be done there; for ever on its way when the agent is dead. The signal
   * ends when nobody counts on it any more.
   */
  readonly work: (stream: MemberStream, signal: AbortSignal) => Promise<void>;
}

/** Resolves with the agents that have done it by then; the others may do it later, or never. */
export async function most(run: MostRun): Promise<ReadonlySet<string>> {
  const { clock, quorum, streams, work } = run;
  const done = new Set<string>();
  const ending = new AbortController();
  const enough = Promise.withResolvers<void>();
  const all = Promise.all(
    streams.map(async (stream) => {
      try {
        await work(stream, ending.signal);
        done.add(stream.port.member.agent);
      } catch {
        // Whoever asked has noted why.
      }
      if (isMajority(quorum.configuration, done)) enough.resolve();
    }),
  );
  await firstOf([all, enough.promise, sleep(clock, majorityMs)]);
  if (done.size < streams.length) await firstOf([all, sleep(clock, othersMs)]);
  ending.abort(new TransshipError('TimedOut', 'the others did not wait for it'));
  return new Set(done);
}

async function firstOf(these: readonly Promise<unknown>[]): Promise<void> {
  await Promise.race(these);
}
