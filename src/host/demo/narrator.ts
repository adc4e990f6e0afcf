/** How the story is told: numbered steps, commands as run, claims that were checked. */
import type { Terminal } from '../../cli/ports.ts';

/** A claim that did not hold, or a command that failed: the demo ends with exit code 1. */
export class DemoFailure extends Error {}

/** Once its signal is aborted every call throws: a story that was ended tells nothing more. */
export class Narrator {
  readonly #terminal: Terminal;
  readonly #steps: number;
  readonly #signal: AbortSignal;
  #step = 0;
  #claims = 0;

  constructor(terminal: Terminal, steps: number, signal: AbortSignal) {
    this.#terminal = terminal;
    this.#steps = steps;
    this.#signal = signal;
  }

  get claims(): number {
    return this.#claims;
  }

  step(title: string): void {
    this.#step += 1;
    this.raw(`\n${this.#step}/${this.#steps}  ${title}\n`);
  }

  say(text: string): void {
    for (const line of text.split('\n')) this.raw(`${`     ${line}`.trimEnd()}\n`);
  }

  command(words: readonly string[]): void {
    this.say(`$ transship ${words.map(quoted).join(' ')}`);
  }

  /** Prints the claim when it holds; ends the demo when it does not. */
  claim(holds: boolean, text: string): void {
    this.#signal.throwIfAborted();
    if (!holds) throw new DemoFailure(`this should be true, and is not: ${text}`);
    this.#claims += 1;
    this.say(`ok  ${text}`);
  }

  raw(text: string): void {
    this.#signal.throwIfAborted();
    this.#terminal.out(text);
  }
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
