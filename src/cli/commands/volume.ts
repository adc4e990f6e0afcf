import type { Command } from 'commander';
import { resources } from '../../api/kinds/resources.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { fail, TransshipError } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import {
  exactSize,
  formatBytes,
  formatMoment,
  formatSize,
  parseBlockSize,
  parseVolumeSize,
} from '../../base/units.ts';
import {
  asking,
  type Field,
  printChanged,
  printGone,
  printListed,
  printObject,
} from '../api/printing.ts';
import {
  agentView,
  checkUnused,
  deleteVolume,
  findVolume,
  lookAgain,
  whenReady,
  whenSynced,
} from '../api/volumes.ts';
import { choosePools, Room } from '../../controllers/pool/moves.ts';
import { checkPools, everyOne, everyPool } from '../api/replicas.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { type MomentOptions, momentOf } from '../moment.ts';

const { volumes } = resources;

/** create, list, show, resize, delete, clone. */
export function volumeCommands(registry: Registry, volume: Command): void {
  create(registry, volume);
  list(registry, volume);
  resize(registry, volume);
  remove(registry, volume);
  clone(registry, volume);
}

interface CreateOptions {
  readonly size: number;
  readonly blockSize?: number;
  readonly historyPolicy?: string;
  readonly pool?: readonly string[];
  readonly replicas?: number;
}

function create(registry: Registry, volume: Command): void {
  add<CreateOptions>(registry, volume, {
    name: 'create',
    about: 'make an empty volume; it takes space only for what is written',
    args: [['<name>', 'its name: lower-case letters, digits, dots, hyphens']],
    options: [
      option('--size <size>', 'from 1Mi to 64Ti, for example 10Gi', {
        parse: parseVolumeSize,
        mandatory: true,
      }),
      option('--block-size <size>', '4Ki, 8Ki, 16Ki, 32Ki, 64Ki (default) or 128Ki', {
        parse: parseBlockSize,
      }),
      shared.policy(),
      option('--pool <pool>', 'the pool; repeated, one for each replica', {
        completes: 'pool',
        parse: (text, before) => [...((before as readonly string[] | undefined) ?? []), text],
      }),
      option('--replicas <count>', 'so many, in the emptiest pools of different nodes', {
        parse: parseReplicas,
      }),
    ],
    examples: [
      ['transship volume create db --size 10Gi', 'a volume of 10 GiB'],
      ['transship volume create db --size 10Gi --replicas 3', 'it survives the loss of a node'],
      [
        'transship volume create db --size 1Ti --block-size 16Ki --history-policy one-hour',
        'for a database with 16 KiB pages; every second of the last hour can be restored',
      ],
    ],
    run: async (cli, [name], options) => {
      checkName(name!, 'volume');
      const { size, blockSize } = options;
      const pools = await replicaPools(cli, options);
      await make(cli, name!, {
        size: exactSize(size),
        ...given('blockSize', blockSize === undefined ? undefined : blockSizeOf(blockSize)),
        ...given('historyPolicy', options.historyPolicy),
        ...given(
          'replicas',
          pools?.map((pool) => ({ pool })),
        ),
      });
    },
  });
}

function parseReplicas(text: string): number {
  if (/^[1-8]$/.test(text)) return Number(text);
  return fail('BadArgument', `'${text}' is no number of replicas from 1 to 8`);
}

/** Undefined: one, wherever there is room. */
async function replicaPools(
  cli: Cli,
  { pool, replicas }: CreateOptions,
): Promise<readonly string[] | undefined> {
  if (pool !== undefined && replicas !== undefined && pool.length !== replicas) {
    fail('BadArgument', `--replicas ${replicas} with ${pool.length} pools: give one of the two`);
  }
  if (pool !== undefined) {
    const { client } = await cli.api();
    // Of several pools it matters whose they are; one may be made known later.
    if (pool.length > 1) checkPools(pool, await everyPool(client));
    return pool;
  }
  if (replicas === undefined || replicas === 1) return undefined;
  const { client } = await cli.api();
  const room = new Room(await everyPool(client), await everyOne(client, volumes));
  const chosen = choosePools(replicas, room);
  if (chosen instanceof TransshipError) throw chosen;
  return chosen;
}

function blockSizeOf(bytes: number): NonNullable<Volume['spec']['blockSize']> {
  return exactSize(bytes) as NonNullable<Volume['spec']['blockSize']>;
}

/** Makes a volume and waits until it can be used. */
async function make(cli: Cli, name: string, spec: Volume['spec']): Promise<void> {
  const { client } = await cli.api();
  const made = await client.create(volumes, { metadata: { name }, spec });
  const goesOn = lookAgain(`volume show ${name}`, client);
  const object = await whenReady(cli, client, { type: volumes, made, goesOn });
  await printChanged(cli, client, { type: volumes, object }, 'created');
}

function list(registry: Registry, volume: Command): void {
  add<{ readonly watch?: boolean }>(registry, volume, {
    name: 'list',
    about: 'volumes of the cluster',
    options: [shared.watch()],
    examples: [
      ['transship volume list -o wide', 'with history, snapshots and what is missing'],
      ['transship volume list -w', 'and whenever one changes'],
    ],
    run: async (cli, _args, { watch }) => {
      const { client } = await cli.api();
      const whenEmpty = 'No volumes yet. Make one: transship volume create NAME --size 10Gi';
      await printListed(cli, client, asking(volumes), { whenEmpty, watch });
    },
  });
  add<{ readonly watch?: boolean }>(registry, volume, {
    name: 'show',
    about: 'everything about one volume',
    args: [['<volume>', 'the volume', 'volume']],
    options: [shared.watch()],
    run: async (cli, [name], { watch }) => {
      const { client } = await cli.api();
      if (watch === true) {
        const whenEmpty = `There is no volume ${name}.`;
        return printListed(cli, client, asking(volumes, { name: name! }), { whenEmpty, watch });
      }
      const place = { type: volumes, key: { namespace: '', name: name! } };
      await printObject(cli, client, place, fieldsOf);
      return undefined;
    },
  });
}

/** What the columns leave out. */
function fieldsOf({ spec, status }: Volume): readonly Field[] {
  const source = spec.source?.teleport;
  const clone = spec.source?.clone;
  const doors = status?.doors ?? [];
  const leasedBy = status?.leasedBy ?? [];
  const used = status?.usage?.logicalBytes;
  return [
    ...(status?.replicaSet === undefined
      ? []
      : [['Leader', `${status.replicaSet.leader}, epoch ${status.replicaSet.epoch}`] as const]),
    ['Used', used === undefined ? undefined : formatSize(used)],
    ['Block-size', spec.blockSize],
    ['Root', status?.root],
    ...(source === undefined ? [] : [['Source', `${source.cluster}/${source.volume}`] as const]),
    ...(clone === undefined ? [] : [['Clone-of', clone.volume] as const]),
    ...(doors.length === 0 ? [] : [['Open-by', doors.join(', ')] as const]),
    ...(leasedBy.length === 0 ? [] : [['Read-by', leasedBy.join(', ')] as const]),
  ];
}

function resize(registry: Registry, volume: Command): void {
  add<{ readonly size: number }>(registry, volume, {
    name: 'resize',
    about: 'make a volume larger; the content stays',
    args: [['<volume>', 'the volume', 'volume']],
    options: [option('--size <size>', 'the new size', { parse: parseVolumeSize, mandatory: true })],
    details: 'A volume can grow but never shrink: clone or copy to a smaller one instead.',
    examples: [['transship volume resize db --size 20Gi', 'then grow the file system on it']],
    run: async (cli, [name], { size }) => {
      const { client } = await cli.api();
      const before = await findVolume(client, name!);
      const nowBytes = before.status?.sizeBytes ?? 0;
      if (size < nowBytes) {
        const told = `volume ${name} has ${exactSize(nowBytes)}, more than ${exactSize(size)}`;
        fail('BadSize', `${told}; a volume can grow but never shrink`);
      }
      const key = { namespace: '', name: name! };
      const changed = await client.patch(volumes, key, { spec: { size: exactSize(size) } });
      const object = await whenSynced(cli, client, changed, ({ status }) => {
        return (status?.sizeBytes ?? 0) >= size;
      });
      await printChanged(cli, client, { type: volumes, object }, `resized to ${exactSize(size)}`);
    },
  });
}

function remove(registry: Registry, volume: Command): void {
  add<{ readonly force?: boolean }>(registry, volume, {
    name: 'delete',
    about: 'delete a volume with its snapshots and its history',
    args: [['<volume...>', 'one or more volumes', 'volume']],
    options: [
      option('--force', 'also while a teleport reads it: its data stays until the lease ends'),
    ],
    examples: [
      ['transship volume delete old', 'shows what goes, and asks'],
      ['transship volume delete old --yes', 'in a script'],
    ],
    run: async (cli, names, options) => {
      const { client } = await cli.api();
      const found: Volume[] = [];
      for (const name of names) found.push(await findVolume(client, name));
      await confirmDelete(cli, found);
      const force = options.force === true;
      for (const one of found) {
        if (!force) checkUnused(one, await agentView(cli, one.metadata.name ?? ''));
      }
      for (const one of found) {
        await deleteVolume(cli, client, one, force);
        await printGone(cli, one, 'deleted');
      }
    },
  });
}

async function confirmDelete(cli: Cli, doomed: readonly Volume[]): Promise<void> {
  await cli.confirm([
    'This deletes for ever:',
    ...doomed.map(({ metadata, spec, status = {} }) => {
      const { snapshots = 0, oldestRestorableTime, leasedBy = [], missingBytes = 0 } = status;
      const parts = [
        `${status.size ?? spec.size ?? '?'}, ${formatSize(status.usage?.logicalBytes ?? 0)} used`,
        ...(snapshots > 0 ? [`${snapshots} snapshots`] : []),
        ...(oldestRestorableTime === undefined ? [] : [`history since ${oldestRestorableTime}`]),
        ...(leasedBy.length > 0 ? [`read by ${leasedBy.join(', ')}`] : []),
        ...(missingBytes > 0 ? [`${formatBytes(missingBytes)} have not arrived yet`] : []),
      ];
      return `  volume/${metadata.name} (${parts.join(', ')})`;
    }),
  ]);
}

interface CloneOptions extends MomentOptions {
  readonly historyPolicy?: string;
}

/** Room for the time behind the name of a source. */
const cloneNameMax = 52;

function clone(registry: Registry, volume: Command): void {
  add<CloneOptions>(registry, volume, {
    name: 'clone',
    about: 'a new, independent volume from a moment of another; instant',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['[name]', 'of the clone (default: the volume and the time)'],
    ],
    options: [shared.at(), shared.snapshot(), shared.policy()],
    details: 'A clone is crash-consistent: as if the power had failed at that moment.',
    examples: [
      ['transship volume clone db db-test', 'the content of now'],
      ['transship volume clone db db-before --at 2026-01-31T12:00:00Z', 'of a second in the past'],
    ],
    run: async (cli, [volumeName, name], options) => {
      if (name !== undefined) checkName(name, 'volume');
      const { atMs, snapshot } = momentOf(cli, options);
      const seconds = Math.floor((atMs ?? cli.nowMs()) / 1000);
      const source = {
        volume: checkName(volumeName!, 'volume'),
        ...given('time', atMs === undefined ? undefined : formatMoment(atMs)),
        ...given('snapshot', snapshot),
      };
      await make(cli, name ?? `${volumeName!.slice(0, cloneNameMax)}-${seconds}`, {
        source: { clone: source },
        ...given('historyPolicy', options.historyPolicy),
      });
    },
  });
}
