import { resolve } from 'node:path';
import type { Command } from 'commander';
import { resources } from '../../api/kinds/resources.ts';
import type { Teleport } from '../../api/kinds/teleport.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { formatMoment } from '../../base/units.ts';
import { volumeThere } from '../api/volumes.ts';
import {
  apiOfSide,
  checkFree,
  checkKnown,
  checkSource,
  clustersOf,
  isFree,
  isLocal,
} from '../api/departure.ts';
import { asking, printChanged, printListed, printObject } from '../api/printing.ts';
import {
  findTeleport,
  hasEnded,
  type Hub,
  isFinished,
  phaseOf,
  printFinished,
  replaceEnded,
  teleportFields,
  whenTeleported,
} from '../api/teleports.ts';
import { bandwidthOf } from '../bandwidth.ts';
import { add, given, option, type RateOption, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { type MomentOptions, momentOf } from '../moment.ts';
import { runJob } from '../watching.ts';
import { changeTeleport } from './teleport-change.ts';

const { teleports } = resources;

/** start, list, show, watch, cancel, fill. */
export function teleportCommands(registry: Registry, teleport: Command): void {
  start(registry, teleport);
  look(registry, teleport);
  watch(registry, teleport);
  changeTeleport(registry, teleport);
}

interface StartOptions extends MomentOptions, RateOption {
  readonly from?: string;
  readonly to?: string;
  readonly hub?: string;
  readonly claim?: string;
  readonly name?: string;
  readonly thin?: boolean;
  readonly historyPolicy?: string;
  readonly storageClass?: string;
  readonly fromImage?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly watch?: boolean;
}

const clusterName = (text: string): string => checkName(text, 'cluster');

const startOptions = () => [
  option('--from <cluster>', 'where the volume is', { completes: 'cluster', parse: clusterName }),
  option('--to <cluster>', 'where it should be (default: --cluster)', {
    completes: 'cluster',
    parse: clusterName,
  }),
  option('--hub <cluster>', 'whose API gets the Teleport (default: that of --to)', {
    completes: 'cluster',
    parse: clusterName,
  }),
  option('--claim <[namespace/]name>', 'a PersistentVolumeClaim, instead of a volume'),
  option('--name <name>', 'its name over there (default: the same)'),
  shared.at(),
  shared.snapshot(),
  option('--thin', 'fetch only what is touched, until `teleport fill`'),
  shared.policy(),
  option('--storage-class <name>', 'of the new claim (default: that of the claim)'),
  shared.rate(),
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
    args: [['[volume]', 'the volume at the source, unless --claim is given', 'volume']],
    options: startOptions(),
    isDefault: true,
    details:
      'The volume is Accessible (readable and writable) after one exchange, whatever its size,\n' +
      'and Available when nothing is missing. `teleport VOLUME` is `teleport start VOLUME`.\n' +
      'It makes a Teleport object, named as what it becomes: kubectl get teleports.',
    examples: [
      ['transship teleport db --from east --to west', 'usable at west in a moment'],
      ['transship teleport db --from east --to west --wait', 'and wait until all is there'],
      ['transship teleport db --from east --to west --at 5m --name db-5m', 'as it was'],
      ['transship teleport --claim shop/data --from east --to west', 'a claim of a namespace'],
      ['transship teleport vm --from east --to west --from-image vm.qcow2', 'any image'],
    ],
    run: async (cli, [volume], options) => {
      const departure = await prepare(cli, sidesOf(cli, volume, options), options);
      if (options.fromImage !== undefined) await readImage(cli, departure.spec, options.fromImage);
      await checkSource(departure.sourceApi, departure.spec.source);
      const { client, key } = departure.hub;
      await replaceEnded(cli, departure.hub, async (old) =>
        isFree(departure.destinationApi, destinationOf(old)),
      );
      await checkFree(departure.destinationApi, destinationOf(departure));
      const made = await client.create(teleports, { metadata: { ...key }, spec: departure.spec });
      return afterStart(cli, departure.hub, made, options);
    },
  });
}

interface Sides {
  readonly source: Pick<Teleport['spec']['source'], 'namespace' | 'claim' | 'volume'>;
  readonly destination: Pick<Teleport['spec']['destination'], 'claim' | 'volume'>;
  readonly namespace: string;
}

/** What moves, and what it becomes; the object is named as the latter. */
function sidesOf(cli: Cli, volume: string | undefined, options: StartOptions): Sides {
  const { claim: words, name } = options;
  if ((volume === undefined) === (words === undefined)) {
    fail('BadArgument', 'say what moves: VOLUME, or --claim [NAMESPACE/]NAME');
  }
  if (words === undefined) {
    if (options.storageClass !== undefined) {
      fail('BadArgument', '--storage-class is for claims; a volume has none');
    }
    const source = { volume: checkName(volume!, 'volume') };
    const destination = { volume: checkName(name ?? volume!, 'volume') };
    return { source, destination, namespace: cli.namespace };
  }
  const parts = words.split('/');
  if (parts.length > 2) fail('BadArgument', `--claim ${words}: write NAME or NAMESPACE/NAME`);
  const claim = checkName(parts.at(-1)!, 'claim');
  const namespace = parts.length === 2 ? checkName(parts[0]!, 'namespace') : cli.namespace;
  const destination = { claim: checkName(name ?? claim, 'claim') };
  // Claims of two namespaces may have one name, so the object is where the claim is.
  const own = cli.options.namespace ?? namespace;
  return { source: { namespace, claim }, destination, namespace: own };
}

interface Departure {
  readonly hub: Hub;
  readonly spec: Teleport['spec'];
  readonly metadata: Teleport['metadata'];
  readonly sourceApi: Awaited<ReturnType<typeof apiOfSide>>;
  readonly destinationApi: Awaited<ReturnType<typeof apiOfSide>>;
}

/** Everything that can be wrong with the words is said here, before anything happens. */
async function prepare(cli: Cli, sides: Sides, options: StartOptions): Promise<Departure> {
  const moment = momentOf(cli, options);
  const { rate } = options;
  if (options.from !== undefined && options.from === options.to) sameCluster();
  const to = options.to ?? (cli.namesContext ? undefined : await cli.clusterName());
  if (to === undefined) fail('BadArgument', 'say where it should be: --to CLUSTER');
  if (options.from === to) sameCluster();
  const hubName = options.hub ?? to;
  const isElsewhere = cli.namesContext && options.hub === undefined;
  const { client } = isElsewhere ? await cli.api() : await cli.apiOf(hubName);
  const known = await clustersOf(client);
  if (options.from === undefined) {
    const names = known.map(({ metadata }) => metadata.name).filter((name) => name !== to);
    const peers = names.length === 0 ? 'it has no peers yet' : `peers: ${names.join(', ')}`;
    fail('BadArgument', `say where the volume is: --from CLUSTER (${peers})`);
  }
  const source = checkKnown(client.cluster, known, options.from);
  const destination = checkKnown(client.cluster, known, to);
  const name = sides.destination.claim ?? sides.destination.volume ?? '';
  const spec: Teleport['spec'] = {
    source: { cluster: options.from, ...sides.source },
    destination: {
      cluster: to,
      ...sides.destination,
      ...given('historyPolicy', options.historyPolicy),
      ...given('storageClass', options.storageClass),
    },
    ...given('at', moment.atMs === undefined ? undefined : formatMoment(moment.atMs)),
    ...given('snapshot', moment.snapshot),
    ...given('thin', options.thin),
    ...given('bandwidth', rate === undefined ? undefined : bandwidthOf(rate)),
  };
  return {
    hub: { client, key: { namespace: sides.namespace, name } },
    metadata: { namespace: sides.namespace },
    spec,
    sourceApi: await apiOfSide(cli, client, source),
    destinationApi: isLocal(destination) ? client : await apiOfSide(cli, client, destination),
  };
}

function sameCluster(): never {
  fail('BadArgument', 'source and destination are the same; `volume clone` copies inside one');
}

/** The place that a teleport fills, with everything that it leaves out. */
function destinationOf({ metadata, spec }: Pick<Teleport, 'metadata' | 'spec'>) {
  const { source, destination } = spec;
  const namespace = destination.namespace ?? source.namespace ?? metadata.namespace ?? '';
  return {
    cluster: destination.cluster,
    namespace,
    ...given('claim', source.claim && (destination.claim ?? source.claim)),
    ...given('volume', source.volume && (destination.volume ?? source.volume)),
  };
}

/** The image becomes, or updates, the volume at the source; unchanged blocks cost a hash each. */
async function readImage(cli: Cli, { source }: Teleport['spec'], image: string): Promise<void> {
  const { cluster, volume } = source;
  if (volume === undefined) fail('BadArgument', '--from-image fills a volume, not a claim');
  const { client } = await cli.apiOf(cluster);
  const path = resolve(cli.ports.workingDirectory, image);
  const request = { name: volume, path, update: true };
  await runJob(cli, cli.clientOf(cluster), 'volume.import', request);
  await volumeThere(cli, client, volume);
}

/** The controllers wait two minutes for what may still come; then they say that it did not. */
const acceptedMs = 150_000;

async function afterStart(
  cli: Cli,
  hub: Hub,
  made: Teleport,
  options: StartOptions,
): Promise<undefined> {
  const { uid } = made.metadata;
  const isWaiting =
    options.wait === true || options.watch === true || options.timeout !== undefined;
  if (isWaiting) {
    const wait = { progress: true, uid, isSo: isFinished, ...given('timeoutMs', options.timeout) };
    await printFinished(cli, hub, await whenTeleported(cli, hub, wait));
    return undefined;
  }
  const wait = { progress: false, uid, timeoutMs: acceptedMs };
  const object = await accepted(hub, made, whenTeleported(cli, hub, wait));
  await printChanged(cli, hub.client, { type: teleports, object }, phaseOf(object));
  if (!hasEnded(object)) {
    const where = `--cluster ${hub.client.cluster}`;
    cli.note(`See its data follow: transship teleport watch ${hub.key.name} ${where}`);
  }
  return undefined;
}

/** One that was refused leaves no object: a command that fails changes nothing. */
async function accepted(hub: Hub, made: Teleport, waiting: Promise<Teleport>): Promise<Teleport> {
  try {
    return await waiting;
  } catch (error) {
    const { uid } = made.metadata;
    const now = await hub.client.get(teleports, hub.key).catch(() => undefined);
    const isRefused =
      now?.metadata.uid === uid &&
      now !== undefined &&
      hasEnded(now) &&
      now.status?.accessibleTime === undefined;
    if (isRefused && asTransshipError(error).reason !== 'Canceled') {
      await hub.client.delete(teleports, hub.key, uid === undefined ? {} : { uid });
    }
    throw error;
  }
}

function look(registry: Registry, teleport: Command): void {
  add<{ readonly allNamespaces?: boolean; readonly watch?: boolean }>(registry, teleport, {
    name: 'list',
    about: 'teleports that this cluster steers',
    options: [option('-A, --all-namespaces', 'of all namespaces'), shared.watch()],
    run: async (cli, _args, { allNamespaces, watch }) => {
      const { client } = await cli.api();
      const what = allNamespaces === true ? {} : { namespace: cli.namespace };
      const whenEmpty = 'No teleports to this cluster.';
      await printListed(cli, client, asking(teleports, what), { whenEmpty, watch });
    },
  });
  add<Record<string, never>>(registry, teleport, {
    name: 'show',
    about: 'one teleport: phase, progress, conditions',
    args: [['<teleport>', 'its name is that of the volume or claim', 'teleport']],
    run: async (cli, [name]) => {
      const { client } = await cli.api();
      const key = { namespace: cli.namespace, name: name! };
      await printObject(cli, client, { type: teleports, key }, teleportFields);
    },
  });
}

function watch(registry: Registry, teleport: Command): void {
  add<{ readonly timeout?: number }>(registry, teleport, {
    name: 'watch',
    about: 'progress until nothing is missing; Ctrl-C stops watching only',
    args: [['<teleport>', 'its name is that of the volume or claim', 'teleport']],
    options: [shared.timeout()],
    run: async (cli, [name], options) => {
      const { client } = await cli.api();
      const hub = { client, key: { namespace: cli.namespace, name: name! } };
      const { uid } = (await findTeleport(hub)).metadata;
      const timeout = given('timeoutMs', options.timeout);
      const wait = { progress: true, uid, isSo: isFinished, ...timeout };
      await printFinished(cli, hub, await whenTeleported(cli, hub, wait));
    },
  });
}
