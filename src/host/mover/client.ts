/** `transship mover client`: copies the files of a volume by attempts, and closes with an audit. */
import fs from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { TransshipError } from '../../base/errors.ts';
import { exitCodeOf, reasons } from '../../base/reasons.ts';
import { delayAfter } from '../../files/attempts.ts';
import {
  attemptsMaxDefault,
  type MoverClientConfig,
  parseClientConfig,
} from '../../files/mover-config.ts';
import { rsyncArguments } from '../../files/rsync-arguments.ts';
import { type Failure, judgeEnd, type Outcome } from '../../files/rsync-exits.ts';
import { RsyncOutput, type RsyncProgress, type RsyncStats } from '../../files/rsync-progress.ts';
import { auditVolume } from './audit.ts';
import { say } from './messages.ts';
import { placedClient } from './places.ts';
import { isRoot } from './programs.ts';
import { runRsync } from './rsync-run.ts';

const progressMs = 1000;
const rateLookMs = 2000;
/** How long a server may need to end an attempt that we broke off, and how often it is asked. */
const serverEndsMs = 60_000;
const ownAgainMs = 250;

/** Resolves with the exit code. `BadArgument`, `ToolMissing`. */
export async function runMoverClient(configPath: string): Promise<number> {
  const stop = new AbortController();
  const canceled = new TransshipError('Canceled', 'the mover was told to stop');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => stop.abort(canceled));
  }
  const read = () => placedClient(parseClientConfig(fs.readFileSync(configPath, 'utf8')));
  const { attempts, copied } = await copy(read, stop.signal);
  if (copied.kind !== 'Complete') return saidFailed(copied, attempts);
  const { stats, notes } = copied;
  const config = read();
  if (config.pass === 'Stage') {
    say({ type: 'Done', attempts, stats, notes });
    return 0;
  }
  const audited = await auditVolume(config, stop.signal);
  if ('reason' in audited) return saidFailed(audited, attempts);
  const audit = { ...audited.summary, contentCompared: config.verify === true };
  say({ type: 'Done', attempts, stats, notes: [...notes, ...audited.notes], audit });
  return 0;
}

function saidFailed(failure: Failure, attempts: number): number {
  const { reason, message, remedy = reasons[reason].remedy } = failure;
  say({ type: 'Failed', reason, message, remedy, attempts });
  return exitCodeOf(reason);
}

type Copied = Exclude<Outcome, { kind: 'Complete' }> | (Outcome & Complete);
interface Complete {
  readonly kind: 'Complete';
  readonly stats: RsyncStats;
}

/**
 * The configuration is read before each attempt. A limit that changes meanwhile ends an attempt,
 * which counts for nothing: what has arrived stays. As the next one lists all files again, it is
 * given twice the time of the one before until it is ended for another limit.
 */
async function copy(
  read: () => MoverClientConfig,
  signal: AbortSignal,
): Promise<{ readonly attempts: number; readonly copied: Copied }> {
  let undisturbedMs = rateLookMs;
  let endedMs = Number.NEGATIVE_INFINITY;
  let isSaid = false;
  for (let attempt = 1; ; attempt += 1) {
    const config = read();
    const { attemptsMax = attemptsMaxDefault } = config;
    if (!isSaid) say({ type: 'Attempt', attempt, attemptsMax });
    isSaid = false;
    const rate = watchRate(read, config, undisturbedMs);
    const both = AbortSignal.any([signal, rate.signal]);
    const copied = await tryOnce(config, attempt, both).catch((error: unknown) => {
      if (!rate.signal.aborted || signal.aborted) throw error;
    });
    rate.end();
    if (copied === undefined) {
      undisturbedMs *= 2;
      attempt -= 1;
      endedMs = performance.now();
      continue;
    }
    const isOwn = performance.now() - endedMs < serverEndsMs;
    if (isOwn && copied.kind === 'Retry' && copied.reason === 'InUse') {
      // The server has not noticed yet that we ended the attempt before; that is no failure.
      attempt -= 1;
      isSaid = true;
      await delay(ownAgainMs, undefined, { signal }).catch(() => signal.throwIfAborted());
      continue;
    }
    if (copied.kind !== 'Retry' || attempt >= attemptsMax) return { attempts: attempt, copied };
    const { reason, message } = copied;
    const waitMs = delayAfter(attempt, Math.random());
    say({ type: 'AttemptFailed', attempt, reason, message, retryInSeconds: waitMs / 1000 });
    await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Aborts its signal when the file says another rate, but not before so many milliseconds. */
function watchRate(read: () => MoverClientConfig, config: MoverClientConfig, afterMs: number) {
  const changed = new AbortController();
  const startMs = performance.now();
  const timer = setInterval(() => {
    if (performance.now() - startMs < afterMs) return;
    try {
      if (read().bytesPerSecond !== config.bytesPerSecond) changed.abort();
    } catch {
      // It is being written; the next look finds it whole.
    }
  }, rateLookMs);
  return { signal: changed.signal, end: () => clearInterval(timer) };
}

async function tryOnce(
  config: MoverClientConfig,
  attempt: number,
  signal: AbortSignal,
): Promise<Copied> {
  const root = isRoot();
  const startMs = performance.now();
  let last: RsyncProgress | undefined;
  const tell = () => {
    const elapsedSeconds = Math.round((performance.now() - startMs) / 1000);
    if (last !== undefined) say({ type: 'Progress', attempt, ...last, elapsedSeconds });
    last = undefined;
  };
  const output = new RsyncOutput((progress) => (last = progress));
  const timer = setInterval(tell, progressMs);
  try {
    const words = rsyncArguments(config, { root });
    const onOutput = (text: string) => output.push(text);
    const { code, stderr, tunnelLog } = await runRsync({ config, words, onOutput, signal });
    output.end();
    tell();
    if (stderr !== '') process.stderr.write(stderr);
    const outcome = judgeEnd({ code, stderr, tunnelLog, pass: config.pass, root });
    return outcome.kind === 'Complete' ? { ...outcome, stats: output.stats } : outcome;
  } finally {
    clearInterval(timer);
  }
}
