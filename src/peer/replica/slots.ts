/** So many at a time, first come first served; how many may change while they run. */
export class Slots {
  #most: number;
  #inside = 0;
  #queue: (() => void)[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  setMost(most: number): void {
    this.#most = most;
    this.#next();
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#most) await new Promise<void>((go) => this.#queue.push(go));
    else this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
      this.#next();
    }
  }

  #next(): void {
    while (this.#inside < this.#most) {
      const go = this.#queue.shift();
      if (go === undefined) return;
      this.#inside++;
      go();
    }
  }
}
