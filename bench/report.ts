/** The result as a table on the terminal and as bench/RESULTS.md. */
import { rowTexts } from './goals.ts';
import { type Check, isMeasured, isMet, type Measured, type Outcome, type Series } from './row.ts';
import { spreadOf } from './stats.ts';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memory: string;
  readonly kernel: string;
  readonly disk: string;
  readonly node: string;
  readonly versions: readonly string[];
  readonly date: string;
  readonly quick: boolean;
  readonly minutes: number;
  readonly load: string;
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString('en-US');
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  if (size >= 0.1) return value.toFixed(2);
  return value.toFixed(4);
}

function seriesText({ name, unit, values }: Series): string {
  return `${name} ${number(spreadOf(values).median)} ${unit}`;
}

function checkText({ what, values, unit }: Check): string {
  const { median, min, max } = spreadOf(values);
  const of = unit === undefined ? '×' : ` ${unit}`;
  const range = values.length > 1 ? ` (${number(min)}–${number(max)})` : '';
  return `${what} ${number(median)}${of}${range}`;
}

function goalText({ goal, unit }: Check): string {
  if (goal === undefined) return '–';
  const of = unit === undefined ? '×' : ` ${unit}`;
  return `${goal.sense === 'least' ? '≥' : '≤'} ${goal.limit}${of}`;
}

function verdict(check: Check, words: { readonly met: string; readonly missed: string }): string {
  if (check.goal === undefined) return '–';
  return isMet(check) ? words.met : words.missed;
}

const whatOf = (row: string): string => rowTexts[row]?.what ?? row;

interface Line {
  readonly what: string;
  readonly measured: string;
  readonly goal: string;
  readonly met: string;
}

function linesOf(outcome: Outcome): Line[] {
  const what = whatOf(outcome.row);
  if (!isMeasured(outcome)) {
    const met = outcome.failed ? 'FAILED' : 'skipped';
    return [{ what, measured: outcome.why, goal: '', met }];
  }
  return outcome.checks.map((check, i) => ({
    what: i === 0 ? what : '',
    measured: checkText(check),
    goal: goalText(check),
    met: verdict(check, { met: 'met', missed: 'MISSED' }),
  }));
}

export function printTable(outcomes: readonly Outcome[]): string {
  const lines = outcomes.flatMap(linesOf);
  const head: Line = { what: 'WHAT', measured: 'MEASURED (MEDIAN, RANGE)', goal: 'GOAL', met: '' };
  const all = [head, ...lines];
  const width = (key: keyof Line) => Math.max(...all.map((line) => line[key].length));
  const widths = { what: width('what'), measured: width('measured'), goal: width('goal') };
  const text = all.map(({ what, measured, goal, met }) =>
    [what.padEnd(widths.what), measured.padEnd(widths.measured), goal.padEnd(widths.goal), met]
      .join('  ')
      .trimEnd(),
  );
  return [...text, '', summary(outcomes)].join('\n');
}

export function summary(outcomes: readonly Outcome[]): string {
  const all = outcomes.filter(isMeasured).flatMap(({ checks }) => checks);
  const checks = all.filter(({ goal }) => goal !== undefined);
  const met = checks.filter(isMet).length;
  const others = outcomes.filter((outcome) => !isMeasured(outcome));
  const failed = others.filter((outcome) => !isMeasured(outcome) && outcome.failed).length;
  const skipped = others.length - failed;
  return (
    `${met} of ${checks.length} goals met` +
    (skipped > 0 ? `, ${skipped} rows skipped` : '') +
    (failed > 0 ? `, ${failed} rows FAILED` : '')
  );
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

function tableOf(outcomes: readonly Outcome[]): string[] {
  const rows = outcomes.map((outcome) => {
    const { what, against } = rowTexts[outcome.row] ?? { what: outcome.row, against: '' };
    if (!isMeasured(outcome)) {
      const why = outcome.failed ? `failed: ${outcome.why}` : `skipped: ${outcome.why}`;
      return `| ${cell(what)} | ${cell(against)} | | ${cell(why)} | | |`;
    }
    const { ours, peers, checks } = outcome;
    const medians = [ours, ...peers].map(seriesText).join('; ');
    const cells = [
      what,
      against,
      medians,
      checks.map(checkText).join('; '),
      checks.map(goalText).join('; '),
      checks.map((check) => verdict(check, { met: 'yes', missed: '**no**' })).join('; '),
    ];
    return `| ${cells.map(cell).join(' | ')} |`;
  });
  return [
    '| what | against | medians | median of the ratios (range) | goal | met |',
    '|---|---|---|---|---|---|',
    ...rows,
  ];
}

/** Markdown wraps by itself, but nobody likes to read or diff long lines. */
function wrap(text: string, indent = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > 118 - indent.length) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].join(`\n${indent}`);
}

function methodOf(outcome: Outcome): string[] {
  const text = rowTexts[outcome.row];
  if (text === undefined) return [];
  const beside = isMeasured(outcome) ? (outcome.beside ?? []).map(seriesText) : [];
  const also = beside.length === 0 ? '' : ` Beside it: ${beside.join('; ')}.`;
  return [`- ${wrap(`**${text.what}**: ${text.method}${also}`, '  ')}`];
}

function missedOf(outcomes: readonly Outcome[]): string[] {
  const missed = outcomes
    .filter(isMeasured)
    .filter(({ checks }) => checks.some((check) => !isMet(check)))
    .map((outcome) => ({ outcome, text: rowTexts[outcome.row] }));
  if (missed.length === 0) return ['All goals were met in this run.'];
  return missed.map(({ outcome, text }) => {
    const by = outcome.checks.filter((check) => !isMet(check));
    const numbers = by.map((check) => `${checkText(check)}, goal ${goalText(check)}`).join('; ');
    const why = text?.argument ?? 'Not met in this run; nobody has looked into it yet.';
    return `- ${wrap(`**${text?.what ?? outcome.row}** (${numbers}): ${why}`, '  ')}`;
  });
}

function machineOf(machine: Machine, outcomes: readonly Outcome[]): string[] {
  const rounds = outcomes.filter(isMeasured).map(({ ours }: Measured) => ours.values.length);
  const least = Math.min(...rounds.filter((count) => count > 1));
  return [
    `- ${machine.processor}, ${machine.cores} cores, ${machine.memory}, ${machine.disk}`,
    `- ${machine.kernel}, Node.js ${machine.node}; load average at the start ${machine.load}`,
    `- ${wrap(machine.versions.join('; '), '  ')}`,
    `- ${machine.date}, ${machine.quick ? '`--quick`, ' : ''}${number(machine.minutes)} minutes, ` +
      `${least} to ${Math.max(...rounds)} rounds with the contenders taking turns`,
  ];
}

/** Of a run of some sections, to be put into the document by hand. */
export function sectionsDocument(machine: Machine, outcomes: readonly Outcome[]): string {
  return [
    ...machineOf(machine, outcomes),
    '',
    ...tableOf(outcomes),
    '',
    ...missedOf(outcomes),
    '',
    ...outcomes.flatMap(methodOf),
  ].join('\n');
}

export function resultsDocument(machine: Machine, outcomes: readonly Outcome[]): string {
  return [
    '# Results',
    '',
    'Written by `npm run bench`. Every row measured us and the others in turns in one run on one',
    'machine, on the same disk, durable at the end on both sides. Only ratios say something about',
    'other machines.',
    '',
    ...machineOf(machine, outcomes),
    '',
    `**${summary(outcomes)}.**`,
    '',
    ...tableOf(outcomes),
    '',
    '## Goals missed',
    '',
    ...missedOf(outcomes),
    '',
    '## How each row was measured',
    '',
    ...outcomes.flatMap(methodOf),
    '',
  ].join('\n');
}
