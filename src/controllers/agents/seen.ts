/** Items by name. A list that was asked for before something newer was seen does not undo it. */
export class Seen<T> {
  readonly items = new Map<string, T>();
  readonly #changedAt = new Map<string, number>();
  #now = 0;

  mark(): number {
    // Only what changes while the list is on its way matters.
    this.#changedAt.clear();
    return this.#now;
  }

  put(name: string, item: T): boolean {
    this.#changedAt.set(name, ++this.#now);
    return this.#set(name, item);
  }

  drop(name: string): boolean {
    this.#changedAt.set(name, ++this.#now);
    return this.items.delete(name);
  }

  /** Names that changed. */
  replace(listed: Iterable<readonly [string, T]>, since: number): readonly string[] {
    const next = new Map(listed);
    const isNewer = (name: string) => (this.#changedAt.get(name) ?? -1) > since;
    const changed: string[] = [];
    for (const [name, item] of next) {
      if (!isNewer(name) && this.#set(name, item)) changed.push(name);
    }
    for (const name of this.items.keys()) {
      if (next.has(name) || isNewer(name)) continue;
      this.items.delete(name);
      changed.push(name);
    }
    return changed;
  }

  #set(name: string, item: T): boolean {
    const before = this.items.get(name);
    this.items.set(name, item);
    return before === undefined || JSON.stringify(before) !== JSON.stringify(item);
  }
}
