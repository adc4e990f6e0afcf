/** `transship mover restore`: a volume becomes what it was when it was saved in a repository. */
import fs from 'node:fs';
import { join } from 'node:path';
import readline from 'node:readline';
import { createHash } from 'node:crypto';
import {
  describeDifference,
  entryOf,
  manifestLine,
  type ManifestScope,
} from '../../files/manifest.ts';
import type { AuditSummary } from '../../files/mover-messages.ts';
import { parseRestoreConfig, type RestoreConfig } from '../../files/restic-config.ts';
import { listName, restoreWords } from '../../files/restic-words.ts';
import type { Failure } from '../../files/rsync-exits.ts';
import { changesBetween, type Lines, paired, type TreeChanges } from '../../files/tree-changes.ts';
import { say } from './messages.ts';
import { placeOf } from './places.ts';
import { isRoot } from './programs.ts';
import { applyDirectories, bytesOf, removeAll, removeSpecial } from './restore-tree.ts';
import { attempted, Restic, saidFailed, type Tried, untilStopped } from './restic.ts';
import { writeManifest } from './walk.ts';

const differencesMax = 10;

interface Restored {
  readonly deletedFiles: number;
  readonly files: number;
  readonly totalBytes: number;
  readonly fetchedBytes: number;
}

/** Resolves with the exit code. `BadArgument`, `ToolMissing`. */
export async function runRestore(configPath: string): Promise<number> {
  const told = parseRestoreConfig(fs.readFileSync(configPath, 'utf8'));
  const config = { ...told, state: placeOf(told.state), volume: placeOf(told.volume) };
  const signal = untilStopped();
  const work = new Restore(config, new Restic(config, signal));
  const first = await attempted(config, signal, (attempt) => work.tryOnce(attempt, false));
  if ('exitCode' in first) return first.exitCode;
  if (config.pass === 'Stage') return done(first.attempts, first.result, []);
  let audited = await work.audit();
  let { result } = first;
  if ('reason' in audited && !work.wasWhole) {
    // Such as attributes that changed with nothing else: everything is made anew.
    const again = await attempted(config, signal, (attempt) => work.tryOnce(attempt, true));
    if ('exitCode' in again) return again.exitCode;
    result = again.result;
    audited = await work.audit();
  }
  if ('reason' in audited) return saidFailed(audited, first.attempts).exitCode;
  const audit = { ...audited.summary, contentCompared: config.verify === true };
  return done(first.attempts, result, audited.notes, audit);
}

function done(
  attempts: number,
  { deletedFiles, files, totalBytes, fetchedBytes }: Restored,
  notes: readonly string[],
  audit?: AuditSummary & { readonly contentCompared: boolean },
): number {
  const stats = {
    files,
    transferredFiles: files,
    totalBytes,
    literalBytes: fetchedBytes,
    matchedBytes: totalBytes - fetchedBytes,
    sentBytes: fetchedBytes,
    deletedFiles,
  };
  say({ type: 'Done', attempts, stats, notes, ...(audit === undefined ? {} : { audit }) });
  return 0;
}

type Audited = { readonly summary: AuditSummary; readonly notes: readonly string[] } | Failure;

class Restore {
  readonly #config: RestoreConfig;
  readonly #restic: Restic;
  readonly #list: string;
  readonly #own: string;
  /** The last attempt made everything anew. */
  wasWhole = false;

  constructor(config: RestoreConfig, restic: Restic) {
    this.#config = config;
    this.#restic = restic;
    this.#list = join(config.state, 'list');
    this.#own = join(config.state, 'own');
  }

  /** What restic does not keep is not asked for. */
  async *#wanted(): Lines {
    for await (const line of linesOf(this.#list)) if (entryOf(line).type !== 'socket') yield line;
  }

  async tryOnce(attempt: number, whole: boolean): Promise<Tried<Restored>> {
    const { saved, volume } = this.#config;
    const words = ['dump', saved.list, `/${listName}`];
    const dumped = await this.#restic.judged({ words, output: this.#list }, 'destination volume');
    if (dumped.outcome.kind !== 'Complete') return dumped.outcome;
    await writeManifest(volume, this.#own, this.#scope(true));
    const changes = await changesBetween(
      () => this.#wanted(),
      () => linesOf(this.#own),
    );
    removeAll(volume, changes.remove);
    const paths = whole || changes.isMost ? undefined : patternsFor(changes.bring);
    this.wasWhole = paths === undefined;
    if (this.wasWhole) removeSpecial(volume);
    if (paths?.length !== 0 && saved.snapshot !== undefined) {
      const words = restoreWords(this.#config, saved.snapshot, paths);
      const restored = await this.#fetch(attempt, words, changes);
      if (restored !== undefined) return restored;
    }
    const wanted: string[] = [];
    let [files, totalBytes] = [0, 0];
    for await (const line of this.#wanted()) {
      const entry = entryOf(line);
      if (entry.type === 'directory') wanted.push(line);
      else files += 1;
      if (entry.type === 'file' && entry.linkedTo === undefined) totalBytes += entry.size;
    }
    const keepsOwners = this.#config.ownership !== 'Mover' && isRoot();
    applyDirectories(volume, wanted.map(entryOf), keepsOwners);
    const fetchedBytes = this.wasWhole ? totalBytes : changes.bringBytes;
    const deletedFiles = changes.remove.length;
    return { kind: 'Complete', result: { deletedFiles, files, totalBytes, fetchedBytes } };
  }

  /** Undefined: it is there. */
  async #fetch(
    attempt: number,
    words: readonly string[],
    { bringBytes }: TreeChanges,
  ): Promise<Exclude<Tried<never>, { kind: 'Complete' }> | undefined> {
    const startMs = performance.now();
    const onLook = (pid: number) => {
      const bytes = Math.min(bringBytes, writtenBy(pid));
      const percent = Math.min(99, Math.floor((bytes * 100) / Math.max(1, bringBytes)));
      const seconds = (performance.now() - startMs) / 1000;
      const bytesPerSecond = Math.round(bytes / seconds);
      const elapsedSeconds = Math.round(seconds);
      const numbers = { percent, bytes, bytesPerSecond, elapsedSeconds, files: 0 };
      say({ type: 'Progress', attempt, ...numbers, listing: false });
    };
    const { outcome } = await this.#restic.judged({ words, onLook }, 'destination volume');
    return outcome.kind === 'Complete' ? undefined : outcome;
  }

  #scope(exactTimes: boolean): ManifestScope {
    const isOfMover = this.#config.ownership === 'Mover';
    return {
      verify: this.#config.verify === true,
      excludes: ['/lost+found'],
      ignoreOwners: !exactTimes && isOfMover,
      ignoreDirectoryTimes: !exactTimes && !isRoot(),
      exactTimes,
    };
  }

  /** What was listed at the source is what is here now. */
  async audit(): Promise<Audited> {
    const { volume, saved } = this.#config;
    const scope = this.#scope(false);
    const summary = await writeManifest(volume, this.#own, scope);
    const digest = createHash('sha256');
    for await (const line of this.#standard(scope)) digest.update(`${line}\n`);
    if (digest.digest('hex') !== summary.digest) return this.#mismatch(scope);
    const [theirs, mine] = [saved.attributesDigest, summary.attributesDigest];
    if (theirs === undefined || mine === undefined) {
      const note = 'extended attributes were not compared: getfattr is not installed at both sides';
      return { summary, notes: [note] };
    }
    if (theirs !== mine) return unequal('extended attributes or ACLs differ');
    return { summary, notes: [] };
  }

  async *#standard(scope: ManifestScope): Lines {
    for await (const line of this.#wanted()) yield manifestLine(entryOf(line), scope).trimEnd();
  }

  async #mismatch(scope: ManifestScope): Promise<Failure> {
    const differences: string[] = [];
    for await (const [here, there] of paired(this.#standard(scope), linesOf(this.#own))) {
      if (here !== there) differences.push(describeDifference(here, there));
      if (differences.length >= differencesMax) break;
    }
    return unequal(differences.join('; '));
  }
}

function unequal(what: string): Failure {
  const message = `the copy is not equal to its source: ${what}`;
  const remedy = 'Stop what writes to either side and copy again.';
  return { reason: 'DataCorrupt', message, remedy };
}

/** Undefined: some name cannot be a word of a command line. */
function patternsFor(paths: readonly string[]): readonly string[] | undefined {
  const texts = paths.map((path) => bytesOf(path).toString('utf8'));
  const isPlain = texts.every((text, at) => Buffer.from(text).equals(bytesOf(paths[at] ?? '')));
  return isPlain ? texts : undefined;
}

function linesOf(path: string): Lines {
  return readline.createInterface({ input: fs.createReadStream(path) });
}

/** Bytes that a process has written so far (proc_pid_io(5)). */
function writtenBy(pid: number): number {
  try {
    return Number(/^wchar: (\d+)/m.exec(fs.readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  } catch {
    // It has ended.
    return 0;
  }
}
