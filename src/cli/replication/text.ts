/** A replication as people read it: where it stands, its checks, its steps, what to do. Pure. */
import type { Decision, Replication } from '../../api/kinds/replication.ts';
import { endsText } from '../../api/replication-ends.ts';
import { formatAge, formatBytes, formatDuration } from '../../base/units.ts';
import type { Field } from '../api/printing.ts';
import { conditionOf } from '../api/waiting.ts';
import { since } from '../columns.ts';
import { type Picture, renderBar } from '../progress.ts';
import { cellText, type Column, renderFields, renderTable } from '../table.ts';

type Check = NonNullable<NonNullable<Replication['status']>['checks']>[number];
type Step = NonNullable<NonNullable<Replication['status']>['itinerary']>[number];

/** As a person types them. */
export const decisionWords: Readonly<Record<Decision, string>> = {
  Remediate: 'remediate',
  Recheck: 'recheck',
  ProceedAnyway: 'proceed-anyway',
  Stop: 'stop',
};

const meanings: Readonly<Record<Decision, string>> = {
  Remediate: 'correct what can be corrected, and start if nothing else is in the way',
  Recheck: 'look again, after changes of your own',
  ProceedAnyway: 'start in spite of the checks',
  Stop: 'end it; `replicate run` begins again',
};

export function isOver({ status }: Replication): boolean {
  const phase = status?.phase ?? '';
  return ['Done', 'Stopped', 'Halted', 'Waiting'].includes(phase);
}

/** Those that say something; all of them when `all`. */
export function checksText({ status }: Replication, all = false): string {
  const found = (status?.checks ?? []).filter(({ message }) => all || message !== undefined);
  const { compatible = 0, actionable = 0, incompatible = 0 } = status ?? {};
  const sum = `${compatible} compatible, ${actionable} actionable, ${incompatible} incompatible`;
  const table = found.length === 0 ? '' : `${renderTable(checkColumns, found, plain)}`;
  return `Checks: ${sum}\n${table}`;
}

const plain = { wide: false } as const;

const checkColumns: readonly Column<Check>[] = [
  { header: 'CHECK', value: ({ name }) => name },
  { header: 'RESULT', value: ({ result }) => result },
  { header: 'FOUND', value: ({ message = '' }) => message },
  {
    header: 'TO DO',
    value: ({ fix, remedy = '' }) => (fix === undefined ? remedy : `fix: ${fix}`),
  },
];

const stepColumns: readonly Column<Step>[] = [
  { header: 'STEP', value: ({ name }) => name },
  { header: 'STATE', value: ({ state }) => state },
  { header: 'MESSAGE', value: ({ message = '' }) => message },
];

function field(label: string, value: string | undefined): readonly Field[] {
  return value === undefined || value === '' ? [] : [[label, value]];
}

/** All that `replicate show` prints. */
export function replicationText(
  one: Replication,
  { nowMs, words }: { readonly nowMs: number; readonly words: (line: string) => string },
): string {
  const { metadata, spec, status = {} } = one;
  const { itinerary = [], notes = [], resources = [], backups = [] } = status;
  const pairs = spec.namespaces.map(({ name, to = name }) =>
    name === to ? name : `${name} to ${to}`,
  );
  const { from, to } = endsText(spec);
  const head = renderFields([
    ['Name', `${metadata.namespace}/${metadata.name}`],
    ['From', from],
    ['To', to],
    ['Namespaces', pairs.join(', ')],
    ['State', [status.state, status.phase].filter((word) => word !== undefined).join(', ')],
    ...field('Message', conditionOf(one, 'Succeeded')?.message),
    ...field('Job', status.jobId),
    ...field('Workloads', spec.workloads),
    ...field('Continuous', spec.continuous && `every ${spec.continuous}`),
    ...field(
      'Lag',
      status.lagSeconds === undefined ? undefined : formatAge(status.lagSeconds * 1000),
    ),
    ...field('In sync', conditionOf(one, 'InSync')?.message),
    ...field('Restored', status.restored),
    ...field('Replicated', summaryOf(one)),
    ['Began', since(status.startTime, nowMs)],
    ...field('Ended', status.completionTime),
  ]);
  const shown = itinerary.filter(({ state }) => state !== 'Skipped');
  return [
    head,
    (status.checks ?? []).length === 0 ? '' : `\n${checksText(one)}`,
    shown.length === 0 ? '' : `\n${renderTable(stepColumns, shown, plain)}`,
    backups.length === 0 ? '' : `\n${renderTable(backupColumns, backups, plain)}`,
    resources.length === 0 ? '' : `\n${renderTable(resourceColumns, resources, plain)}`,
    section('Notes', notes),
    section('What to do', adviceFor(one, words)),
  ].join('');
}

type Backup = NonNullable<NonNullable<Replication['status']>['backups']>[number];

const backupColumns: readonly Column<Backup>[] = [
  { header: 'BACKUP', value: ({ name }) => name },
  { header: 'TIME', value: ({ time }) => time },
  { header: 'OBJECTS', value: ({ objects }) => String(objects) },
  { header: 'VOLUMES', value: ({ volumes }) => String(volumes) },
  { header: 'SIZE', value: ({ bytes }) => formatBytes(bytes) },
  { header: 'ADDED', value: ({ addedBytes }) => formatBytes(addedBytes) },
];

type Resource = NonNullable<NonNullable<Replication['status']>['resources']>[number];

const resourceColumns: readonly Column<Resource>[] = [
  { header: 'RESOURCE', value: ({ resource }) => resource },
  { header: 'THERE', value: ({ replicated, total }) => `${replicated} of ${total}` },
  { header: 'KEPT', value: ({ kept = 0 }) => String(kept) },
  { header: 'FAILED', value: ({ failed = 0 }) => String(failed) },
];

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `\n${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

/** What came out of the last run that succeeded. */
export function summaryOf({ status = {} }: Replication): string {
  const { objects, volumes, images, bytes, wireBytes, seconds } = status.report ?? {};
  const wire = wireBytes === undefined ? '' : ` (${formatBytes(wireBytes)} on the wire)`;
  return [
    ...counted(objects, 'object'),
    ...counted(volumes, 'volume'),
    ...counted(images, 'image'),
    ...(bytes === undefined || bytes === 0 ? [] : [`${formatBytes(bytes)}${wire}`]),
    ...(seconds === undefined ? [] : [`in ${formatDuration(seconds * 1000)}`]),
  ].join(', ');
}

function counted(count: number | undefined, what: string): readonly string[] {
  if (count === undefined || count === 0) return [];
  return [`${count} ${what}${count === 1 ? '' : 's'}`];
}

/** Commands that make sense now, and what each does. */
export function adviceFor(one: Replication, words: (line: string) => string): readonly string[] {
  const { name } = one.metadata;
  const { offers = [], phase } = one.status ?? {};
  const decisions = offers.map((decision) => {
    const line = words(`replicate decide ${name} ${decisionWords[decision]}`);
    return `${meanings[decision]}:  ${line}`;
  });
  const isIdle = phase === 'Done' || phase === 'Stopped' || phase === 'Waiting';
  const isChecked = one.spec.onlyCheck === true && phase === 'Halted';
  const again = isIdle ? `replicate again, what differs:  ${words(`replicate run ${name}`)}` : '';
  const start = isChecked ? `replicate:  ${words(`replicate run ${name}`)}` : '';
  return [...decisions, ...[again, start].filter((line) => line !== '')];
}

/** One that is at work, as it is drawn again and again, or as one line. */
export function pictureOf(one: Replication): Picture {
  const { metadata, status = {} } = one;
  const { totalBytes = 0, copiedBytes = 0, bytesPerSecond = 0, percent = 0 } = status;
  const left = Math.max(0, totalBytes - copiedBytes);
  const said = conditionOf(one, 'Succeeded')?.message ?? '';
  const phase = status.step ?? status.phase ?? 'Pending';
  const view = {
    title: metadata.name ?? '',
    phase,
    percent: `${percent}%`,
    doneBytes: copiedBytes,
    totalBytes,
    bytesPerSecond: left > 0 ? bytesPerSecond : 0,
    etaMs: left > 0 && bytesPerSecond > 0 ? (left / bytesPerSecond) * 1000 : undefined,
    lanes: [],
    trouble: undefined,
  };
  return {
    key: `${phase} ${said.replaceAll(/[\d.]+/g, '#')}`,
    lines: (columns) => {
      const bar = renderBar(view, columns);
      const shown = totalBytes > 0 ? bar : bar.slice(0, 1);
      return said === '' ? shown : [...shown, `  ${cellText(said).slice(0, columns - 3)}`];
    },
    line: () => cellText(`${view.title} ${phase} ${percent}%, ${said}`),
  };
}
