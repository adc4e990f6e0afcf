/** Stages that overlap while order and memory stay bounded. */

/** How many pieces of 1 MiB one stage may hold. */
export const pipelineDepth = 8;

/**
 * Takes up to `pipelineDepth` items ahead of who reads, works on them at the same time and gives
 * the results in order. Ends with the first error in that order.
 */
export async function* pipelined<In, Out>(
  source: AsyncIterator<In> | Iterator<In>,
  stage: (item: In) => Promise<Out>,
): AsyncGenerator<Out> {
  const waiting: Promise<{ readonly result: Out } | undefined>[] = [];
  for (;;) {
    while (waiting.length < pipelineDepth) {
      const next = work(source, stage);
      // Its turn comes below; until then it is not unheard.
      next.catch(() => undefined);
      waiting.push(next);
    }
    const done = await waiting.shift();
    if (done === undefined) return;
    yield done.result;
  }
}

async function work<In, Out>(
  source: AsyncIterator<In> | Iterator<In>,
  stage: (item: In) => Promise<Out>,
): Promise<{ readonly result: Out } | undefined> {
  const item = await source.next();
  return item.done === true ? undefined : { result: await stage(item.value) };
}

/** Wakes those who wait until something has become true. */
export class Signal {
  #waiting: (() => void)[] = [];
  #failure: unknown;
  #isFailed = false;

  changed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Everybody who waits, or will, gets this error. */
  fail(error: unknown): void {
    this.#isFailed = true;
    this.#failure = error;
    this.changed();
  }

  async until(isTrue: () => boolean): Promise<void> {
    for (;;) {
      if (this.#isFailed) throw this.#failure;
      if (isTrue()) return;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }
}
