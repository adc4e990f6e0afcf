/** The report of a migration for people, as JSON or YAML, on stdout or in a file. */
import { resolve } from 'node:path';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError } from '../../base/errors.ts';
import { formatBytes, formatDuration, formatRate } from '../../base/units.ts';
import { findMigration } from '../api/migrations.ts';
import type { Field } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import type { Cli } from '../context.ts';
import { cellText, type Column, renderFields, renderTable } from '../table.ts';
import { partsOf } from './parts.ts';
import {
  type ImageReport,
  type MigrationReport,
  reportOf,
  type Side,
  type StepReport,
  type VolumeReport,
} from './report.ts';

/** `AlreadyExists` when the file is there: a record is not written over. */
export async function printReport(cli: Cli, hub: Hub, file: string | undefined): Promise<void> {
  const migration = await findMigration(hub);
  const parts = await partsOf(hub.client, migration);
  const key = { namespace: hub.key.namespace, name: migration.spec.plan };
  // A deleted plan, or no right to read it, leaves two names out.
  const plan = await hub.client.get(resources.plans, key).catch((error: unknown) => {
    if (asTransshipError(error).reason === 'Forbidden') return undefined;
    throw error;
  });
  const report = reportOf(parts, plan, cli.nowMs());
  const text = await textIn(formatOf(cli, file), report);
  if (file === undefined) return cli.out(text);
  const path = resolve(cli.ports.workingDirectory, file);
  await cli.ports.writeText(path, text);
  cli.note(`Written to ${path}`);
  return undefined;
}

type Format = 'text' | 'json' | 'yaml' | 'name';

function formatOf({ options }: Cli, file: string | undefined): Format {
  const { output } = options;
  if (output === 'json' || output === 'yaml' || output === 'name') return output;
  if (file?.endsWith('.json') === true) return 'json';
  return file !== undefined && /\.ya?ml$/.test(file) ? 'yaml' : 'text';
}

async function textIn(format: Format, report: MigrationReport): Promise<string> {
  if (format === 'json') return `${JSON.stringify(report, null, 2)}\n`;
  if (format === 'name') return `migration/${report.metadata.name}\n`;
  if (format === 'text') return reportText(report);
  const yaml = await import('yaml');
  // What is absent in JSON is absent here too.
  return yaml.stringify(JSON.parse(JSON.stringify(report)));
}

/** For people: as `migration show`, with what came out instead of what to do. */
export function reportText(report: MigrationReport): string {
  return [
    renderFields(headOf(report)),
    stepsText(report.steps),
    volumesText(report.volumes),
    auditText(report.volumes),
    imagesText(report.images),
    report.warnings.length === 0
      ? ''
      : `Warnings:\n${report.warnings.map((line) => `  ${cellText(line)}\n`).join('')}`,
  ].join('');
}

function headOf(report: MigrationReport): readonly Field[] {
  const { metadata, totals, reason, message } = report;
  const why =
    reason === undefined || report.result === 'Succeeded' ? '' : `: ${reason}: ${message}`;
  const rate = totals.bytesPerSecond === undefined ? '' : `, ${formatRate(totals.bytesPerSecond)}`;
  return [
    ['Migration', `${metadata.namespace}/${metadata.name}`],
    ['Plan', report.plan],
    ['Type', report.type],
    ['Source', report.source],
    ['Destination', report.destination],
    ['Result', `${report.result}${why}`],
    ['Began', report.startTime],
    ['Ended', report.completionTime ?? `not yet (${report.percent}%)`],
    ['Took', millisecondsText(report.durationMilliseconds)],
    ['Downtime', millisecondsText(report.downtimeMilliseconds) ?? 'not measured'],
    ['Objects', totals.objects === undefined ? 'not counted yet' : String(totals.objects)],
    ['Volumes', `${totals.volumes}, ${totals.verified} of them verified`],
    ['Images', String(totals.images)],
    ['Bytes', `${formatBytes(totals.bytes)}, ${formatBytes(totals.wireBytes)} on the wire${rate}`],
    ['Attempts', String(totals.attempts)],
  ];
}

function millisecondsText(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : formatDuration(ms);
}

function stepsText(steps: readonly StepReport[]): string {
  if (steps.length === 0) return '';
  const columns: readonly Column<StepReport>[] = [
    { header: '  STEP', value: ({ name }) => `  ${name}` },
    { header: 'STATE', value: ({ state }) => state },
    { header: 'TOOK', value: (step) => millisecondsText(step.durationMilliseconds) ?? '-' },
  ];
  return `Steps:\n${renderTable(columns, steps, { wide: false })}`;
}

const claimOf = ({ source }: VolumeReport) => `${source.namespace}/${source.claim}`;

function volumesText(volumes: readonly VolumeReport[]): string {
  if (volumes.length === 0) return '';
  const columns: readonly Column<VolumeReport>[] = [
    { header: '  CLAIM', value: (one) => `  ${claimOf(one)}` },
    { header: 'PASS', value: ({ pass }) => pass },
    { header: 'METHOD', value: ({ action, method }) => (action === 'Move' ? action : method) },
    { header: 'PHASE', value: ({ phase }) => phase },
    { header: 'BYTES', value: ({ copiedBytes }) => bytesText(copiedBytes) },
    { header: 'WIRE', value: ({ wireBytes }) => bytesText(wireBytes) },
    { header: 'RATE', value: (one) => rateText(one.bytesPerSecond) },
    { header: 'TOOK', value: ({ seconds }) => secondsText(seconds) },
    { header: 'ATTEMPTS', value: ({ attempts }) => String(attempts) },
  ];
  return `Volumes:\n${renderTable(columns, volumes, { wide: false })}${troubles(volumes)}`;
}

/** The same of two passes is said once. */
function troubles(volumes: readonly VolumeReport[]): string {
  const lines = volumes.flatMap((one) => [
    ...(one.reason === undefined ? [] : [`${claimOf(one)}: ${one.reason}: ${one.message}`]),
    ...one.declined.map(
      (no) => `${claimOf(one)}: not by ${no.method}: ${no.reason}: ${no.message}`,
    ),
  ]);
  return [...new Set(lines)].map((line) => `    ${cellText(line)}\n`).join('');
}

function auditText(volumes: readonly VolumeReport[]): string {
  const audited = volumes.filter(
    ({ audit }) => audit.source !== undefined || audit.destination !== undefined,
  );
  if (audited.length === 0) return '';
  const lines = audited.map((one) => {
    const verdict =
      one.verified === undefined ? 'not compared' : one.verified ? 'equal' : 'NOT EQUAL';
    return (
      `  ${cellText(claimOf(one))} (${one.pass}): ${verdict}\n` +
      `    source:       ${sideText(one.audit.source)}\n` +
      `    destination:  ${sideText(one.audit.destination)}\n`
    );
  });
  return `Audit:\n${lines.join('')}`;
}

function sideText(side: Side | undefined): string {
  if (side === undefined) return 'not counted';
  const { files, bytes, digest } = side;
  const parts = [
    ...(files === undefined ? [] : [`${files} files or blocks`]),
    ...(bytes === undefined ? [] : [`${bytes} bytes`]),
    ...(digest === undefined ? [] : [digest]),
  ];
  return cellText(parts.join(', '));
}

function imagesText(images: readonly ImageReport[]): string {
  if (images.length === 0) return '';
  const columns: readonly Column<ImageReport>[] = [
    { header: '  IMAGE', value: ({ source }) => `  ${source.reference}` },
    { header: 'PHASE', value: ({ phase }) => phase },
    { header: 'BYTES', value: ({ bytes }) => bytesText(bytes) },
    { header: 'WIRE', value: ({ wireBytes }) => bytesText(wireBytes) },
    { header: 'ATTEMPTS', value: ({ attempts }) => String(attempts) },
    { header: 'DIGEST', value: ({ digest }) => digest },
  ];
  const failed = images.flatMap(({ source, reason, message }) =>
    reason === undefined ? [] : [`    ${cellText(`${source.reference}: ${reason}: ${message}`)}\n`],
  );
  return `Images:\n${renderTable(columns, images, { wide: false })}${failed.join('')}`;
}

function bytesText(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : formatBytes(bytes);
}

function rateText(rate: number | undefined): string | undefined {
  return rate === undefined ? undefined : formatRate(rate);
}

function secondsText(seconds: number | undefined): string | undefined {
  return seconds === undefined ? undefined : formatDuration(seconds * 1000);
}
