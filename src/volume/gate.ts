/**
 * Ordering of long operations: a lane runs one at a time; a gate lets one stop all others briefly.
 */

/** Runs functions one after another; a failure does not stop the next. */
export class Lane {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const result = this.#tail.then(work).finally(() => {
      this.#waiting--;
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

/** Many may be inside at once; `exclusive` waits until nobody is and runs before anybody enters. */
export class Gate {
  #inside = 0;
  #exclusive: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  async shared<T>(work: () => Promise<T>): Promise<T> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
      if (this.#inside === 0) this.#onEmpty?.();
    }
  }

  async exclusive<T>(work: () => T): Promise<T> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    let open: () => void = () => undefined;
    this.#exclusive = new Promise((resolve) => {
      open = resolve;
    });
    try {
      if (this.#inside > 0) {
        await new Promise<void>((resolve) => {
          this.#onEmpty = resolve;
        });
      }
      return work();
    } finally {
      this.#onEmpty = undefined;
      this.#exclusive = undefined;
      open();
    }
  }
}
