/** What took how long, and for how long somebody waited: printed at the end of a run. */
export class Report {
  readonly #lines: (readonly [what: string, ms: number])[] = [];

  async time<T>(what: string, work: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await work();
    this.note(what, performance.now() - started);
    return result;
  }

  note(what: string, ms: number): void {
    this.#lines.push([what, ms]);
    console.log(`  ${what}: ${(ms / 1000).toFixed(2)} s`);
  }

  print(): void {
    console.log('durations and pauses:');
    for (const [what, ms] of this.#lines) {
      console.log(`${(ms / 1000).toFixed(2).padStart(9)} s  ${what}`);
    }
  }
}
