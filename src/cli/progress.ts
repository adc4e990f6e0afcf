/**
 * Progress on stderr: bars that redraw on a terminal, timestamped lines elsewhere. It draws what
 * it is told, newest only; it never goes backwards because it keeps nothing but the last view.
 */
import type { JobObject, TeleportObject } from '../api/objects.ts';
import type { Clock } from '../base/ports.ts';
import { formatAge, formatBytes, formatMoment, formatRate } from '../base/units.ts';
import { jobPercent, percentOf, trouble } from './columns.ts';
import type { Terminal } from './ports.ts';

export interface Lane {
  readonly label: string;
  readonly bytes: number;
}

export interface ProgressView {
  readonly title: string;
  readonly phase: string;
  /** 0 … 100 with a per cent sign. */
  readonly percent: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly etaMs: number | undefined;
  readonly lanes: readonly Lane[];
  readonly trouble: string | undefined;
}

/** As an agent tells it. */
export function teleportView(teleport: TeleportObject): ProgressView {
  const { progress, phase, conditions } = teleport.status;
  return {
    title: teleport.metadata.name,
    phase,
    percent: teleportPercent(teleport.status),
    doneBytes: progress.totalBytes - progress.missingBytes,
    totalBytes: progress.totalBytes,
    bytesPerSecond: progress.bytesPerSecond,
    etaMs: progress.etaMs,
    lanes: [
      { label: 'on demand', bytes: progress.demandBytes },
      { label: 'background', bytes: progress.backgroundBytes },
      { label: 'there before', bytes: progress.presentBytes },
    ],
    trouble: trouble(conditions),
  };
}

function teleportPercent(status: TeleportObject['status']): string {
  if (status.phase === 'Initializing') return '0%';
  if (status.phase === 'Available') return '100%';
  if (status.phase !== 'Accessible') return '<none>';
  const { totalBytes, missingBytes } = status.progress;
  const percent = percentOf(totalBytes - missingBytes, totalBytes);
  // Nothing missing but not yet `Available`: the closing check still runs.
  return percent === '100%' ? '99%' : percent;
}

export function jobView(job: JobObject, bytesPerSecond: number): ProgressView {
  const { doneBytes, totalBytes, phase } = job.status;
  const leftBytes = totalBytes - doneBytes;
  return {
    title: `${job.spec.type} ${job.spec.target}`,
    phase,
    percent: jobPercent(job),
    doneBytes,
    totalBytes,
    bytesPerSecond,
    etaMs: bytesPerSecond > 0 ? (leftBytes / bytesPerSecond) * 1000 : undefined,
    lanes: [],
    trouble: undefined,
  };
}

const barWidthMax = 40;
const barWidthMin = 5;
/** "100%  1023.9 MiB/s  59m59s left": kept free, so that the bar does not change its width. */
const factsWidth = 31;

/** The lines of a bar for a terminal `columns` wide; no line is longer. */
export function renderBar(view: ProgressView, columns: number): readonly string[] {
  const title = `${view.title}  ${view.phase}`;
  const width = Math.min(barWidthMax, columns - 1 - title.length - factsWidth - 6);
  const bar = width >= barWidthMin ? `  ${barOf(view, width)}` : '';
  const facts = [
    view.percent.padStart(4),
    ...(view.bytesPerSecond > 0 ? [formatRate(view.bytesPerSecond)] : []),
    ...(hasEta(view) ? [`${formatAge(view.etaMs)} left`] : []),
  ].join('  ');
  const amount = `${formatBytes(view.doneBytes)} of ${formatBytes(view.totalBytes)}`;
  const lanes = view.lanes.length === 0 ? '' : `: ${lanesOf(view.lanes)}`;
  const lines = [`${title}${bar}  ${facts}`, `  ${amount}${lanes}`];
  if (view.trouble !== undefined) lines.push(`  trouble: ${view.trouble}`);
  return lines.map((line) => (line.length < columns ? line : line.slice(0, columns - 1)));
}

function hasEta(view: ProgressView): view is ProgressView & { readonly etaMs: number } {
  return view.etaMs !== undefined && view.percent !== '100%';
}

function barOf(view: ProgressView, width: number): string {
  const filled = Math.floor((Number.parseInt(view.percent, 10) / 100) * width);
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
}

function lanesOf(lanes: readonly Lane[]): string {
  return lanes.map((lane) => `${lane.label} ${formatBytes(lane.bytes)}`).join(', ');
}

/** One line for logs, pipes and dumb terminals. */
export function renderLine(view: ProgressView, nowMs: number): string {
  return `${secondOf(nowMs)} ${lineOf(view)}`;
}

function secondOf(nowMs: number): string {
  return formatMoment(Math.floor(nowMs / 1000) * 1000);
}

function lineOf(view: ProgressView): string {
  const parts = [
    `${view.title} ${view.phase} ${view.percent}`,
    `${formatBytes(view.doneBytes)} of ${formatBytes(view.totalBytes)}`,
    ...view.lanes.map((lane) => `${lane.label} ${formatBytes(lane.bytes)}`),
    ...(view.bytesPerSecond > 0 ? [formatRate(view.bytesPerSecond)] : []),
    ...(hasEta(view) ? [`${formatAge(view.etaMs)} left`] : []),
    ...(view.trouble === undefined ? [] : [`trouble: ${view.trouble}`]),
  ];
  return parts.join(', ');
}

/** What is drawn: lines that replace those before on a terminal, one line elsewhere. */
export interface Picture {
  /** A new key is news: its line is printed at once. */
  readonly key: string;
  lines(columns: number): readonly string[];
  /** Without the time, which is put in front of it. */
  line(): string;
}

/** Between two lines of the same phase where bars are not possible. */
const lineEveryMs = 5000;
/** The same words again only say that it goes on. */
const sameEveryMs = 60_000;

export class ProgressPainter {
  readonly #terminal: Terminal;
  readonly #clock: Clock;
  readonly #bars: boolean;
  #drawnLines = 0;
  #lastLineMs = Number.NEGATIVE_INFINITY;
  #lastKey = '';
  #lastText = '';

  constructor(terminal: Terminal, clock: Clock, bars: boolean) {
    this.#terminal = terminal;
    this.#clock = clock;
    this.#bars = bars;
  }

  /** False: lines are printed one after the other, and stay. */
  get isDrawing(): boolean {
    return this.#bars;
  }

  show(view: ProgressView): void {
    this.paint({
      key: `${view.title} ${view.phase} ${view.trouble ?? ''}`,
      lines: (columns) => renderBar(view, columns),
      line: () => lineOf(view),
    });
  }

  paint(picture: Picture): void {
    if (this.#bars) this.#redraw(picture.lines(this.#terminal.columns));
    else this.#line(picture);
  }

  /** Leaves the last picture standing; what is printed next starts on its own line. */
  end(): void {
    this.#drawnLines = 0;
    this.#lastKey = '';
    this.#lastText = '';
  }

  #redraw(lines: readonly string[]): void {
    // Up to the first line of the last picture, then clear to the end of the screen.
    const up = this.#drawnLines > 0 ? `\u001b[${this.#drawnLines}A\r\u001b[J` : '';
    this.#terminal.err(`${up}${lines.join('\n')}\n`);
    this.#drawnLines = lines.length;
  }

  #line({ key, line }: Picture): void {
    const nowMs = this.#clock.monotonicMs();
    const text = line();
    const sinceMs = nowMs - this.#lastLineMs;
    const isNews = key !== this.#lastKey || sinceMs >= lineEveryMs;
    if (!isNews || (text === this.#lastText && sinceMs < sameEveryMs)) return;
    this.#lastKey = key;
    this.#lastText = text;
    this.#lastLineMs = nowMs;
    this.#terminal.err(`${secondOf(this.#clock.wallMs())} ${text}\n`);
  }
}

/** Bytes a second over the last few samples, so that one slow moment does not swing the figure. */
export class RateMeter {
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  sample(atMs: number, bytes: number): number {
    this.#samples.push({ atMs, bytes });
    if (this.#samples.length > 20) this.#samples.shift();
    const first = this.#samples[0]!;
    const seconds = (atMs - first.atMs) / 1000;
    return seconds > 0 ? Math.max(0, (bytes - first.bytes) / seconds) : 0;
  }
}
