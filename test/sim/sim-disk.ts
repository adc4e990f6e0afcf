/**
 * A disk in memory that fails as real ones do. One `SimDisk` is the machine's disk and survives
 * crashes; `mount` gives a process its `Disk`, which is dead after the crash that ends the process.
 */
import { TransshipError } from '../../src/base/errors.ts';
import type { Disk, DiskFile } from '../../src/base/ports.ts';
import type { Rng } from './rng.ts';
import { Crashed, type Scheduler } from './scheduler.ts';
import { SimFile } from './sim-file.ts';

export interface SimDiskOptions {
  readonly capacityBytes: number;
  /** The medium acknowledges a sync of such paths (a prefix; '' is all) without doing it. */
  readonly lyingSync?: string;
  /** The same for directories. */
  readonly lyingDirectories?: boolean;
  readonly syncFailure?: number;
  readonly readFailure?: number;
  readonly writeFailure?: number;
}

/** A change of a directory that a crash may lose until the directory is synced. */
interface EntryChange {
  readonly directory: string;
  readonly path: string;
  readonly file: SimFile | undefined;
  /** A rename is one change of two entries. */
  readonly alsoRemove?: string;
}

export class SimDisk {
  options: SimDiskOptions;
  readonly scheduler: Scheduler;
  readonly #rng: Rng;
  #entries = new Map<string, SimFile>();
  #durableEntries = new Map<string, SimFile>();
  #entryChanges: EntryChange[] = [];
  readonly #directories = new Set<string>(['.']);
  /** Files without a name that somebody still has open count for space until the process ends. */
  #mounted: Mount | undefined;
  calls = 0;
  syncsFailed = 0;

  constructor(scheduler: Scheduler, rng: Rng, options: SimDiskOptions) {
    this.scheduler = scheduler;
    this.#rng = rng;
    this.options = options;
  }

  /** The disk as a new process sees it; `crashAfterCalls` ends that process in mid-call. */
  mount(crash: { readonly afterCalls?: number; readonly onCrash?: () => void } = {}): Disk {
    this.#mounted?.kill();
    const mount = new Mount(this, crash.afterCalls ?? Number.POSITIVE_INFINITY, () => {
      this.powerOff();
      crash.onCrash?.();
    });
    this.#mounted = mount;
    return mount.disk;
  }

  /** Power is lost: what was not synced may be lost in any combination. */
  powerOff(): void {
    this.#mounted?.kill();
    this.#mounted = undefined;
    const rng = this.#rng;
    const inOrder = rng.chance(0.6);
    const share = rng.fraction();
    const cut = rng.below(this.#entryChanges.length + 1);
    for (const [at, change] of this.#entryChanges.entries()) {
      if (inOrder ? at < cut : rng.chance(share)) applyEntry(this.#durableEntries, change);
    }
    this.#entryChanges = [];
    this.#entries = new Map(this.#durableEntries);
    for (const file of new Set(this.#entries.values())) file.crash(rng);
  }

  /** The process is killed but the machine goes on: nothing written is lost. */
  killProcess(): void {
    this.#mounted?.kill();
    this.#mounted = undefined;
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const file of this.#entries.values()) bytes += file.sizeBytes;
    return bytes;
  }

  paths(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** Flips bits of one byte of a file at rest; false when there is nothing to flip. */
  rot(prefix: string): boolean {
    const candidates = this.paths().filter(
      (path) => path.startsWith(prefix) && this.#entries.get(path)!.sizeBytes > 0,
    );
    if (candidates.length === 0) return false;
    const path = this.#rng.pick(candidates);
    const file = this.#entries.get(path)!;
    const at = this.#rng.below(file.sizeBytes);
    file.rot(at, 1 << this.#rng.below(8));
    this.scheduler.note(`rot ${path} ${at}`);
    return true;
  }

  fails(probability: number | undefined): boolean {
    return probability !== undefined && probability > 0 && this.#rng.chance(probability);
  }

  lookUp(path: string): SimFile | undefined {
    return this.#entries.get(path);
  }

  change(change: EntryChange): void {
    applyEntry(this.#entries, change);
    this.#entryChanges.push(change);
  }

  syncDirectory(directory: string): void {
    this.checkDirectory(directory);
    if (this.options.lyingDirectories === true) return;
    const done = this.#entryChanges.filter((change) => change.directory === directory);
    this.#entryChanges = this.#entryChanges.filter((change) => change.directory !== directory);
    for (const change of done) applyEntry(this.#durableEntries, change);
  }

  /** Directories are durable at once: pools make theirs before they promise anything. */
  makeDirectory(path: string): void {
    const parts = path.split('/');
    for (let count = 1; count <= parts.length; count += 1) {
      this.#directories.add(parts.slice(0, count).join('/'));
    }
  }

  checkDirectory(directory: string): void {
    if (!this.#directories.has(directory)) {
      throw new TransshipError('NotFound', `cannot open ${directory}: ENOENT`);
    }
  }

  list(directory: string): string[] {
    const inside = (path: string) => directoryOf(path) === directory && path !== '.';
    const names = [...this.#entries.keys(), ...this.#directories].filter(inside);
    return names.map((path) => path.slice(path.lastIndexOf('/') + 1)).sort();
  }

  isDirectory(path: string): boolean {
    return this.#directories.has(path);
  }

  failSync(file: SimFile, mark: number): void {
    this.syncsFailed += 1;
    file.failSync(mark, this.#rng);
  }
}

function applyEntry(entries: Map<string, SimFile>, { path, file, alsoRemove }: EntryChange): void {
  if (alsoRemove !== undefined) entries.delete(alsoRemove);
  if (file === undefined) entries.delete(path);
  else entries.set(path, file);
}

export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '.' : path.slice(0, slash);
}

function diskFailed(action: string, path: string): TransshipError {
  return new TransshipError('DiskFailed', `cannot ${action} ${path}: EIO`);
}

/** One process' view. Every call passes `enter`, which is where a crash can happen. */
class Mount {
  readonly disk: Disk;
  readonly #simDisk: SimDisk;
  readonly #onCrash: () => void;
  #callsLeft: number;
  #alive = true;

  constructor(simDisk: SimDisk, callsLeft: number, onCrash: () => void) {
    this.#simDisk = simDisk;
    this.#callsLeft = callsLeft;
    this.#onCrash = onCrash;
    this.disk = this.#createDisk();
  }

  kill(): void {
    this.#alive = false;
  }

  #enter(action: string, path: string): void {
    if (!this.#alive) throw new Crashed(`${action} ${path} after the crash`);
    this.#simDisk.calls += 1;
    this.#simDisk.scheduler.note(`${action} ${path}`);
  }

  /** After the call did its work: a crash here has it half on the medium. */
  #leave(): void {
    this.#callsLeft -= 1;
    if (this.#callsLeft > 0) return;
    this.#simDisk.scheduler.note('crash');
    this.#alive = false;
    this.#onCrash();
    throw new Crashed('crash');
  }

  #do<T>(action: string, path: string, call: () => T): T {
    this.#enter(action, path);
    const result = call();
    this.#leave();
    return result;
  }

  #createDisk(): Disk {
    const simDisk = this.#simDisk;
    return {
      open: (path, options) =>
        this.#do('open', path, () => this.#open(path, options?.create ?? false)),
      exists: (path) =>
        this.#do('exists', path, () => this.#has(path) || simDisk.isDirectory(path)),
      list: (path) => this.#do('list', path, () => simDisk.list(path)),
      makeDirectory: (path) => this.#do('mkdir', path, () => simDisk.makeDirectory(path)),
      remove: (path) =>
        this.#do('remove', path, () => {
          this.#need(path);
          simDisk.change({ directory: directoryOf(path), path, file: undefined });
        }),
      rename: (from, to) =>
        this.#do('rename', from, () => {
          const file = this.#need(from);
          simDisk.change({ directory: directoryOf(to), path: to, file, alsoRemove: from });
        }),
      syncDirectory: (path) => this.#do('syncdir', path, () => simDisk.syncDirectory(path)),
      space: () => {
        this.#enter('space', '.');
        const totalBytes = simDisk.options.capacityBytes;
        return { totalBytes, freeBytes: Math.max(0, totalBytes - simDisk.usedBytes) };
      },
    };
  }

  #has(path: string): boolean {
    return this.#simDisk.lookUp(path) !== undefined;
  }

  #need(path: string): SimFile {
    const file = this.#simDisk.lookUp(path);
    if (file === undefined) throw new TransshipError('NotFound', `no file ${path}: ENOENT`);
    return file;
  }

  #open(path: string, create: boolean): DiskFile {
    let file = this.#simDisk.lookUp(path);
    if (file === undefined && !create) this.#need(path);
    if (file === undefined) {
      this.#simDisk.checkDirectory(directoryOf(path));
      file = new SimFile();
      this.#simDisk.change({ directory: directoryOf(path), path, file });
    }
    return this.#handle(path, file);
  }

  #handle(path: string, file: SimFile): DiskFile {
    let open = true;
    const checked = <T>(action: string, call: () => T): T => {
      if (!open && this.#alive) throw new Error(`${action} after close of ${path}`);
      return this.#do(action, path, call);
    };
    return {
      path,
      read: (into, position) => checked('read', () => this.#read(path, file, into, position)),
      readLater: async (into, position) => {
        checked('readLater', () => undefined);
        return this.#later(`read done ${path}`, () => this.#read(path, file, into, position));
      },
      write: (parts, position) => checked('write', () => this.#write(path, file, parts, position)),
      syncLater: async () => {
        const mark = checked('syncLater', () => file.mark());
        return this.#later(`sync done ${path}`, () => this.#sync(path, file, mark));
      },
      sync: () => checked('sync', () => this.#sync(path, file, file.mark())),
      sizeBytes: () => checked('size', () => file.sizeBytes),
      truncate: (sizeBytes) =>
        checked('truncate', () => {
          this.#checkSpace(path, sizeBytes - file.sizeBytes);
          file.truncate(sizeBytes);
        }),
      close: () => {
        open = false;
      },
    };
  }

  /** An answer to a process that is gone arrives nowhere: the promise stays open for ever. */
  #later<T>(label: string, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#simDisk.scheduler.soon(label, () => {
        if (!this.#alive) return;
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  #read(path: string, file: SimFile, into: Uint8Array, position: number): number {
    if (this.#simDisk.fails(this.#simDisk.options.readFailure)) throw diskFailed('read', path);
    return file.read(into, position);
  }

  #write(path: string, file: SimFile, parts: readonly Uint8Array[], position: number): void {
    if (this.#simDisk.fails(this.#simDisk.options.writeFailure)) throw diskFailed('write', path);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    this.#checkSpace(path, position + bytes - file.sizeBytes);
    file.write(parts, position);
  }

  #sync(path: string, file: SimFile, mark: number): void {
    const { lyingSync } = this.#simDisk.options;
    if (lyingSync !== undefined && path.startsWith(lyingSync)) return;
    if (this.#simDisk.fails(this.#simDisk.options.syncFailure)) {
      this.#simDisk.failSync(file, mark);
      throw diskFailed('sync', path);
    }
    file.makeDurable(mark);
  }

  #checkSpace(path: string, more: number): void {
    if (more <= 0) return;
    const { capacityBytes } = this.#simDisk.options;
    if (this.#simDisk.usedBytes + more > capacityBytes) {
      throw new TransshipError('PoolFull', `cannot write ${path}: ENOSPC`);
    }
  }
}
