/** The agents of this cluster: those that its local `Cluster` object names. */
import { fail } from '../../base/errors.ts';
import type { Source } from '../../kube/reconciler.ts';
import type { AgentPlace, ControllerPorts } from '../ports.ts';
import { AgentMirror, type MirrorChange } from './mirror.ts';

export type AgentsPorts = Pick<ControllerPorts, 'clock' | 'openAgent'>;

export class Agents {
  readonly #ports: AgentsPorts;
  readonly #mirrors = new Map<string, AgentMirror>();
  readonly #settled = Promise.withResolvers<void>();
  readonly #listeners = new Set<(change: MirrorChange, agent: AgentMirror) => void>();

  constructor(ports: AgentsPorts) {
    this.#ports = ports;
  }

  /** In the order in which the `Cluster` object names them. */
  get all(): readonly AgentMirror[] {
    return [...this.#mirrors.values()];
  }

  /** For what any of them can do. `AgentUnreachable`, also just after the controllers started. */
  anyUsable(): AgentMirror {
    const found = this.all.find(({ usable }) => usable);
    return found ?? fail('AgentUnreachable', 'no agent of this cluster answers');
  }

  find(name: string): AgentMirror | undefined {
    return this.#mirrors.get(name);
  }

  /**
   * The agent that has a volume of this name, or had one when it was last seen: of a replicated
   * one, the agent that leads it.
   */
  holding(volume: string): AgentMirror | undefined {
    const all = this.all.filter(({ synced }) => synced);
    return this.leading(volume) ?? all.find(({ volumes }) => volumes.has(volume));
  }

  /** The agent that leads a replicated volume, or did when it was last seen; the latest of them. */
  leading(volume: string): AgentMirror | undefined {
    let found: AgentMirror | undefined;
    let epoch = -1;
    for (const mirror of this.all) {
      const set = mirror.sets.get(volume);
      if (set?.role !== 'Leader' || set.epoch <= epoch) continue;
      found = mirror;
      epoch = set.epoch;
    }
    return found;
  }

  /** True when nothing that an agent holds can be missing here: conclusions from absence hold. */
  get complete(): boolean {
    return this.#mirrors.size > 0 && this.all.every(({ synced }) => synced);
  }

  /** Agents that stay keep what is known of them. */
  set(places: readonly AgentPlace[]): void {
    const before = new Map(this.#mirrors);
    this.#mirrors.clear();
    for (const place of places) {
      const known = before.get(place.name);
      const isSame = known?.place.address === place.address;
      this.#mirrors.set(place.name, isSame ? known! : this.#open(place));
      if (isSame) before.delete(place.name);
    }
    for (const gone of before.values()) gone.stop();
    this.#settleIfKnown();
  }

  /** Keys of what changes at an agent; none before every agent answered or failed once. */
  source(keysOf: (change: MirrorChange, agent: AgentMirror) => Iterable<string>): Source {
    return {
      synced: this.#settled.promise,
      subscribe: (add) => {
        const listen = (change: MirrorChange, agent: AgentMirror) => {
          for (const key of keysOf(change, agent)) add(key);
        };
        this.#listeners.add(listen);
        for (const mirror of this.all) listen({ kind: 'Agent', name: mirror.place.name }, mirror);
        return () => void this.#listeners.delete(listen);
      },
    };
  }

  stop(): void {
    for (const mirror of this.#mirrors.values()) mirror.stop();
    this.#mirrors.clear();
  }

  #settleIfKnown(): void {
    if (this.all.every(({ synced, trouble }) => synced || trouble !== undefined)) {
      this.#settled.resolve();
    }
  }

  #open(place: AgentPlace): AgentMirror {
    const mirror = new AgentMirror({
      clock: this.#ports.clock,
      place,
      client: this.#ports.openAgent(place),
      onChange: (change) => {
        this.#settleIfKnown();
        if (this.#mirrors.get(place.name) !== mirror) return;
        for (const listener of this.#listeners) listener(change, mirror);
      },
    });
    return mirror;
  }
}
