/**
 * Agents of simulated clusters whose volumes hold what `MoveData` says: opening one elsewhere gives
 * what the source had at that moment, and the rest of it comes behind. The engine itself has
 * simulations of its own.
 */
import type { ControlClient } from '../../src/api/control-client.ts';
import { TransshipError } from '../../src/base/errors.ts';
import type { VolumeMounts } from '../../src/embedded/runtime/ports.ts';
import { FakeCloud } from '../controllers/fake-agents.ts';
import type { Life } from './control-life.ts';
import type { MoveData } from './move-data.ts';
import type { Troublemaker } from './move-trouble.ts';
import type { Rng } from './rng.ts';
import type { Scheduler } from './scheduler.ts';

const dataBytes = 4096;
const fetchedBytes = 1024;
const fetchMs = 600;
const slowestMs = 5;
/** Events of one moment happen in any order, and what an agent tells stays in order. */
const tickMs = 0.001;

export const agentAddress = (side: string): string => `unix:///${side}/control.sock`;

export interface EngineOptions {
  readonly scheduler: Scheduler;
  readonly data: MoveData;
  readonly sides: readonly string[];
}

export interface Asking {
  readonly rng: Rng;
  readonly life: Life;
  readonly trouble: Troublemaker;
  /** The cluster whose controllers ask. */
  readonly side: string;
}

const pathOf = (side: string, volume: string): string => `/engine/${side}/${volume}`;

const isLook = (operation: string): boolean => /\.(list|show|status|check)$/.test(operation);

export class MoveEngine {
  readonly #o: EngineOptions;
  readonly #cloud: FakeCloud;

  constructor(options: EngineOptions) {
    this.#o = options;
    const { data } = options;
    this.#cloud = new FakeCloud(options.sides, {
      onMade: (at, from) => {
        const path = pathOf(at.cluster, at.volume);
        data.make(path);
        if (from === undefined)
          this.#cloud.find(at.cluster).volume(at.volume).dataBytes = dataBytes;
        else data.copy(path, data.read(pathOf(from.cluster, from.volume)) ?? 'torn');
      },
      onGone: ({ cluster, volume }) => data.remove(pathOf(cluster, volume)),
    });
    this.#fetchOn();
  }

  #fetchOn(): void {
    this.#o.scheduler.at(fetchMs, 'agents fetch', () => {
      this.#cloud.fetch(fetchedBytes);
      this.#fetchOn();
    });
  }

  /** What pods of a cluster mount. */
  mounts(side: string): VolumeMounts {
    const doors = (name: string) => this.#cloud.find(side).volume(name).doors;
    return {
      mount: async (volume) => {
        if (doors(volume).length === 0) doors(volume).push('mounted');
        return { path: pathOf(side, volume), nbdUri: '' };
      },
      unmount: async (volume, isInUse) => {
        if (isInUse()) return;
        try {
          doors(volume).length = 0;
        } catch (error) {
          // Who was deleted by force is mounted nowhere.
          if (!(error instanceof TransshipError) || error.reason !== 'NotFound') throw error;
        }
      },
    };
  }

  /** The way of one process to the agent of its cluster. */
  door({ rng, life, trouble, side }: Asking): ControlClient {
    const { scheduler } = this.#o;
    const agent = this.#cloud.find(side).client;
    return {
      cluster: side,
      call: (name, request) =>
        new Promise((resolve, reject) => {
          if (!life.isAlive) return;
          const call = `${side} ${name} of an agent`;
          const act = async () => {
            const answer = await agent.call(name, request);
            if (isLook(name) || !trouble.effect(side)) return answer;
            throw new TransshipError('AgentUnreachable', `the answer to ${call} is lost`);
          };
          scheduler.at(slowestMs * rng.fraction(), call, () => {
            trouble.ask(call, 'AgentUnreachable', act).then(
              (answer) => life.enter(() => resolve(answer)),
              (error: Error) => life.enter(() => reject(error)),
            );
          });
        }),
      stream: (name, request, { onEvent, signal }) => {
        let lastMs = 0;
        const ending = new AbortController();
        const end = () => ending.abort();
        const over = life.onEnd(end);
        signal?.addEventListener('abort', end);
        const tell: typeof onEvent = (event) => {
          lastMs = Math.max(scheduler.nowMs + slowestMs, lastMs) + tickMs;
          const told = structuredClone(event);
          scheduler.at(lastMs - scheduler.nowMs, `agent of ${side} tells`, () => {
            life.enter(() => onEvent(told));
          });
        };
        return agent.stream(name, request, { onEvent: tell, signal: ending.signal }).finally(over);
      },
    };
  }
}
