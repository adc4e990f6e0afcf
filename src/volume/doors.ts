/** Who uses a volume now: each holds a door to it open. */
export class Doors {
  readonly #holders: string[] = [];

  /** Returns how to close it; closing it again does nothing. */
  open(holder: string): () => void {
    this.#holders.push(holder);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      this.#holders.splice(this.#holders.indexOf(holder), 1);
    };
  }

  get holders(): readonly string[] {
    return this.#holders;
  }
}
