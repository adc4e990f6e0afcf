/** A migration that runs, as it is drawn again and again on a terminal, or as one line. Pure. */
import type { Migration } from '../../api/kinds/migration.ts';
import { formatAge, formatBytes, formatRate } from '../../base/units.ts';
import { isBegun, type StepState } from '../../flow/state.ts';
import { type Picture, type ProgressView, renderBar } from '../progress.ts';
import { cellText } from '../table.ts';
import { stepMessage } from './text.ts';
import { messageOf, percentNow, standingOf, stepNow, stepsOf } from './standing.ts';

/** A picture that is higher than the screen cannot be drawn over. */
const runningMax = 3;
const progressMax = 8;
const nextMax = 4;
/** Of what a step works on, in one line. */
const lineMax = 3;

export function pictureOf(migration: Migration, nowMs: number): Picture {
  const view = viewOf(migration);
  return {
    key: [view.title, view.phase, newsOf(migration)].join(' '),
    lines: (columns) => {
      const bar = renderBar(view, columns);
      const shown = view.totalBytes > 0 ? bar : bar.slice(0, 1);
      const lines = [...stepLines(migration, nowMs), ...notesOf(migration)];
      return [...shown, ...lines.map((line) => cut(cellText(line), columns))];
    },
    line: () => lineOf(migration, view),
  };
}

function viewOf(migration: Migration): ProgressView {
  const { metadata, status = {} } = migration;
  const { totalBytes = 0, copiedBytes = 0, bytesPerSecond = 0 } = status;
  const leftBytes = Math.max(0, totalBytes - copiedBytes);
  const isMoving = bytesPerSecond > 0 && leftBytes > 0;
  const standing = standingOf(migration);
  const step = stepNow(migration);
  const phase =
    (standing === 'Running' || standing === 'Waiting') && step !== undefined ? step.name : standing;
  return {
    title: metadata.name ?? '',
    phase,
    percent: `${percentNow(migration)}%`,
    doneBytes: copiedBytes,
    totalBytes,
    bytesPerSecond: isMoving ? bytesPerSecond : 0,
    etaMs: isMoving ? (leftBytes / bytesPerSecond) * 1000 : undefined,
    lanes: [],
    trouble: undefined,
  };
}

/**
 * Its message, and what the things say that it works on: one of them may be stuck. Undefined: it is
 * between two steps.
 */
export function saidBy(migration: Migration): string | undefined {
  // Why it is taken back was said when it failed, and is said again at the end.
  if (standingOf(migration) === 'TakingBack') return stepTakenBack(migration)?.message;
  const message = messageOf(migration);
  const { state, progress = [] } = stepNow(migration) ?? {};
  if (state !== 'Running' || progress.length === 0) return message;
  const shown = progress.slice(0, lineMax).join('; ');
  const more = progress.length > lineMax ? `; and ${progress.length - lineMax} more` : '';
  return message === undefined ? `${shown}${more}` : `${message} (${shown}${more})`;
}

/** Steps are taken back from the end; what cleans up after them comes behind them all. */
function stepTakenBack(migration: Migration): StepState | undefined {
  return stepsOf(migration).findLast((step) => isBegun(step));
}

/** While it is taken back two voices speak in turn: only another step is news. */
function newsOf(migration: Migration): string {
  const standing = standingOf(migration);
  if (standing !== 'TakingBack') return `${standing} ${wordsOf(saidBy(migration))}`;
  return `${standing} ${stepTakenBack(migration)?.name}`;
}

/** Numbers come and go with every look; only other words are news. */
function wordsOf(said: string | undefined): string {
  return (said ?? '').replaceAll(/[\d.]+/g, '#');
}

/** Done ones are a number, the next ones a list; what runs is shown in full. */
function stepLines(migration: Migration, nowMs: number): readonly string[] {
  const steps = stepsOf(migration);
  const over = steps.filter(({ state }) => state === 'Succeeded' || state === 'Skipped');
  const undone = steps.filter(({ state }) => state === 'Undone');
  const now = steps.filter(({ state }) => state === 'Running' || state === 'Failed');
  const next = steps.filter(({ state }) => state === 'Pending');
  const names = next.slice(0, nextMax).map(({ name }) => name);
  const rest = next.length - names.length;
  return [
    ...(over.length === 0 ? [] : [`  done     ${over.length} of ${steps.length} steps`]),
    ...(undone.length === 0 ? [] : [`  undone   ${undone.length} steps`]),
    ...now.slice(0, runningMax).flatMap((step) => runningLines(step, nowMs)),
    ...(names.length === 0 || undone.length > 0
      ? []
      : [`  next     ${names.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`]),
  ];
}

function runningLines(step: StepState, nowMs: number): readonly string[] {
  const { name, state, startTime, progress = [] } = step;
  const message = stepMessage(step, nowMs);
  const since = startTime === undefined ? '' : ` ${formatAge(nowMs - Date.parse(startTime))}`;
  const about = message === undefined ? '' : `: ${message}`;
  const word = state === 'Failed' ? 'failed' : 'now';
  const more = progress.length - progressMax;
  return [
    `  ${word.padEnd(8)} ${name}${since}${about}`,
    ...progress.slice(0, progressMax).map((line) => `           ${line}`),
    ...(more > 0 ? [`           and ${more} more`] : []),
  ];
}

function notesOf(migration: Migration): readonly string[] {
  const { spec, status = {} } = migration;
  const warnings = status.warnings?.length ?? 0;
  const standing = standingOf(migration);
  const back = standing === 'TakingBack' ? stepTakenBack(migration) : undefined;
  const message =
    standing === 'Waiting' || standing === 'Pending' ? messageOf(migration) : undefined;
  return [
    ...(message === undefined ? [] : [`  waits    ${message}`]),
    ...(back?.message === undefined ? [] : [`  back     ${back.message}`]),
    ...(spec.paused === true ? ['  paused   no further step begins'] : []),
    ...(spec.holdBefore === undefined ? [] : [`  hold     before ${spec.holdBefore}`]),
    ...(warnings === 0 ? [] : [`  warnings ${warnings}`]),
  ];
}

function lineOf(migration: Migration, view: ProgressView): string {
  const message = saidBy(migration);
  const parts = [
    `${view.title} ${view.phase} ${view.percent}`,
    ...(view.totalBytes > 0
      ? [`${formatBytes(view.doneBytes)} of ${formatBytes(view.totalBytes)}`]
      : []),
    ...(view.bytesPerSecond > 0 ? [formatRate(view.bytesPerSecond)] : []),
    ...(view.etaMs === undefined ? [] : [`${formatAge(view.etaMs)} left`]),
    ...(message === undefined ? [] : [message]),
  ];
  return cellText(parts.join(', '));
}

function cut(line: string, columns: number): string {
  return line.length < columns ? line : line.slice(0, Math.max(0, columns - 1));
}
