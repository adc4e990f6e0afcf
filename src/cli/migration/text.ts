/** A migration as people read it: where it stands, its steps, what was copied, what to do. Pure. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Migration } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { formatAge, formatBytes, formatDuration, formatRate } from '../../base/units.ts';
import type { StepState } from '../../flow/state.ts';
import type { Field } from '../api/printing.ts';
import { since, spanOf } from '../columns.ts';
import { cellText, type Column, renderFields, renderTable } from '../table.ts';
import { messageOf, percentNow, standingOf, stepNow, stepsOf } from './standing.ts';

/** What belongs to one migration. */
export interface Parts {
  readonly migration: Migration;
  readonly volumes: readonly VolumeTransfer[];
  readonly images: readonly ImageTransfer[];
}

export interface Reading {
  readonly nowMs: number;
  /** What a person may do about it. */
  readonly advice: readonly string[];
}

/** All that `migration show` prints. */
export function migrationText(parts: Parts, reading: Reading): string {
  const { migration } = parts;
  return [
    headText(migration, reading.nowMs),
    stepsText(stepsOf(migration), reading.nowMs),
    volumesText(parts.volumes),
    imagesText(parts.images),
    section('Warnings', migration.status?.warnings ?? []),
    section('What to do', reading.advice),
  ].join('');
}

/** In the words of people. */
const standingWords: Readonly<Record<ReturnType<typeof standingOf>, string>> = {
  Pending: 'not begun yet',
  Running: 'running',
  Waiting: 'waiting',
  Paused: 'paused',
  Held: 'held',
  TakingBack: 'taking back what was changed',
  Succeeded: 'succeeded',
  Failed: 'failed',
  NeedsRollback: 'only a rollback leads back',
  PutBack: 'failed; all was put back',
  Canceled: 'canceled; all was put back',
};

function headText(migration: Migration, nowMs: number): string {
  const { metadata, spec, status = {} } = migration;
  return renderFields([
    ['Name', `${metadata.namespace}/${metadata.name}`],
    ['Plan', spec.plan],
    ['Type', spec.type],
    ['State', stateText(migration)],
    ...said('Source', status.display?.source),
    ...said('Target', status.display?.target),
    ...choicesOf(migration),
    ['Progress', progressText(migration)],
    ...said('Lag', status.lagSeconds === undefined ? undefined : seconds(status.lagSeconds)),
    ...said('Downtime', downtimeOf(migration)),
    ['Began', since(status.startTime, nowMs)],
    ...said('Ended', endText(migration)),
    ['Created', since(metadata.creationTimestamp, nowMs)],
  ]);
}

function said(label: string, value: string | undefined): readonly Field[] {
  return value === undefined || value === '' ? [] : [[label, value]];
}

function stateText(migration: Migration): string {
  const standing = standingOf(migration);
  const step = stepNow(migration);
  const isNamed = ['Running', 'Waiting', 'Paused', 'Held'].includes(standing) && step !== undefined;
  const where = isNamed ? `: ${standing === 'Held' ? 'before ' : ''}${step.name}` : '';
  const isSaid = standing === 'Succeeded' || standing === 'Canceled';
  const message = isSaid ? undefined : messageOf(migration);
  return `${standingWords[standing]}${where}${message === undefined ? '' : `: ${message}`}`;
}

/** Only what differs from the usual. */
function choicesOf({ spec }: Migration): readonly Field[] {
  const choices = [
    ...(spec.quiesce === undefined ? [] : [spec.quiesce ? 'quiesce' : 'no quiesce']),
    ...(spec.verify === false ? ['no verify'] : []),
    ...(spec.type === 'Rollback' && spec.keepData === false ? ['no keep-data'] : []),
    ...(spec.sandbox === undefined ? [] : [`suffix ${spec.sandbox}`]),
    ...(spec.paused === true ? ['paused'] : []),
    ...(spec.holdBefore === undefined ? [] : [`hold before ${spec.holdBefore}`]),
    ...(spec.canceled === true ? ['canceled'] : []),
  ];
  return said('Choices', choices.join(', '));
}

function progressText(migration: Migration): string {
  const { totalBytes = 0, copiedBytes = 0, bytesPerSecond = 0 } = migration.status ?? {};
  const { display = {} } = migration.status ?? {};
  const bytes =
    totalBytes === 0 ? '' : `, ${formatBytes(copiedBytes)} of ${formatBytes(totalBytes)}`;
  const rate = bytesPerSecond === 0 ? '' : `, ${display.rate ?? formatRate(bytesPerSecond)}`;
  return `${percentNow(migration)}%${bytes}${rate}`;
}

function downtimeOf({ status = {} }: Migration): string | undefined {
  const { downtimeMilliseconds } = status;
  return downtimeMilliseconds === undefined ? undefined : formatDuration(downtimeMilliseconds);
}

function endText({ status = {} }: Migration): string | undefined {
  const { startTime, completionTime } = status;
  if (completionTime === undefined) return undefined;
  return startTime === undefined
    ? completionTime
    : `${completionTime} (after ${spanOf(Date.parse(startTime), Date.parse(completionTime))})`;
}

function seconds(count: number): string {
  return formatDuration(count * 1000);
}

/** How long a step took, or has been at work; undefined where that is not known. */
export function tookMs(step: StepState, nowMs: number): number | undefined {
  const { state, startTime, completionTime } = step;
  // One that was taken back ended long before its last time.
  if (startTime === undefined || state === 'Undone') return undefined;
  const endMs = completionTime === undefined ? nowMs : Date.parse(completionTime);
  return Math.max(0, endMs - Date.parse(startTime));
}

function tookText(step: StepState, nowMs: number): string | undefined {
  const ms = tookMs(step, nowMs);
  if (ms === undefined || step.state === 'Pending') return undefined;
  // Milliseconds matter only where there are no minutes.
  return formatDuration(ms < 60_000 ? ms : Math.round(ms / 1000) * 1000);
}

/** A step that does not get on says for how long. */
export function stepMessage(step: StepState, nowMs: number): string | undefined {
  const { state, message, failure, blockedTime } = step;
  const isBlocked = state === 'Running' && blockedTime !== undefined;
  const blocked = isBlocked ? `(for ${formatAge(nowMs - Date.parse(blockedTime))}) ` : '';
  const said = message ?? failure;
  return said === undefined ? undefined : `${blocked}${said}`;
}

/** A row for each step, and below it a line for each thing it works on. */
function stepsText(steps: readonly StepState[], nowMs: number): string {
  if (steps.length === 0) return '';
  const columns: readonly Column<StepState>[] = [
    { header: '  STEP', value: ({ name }) => `  ${name}` },
    { header: 'STATE', value: ({ state }) => state },
    { header: 'TOOK', value: (step) => tookText(step, nowMs) ?? '-' },
    { header: 'MESSAGE', value: (step) => stepMessage(step, nowMs) ?? '-' },
  ];
  const [header = '', ...rows] = renderTable(columns, steps, { wide: false }).split('\n');
  const lines = steps.map((step, at) => {
    const progress = (step.progress ?? []).map((line) => `    ${cellText(line)}\n`).join('');
    return `${rows[at]!.replace(/( +-)+$/, '')}\n${progress}`;
  });
  return `Steps:\n${header}\n${lines.join('')}`;
}

function volumesText(volumes: readonly VolumeTransfer[]): string {
  if (volumes.length === 0) return '';
  const columns: readonly Column<VolumeTransfer>[] = [
    {
      header: '  CLAIM',
      value: ({ spec }) => `  ${spec.source.namespace}/${spec.source.claim}`,
    },
    { header: 'PASS', value: ({ spec }) => spec.pass ?? 'Ahead' },
    { header: 'METHOD', value: ({ status, spec }) => status?.method ?? spec.method },
    { header: 'PHASE', value: ({ status }) => status?.phase ?? 'Pending' },
    { header: 'PROGRESS', value: ({ status }) => status?.progress },
    { header: 'BYTES', value: ({ status }) => bytesText(status?.copiedBytes) },
    { header: 'ATTEMPTS', value: ({ status }) => String(status?.attempts ?? 0) },
  ];
  const declines = volumes.flatMap(({ spec, status }) =>
    (status?.declined ?? []).map(({ method, reason, message }) => {
      const claim = `${spec.source.namespace}/${spec.source.claim}`;
      return `    ${claim}: not by ${method}: ${cellText(reason)}: ${cellText(message)}\n`;
    }),
  );
  const once = [...new Set(declines)].join('');
  const why = once === '' ? '' : `  Methods that decline:\n${once}`;
  return `Volumes:\n${renderTable(columns, volumes, { wide: false })}${why}`;
}

function imagesText(images: readonly ImageTransfer[]): string {
  if (images.length === 0) return '';
  const columns: readonly Column<ImageTransfer>[] = [
    { header: '  IMAGE', value: ({ spec }) => `  ${spec.source.reference}` },
    { header: 'PHASE', value: ({ status }) => status?.phase ?? 'Pending' },
    { header: 'PROGRESS', value: ({ status }) => status?.progress },
    { header: 'LAYERS', value: ({ status }) => layersText(status) },
    { header: 'DIGEST', value: ({ status }) => status?.digest?.slice(0, 19) },
  ];
  return `Images:\n${renderTable(columns, images, { wide: false })}`;
}

function layersText(status: ImageTransfer['status']): string | undefined {
  const { layers, layersPresent = 0 } = status ?? {};
  return layers === undefined ? undefined : `${layers} (${layersPresent} there before)`;
}

function bytesText(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : formatBytes(bytes);
}

function section(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return `${title}:\n${lines.map((line) => `  ${cellText(line)}\n`).join('')}`;
}
