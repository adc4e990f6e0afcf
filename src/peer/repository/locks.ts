/** Who works in a repository (docs/formats/repository.md, "Lock" and "Write order"). */
import { asTransshipError, fail, type TransshipError } from '../../base/errors.ts';
import type { Timer } from '../../base/ports.ts';
import { formatMoment } from '../../base/units.ts';
import { decodeLock, encodeLock, type LockDocument, type LockUse } from './documents.ts';
import { readIfThere, type Repository } from './repository.ts';

const renewMs = 60_000;
/** By our own clock, which may have stood still: half of what others wait is not waited for. */
const trustedMs = 10 * 60_000;

export const staleMs: Readonly<Record<LockUse, number>> = {
  save: 30 * 60_000,
  prune: 30 * 60_000,
  lease: 7 * 24 * 3600_000,
};

export interface FoundLock {
  readonly object: string;
  readonly ageMs: number;
  /** Undefined: it cannot be read. */
  readonly document: LockDocument | undefined;
}

/** A lock of somebody who works; `check` says whether the work may be taken for done. */
export class HeldLock {
  readonly #repository: Repository;
  readonly #document: LockDocument;
  #object = '';
  #renewedMs = 0;
  #timer: Timer | undefined;
  #renewing: Promise<void> = Promise.resolve();
  #lost: TransshipError | undefined;
  #released = false;

  private constructor(repository: Repository, document: LockDocument) {
    this.#repository = repository;
    this.#document = document;
  }

  /** `InUse`, naming who is there. */
  static async take(
    repository: Repository,
    use: 'save' | 'prune',
    holder: string,
  ): Promise<HeldLock> {
    const sinceMs = repository.ports.clock.wallMs();
    const lock = new HeldLock(repository, { use, holder, sinceMs });
    await lock.#place();
    lock.#renewLater();
    return lock;
  }

  /** `Conflict`: others may have done what the lock was to prevent. */
  async check(): Promise<void> {
    await this.#renewing;
    if (this.#lost !== undefined) throw this.#lost;
    const { clock, store } = this.#repository.ports;
    const isOld = clock.monotonicMs() - this.#renewedMs > trustedMs;
    const isThere = !isOld && (await readIfThere(store, this.#object)) !== undefined;
    if (!isThere) {
      fail('Conflict', `the lock in ${store.place} was lost: what was being done begins anew`);
    }
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#timer?.cancel();
    await this.#renewing;
    await this.#repository.ports.store.delete(this.#object);
  }

  /** A further object each time, so that one taken for stale cannot come back to life. */
  async #place(): Promise<void> {
    const { clock, random, store } = this.#repository.ports;
    const before = this.#object;
    const object = `locks/${Buffer.from(random.bytes(16)).toString('hex')}`;
    const askedMs = clock.monotonicMs();
    await store.put(object, encodeLock(this.#repository.key, random, this.#document));
    try {
      const others = await findLocks(this.#repository, object);
      this.#refuse(others);
      if (before !== '' && !others.some((one) => one.object === before)) {
        fail('Conflict', `the lock in ${store.place} was taken away as stale`);
      }
    } catch (error) {
      await store.delete(object);
      throw error;
    }
    this.#object = object;
    this.#renewedMs = askedMs;
    if (before !== '') await store.delete(before);
  }

  #refuse(others: readonly FoundLock[]): void {
    const mine = this.#document;
    const opponents: readonly LockUse[] = mine.use === 'prune' ? ['save', 'prune'] : ['prune'];
    for (const { object, ageMs, document } of others) {
      if (object === this.#object) continue;
      // One that nobody can read may be anybody's.
      const use = document?.use ?? 'save';
      if (!opponents.includes(use) || ageMs > staleMs[use]) continue;
      const who = document === undefined ? 'somebody' : document.holder;
      const since = document === undefined ? '' : ` since ${formatMoment(document.sinceMs)}`;
      const doing = use === 'save' ? 'saves there' : 'gives space back there';
      const until = 'its lock is ignored 30 minutes after it last gave a sign of life';
      fail('InUse', `${this.#repository.ports.store.place}: ${who} ${doing}${since}; ${until}`);
    }
  }

  #renewLater(): void {
    this.#timer = this.#repository.ports.clock.after(renewMs, () => {
      this.#renewing = this.#place()
        .catch((error: unknown) => {
          const problem = asTransshipError(error);
          // A place that does not answer may answer the next time.
          if (problem.reason === 'Conflict' || problem.reason === 'InUse') this.#lost = problem;
        })
        .finally(() => {
          if (!this.#released && this.#lost === undefined) this.#renewLater();
        });
    });
  }
}

/** All locks, with their ages by the clock of the place, which `own` was just put by. */
export async function findLocks(repository: Repository, own: string): Promise<FoundLock[]> {
  const { store } = repository.ports;
  const listed = await repository.list('locks/');
  const nowMs = Math.max(0, ...listed.map(({ modifiedMs }) => modifiedMs));
  const found: FoundLock[] = [];
  for (const { name: object, modifiedMs } of listed) {
    if (object === own) continue;
    const bytes = await readIfThere(store, object);
    if (bytes === undefined) continue;
    found.push({ object, ageMs: nowMs - modifiedMs, document: readable(repository, bytes) });
  }
  return found;
}

function readable(repository: Repository, bytes: Uint8Array): LockDocument | undefined {
  try {
    return decodeLock(repository.key, bytes);
  } catch (error) {
    if (asTransshipError(error).reason !== 'DataCorrupt') throw error;
    return undefined;
  }
}
