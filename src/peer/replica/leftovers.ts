/**
 * What a set that is led no longer needs and could not give back at once: replicas of former
 * members, and versions that were sealed for rebuilds. Tried again until their agents answer.
 */
import { asTransshipError } from '../../base/errors.ts';
import type { Clock, Log } from '../../base/ports.ts';
import type { ReplicaPort } from './api.ts';
import type { Quorum } from './quorum.ts';

const againMs = 10_000;

interface Leftover {
  readonly port: ReplicaPort;
  nextMs: number;
}

export interface LeftoversOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly set: string;
  readonly quorum: Quorum;
}

export class Leftovers {
  readonly #o: LeftoversOptions;
  readonly #leaving = new Map<string, Leftover>();
  /** By lease. */
  readonly #held = new Map<string, Leftover>();

  constructor(options: LeftoversOptions) {
    this.#o = options;
  }

  /** It is no member any more. */
  leave(port: ReplicaPort): void {
    this.#leaving.set(port.member.agent, { port, nextMs: 0 });
  }

  /** Its replica could not be told to let this version go. */
  hold(port: ReplicaPort, leaseId: string): void {
    this.#held.set(leaseId, { port, nextMs: 0 });
  }

  round(): void {
    const { clock, quorum } = this.#o;
    const nowMs = clock.monotonicMs();
    for (const [agent, leaving] of this.#leaving) {
      // Until a majority has taken over everything, a former member may be the last to have some.
      if (nowMs < leaving.nextMs || !quorum.isEstablished) continue;
      if (quorum.stream(agent) !== undefined) {
        this.#leaving.delete(agent);
        continue;
      }
      leaving.nextMs = nowMs + againMs;
      void this.#drop(agent, leaving.port);
    }
    for (const [leaseId, held] of this.#held) {
      if (nowMs < held.nextMs) continue;
      held.nextMs = nowMs + againMs;
      void held.port.releaseSeal(leaseId).then(
        () => this.#held.delete(leaseId),
        () => undefined,
      );
    }
  }

  async #drop(agent: string, port: ReplicaPort): Promise<void> {
    const { set, quorum, log } = this.#o;
    const { term } = quorum;
    try {
      const status = await port.state();
      if (status?.set === set) {
        if (status.promised.term !== term.term) await port.promise(term);
        await port.drop(term);
      }
      this.#leaving.delete(agent);
    } catch (error) {
      const problem = asTransshipError(error).message;
      log.log('warn', 'a former replica could not be dropped yet', { agent, problem });
    }
  }
}
