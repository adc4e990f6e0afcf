import type { Command } from 'commander';
import type { ChangesObject } from '../../api/changes-object.ts';
import type { ControlClient } from '../../api/control-client.ts';
import type { RequestOf } from '../../api/control.ts';
import { fail } from '../../base/errors.ts';
import { exactSize, formatBytes, parseSize } from '../../base/units.ts';
import { add, given, option, type Registry } from '../command.ts';
import type { Cli } from '../context.ts';

interface ChangedOptions {
  readonly to: string;
  readonly from?: string;
  readonly offset?: number;
  readonly max?: number;
}

type Range = ChangesObject['status']['ranges'][number];

/** changed: for who copies or backs up a volume by its snapshots. */
export function volumeChangedCommand(registry: Registry, volume: Command): void {
  add<ChangedOptions>(registry, volume, {
    name: 'changed',
    about: 'which parts of a volume changed between two snapshots; no data is read',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option('--to <snapshot>', 'the later snapshot', { completes: 'snapshot', mandatory: true }),
      option('--from <snapshot>', 'the earlier one (default: all that holds data in --to)', {
        completes: 'snapshot',
      }),
      option('--offset <size>', 'begin here instead of at 0', { parse: parseSize }),
      option('--max <count>', 'so many ranges at most, then say where to go on', {
        parse: parseMax,
      }),
    ],
    details:
      'Copy these ranges out of --to over a copy of --from, and it is --to; it needs the size ' +
      'of --to first. A range that was discarded is listed too: it reads as zeroes. Ranges are ' +
      'whole blocks of the volume. Backup software gets the same through CSI (snapshot metadata).',
    examples: [
      ['transship volume changed db --from monday --to tuesday', 'what a backup has to read'],
      ['transship volume changed db --to monday -o json', 'all that holds data, in bytes'],
    ],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const request = {
        volume: name!,
        snapshot: options.to,
        ...given('from', options.from),
        ...given('offset', options.offset),
      };
      const format = cli.options.output;
      const asObject = format === 'json' || format === 'yaml' || format === 'name';
      if (asObject) return cli.print(await allOf(client, request, options.max));
      return show(cli, client, { request, max: options.max });
    },
  });
}

function parseMax(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  return fail('BadArgument', `'${text}' is no number of ranges`);
}

type ChangedRequest = RequestOf<'volume.changed'>;

async function* piecesOf(
  client: ControlClient,
  request: ChangedRequest,
  max = Number.POSITIVE_INFINITY,
): AsyncGenerator<ChangesObject> {
  let left = max;
  let { offset } = request;
  do {
    const bound = Number.isFinite(left) ? { rangesMax: left } : {};
    const asked = { ...request, ...given('offset', offset), ...bound };
    const piece: ChangesObject = await client.call('volume.changed', asked);
    yield piece;
    left -= piece.status.ranges.length;
    offset = piece.status.nextOffset;
  } while (offset !== undefined && left > 0);
}

/** One object; ranges that only the end of a piece had cut in two are one again. */
async function allOf(
  client: ControlClient,
  request: ChangedRequest,
  max: number | undefined,
): Promise<ChangesObject> {
  const ranges: { offset: number; lengthBytes: number }[] = [];
  let last: ChangesObject | undefined;
  for await (const piece of piecesOf(client, request, max)) {
    for (const range of piece.status.ranges) {
      const before = ranges.at(-1);
      const touches = before !== undefined && before.offset + before.lengthBytes === range.offset;
      if (touches) before.lengthBytes += range.lengthBytes;
      else ranges.push({ ...range });
    }
    last = piece;
  }
  const { status, ...rest } = last ?? fail('Internal', 'the agent answered nothing');
  return { ...rest, status: { ...status, ranges } };
}

/** Line by line, so that millions of them need no memory. */
async function show(
  cli: Cli,
  client: ControlClient,
  { request, max }: { readonly request: ChangedRequest; readonly max: number | undefined },
): Promise<undefined> {
  const line = (offset: string, length: string): void => cli.out(`${offset.padEnd(16)}${length}\n`);
  line('OFFSET', 'LENGTH');
  let [count, bytes] = [0, 0];
  let last: ChangesObject | undefined;
  for await (const piece of piecesOf(client, request, max)) {
    last = piece;
    const rows: readonly Range[] = piece.status.ranges;
    for (const { offset, lengthBytes } of rows) {
      line(exactSize(offset), exactSize(lengthBytes));
      bytes += lengthBytes;
    }
    count += rows.length;
  }
  const { sizeBytes = 0, nextOffset } = last?.status ?? {};
  cli.note(`${count} ranges, ${formatBytes(bytes)} of ${formatBytes(sizeBytes)}`);
  if (nextOffset !== undefined) cli.note(`There is more: --offset ${nextOffset}`);
  return undefined;
}
