import type { Command } from 'commander';
import type { VolumeObject } from '../../api/objects.ts';
import { checkName } from '../../base/names.ts';
import { formatSize, parseBlockSize, parseVolumeSize } from '../../base/units.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { watchObjects } from '../watching.ts';

/** create, list, show, resize, delete. */
export function volumeCommands(registry: Registry, volume: Command): void {
  create(registry, volume);
  list(registry, volume);
  resize(registry, volume);
  remove(registry, volume);
}

interface CreateOptions {
  readonly size: number;
  readonly blockSize?: number;
  readonly historyPolicy?: string;
  readonly pool?: string;
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
      shared.pool(),
    ],
    examples: [
      ['transship volume create db --size 10Gi', 'a volume of 10 GiB'],
      [
        'transship volume create db --size 1Ti --block-size 16Ki --history-policy one-hour',
        'for a database with 16 KiB pages; every second of the last hour can be restored',
      ],
    ],
    run: async (cli, [name], options) => {
      checkName(name!, 'volume');
      const client = await cli.client();
      const made = await client.call('volume.create', {
        name: name!,
        sizeBytes: options.size,
        ...given('blockBytes', options.blockSize),
        ...given('historyPolicy', options.historyPolicy),
        ...given('pool', options.pool),
      });
      await cli.printDone(made, 'created');
    },
  });
}

function list(registry: Registry, volume: Command): void {
  add<{ readonly watch?: boolean }>(registry, volume, {
    name: 'list',
    about: 'volumes of the cluster',
    options: [shared.watch()],
    examples: [
      ['transship volume list -o wide', 'with pool, source, snapshots and root'],
      ['transship volume list -w', 'and whenever one changes'],
    ],
    run: async (cli, _args, options) => {
      const client = await cli.client();
      if (options.watch === true) return watchObjects(cli, client, 'volume.watch', {});
      await cli.printList(
        await client.call('volume.list', {}),
        'No volumes yet. Make one: transship volume create NAME --size 10Gi',
      );
      return undefined;
    },
  });
  add<{ readonly watch?: boolean }>(registry, volume, {
    name: 'show',
    about: 'everything about one volume',
    args: [['<volume>', 'the volume', 'volume']],
    options: [shared.watch()],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      if (options.watch === true) {
        return watchObjects(cli, client, 'volume.watch', { name: name! });
      }
      await cli.printOne(await client.call('volume.show', { name: name! }));
      return undefined;
    },
  });
}

function resize(registry: Registry, volume: Command): void {
  add<{ readonly size: number; readonly force?: boolean }>(registry, volume, {
    name: 'resize',
    about: 'change the size; the content stays',
    args: [['<volume>', 'the volume', 'volume']],
    options: [
      option('--size <size>', 'the new size', { parse: parseVolumeSize, mandatory: true }),
      option('--force', 'allow shrinking, which cuts off what lies behind the new end'),
    ],
    examples: [['transship volume resize db --size 20Gi', 'then grow the file system on it']],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const before = await client.call('volume.show', { name: name! });
      if (options.size < before.status.sizeBytes && options.force === true) {
        const cutBytes = before.status.sizeBytes - options.size;
        await cli.confirm([`Shrinking ${name} cuts off its last ${formatSize(cutBytes)}.`]);
      }
      const after = await client.call('volume.resize', {
        name: name!,
        sizeBytes: options.size,
        ...given('force', options.force),
      });
      await cli.printDone(after, `resized to ${after.spec.size}`);
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
      const client = await cli.client();
      const volumes: VolumeObject[] = [];
      for (const name of names) volumes.push(await client.call('volume.show', { name }));
      await confirmDelete(cli, volumes);
      for (const name of names) {
        const gone = await client.call('volume.delete', {
          name,
          ...given('force', options.force),
        });
        await cli.printDone(gone, 'deleted');
      }
    },
  });
}

async function confirmDelete(cli: Cli, volumes: readonly VolumeObject[]): Promise<void> {
  await cli.confirm([
    'This deletes for ever:',
    ...volumes.map(({ metadata, spec, status }) => {
      const parts = [
        `${spec.size}, ${formatSize(status.allocatedBytes)} used`,
        ...(status.snapshots > 0 ? [`${status.snapshots} snapshots`] : []),
        ...(status.oldestRestorable === undefined
          ? []
          : [`history since ${status.oldestRestorable}`]),
        ...(status.leasedBy.length > 0 ? [`read by ${status.leasedBy.join(', ')}`] : []),
        ...(status.phase === 'Available' ? [] : ['a teleport that is not finished']),
      ];
      return `  volume/${metadata.name} (${parts.join(', ')})`;
    }),
  ]);
}
