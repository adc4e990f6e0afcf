/** `transship mover backup`: a volume goes into a repository, with a list of all that it has. */
import fs from 'node:fs';
import { join } from 'node:path';
import type { ManifestScope } from '../../files/manifest.ts';
import type { SavedVolume } from '../../files/mover-messages.ts';
import { type BackupConfig, parseBackupConfig } from '../../files/restic-config.ts';
import {
  type BackupSummary,
  backupWords,
  claimTag,
  isEmpty,
  isNoRepository,
  judgeRestic,
  listWords,
  parseResticLine,
  resticLimits,
} from '../../files/restic-words.ts';
import { alwaysExcluded } from '../../files/rsync-arguments.ts';
import { say } from './messages.ts';
import { placeOf } from './places.ts';
import { attempted, Restic, type Tried, untilStopped } from './restic.ts';
import { writeManifest } from './walk.ts';

const progressMs = 1000;

interface Backup {
  readonly saved: SavedVolume;
  readonly summary: BackupSummary;
  readonly notes: readonly string[];
}

/** Resolves with the exit code. `BadArgument`, `ToolMissing`. */
export async function runBackup(configPath: string): Promise<number> {
  const told = parseBackupConfig(fs.readFileSync(configPath, 'utf8'));
  const config = { ...told, state: placeOf(told.state), volume: placeOf(told.volume) };
  const signal = untilStopped();
  const restic = new Restic(config, signal);
  const done = await attempted(config, signal, (attempt) => tryOnce(restic, config, attempt));
  if ('exitCode' in done) return done.exitCode;
  const { saved, summary, notes } = done.result;
  const { totalBytes, addedBytes } = summary;
  say({ type: 'Saved', attempts: done.attempts, saved, totalBytes, addedBytes, notes });
  return 0;
}

async function tryOnce(
  restic: Restic,
  config: BackupConfig,
  attempt: number,
): Promise<Tried<Backup>> {
  const opened = await openRepository(restic, config);
  if (opened !== undefined) return opened;
  const list = join(config.state, 'list');
  const scope: ManifestScope = {
    verify: config.verify === true,
    excludes: alwaysExcluded,
    ignoreOwners: false,
    ignoreDirectoryTimes: false,
    exactTimes: true,
  };
  const { attributesDigest } = await writeManifest(config.volume, list, scope);
  const content = await backUp(restic, config, attempt);
  if (content.kind !== 'Complete') return content;
  const listed = await backUpList(restic, config, list);
  if (listed.kind !== 'Complete') return listed;
  const { summary, notes } = content.result;
  const { snapshot } = summary;
  const saved = {
    ...(snapshot === undefined ? {} : { snapshot }),
    list: listed.result.snapshot ?? '',
    ...(attributesDigest === undefined ? {} : { attributesDigest }),
  };
  return { kind: 'Complete', result: { saved, summary, notes: [...notes, resticLimits] } };
}

/** Undefined: it is there. Another mover may make it at the same moment. */
async function openRepository(
  restic: Restic,
  { pass, repository }: BackupConfig,
): Promise<Exclude<Tried<never>, { kind: 'Complete' }> | undefined> {
  const words = ['cat', 'config'];
  let opened = await restic.run({ words });
  if (opened.code !== 0 && isNoRepository(opened)) {
    if ('directory' in repository) {
      fs.mkdirSync(repository.directory, { recursive: true, mode: 0o700 });
    }
    await restic.run({ words: ['init', '--repository-version=2'] });
    opened = await restic.run({ words });
  }
  const outcome = judgeRestic({ ...opened, pass, writesTo: 'repository' });
  return outcome.kind === 'Complete' ? undefined : outcome;
}

async function backUp(
  restic: Restic,
  config: BackupConfig,
  attempt: number,
): Promise<Tried<{ readonly summary: BackupSummary; readonly notes: readonly string[] }>> {
  const words = backupWords(config, await lastOf(restic, config));
  const { volume: directory } = config;
  const startMs = performance.now();
  let summary: BackupSummary | undefined;
  let toldMs = Number.NEGATIVE_INFINITY;
  const onLine = (line: string) => {
    const said = parseResticLine(line);
    if (said?.kind === 'summary') summary = said;
    const now = performance.now();
    if (said?.kind !== 'progress' || now - toldMs < progressMs) return;
    toldMs = now;
    const elapsedSeconds = Math.round((now - startMs) / 1000);
    const bytesPerSecond = Math.round((said.bytes * 1000) / Math.max(1, now - startMs));
    const { percent, bytes, files } = said;
    const numbers = { percent, bytes, files, bytesPerSecond, elapsedSeconds };
    say({ type: 'Progress', attempt, ...numbers, listing: false });
  };
  const { run, outcome } = await restic.judged({ words, directory, onLine }, 'repository');
  if (isEmpty(run)) {
    return { kind: 'Complete', result: { summary: { totalBytes: 0, addedBytes: 0 }, notes: [] } };
  }
  if (outcome.kind !== 'Complete') return outcome;
  if (summary === undefined) return silent;
  return { kind: 'Complete', result: { summary, notes: outcome.notes } };
}

const silent = {
  kind: 'Retry',
  reason: 'ProtocolError',
  message: 'restic ended without saying which snapshot it made',
} as const;

async function backUpList(
  restic: Restic,
  config: BackupConfig,
  input: string,
): Promise<Tried<BackupSummary>> {
  let summary: BackupSummary | undefined;
  const onLine = (line: string) => {
    const said = parseResticLine(line);
    if (said?.kind === 'summary') summary = said;
  };
  const options = { words: listWords(config), input, onLine };
  const { outcome } = await restic.judged(options, 'repository');
  if (outcome.kind !== 'Complete') return outcome;
  return summary === undefined ? silent : { kind: 'Complete', result: summary };
}

/** The last snapshot of this volume: what is as it was then is not read again. */
async function lastOf(restic: Restic, config: BackupConfig): Promise<string | undefined> {
  const words = ['snapshots', '--json', `--tag=${claimTag(config.claim)}`];
  const { code, stdout } = await restic.run({ words });
  if (code !== 0) return undefined;
  const all = JSON.parse(stdout) as
    | readonly { readonly id: string; readonly time: string }[]
    | null;
  return (all ?? []).toSorted((a, b) => a.time.localeCompare(b.time)).at(-1)?.id;
}
