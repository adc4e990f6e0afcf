/** A plan as people read it: what moves and how, what was checked, what it takes. */
import type { Plan, PlanStatus } from '../../api/kinds/plan.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import { since } from '../columns.ts';
import { cellText, type Column, renderFields, renderTable } from '../table.ts';
import { conditionOf } from './waiting.ts';

type FoundVolume = NonNullable<PlanStatus['volumes']>[number];
type Check = NonNullable<PlanStatus['checks']>[number];

/** From what stops a migration to what is good to know. */
const categories = ['Critical', 'Error', 'Required', 'Warning', 'Advisory'] as const;

/** All that `plan show` prints. */
export function planText(plan: Plan, nowMs: number): string {
  return [
    head(plan, nowMs),
    volumesText(plan),
    checksText(plan.status?.checks ?? []),
    troubleText(plan),
  ].join('');
}

function head(plan: Plan, nowMs: number): string {
  const { metadata, spec, status = {} } = plan;
  const ready = conditionOf(plan, 'Ready');
  const namespaces = spec.namespaces
    .map(({ name, to }) => (to === undefined || to === name ? name : `${name} -> ${to}`))
    .join(', ');
  const hooks = (spec.hooks ?? []).map(({ hook, phase }) => `${hook}@${phase}`).join(', ');
  return renderFields([
    ['Name', `${metadata.namespace}/${metadata.name}`],
    ['Ready', readyText(ready)],
    ['Type', status.type ?? spec.type],
    ['Source', spec.source],
    ['Destination', spec.destination],
    ...(spec.repository === undefined ? [] : [['Repository', spec.repository] as const]),
    ['Namespaces', namespaces],
    ['Images', spec.images ?? 'Auto'],
    ['Quiesce', spec.quiesce === false ? 'no' : 'yes'],
    ...(spec.bandwidth === undefined ? [] : [['Limit', spec.bandwidth] as const]),
    ...(hooks === '' ? [] : [['Hooks', hooks] as const]),
    ...(spec.closed === true ? [['Closed', 'yes'] as const] : []),
    ['Totals', totalsText(status)],
    ['Estimate', estimateText(status)],
    ['Migrations', status.migrations?.join(', ')],
    ['Created', since(metadata.creationTimestamp, nowMs)],
  ]);
}

function readyText(ready: ReturnType<typeof conditionOf>): string {
  if (ready === undefined) return 'not looked at yet';
  const { status, reason, message } = ready;
  return status === 'True'
    ? 'yes'
    : `${status === 'False' ? 'no' : 'unknown'}: ${reason}: ${message}`;
}

function totalsText({ totals }: PlanStatus): string | undefined {
  if (totals === undefined) return undefined;
  const { namespaces = 0, resources = 0, volumes = 0, images = 0, bytes = 0 } = totals;
  return (
    `${namespaces} namespaces, ${resources} objects, ${volumes} volumes, ` +
    `${images} images, ${formatBytes(bytes)}`
  );
}

function estimateText({ estimate }: PlanStatus): string | undefined {
  if (estimate === undefined) return undefined;
  const { bytesToMove, seconds, downtimeSeconds } = estimate;
  const parts = [
    ...(bytesToMove === undefined ? [] : [`${formatBytes(bytesToMove)} to send`]),
    ...(seconds === undefined ? [] : [`${formatDuration(seconds * 1000)} in all`]),
    ...(downtimeSeconds === undefined
      ? []
      : [`${formatDuration(downtimeSeconds * 1000)} of downtime`]),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}

function volumesText({ spec, status = {} }: Plan): string {
  const found = status.volumes ?? [];
  if (found.length === 0) return '';
  const chosen = new Map((spec.volumes ?? []).map((one) => [`${one.namespace}/${one.claim}`, one]));
  const columns: readonly Column<FoundVolume>[] = [
    { header: '  NAMESPACE', value: ({ namespace }) => `  ${namespace}` },
    { header: 'CLAIM', value: ({ claim }) => claim },
    { header: 'CLASS', value: ({ storageClass }) => storageClass },
    { header: 'SIZE', value: ({ capacityBytes }) => bytesText(capacityBytes) },
    { header: 'USED', value: ({ usedBytes }) => bytesText(usedBytes) },
    {
      header: 'ACTION',
      value: ({ namespace, claim }) => chosen.get(`${namespace}/${claim}`)?.action ?? 'Copy',
    },
    { header: 'METHOD', value: ({ method }) => method },
  ];
  const declines = found.flatMap(({ namespace, claim, declined = [] }) =>
    declined.map(
      ({ method, reason, message }) =>
        `    ${namespace}/${claim}: not by ${method}: ${cellText(reason)}: ${cellText(message)}\n`,
    ),
  );
  const why = declines.length === 0 ? '' : `  Methods that decline:\n${declines.join('')}`;
  return `Volumes:\n${renderTable(columns, found, { wide: false })}${why}`;
}

function bytesText(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : formatBytes(bytes);
}

/** Grouped by category, the gravest first; what failed is before what passed. */
export function checksText(checks: readonly Check[]): string {
  if (checks.length === 0) return '';
  const groups = categories.flatMap((category) => {
    const own = checks.filter((one) => one.category === category);
    if (own.length === 0) return [];
    const sorted = [...own.filter(isFailed), ...own.filter((one) => !isFailed(one))];
    return [`  ${category}:\n${sorted.map(checkText).join('')}`];
  });
  return `Checks:\n${groups.join('')}`;
}

function isFailed({ result }: Check): boolean {
  return result === 'Failed';
}

function checkText({ id, result, message, remedy }: Check): string {
  const about = message === undefined ? '' : `: ${cellText(message)}`;
  const isHelpful = result === 'Failed' && remedy !== undefined && remedy !== '';
  const help = isHelpful ? `${' '.repeat(13)}try: ${cellText(remedy)}\n` : '';
  return `    ${result.padEnd(7)}  ${cellText(id)}${about}\n${help}`;
}

function troubleText({ status = {} }: Plan): string {
  const unhealthy = (status.unhealthy ?? []).map(
    ({ namespace, kind, name, because }) =>
      `  ${kind} ${namespace}/${cellText(name)}: ${cellText(because)}\n`,
  );
  const incompatible = (status.incompatible ?? []).map(
    ({ resource, objects, message }) =>
      `  ${cellText(resource)} (${objects} objects): ${cellText(message)}\n`,
  );
  return [
    unhealthy.length === 0 ? '' : `Not healthy at the source:\n${unhealthy.join('')}`,
    incompatible.length === 0 ? '' : `Not served at the destination:\n${incompatible.join('')}`,
  ].join('');
}
