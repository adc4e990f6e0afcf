/** Bytes of images under the bandwidth of their plan, all of one plan together. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Clock } from '../../base/ports.ts';
import { parseRate } from '../../base/units.ts';
import type { RegistryTransport } from '../../images/images.ts';
import { keyText } from '../../kube/objects.ts';
import { createRateLimit, type RateLimit } from '../../peer/rate.ts';
import type { Context } from '../context.ts';

type Known = Pick<Context, 'informers'>;

export class PlanRates {
  readonly #clock: Clock;
  readonly #limits = new Map<string, RateLimit>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** As the plan says now, also for copies that run. Undefined: it is of no plan. */
  limitOf({ informers }: Known, { metadata, spec }: ImageTransfer): RateLimit | undefined {
    const { namespace = '' } = metadata;
    const { migration: name = '' } = spec;
    const migration = informers.migrations.get({ namespace, name });
    if (migration === undefined) return undefined;
    const key = { namespace, name: migration.spec.plan };
    const plan = informers.plans.get(key);
    if (plan === undefined) return undefined;
    const known = this.#limits.get(keyText(key));
    const limit = known ?? createRateLimit(this.#clock);
    if (known === undefined) this.#limits.set(keyText(key), limit);
    const { bandwidth } = plan.spec;
    const rate = bandwidth === undefined ? undefined : parseRate(bandwidth);
    if (limit.get() !== rate) limit.set(rate);
    return limit;
  }

  /** No copy runs. */
  clear(): void {
    this.#limits.clear();
  }
}

/** What is read through it waits for its turn. Rejects with the signal's reason. */
export function paced(
  transport: RegistryTransport,
  limit: RateLimit,
  signal: AbortSignal,
): RegistryTransport {
  return async (request) => {
    const answer = await transport(request);
    return { ...answer, body: pacedBody(answer.body, limit, signal) };
  };
}

/** Not a generator: one that is given up before its first piece would never end the answer. */
function pacedBody(
  body: AsyncIterable<Uint8Array>,
  limit: RateLimit,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      const inner = body[Symbol.asyncIterator]();
      return {
        next: async () => {
          const piece = await inner.next();
          if (piece.done !== true) await limit.take(piece.value.length, signal);
          return piece;
        },
        return: async () => {
          await inner.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
