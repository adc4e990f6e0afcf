/** Disjoint, sorted, merged ranges of whole numbers: blocks that are zero, parts still missing. */

export class IntervalSet {
  /** Starts and ends (exclusive), strictly rising: start0 < end0 < start1 < … */
  #bounds: number[] = [];

  get isEmpty(): boolean {
    return this.#bounds.length === 0;
  }

  get count(): number {
    return this.#bounds.length / 2;
  }

  /** How many bounds are <= value; odd means that the value is inside a range. */
  #rank(value: number): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[middle] ?? 0) <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  has(value: number): boolean {
    return this.#rank(value) % 2 === 1;
  }

  add(first: number, count: number): void {
    if (count <= 0) return;
    const end = first + count;
    // A bound equal to `first` or `end` is swallowed too, so that touching ranges merge.
    const from = this.#rank(first - 0.5);
    const to = this.#rank(end);
    const bounds: number[] = [];
    if (from % 2 === 0) bounds.push(first);
    if (to % 2 === 0) bounds.push(end);
    this.#bounds.splice(from, to - from, ...bounds);
  }

  remove(first: number, count: number): void {
    if (count <= 0) return;
    const end = first + count;
    const from = this.#rank(first - 0.5);
    const to = this.#rank(end - 0.5);
    const bounds: number[] = [];
    if (from % 2 === 1) bounds.push(first);
    if (to % 2 === 1) bounds.push(end);
    this.#bounds.splice(from, to - from, ...bounds);
  }

  clear(): void {
    this.#bounds = [];
  }

  *ranges(): Generator<{ readonly first: number; readonly count: number }> {
    for (let i = 0; i + 1 < this.#bounds.length; i += 2) {
      const first = this.#bounds[i] ?? 0;
      yield { first, count: (this.#bounds[i + 1] ?? 0) - first };
    }
  }

  /** The end of the range that holds `value`, or the start of the next one, or infinity. */
  boundAfter(value: number): number {
    return this.#bounds[this.#rank(value)] ?? Number.POSITIVE_INFINITY;
  }
}
