/**
 * Agents of one cluster trust each other: replicas and volumes move between them. Those that run as
 * pods come and go with nodes, so the controllers see to it.
 */
import { asTransshipError } from '../../base/errors.ts';
import type { Clock, Log } from '../../base/ports.ts';
import type { AgentMirror } from '../agents/mirror.ts';

/** What one of the two says late is in the other's list by then. */
const againMs = 20_000;

type Agent = Pick<AgentMirror, 'place' | 'usable' | 'clusters' | 'call'>;

export class Fellows {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #triedMs = new Map<string, number>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Each with each other that answers; one that cannot now is tried again later. */
  async join(agents: readonly Agent[]): Promise<void> {
    const usable = agents.filter((agent) => agent.usable);
    for (const [index, one] of usable.entries()) {
      for (const other of usable.slice(index + 1)) {
        if (knows(one, other) && knows(other, one)) continue;
        await this.#joinTwo(one, other);
      }
    }
  }

  async #joinTwo(one: Agent, other: Agent): Promise<void> {
    const pair = `${one.place.name}/${other.place.name}`;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - (this.#triedMs.get(pair) ?? Number.NEGATIVE_INFINITY) < againMs) return;
    this.#triedMs.set(pair, nowMs);
    try {
      const { token } = await one.call('cluster.token', { member: true });
      await other.call('cluster.join', { token, member: true });
    } catch (error) {
      const between = { one: one.place.name, other: other.place.name };
      this.#log.log('warn', 'agents of this cluster cannot join', {
        ...between,
        error: asTransshipError(error),
      });
    }
  }
}

function knows(one: Agent, other: Agent): boolean {
  return one.clusters.get(other.place.name)?.spec.local === false;
}
