/**
 * The copies of volumes: one VolumeTransfer for each claim and pass, a bounded number at once. What
 * is copied is decided once (`choices.ts`); a pass is over when every one of them has succeeded.
 */
import { type VolumeTransfer, volumeTransfers } from '../../../api/kinds/volume-transfer.ts';
import type { VolumeTransferSpec } from '../../../api/kinds/volume-transfer.ts';
import { isReason, type Reason } from '../../../base/reasons.ts';
import type { Observation, Step, Undoing } from '../../../flow/flow.ts';
import { keyOf } from '../../../kube/objects.ts';
import { conditionOf } from '../../status.ts';
import { isCleanedUp } from '../../volume-transfer/report.ts';
import { type Choice, ensureChoices, loadChoices } from '../choices.ts';
import { isQuiesced } from '../conditions.ts';
import { copiesBack } from '../copies-back.ts';
import type { Run } from '../run.ts';
import {
  hasFailed,
  hasSucceeded,
  isSteered,
  isUnfinished,
  makeTransfer,
  type Pass,
  progressLine,
  retryOf,
  steer,
  steeringOf,
  transferName,
  transfersOf,
} from '../transfers.ts';
import { auditSteps, findLate } from './audit.ts';
import { makeOldClaims } from './swapping.ts';

const deadlineMs = 30 * 60_000;
const concurrencyDefault = 4;
const linesMax = 100;

/** One copy that a pass consists of. */
interface Wish {
  readonly name: string;
  readonly spec: Omit<VolumeTransferSpec, 'migration'>;
}

interface Passing {
  readonly name: string;
  readonly description: string;
  readonly pass: Pass;
  /** Undefined: not decided yet. */
  wishes(run: Run): Promise<readonly Wish[] | undefined>;
  decide(run: Run): Promise<void>;
}

/** One copy, by the method of the copies before it. */
function wishOf(run: Run, choice: Choice, as: { pass: 'a' | 'l'; isExact: boolean }): Wish {
  const { namespace, claim, destination, method, verify, action } = choice;
  const { source: cluster, repository } = run.plan.spec;
  return {
    name: transferName(run, as.pass, choice),
    spec: {
      source: { cluster, namespace, claim },
      destination,
      ...(action === 'Move' ? { action } : {}),
      ...(method === undefined ? {} : { method }),
      ...(repository === undefined ? {} : { repository }),
      pass: as.isExact ? 'Last' : 'Ahead',
      verify,
    },
  };
}

async function wishesAhead(run: Run): Promise<readonly Wish[] | undefined> {
  const choices = await loadChoices(run);
  return choices
    ?.filter(({ action }) => action === 'Copy')
    .map((choice) => wishOf(run, choice, { pass: 'a', isExact: false }));
}

/** The source runs on while it is copied for the last time. */
function isLive(run: Run): boolean {
  return run.migration.spec.type === 'Rehearsal' || !isQuiesced(run);
}

/** What copies files or blocks of a volume that is in use cannot promise more than ahead. */
const atOnce: ReadonlySet<string | undefined> = new Set(['Teleport', 'Snapshot', undefined]);

async function wishesLast(run: Run): Promise<readonly Wish[] | undefined> {
  const choices = await loadChoices(run);
  if (choices === undefined) return undefined;
  const made = await transfersOf(run, 'a');
  const methods = new Map(
    made.map(({ spec: { source }, status }) => [
      `${source.namespace}/${source.claim}`,
      status?.method,
    ]),
  );
  return choices
    .filter(({ action }) => action !== 'Skip')
    .map((choice) => {
      const method = methods.get(`${choice.namespace}/${choice.claim}`) ?? choice.method;
      const isExact = !isLive(run) || atOnce.has(method);
      const chosen = method === undefined ? choice : { ...choice, method };
      return wishOf(run, chosen, { pass: 'l', isExact });
    });
}

const ahead: Passing = {
  name: 'copyAhead',
  description: 'Copies the volumes while the workloads run.',
  pass: 'a',
  wishes: wishesAhead,
  decide: async (run) => {
    const skipped = (await ensureChoices(run)).filter(({ action }) => action === 'Skip');
    for (const { namespace, claim } of skipped) {
      run.warn(`Claim ${namespace}/${claim} is not copied.`);
    }
  },
};

const last: Passing = {
  name: 'copyLast',
  description: 'Copies what was written since, now that nobody writes.',
  pass: 'l',
  wishes: wishesLast,
  decide: async (run) => {
    await ensureChoices(run);
    if (!isLive(run)) return;
    run.warn(
      'The copy was made while the source ran: a volume that was not teleported has each file ' +
        'or block as it was when it was read, which can be like after a crash at best.',
    );
  },
};

const back: Passing = {
  name: 'copyBack',
  description: 'Copies what was written at the destination back to the source.',
  pass: 'b',
  wishes: async (run) => (await copiesBack(run)).map(({ name, spec }) => ({ name, spec })),
  decide: makeOldClaims,
};

/** How the transfers of a pass stand, and what has to be done about them. */
interface Standing {
  readonly wishes: readonly Wish[];
  readonly found: readonly VolumeTransfer[];
  /** Of an earlier `spec.retry`: made again. */
  readonly outdated: readonly VolumeTransfer[];
  readonly failed: readonly VolumeTransfer[];
  readonly running: readonly VolumeTransfer[];
  /** To be made now. */
  readonly next: readonly Wish[];
  readonly missing: number;
}

async function standingOf(run: Run, { pass, wishes }: Passing): Promise<Standing | undefined> {
  const wished = await wishes(run);
  if (wished === undefined) return undefined;
  const names = new Set(wished.map(({ name }) => name));
  const all = await transfersOf(run, pass);
  const found = all.filter(({ metadata }) => names.has(metadata.name ?? ''));
  const retried = run.migration.status?.retried ?? 0;
  const ended = found.filter(hasFailed);
  const running = found.filter(isUnfinished);
  const known = new Set(found.map(({ metadata }) => metadata.name));
  const missing = wished.filter(({ name }) => !known.has(name));
  const { concurrency = concurrencyDefault } = run.plan.spec;
  const room = run.migration.spec.paused === true ? 0 : Math.max(0, concurrency - running.length);
  return {
    wishes: wished,
    found,
    outdated: ended.filter((one) => retryOf(one) < retried),
    failed: ended.filter((one) => retryOf(one) >= retried),
    running,
    next: missing.slice(0, room),
    missing: missing.length,
  };
}

function isGoing({ metadata }: VolumeTransfer): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function look(run: Run, standing: Standing): Observation {
  const { wishes, found, outdated, failed, running, next, missing } = standing;
  const [broken] = failed;
  if (broken !== undefined) return failureOf(broken, failed.length);
  const steering = steeringOf(run, running.length);
  const isOff = running.some((one) => !isGoing(one) && !isSteered(one, steering));
  if (outdated.some((one) => !isGoing(one)) || next.length > 0 || isOff) {
    return { kind: 'notStarted' };
  }
  const succeeded = found.filter(hasSucceeded);
  if (succeeded.length === wishes.length) return { kind: 'done' };
  const waits = missing > 0 ? `, ${missing} wait` : '';
  const word = run.migration.spec.paused === true ? 'paused: ' : '';
  const shares = found.map((one) => (hasSucceeded(one) ? 100 : (one.status?.percent ?? 0)));
  const all = shares.reduce((sum, share) => sum + share, 0);
  return {
    kind: 'running',
    message: `${word}${succeeded.length} of ${wishes.length} volumes are there${waits}`,
    progress: found.slice(0, linesMax).map(progressLine),
    percent: Math.floor(all / Math.max(1, wishes.length)),
  };
}

function failureOf(broken: VolumeTransfer, count: number): Observation {
  const { reason = '', message = '' } = conditionOf(broken, 'Succeeded') ?? {};
  const { namespace, claim } = broken.spec.source;
  const more = count > 1 ? `; and ${count - 1} more` : '';
  const word: Reason = isReason(reason) ? reason : 'Internal';
  return {
    kind: 'failed',
    reason: word,
    message: `claim ${namespace}/${claim}: ${message}${more}`,
  };
}

async function ensure(run: Run, passing: Passing): Promise<void> {
  await passing.decide(run);
  const standing = await standingOf(run, passing);
  if (standing === undefined) return;
  const { client } = run.context;
  for (const one of standing.outdated.filter((transfer) => !isGoing(transfer))) {
    await client.delete(volumeTransfers, keyOf(one), { uid: one.metadata.uid ?? '' });
  }
  const { running, next } = standing;
  const steering = steeringOf(run, running.length + next.length);
  for (const { name, spec } of next) {
    const { bandwidth, paused } = steering;
    const more = { ...(bandwidth === undefined ? {} : { bandwidth }), paused };
    await makeTransfer(run, name, { ...spec, ...more });
  }
  for (const one of running) {
    if (!isGoing(one) && !isSteered(one, steering)) await steer(run, one, steering);
  }
}

/** Cancels those that run; what they copied stays for a next try, or `removeTransfers` takes it. */
export async function cancelTransfers(run: Run, pass?: Pass): Promise<Undoing> {
  const found = await transfersOf(run, pass);
  for (const one of found.filter(isUnfinished)) {
    if (one.spec.canceled === true || isGoing(one)) continue;
    await run.context.client.patch(volumeTransfers, keyOf(one), { spec: { canceled: true } });
  }
  const left = found.filter((one) => isUnfinished(one) || !isCleanedUp(one));
  if (left.length === 0) return { kind: 'done' };
  const progress = left.slice(0, linesMax).map(progressLine);
  return { kind: 'running', message: `${left.length} copies are being stopped`, progress };
}

function copying(passing: Passing): Step<Run> {
  const { name, description, pass } = passing;
  return {
    name,
    description,
    deadlineMs,
    observe: async (run) => {
      const standing = await standingOf(run, passing);
      if (standing === undefined) return { kind: 'notStarted' };
      const seen = look(run, standing);
      // While everything still runs: the next stage takes it along.
      const isLastChance = pass === 'a' && run.migration.spec.type === 'Cutover';
      return seen.kind === 'done' && isLastChance ? ((await findLate(run)) ?? seen) : seen;
    },
    ensure: (run) => ensure(run, passing),
    undo: (run) => cancelTransfers(run, pass),
  };
}

export const copySteps: readonly Step<Run>[] = [ahead, last, back].map(copying).concat(auditSteps);
