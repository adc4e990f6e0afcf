/** Keeps the agents that controllers work with those that the local `Cluster` object means. */
import type { Cluster } from '../../api/kinds/cluster.ts';
import { asTransshipError } from '../../base/errors.ts';
import type { Timer } from '../../base/ports.ts';
import type { ControllerPorts } from '../ports.ts';
import { agentPlaces } from './agent-pods.ts';
import type { Agents } from './agents.ts';

/** Pods come and go seldom; an agent that moved is missed for this long at most. */
const lookEveryMs = 5_000;

export interface FollowerOptions extends Pick<ControllerPorts, 'clock' | 'client' | 'log'> {
  readonly agents: Agents;
  readonly localObject: () => Cluster | undefined;
}

export class AgentFollower {
  readonly #o: FollowerOptions;
  #timer: Timer | undefined;
  #looking = false;
  #stopped = false;

  constructor(options: FollowerOptions) {
    this.#o = options;
  }

  /** The object may have changed. */
  follow(): void {
    const { agents, localObject } = this.#o;
    const local = localObject();
    this.#timer?.cancel();
    // Named by hand: known at once.
    if (local?.spec.agentPods === undefined) agents.set(local?.spec.agents ?? []);
    else void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#stopped) return;
    this.#looking = true;
    const { agents, client, clock, localObject, log } = this.#o;
    try {
      const places = await agentPlaces(client, localObject());
      if (!this.#stopped) agents.set(places);
    } catch (error) {
      // What is known stays: an API that is away for a moment takes no agent away.
      log.log('warn', 'the pods of agents cannot be listed', { error: asTransshipError(error) });
    } finally {
      this.#looking = false;
    }
    if (!this.#stopped) this.#timer = clock.after(lookEveryMs, () => this.follow());
  }
}
