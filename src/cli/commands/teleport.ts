import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { TeleportObject } from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { isReason } from '../../base/reasons.ts';
import { formatBytes } from '../../base/units.ts';
import { add, given, option, type RateOption, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import type { ControlClient } from '../../api/control-client.ts';
import { runJob, watchObjects, watchTeleport } from '../watching.ts';
import { type MomentOptions, momentOf } from './volume-data.ts';

/** start, list, show, watch, cancel, fill. */
export function teleportCommands(registry: Registry, teleport: Command): void {
  start(registry, teleport);
  look(registry, teleport);
  watch(registry, teleport);
  change(registry, teleport);
}

interface StartOptions extends MomentOptions, RateOption {
  readonly from?: string;
  readonly to?: string;
  readonly name?: string;
  readonly thin?: boolean;
  readonly historyPolicy?: string;
  readonly pool?: string;
  readonly fromImage?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly watch?: boolean;
}

const startOptions = () => [
  option('--from <cluster>', 'where the volume is', { completes: 'cluster' }),
  option('--to <cluster>', 'where it should be (default: --cluster)', { completes: 'cluster' }),
  option('--name <name>', 'its name over there (default: the same)'),
  shared.at(),
  shared.snapshot(),
  option('--thin', 'fetch only what is touched, until `teleport fill`'),
  shared.policy(),
  shared.rate(),
  shared.pool(),
  option('--from-image <path>', 'first bring the source volume to this raw or qcow2 image', {
    completes: 'file',
  }),
  shared.wait('the volume is Available (Accessible when thin)'),
  shared.timeout(),
  option('-w, --watch', 'show progress until it is done'),
];

function start(registry: Registry, teleport: Command): void {
  add<StartOptions>(registry, teleport, {
    name: 'start',
    about: 'make a volume of one cluster usable in another at once; its data follows',
    args: [['<volume>', 'the volume at the source', 'volume']],
    options: startOptions(),
    isDefault: true,
    details:
      'The volume is Accessible (readable and writable) after one exchange, whatever its size,\n' +
      'and Available when nothing is missing. `teleport VOLUME` is `teleport start VOLUME`.',
    examples: [
      ['transship teleport db --from east --to west', 'usable at west in a moment'],
      ['transship teleport db --from east --to west --wait', 'and wait until all is there'],
      ['transship teleport db --from east --to west --at 5m --name db-5m', 'as it was'],
      ['transship teleport vm --from east --to west --from-image vm.qcow2', 'any image'],
    ],
    run: async (cli, [volume], options) => {
      checkName(volume!, 'volume');
      if (options.name !== undefined) checkName(options.name, 'volume');
      const moment = momentOf(cli, options);
      const { source, client } = await ends(cli, options);
      if (options.fromImage !== undefined) {
        await readImage(cli, source, { volume: volume!, path: options.fromImage });
      }
      const started = await client.call('teleport.start', {
        cluster: source,
        volume: volume!,
        ...moment,
        ...given('name', options.name),
        ...given('thin', options.thin),
        ...given('historyPolicy', options.historyPolicy),
        ...given('bytesPerSecond', options.rate?.bytesPerSecond),
        ...given('pool', options.pool),
      });
      return afterStart(cli, client, started, options);
    },
  });
}

/** The source's name and the destination's agent. */
async function ends(
  cli: Cli,
  options: StartOptions,
): Promise<{ readonly source: string; readonly client: ControlClient }> {
  const client = options.to === undefined ? await cli.client() : cli.clientOf(options.to);
  if (options.from === undefined) {
    const { items } = await client.call('cluster.list', {});
    const peers = items.filter((item) => !item.spec.local).map((item) => item.metadata.name);
    const known = peers.length === 0 ? 'it has no peers yet' : `peers: ${peers.join(', ')}`;
    fail('BadArgument', `say where the volume is: --from CLUSTER (${known})`);
  }
  if (options.from === client.cluster) {
    fail('BadArgument', 'source and destination are the same; `volume clone` copies inside one');
  }
  return { source: checkName(options.from, 'cluster'), client };
}

/** The image becomes, or updates, the volume at the source; unchanged blocks cost a hash each. */
async function readImage(
  cli: Cli,
  source: string,
  image: { readonly volume: string; readonly path: string },
): Promise<void> {
  const path = resolve(cli.ports.workingDirectory, image.path);
  const request = { name: image.volume, path, update: true };
  await runJob(cli, cli.clientOf(source), 'volume.import', request);
}

async function afterStart(
  cli: Cli,
  client: ControlClient,
  started: TeleportObject,
  options: StartOptions,
): Promise<undefined> {
  const name = started.metadata.name;
  if (options.wait !== true && options.watch !== true && options.timeout === undefined) {
    await cli.printDone(started, started.status.phase);
    if (started.status.phase !== 'Available') {
      cli.note(`See its data follow: transship teleport watch ${name} --cluster ${client.cluster}`);
    }
    return undefined;
  }
  const until = options.thin === true ? 'Accessible' : 'Available';
  const timeout = options.timeout === undefined ? {} : { timeoutMs: options.timeout };
  return finish(cli, await watchTeleport(cli, client, name, { until, ...timeout }));
}

async function finish(cli: Cli, done: TeleportObject): Promise<undefined> {
  const { phase, progress, accessibleAfterMs, conditions } = done.status;
  if (phase === 'Failed' || phase === 'Canceled') {
    const reason = conditions.find((condition) => condition.status === 'False');
    const word = phase === 'Canceled' ? 'Canceled' : (reason?.reason ?? 'Internal');
    const text = reason?.message ?? `teleport ${done.metadata.name} is ${phase}`;
    fail(isReason(word) ? word : 'Internal', text);
  }
  await cli.printDone(done, phase);
  const fetched = formatBytes(progress.demandBytes + progress.backgroundBytes);
  const wire = formatBytes(progress.wireBytes);
  const ms = accessibleAfterMs === undefined ? '' : `accessible after ${accessibleAfterMs} ms, `;
  cli.note(`${ms}fetched ${fetched} as ${wire} on the wire`);
  return undefined;
}

function look(registry: Registry, teleport: Command): void {
  add<Record<string, never>>(registry, teleport, {
    name: 'list',
    about: 'teleports to this cluster',
    run: async (cli) => {
      const client = await cli.client();
      await cli.printList(await client.call('teleport.list', {}), 'No teleports to this cluster.');
    },
  });
  add<Record<string, never>>(registry, teleport, {
    name: 'show',
    about: 'one teleport: phase, progress, conditions',
    args: [['<teleport>', 'its name is that of the volume', 'teleport']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      await cli.printOne(await client.call('teleport.show', { name: name! }));
    },
  });
}

function watch(registry: Registry, teleport: Command): void {
  add<{ readonly timeout?: number }>(registry, teleport, {
    name: 'watch',
    about: 'progress until nothing is missing; Ctrl-C stops watching only',
    args: [['<teleport>', 'its name is that of the volume', 'teleport']],
    options: [shared.timeout()],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      if (cli.options.output !== undefined) {
        return watchObjects(cli, client, 'teleport.watch', { name: name! });
      }
      const timeout = options.timeout === undefined ? {} : { timeoutMs: options.timeout };
      return finish(cli, await watchTeleport(cli, client, name!, timeout));
    },
  });
}

interface FillOptions extends RateOption {
  readonly wait?: boolean;
  readonly timeout?: number;
}

function change(registry: Registry, teleport: Command): void {
  add<Record<string, never>>(registry, teleport, {
    name: 'cancel',
    about: 'stop a teleport and delete its destination volume; the source stays as it is',
    args: [['<teleport>', 'its name is that of the volume', 'teleport']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      const { spec } = await client.call('teleport.show', { name: name! });
      await cli.confirm([
        `This deletes volume ${spec.destination.volume} at ${spec.destination.cluster},`,
        `with what was written to it. Volume ${spec.source.volume} at ` +
          `${spec.source.cluster} stays as it is.`,
      ]);
      await cli.printDone(await client.call('teleport.cancel', { name: name! }), 'canceled');
    },
  });
  add<FillOptions>(registry, teleport, {
    name: 'fill',
    about: 'fetch all that a thin teleport left at the source',
    args: [['<teleport>', 'its name is that of the volume', 'teleport']],
    options: [shared.rate(), shared.wait('nothing is missing'), shared.timeout()],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      const request = { name: name!, ...given('bytesPerSecond', options.rate?.bytesPerSecond) };
      const filling = await client.call('teleport.fill', request);
      if (options.wait !== true && options.timeout === undefined) {
        return cli.printDone(filling, 'filling');
      }
      const timeout = options.timeout === undefined ? {} : { timeoutMs: options.timeout };
      return finish(cli, await watchTeleport(cli, client, name!, timeout));
    },
  });
}
