/** What every call to a peer needs; the parts of this folder share it, nobody else. */
import { TransshipError } from '../base/errors.ts';
import type { Clock, Metrics } from '../base/ports.ts';
import { startDeadline } from './deadline.ts';
import type { LinkPool } from './link-pool.ts';
import type { RateLimit } from './rate.ts';
import type { Reply } from './session.ts';
import type { Window } from './window.ts';

export interface Channel {
  readonly name: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly pool: LinkPool;
  readonly window: Window;
  readonly incoming: RateLimit;
  /** Aborted when the peer is closed. */
  readonly closing: AbortSignal;
  readonly demandTimeoutMs: number;
  /** Expected wire bytes of a chunk. */
  chunkBytes: number;
}

/** One control or demand request, within the demand time-out. */
export async function askInTime(
  channel: Channel,
  call: { readonly type: number; readonly payload: readonly Uint8Array[]; readonly credit: number },
  outer?: AbortSignal,
): Promise<Reply> {
  const { name, clock, pool, demandTimeoutMs: ms } = channel;
  const error = () => {
    const { connected, lastError } = pool.state;
    const why = connected || lastError === undefined ? '' : ` (${lastError.message})`;
    const text = `${name} did not answer within ${ms / 1000} s${why}`;
    return new TransshipError('SourceUnreachable', text);
  };
  const deadline = startDeadline({ clock, ms, error, outer: outer ?? channel.closing });
  try {
    const { type, payload, credit } = call;
    const { signal } = deadline;
    return await pool.call({ type, lane: 'demand', payload, credit, signal });
  } finally {
    deadline.done();
  }
}
