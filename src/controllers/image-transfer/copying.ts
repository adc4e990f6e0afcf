/** One attempt to copy an image, in the background of the controller. */
import { asTransshipError, type TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import type { CopiedImage, ImageProgress } from '../../images/images.ts';

/** Rates are of so long. */
const windowMs = 10_000;

export type Copied = { readonly image: CopiedImage } | { readonly error: TransshipError };

export class Copying {
  /** Of the object that it is for. */
  readonly uid: string;
  readonly #clock: Clock;
  readonly #ending = new AbortController();
  readonly #seen: { readonly atMs: number; readonly bytes: number }[] = [];
  #progress: ImageProgress | undefined;
  #copied: Copied | undefined;

  constructor(uid: string, clock: Clock) {
    this.uid = uid;
    this.#clock = clock;
  }

  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  get progress(): ImageProgress | undefined {
    return this.#progress;
  }

  /** Undefined while it runs. */
  get copied(): Copied | undefined {
    return this.#copied;
  }

  /** Resolves when it has ended, well or not. */
  async run(work: Promise<CopiedImage>): Promise<void> {
    try {
      this.#copied = { image: await work };
    } catch (error) {
      this.#copied = { error: asTransshipError(error) };
    }
  }

  tell(progress: ImageProgress): void {
    this.#progress = progress;
  }

  /** Bytes in a second, over the looks of the last seconds. */
  rate(): number {
    const atMs = this.#clock.monotonicMs();
    const bytes = this.#progress?.copiedBytes ?? 0;
    this.#seen.push({ atMs, bytes });
    while ((this.#seen[1]?.atMs ?? atMs) < atMs - windowMs) this.#seen.shift();
    const [first] = this.#seen;
    if (first === undefined || first.atMs >= atMs) return 0;
    return Math.max(0, Math.round((1000 * (bytes - first.bytes)) / (atMs - first.atMs)));
  }

  stop(): void {
    this.#ending.abort();
  }
}
