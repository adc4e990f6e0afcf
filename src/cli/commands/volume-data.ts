import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { JobObject, ReportObject, SnapshotObject } from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { exitCodes } from '../../base/reasons.ts';
import { exactSize, formatBytes, parseBlockSize } from '../../base/units.ts';
import { findingColumns } from '../columns.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { listOf } from '../../api/objects.ts';
import { renderFields, renderTable } from '../table.ts';
import { jobView, RateMeter } from '../progress.ts';
import { type MomentOptions, momentOf } from '../moment.ts';
import { apiBeside, printVolume } from '../api/beside.ts';
import { runJob } from '../watching.ts';

/** import, export, snapshot, history, restore, trace, verify. */
export function volumeDataCommands(registry: Registry, volume: Command): void {
  importImage(registry, volume);
  exportImage(registry, volume);
  snapshot(registry, volume);
  history(registry, volume);
  restore(registry, volume);
  trace(registry, volume);
  verify(registry, volume);
}

interface ImportOptions {
  readonly format?: string;
  readonly blockSize?: number;
  readonly historyPolicy?: string;
  readonly pool?: string;
  readonly update?: boolean;
}

function importImage(registry: Registry, volume: Command): void {
  add<ImportOptions>(registry, volume, {
    name: 'import',
    about: 'fill a new volume from a raw file, a block device or a disk image',
    args: [
      ['<volume>', 'the volume to make'],
      ['<path>', 'file or device, read by the agent', 'file'],
    ],
    options: [
      option('--format <format>', 'raw, qcow2 or anything qemu-img reads (default: detected)'),
      option('--block-size <size>', 'as for create', { parse: parseBlockSize }),
      option('--update', 'bring an existing volume to the content of the image'),
      shared.policy(),
      shared.pool(),
    ],
    details: 'The image must not change while it is read; when it does, the import is refused.',
    examples: [
      ['transship volume import db disk.raw', 'a raw image; holes stay holes'],
      ['transship volume import db disk.qcow2', 'through qemu-nbd'],
      ['transship volume import db /dev/vg0/db --format raw', 'a block device nobody writes to'],
    ],
    run: async (cli, [name, path], options) => {
      checkName(name!, 'volume');
      const client = await cli.client();
      const api = await apiBeside(cli);
      const job = await runJob(cli, client, 'volume.import', {
        name: name!,
        path: resolve(cli.ports.workingDirectory, path!),
        ...given('format', options.format),
        ...given('blockBytes', options.blockSize),
        ...given('historyPolicy', options.historyPolicy),
        ...given('pool', options.pool),
        ...given('update', options.update),
      });
      noteJob(cli, job);
      await printVolume(cli, api, { name: name!, verb: 'imported' });
    },
  });
}

function noteJob(cli: Cli, job: JobObject): void {
  const facts = Object.entries(job.status.result ?? {});
  const text = facts.map(([key, value]) => {
    return `${key} ${typeof value === 'number' ? formatBytes(value) : String(value)}`;
  });
  if (text.length > 0) cli.note(text.join(', '));
}

interface ExportOptions extends MomentOptions {
  readonly format?: string;
  readonly overwrite?: boolean;
}

function exportImage(registry: Registry, volume: Command): void {
  add<ExportOptions>(registry, volume, {
    name: 'export',
    about: 'write a volume, or a moment of it, to a file or device',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['<path>', 'written by the agent; holes stay holes', 'file'],
    ],
    options: [
      shared.at(),
      shared.snapshot(),
      option('--format <format>', 'raw (default), qcow2 or another that qemu-img writes'),
      option('--overwrite', 'replace a file that is there; needed for devices'),
    ],
    examples: [
      ['transship volume export db disk.raw', 'the content of now'],
      [
        'transship volume export db disk.qcow2 --format qcow2 --at 5m',
        'as it was five minutes ago',
      ],
    ],
    run: async (cli, [name, path], options) => {
      const client = await cli.client();
      const target = resolve(cli.ports.workingDirectory, path!);
      if (options.overwrite === true) {
        await cli.confirm([`This replaces what is in ${target}.`]);
      }
      const job = await runJob(cli, client, 'volume.export', {
        volume: name!,
        path: target,
        ...momentOf(cli, options),
        ...given('format', options.format),
        ...given('overwrite', options.overwrite),
      });
      await cli.printDone(job, `wrote ${target}`);
    },
  });
}

interface SnapshotOptions {
  readonly trace?: boolean;
  readonly list?: boolean;
  readonly delete?: boolean;
}

function snapshot(registry: Registry, volume: Command): void {
  add<SnapshotOptions>(registry, volume, {
    name: 'snapshot',
    about: 'keep the content of this moment under a name',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['[snapshot]', 'its name (default: from the time)', 'snapshot'],
    ],
    options: [
      option('--trace', 'save with it what was used recently; a teleport then fetches that first'),
      option('--list', 'list the snapshots instead'),
      option('--delete', 'delete the snapshot instead'),
    ],
    examples: [
      ['transship volume snapshot db before-upgrade', 'instant, whatever the size'],
      ['transship volume snapshot db --list', 'what is kept'],
      ['transship volume snapshot db before-upgrade --delete', 'let it go'],
    ],
    run: async (cli, [volumeName, name], options) => {
      const client = await cli.client();
      if (options.list === true) {
        const { status } = await client.call('volume.history', { volume: volumeName! });
        const items = listOf<SnapshotObject>('Snapshot', status.snapshots);
        return cli.printList(items, `No snapshots of ${volumeName}.`);
      }
      if (options.delete === true) {
        if (name === undefined) fail('BadArgument', '--delete needs the name of the snapshot');
        await cli.confirm([`This deletes snapshot ${name} of ${volumeName} for ever.`]);
        const request = { volume: volumeName!, name };
        return cli.printDone(await client.call('volume.delete-snapshot', request), 'deleted');
      }
      if (name !== undefined) checkName(name, 'snapshot');
      const made = await client.call('volume.snapshot', {
        volume: volumeName!,
        ...given('name', name),
        ...given('trace', options.trace),
      });
      return cli.printDone(made, 'created');
    },
  });
}

function history(registry: Registry, volume: Command): void {
  add<Record<string, never>>(registry, volume, {
    name: 'history',
    about: 'snapshots and the times that can be restored',
    args: [['<volume>', 'the volume', 'volume']],
    examples: [['transship volume history db', 'how far back --at may reach']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      const answer = await client.call('volume.history', { volume: name! });
      if (cli.options.output !== undefined) return cli.print(answer);
      const { status } = answer;
      const { seconds, minutes, hours, days } = status.retention;
      const kept = `${seconds} by second, ${minutes} by minute, ${hours} by hour, ${days} by day`;
      cli.out(
        renderFields([
          ['Volume', answer.metadata.name],
          ['Policy', `${status.historyPolicy} (${kept})`],
          ['Oldest', status.oldest],
          ['Newest', status.newest],
          ['Points', String(status.points)],
        ]),
      );
      if (status.snapshots.length === 0) return undefined;
      cli.out('\n');
      return cli.print(listOf<SnapshotObject>('Snapshot', status.snapshots));
    },
  });
}

function restore(registry: Registry, volume: Command): void {
  add<MomentOptions>(registry, volume, {
    name: 'restore',
    about: 'put a moment of the past in place of the content; instant',
    args: [['<volume>', 'the volume; nobody may use it', 'volume']],
    options: [shared.at(), shared.snapshot()],
    details: 'What was written since stays restorable while the history policy keeps it.',
    examples: [
      ['transship volume restore db --at 90s', 'as it was ninety seconds ago'],
      ['transship volume restore db --snapshot before-upgrade', 'as the snapshot kept it'],
    ],
    run: async (cli, [name], options) => {
      const moment = momentOf(cli, options);
      if (moment.atMs === undefined && moment.snapshot === undefined) {
        fail('BadArgument', 'say which moment: --at TIME or --snapshot NAME');
      }
      const client = await cli.client();
      const when = options.at ?? `snapshot ${options.snapshot}`;
      const api = await apiBeside(cli);
      await cli.confirm([`This replaces the content of volume ${name} by that of ${when}.`]);
      await client.call('volume.restore', { volume: name!, ...moment });
      await printVolume(cli, api, { name: name!, verb: 'restored' });
    },
  });
}

interface TraceOptions {
  readonly snapshot?: string;
  readonly replay?: boolean;
}

function trace(registry: Registry, volume: Command): void {
  add<TraceOptions>(registry, volume, {
    name: 'trace',
    about: 'what was used recently, most recent first; or bring that near again',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option('--snapshot <name>', 'the trace saved with this snapshot', { completes: 'snapshot' }),
      option('--replay', 'fetch what the trace names before anybody asks for it'),
    ],
    examples: [['transship volume trace db --replay', 'warm a volume that was just teleported']],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const request = { volume: name!, ...given('snapshot', options.snapshot) };
      if (options.replay === true) {
        return cli.printDone(await runJob(cli, client, 'volume.replay', request), 'replayed');
      }
      const answer = await client.call('volume.trace', request);
      const format = cli.options.output;
      if (format === 'json' || format === 'yaml') return cli.print(answer);
      const columns = [
        { header: 'OFFSET', value: (row: Range) => exactSize(row.firstBlock * answer.blockBytes) },
        { header: 'LENGTH', value: (row: Range) => exactSize(row.blocks * answer.blockBytes) },
      ];
      cli.out(renderTable(columns, answer.ranges, { wide: false }));
      return undefined;
    },
  });
}

interface Range {
  readonly firstBlock: number;
  readonly blocks: number;
}

interface VerifyOptions extends MomentOptions {
  readonly with?: string;
  readonly deep?: boolean;
}

function verify(registry: Registry, volume: Command): void {
  add<VerifyOptions>(registry, volume, {
    name: 'verify',
    about: 'check that all of a volume is here, or that it equals one of a peer',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option('--with <cluster[/volume]>', 'compare with that volume: equal roots, equal bytes', {
        completes: 'peer',
      }),
      shared.at(),
      shared.snapshot(),
      option('--deep', 'also read and hash everything that is stored for it'),
    ],
    examples: [
      ['transship volume verify db', 'nothing is missing'],
      ['transship volume verify db --with east', 'and it equals volume db of cluster east'],
    ],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const [cluster, peerVolume] = options.with?.split('/') ?? [];
      const painter = cli.painter();
      const meter = new RateMeter();
      const onEvent = (job: JobObject) => {
        const rate = meter.sample(cli.ports.clock.monotonicMs(), job.status.doneBytes);
        painter.show(jobView(job, rate));
      };
      const request = {
        volume: name!,
        ...momentOf(cli, options),
        ...given('cluster', cluster),
        ...given('peerVolume', peerVolume),
        ...given('deep', options.deep),
      };
      const answer = await cli.watching({ goesOn: 'nothing was changed.' }, async (signal) =>
        client.stream('volume.verify', request, { onEvent, signal }),
      );
      painter.end();
      return printReport(cli, answer);
    },
  });
}

/** A report as a table; exit 3 when a check failed. */
export async function printReport(cli: Cli, answer: ReportObject): Promise<number> {
  const format = cli.options.output;
  if (format === 'json' || format === 'yaml') await cli.print(answer);
  else cli.out(renderTable(findingColumns, answer.findings, { wide: false }));
  for (const finding of answer.findings) {
    if (finding.result !== 'Passed' && finding.remedy !== undefined) {
      cli.note(`  try: ${finding.remedy} (${finding.check})`);
    }
  }
  return answer.passed ? exitCodes.done : exitCodes.refused;
}
