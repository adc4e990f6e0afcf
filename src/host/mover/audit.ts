/** The client's side of the closing audit (U-2): both sides list their tree, and they are equal. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import readline from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { delayAfter } from '../../files/attempts.ts';
import { type AuditAnswer, workedFile } from '../../files/audit-request.ts';
import { comparePaths, describeDifference, type ManifestScope } from '../../files/manifest.ts';
import {
  attemptsMaxDefault,
  type MoverClientConfig,
  timeoutSecondsDefault,
} from '../../files/mover-config.ts';
import type { AuditSummary } from '../../files/mover-messages.ts';
import { alwaysExcluded, moduleUrl } from '../../files/rsync-arguments.ts';
import { type Failure, judgeEnd } from '../../files/rsync-exits.ts';
import { controlModules } from '../../files/rsyncd-config.ts';
import { isRoot } from './programs.ts';
import { runRsync } from './rsync-run.ts';
import { writeManifest } from './walk.ts';

const differencesMax = 10;
/** Between looks for the answer: a large tree takes its time. */
const lookMsMin = 100;
const lookMsMax = 5000;
/** A small tree's audit takes no longer: until then nothing but its answer is asked for. */
const quickMs = 1000;
const quickLookMs = 50;

export type Audited =
  | { readonly summary: AuditSummary; readonly notes: readonly string[] }
  | Failure;

export async function auditVolume(
  config: MoverClientConfig,
  signal: AbortSignal,
): Promise<Audited> {
  const scope: ManifestScope = {
    verify: config.verify === true,
    excludes: [...alwaysExcluded, ...(config.excludes ?? [])],
    ignoreOwners: config.ownership === 'Mover',
    ignoreDirectoryTimes: !isRoot(),
  };
  const id = randomBytes(16).toString('hex');
  const own = join(config.state, `${id}.own`);
  try {
    fs.mkdirSync(config.state, { recursive: true, mode: 0o700 });
    const request = join(config.state, `${id}.json`);
    fs.writeFileSync(request, JSON.stringify({ module: config.module, scope }), { mode: 0o600 });
    const exchange = new Exchange(config, signal);
    const [asked, listed] = await Promise.allSettled([
      exchange.pass([request, moduleUrl(controlModules.requests, '')]),
      writeManifest(config.source, own, scope),
    ]);
    if (asked.status === 'rejected') throw asked.reason;
    if (listed.status === 'rejected') throw listed.reason;
    const here = listed.value;
    const answer = await exchange.answerTo(id);
    if ('reason' in answer) return answer;
    return await compare(exchange, { id, own, here, there: answer.summary });
  } catch (error) {
    if (error instanceof LinkLost) return error.failure;
    throw error;
  } finally {
    for (const end of ['own', 'json', 'answer', 'manifest', 'worked']) {
      fs.rmSync(join(config.state, `${id}.${end}`), { force: true });
    }
  }
}

interface Sides {
  readonly id: string;
  readonly own: string;
  readonly here: AuditSummary;
  readonly there: AuditSummary;
}

async function compare(exchange: Exchange, { id, own, here, there }: Sides): Promise<Audited> {
  if (here.digest !== there.digest) {
    const theirs = await exchange.fetch(`${id}.manifest`, 'manifest');
    const differences = await differencesOf(own, theirs);
    const [ours, others] = [here, there].map(({ entries, bytes }) => {
      return `${entries} entries and ${bytes} bytes`;
    });
    const counts = `${ours} at the source, ${others} at the destination`;
    return mismatch(`${counts}; ${differences.join('; ')}`);
  }
  const [mine, their] = [here.attributesDigest, there.attributesDigest];
  if (mine === undefined || their === undefined) {
    const side = mine === undefined ? 'source' : 'destination';
    const note = `extended attributes were not compared: getfattr is not installed at the ${side}`;
    return { summary: here, notes: [note] };
  }
  if (mine !== their) return mismatch('extended attributes or ACLs differ');
  return { summary: here, notes: [] };
}

function silent(seconds: number): Failure {
  return {
    reason: 'TimedOut',
    message: `the server has not gone on with the closing audit for ${seconds} seconds`,
    remedy:
      "Look at the log of the server's pod and at the volume at the destination, start the " +
      'server again, and copy again: what is there already is not sent again.',
  };
}

function mismatch(what: string): Failure {
  const remedy =
    'Stop what writes to either side and copy again; with verify if only content differs.';
  return { reason: 'DataCorrupt', message: `the copy is not equal to its source: ${what}`, remedy };
}

async function differencesOf(own: string, theirs: string): Promise<readonly string[]> {
  const [left, right] = [linesOf(own), linesOf(theirs)];
  const differences: string[] = [];
  let [here, there] = [await left.next(), await right.next()];
  while (differences.length < differencesMax && (here.done !== true || there.done !== true)) {
    const order =
      here.done === true ? 1 : there.done === true ? -1 : comparePaths(here.value, there.value);
    const mine = order <= 0 && here.done !== true ? here.value : undefined;
    const other = order >= 0 && there.done !== true ? there.value : undefined;
    if (mine !== other) differences.push(describeDifference(mine, other));
    if (mine !== undefined) here = await left.next();
    if (other !== undefined) there = await right.next();
  }
  return differences;
}

function linesOf(path: string): AsyncIterator<string, undefined> {
  return readline.createInterface({ input: fs.createReadStream(path) })[Symbol.asyncIterator]();
}

class LinkLost extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** Files of the control modules, over a link that may be cut. */
class Exchange {
  readonly #config: MoverClientConfig;
  readonly #signal: AbortSignal;

  constructor(config: MoverClientConfig, signal: AbortSignal) {
    this.#config = config;
    this.#signal = signal;
  }

  /** False: what was asked for is not there. `LinkLost` when all attempts failed. */
  async pass(words: readonly string[]): Promise<boolean> {
    const { attemptsMax = attemptsMaxDefault, pass } = this.#config;
    for (let attempt = 1; ; attempt += 1) {
      const run = await runRsync({
        config: this.#config,
        words: ['--timeout=120', '--', ...words],
        signal: this.#signal,
      });
      if (run.code === 23 && run.stderr.includes('No such file')) return false;
      const outcome = judgeEnd({ ...run, pass, root: isRoot() });
      if (outcome.kind === 'Complete') return true;
      if (outcome.kind === 'Failed' || attempt >= attemptsMax) throw new LinkLost(outcome);
      await this.#wait(delayAfter(attempt, Math.random()));
    }
  }

  /** A large tree takes its time: only a server that does no work for so long is given up. */
  async answerTo(id: string): Promise<AuditAnswer | Failure> {
    const { state, timeoutSeconds = timeoutSecondsDefault } = this.#config;
    const [request, path] = [join(state, `${id}.json`), join(state, `${id}.answer`)];
    const isAnswered = () => this.pass([moduleUrl(controlModules.answers, `${id}.json`), path]);
    let worked = '';
    const startMs = performance.now();
    let workedMs = startMs;
    for (let waitMs = lookMsMin; !(await isAnswered()); ) {
      if (performance.now() - startMs < quickMs) {
        await this.#wait(quickLookMs);
        continue;
      }
      await this.#wait(waitMs);
      waitMs = Math.min(lookMsMax, waitMs * 2);
      // A server that was replaced meanwhile knows nothing of it.
      await this.pass([request, moduleUrl(controlModules.requests, '')]);
      const now = await this.#worked(id);
      if (now !== worked) workedMs = performance.now();
      else if (performance.now() - workedMs > timeoutSeconds * 1000) return silent(timeoutSeconds);
      worked = now;
    }
    return JSON.parse(fs.readFileSync(path, 'utf8')) as AuditAnswer;
  }

  async #worked(id: string): Promise<string> {
    const path = join(this.#config.state, `${id}.worked`);
    // Else rsync takes one of the same second for the same.
    fs.rmSync(path, { force: true });
    const isThere = await this.pass([moduleUrl(controlModules.answers, workedFile), path]);
    return isThere ? fs.readFileSync(path, 'utf8') : '';
  }

  /** Returns where it is. `LinkLost`. */
  async fetch(name: string, end: string): Promise<string> {
    const path = join(this.#config.state, name.replace(/\w+$/, end));
    await this.pass([moduleUrl(controlModules.answers, name), path]);
    return path;
  }

  async #wait(ms: number): Promise<void> {
    const { signal } = { signal: this.#signal };
    await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
