/** Keys in order, with cheap insertion for the thousands of keys that one resource has. */
export class SortedKeys {
  readonly #keys: string[] = [];
  #sorted = true;

  get size(): number {
    return this.#keys.length;
  }

  /** For loading: the order is made once, when somebody asks. */
  append(key: string): void {
    this.#keys.push(key);
    this.#sorted = false;
  }

  insert(key: string): void {
    this.#sort();
    const at = this.#lowerBound(key);
    if (this.#keys[at] !== key) this.#keys.splice(at, 0, key);
  }

  remove(key: string): void {
    this.#sort();
    const at = this.#lowerBound(key);
    if (this.#keys[at] === key) this.#keys.splice(at, 1);
  }

  /** Keys that begin with the prefix, from `from` on. Do not change the keys meanwhile. */
  *range(prefix: string, from: string): Generator<string, void, undefined> {
    this.#sort();
    const start = from > prefix ? from : prefix;
    for (let i = this.#lowerBound(start); i < this.#keys.length; i++) {
      const key = this.#keys[i] ?? '';
      if (!key.startsWith(prefix)) return;
      yield key;
    }
  }

  #sort(): void {
    if (this.#sorted) return;
    this.#keys.sort();
    this.#sorted = true;
  }

  #lowerBound(key: string): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
