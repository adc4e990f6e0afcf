/**
 * Puts the numbered writes that one leader sends in order, however they arrive, and tells when a
 * number was reached. Bounded: a leader has few batches on the way.
 */
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import type { Clock, Timer } from '../../base/ports.ts';
import type { VolumeReplica } from '../../volume/api.ts';
import type { Term } from '../../volume/replica-types.ts';
import type { WriteBatch } from './api.ts';

const waitingMax = 64;
/** What is missing before a batch is on another link; if it does not come, it is lost. */
const gapMs = 5000;

interface Waiting {
  readonly term: Term;
  readonly batch: WriteBatch;
  readonly resolve: () => void;
  readonly reject: (error: TransshipError) => void;
}

interface Reader {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: TransshipError) => void;
  readonly timer: Timer;
}

export interface WriteOrderOptions {
  /** Throws `Fenced` when the term holds no more. */
  readonly check: (term: Term) => void;
  readonly replica: () => VolumeReplica;
}

export class WriteOrder {
  readonly #clock: Clock;
  readonly #o: WriteOrderOptions;
  #position: number | undefined;
  #term = '';
  #waiting: Waiting[] = [];
  #readers: Reader[] = [];
  #running = false;
  #timer: Timer | undefined;

  constructor(clock: Clock, options: WriteOrderOptions) {
    this.#clock = clock;
    this.#o = options;
  }

  /** Writes of a leader are being taken. */
  get isOpen(): boolean {
    return this.#position !== undefined;
  }

  /** The last write applied; 0 before any. */
  get position(): number {
    return this.#position ?? 0;
  }

  has(sequence: number): boolean {
    return this.#position !== undefined && this.#position >= sequence;
  }

  begin(term: Term, position: number): void {
    this.#term = term.term;
    this.#position = position;
    this.#reached();
    void this.#run();
  }

  /** Whatever waits is refused, and nothing is taken before the next beginning. */
  end(error: TransshipError): void {
    this.#position = undefined;
    this.#timer?.cancel();
    const [waiting, readers] = [this.#waiting, this.#readers];
    this.#waiting = [];
    this.#readers = [];
    for (const one of waiting) one.reject(error);
    for (const one of readers) {
      one.timer.cancel();
      one.reject(error);
    }
  }

  write(term: Term, batch: WriteBatch): undefined | Promise<void> {
    this.#o.check(term);
    this.#resume(term);
    // A leader sends nothing behind a batch that joins until that is answered.
    if (this.#position === undefined && !batch.joins) {
      fail('Conflict', 'this replica takes no writes yet; it must be looked at again');
    }
    if (!this.#running && this.#waiting.length === 0 && this.#isNext(batch)) {
      const wait = this.#o.replica().admit();
      if (wait === undefined) {
        this.#apply(term, batch);
        return undefined;
      }
      wait.catch(() => undefined);
    }
    if (this.#waiting.length >= waitingMax) {
      fail('LimitExceeded', `more than ${waitingMax} batches of writes wait for one before them`);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ term, batch, resolve, reject });
      void this.#run();
    });
  }

  /** Rejects with `Conflict` when the writes up to there do not come. */
  reached(term: Term, sequence: number): Promise<void> {
    this.#o.check(term);
    this.#resume(term);
    if (this.has(sequence)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const late = () => {
        this.#readers = this.#readers.filter((one) => one !== reader);
        reject(new TransshipError('Conflict', `write ${sequence} did not arrive here`));
      };
      const timer = this.#clock.after(gapMs, late);
      const reader: Reader = { sequence, resolve, reject, timer };
      this.#readers.push(reader);
    });
  }

  /** After a restart of this agent: a replica that is in the epoch goes on where it is. */
  #resume(term: Term): void {
    if (this.#position !== undefined && this.#term === term.term) return;
    const { mark, document } = this.#o.replica();
    if (document?.phase !== 'Healthy' || mark.epoch !== term.epoch) return;
    this.begin(term, mark.sequence);
  }

  #isNext(batch: WriteBatch): boolean {
    if (this.#position === undefined) return batch.joins;
    return batch.first <= this.#position + 1;
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#take(); next !== undefined; next = this.#take()) {
        await this.#serve(next);
      }
    } finally {
      this.#running = false;
      this.#watch();
    }
  }

  #take(): Waiting | undefined {
    const at = this.#waiting.findIndex(({ batch }) => this.#isNext(batch));
    return at < 0 ? undefined : this.#waiting.splice(at, 1)[0];
  }

  async #serve({ term, batch, resolve, reject }: Waiting): Promise<void> {
    try {
      await this.#o.replica().admit();
      // Everything may have changed while the journal was full.
      this.#o.check(term);
      if (!this.#isNext(batch)) fail('Conflict', 'the writes before these are not here any more');
      this.#apply(term, batch);
      resolve();
    } catch (error) {
      reject(asTransshipError(error));
    }
  }

  #apply(term: Term, batch: WriteBatch): void {
    const position = this.#position ?? batch.first - 1;
    const known = position + 1 - batch.first;
    const last = batch.first + batch.records.length - 1;
    if (last > position) {
      const records = known > 0 ? batch.records.slice(known) : batch.records;
      this.#o.replica().apply(records, { epoch: term.epoch, sequence: last });
    }
    this.#term = term.term;
    this.#position = Math.max(position, last);
    this.#reached();
  }

  #reached(): void {
    if (this.#readers.length === 0) return;
    const ready = this.#readers.filter(({ sequence }) => this.has(sequence));
    if (ready.length === 0) return;
    this.#readers = this.#readers.filter((one) => !ready.includes(one));
    for (const one of ready) {
      one.timer.cancel();
      one.resolve();
    }
  }

  /** Batches that wait for one that never comes must not wait for ever. */
  #watch(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const first = this.#waiting[0];
    if (first === undefined) return;
    this.#timer = this.#clock.after(gapMs, () => {
      const late = this.#waiting;
      this.#waiting = [];
      const error = new TransshipError('Conflict', 'writes before these did not arrive');
      for (const one of late) one.reject(error);
    });
  }
}
