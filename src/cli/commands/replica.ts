import type { Command } from 'commander';
import { resources } from '../../api/kinds/resources.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { wantedPools } from '../../controllers/pool/moves.ts';
import type { KubeClient } from '../../kube/api.ts';
import { asking, printChanged, printListed } from '../api/printing.ts';
import {
  checkPools,
  choosePool,
  editReplicas,
  everyOne,
  everyPool,
  replicaColumns,
  takeBack,
  whenScaled,
} from '../api/replicas.ts';
import { findVolume } from '../api/volumes.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { renderTable } from '../table.ts';

const { volumes, volumeReplicas } = resources;

/** list, add, remove, move. */
export function replicaCommands(registry: Registry, replica: Command): void {
  list(registry, replica);
  addReplica(registry, replica);
  removeReplica(registry, replica);
  moveReplica(registry, replica);
}

interface WaitOptions {
  readonly wait: boolean;
  readonly timeout?: number;
}

const waitOptions = () => [
  option('--no-wait', 'return when it is asked for, not when it is done'),
  shared.timeout(),
];

function list(registry: Registry, replica: Command): void {
  add<{ readonly watch?: boolean }>(registry, replica, {
    name: 'list',
    about: 'where a volume has its replicas, and how they are',
    args: [['[volume]', 'the volume (default: replicas of all)', 'volume']],
    options: [shared.watch()],
    details:
      'States: Healthy; Rebuilding (only what it missed comes); ReconstructingNewReplica\n' +
      '(made from nothing); Degraded; Offline (its agent does not answer); Error. A replica\n' +
      'counts for the majority that a write needs only when it is Healthy.',
    examples: [
      ['transship replica list db', 'the replicas of one volume, and which agent leads them'],
      ['transship replica list -w', 'all of the cluster, whenever one changes'],
    ],
    run: async (cli, [name], { watch }) => {
      const { client } = await cli.api();
      const format = cli.options.output ?? 'table';
      const isTable = format === 'table' || format === 'wide';
      if (name !== undefined && isTable && watch !== true) {
        const { status = {} } = await findVolume(client, name);
        const columns = replicaColumns(status.replicaSet?.leader);
        cli.out(renderTable(columns, status.replicas ?? [], { wide: format === 'wide' }));
        return;
      }
      if (name !== undefined) await findVolume(client, name);
      const fields = name === undefined ? undefined : `spec.volume=${name}`;
      const what = { ...asking(volumeReplicas), fields };
      const whenEmpty = 'No volume has several replicas. Add one: transship replica add VOLUME';
      await printListed(cli, client, what, { whenEmpty, watch });
    },
  });
}

function addReplica(registry: Registry, replica: Command): void {
  add<WaitOptions>(registry, replica, {
    name: 'add',
    about: 'keep another copy of a volume, while it is in use',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['[pool...]', 'pools of nodes that have none yet (default: the emptiest)', 'pool'],
    ],
    options: waitOptions(),
    details:
      'The new replica takes writes at once and gets the rest behind them. It counts for the\n' +
      'majority when it has everything. The same as adding pools to spec.replicas of the Volume.',
    examples: [
      ['transship replica add db', 'in the pool with the most room'],
      ['transship replica add db p3 p4 --no-wait', 'two at once; see: transship replica list db'],
    ],
    run: async (cli, [name, ...named], options) => {
      const { client } = await cli.api();
      const volume = await findVolume(client, checkName(name!, 'volume'));
      const known = await everyPool(client);
      const before = wantedPools(volume);
      const added =
        named.length > 0 ? named : [choosePool(volume, known, await everyOne(client, volumes))];
      const twice = added.find((pool) => before.includes(pool));
      if (twice !== undefined) {
        fail('AlreadyExists', `volume ${name} has a replica in pool ${twice} already`);
      }
      checkPools([...before, ...added], known);
      const told = { wanted: [...before, ...added], verb: `has a replica in ${added.join(', ')}` };
      await change(cli, client, volume, { ...told, ...options });
    },
  });
}

function removeReplica(registry: Registry, replica: Command): void {
  add<WaitOptions>(registry, replica, {
    name: 'remove',
    about: 'give up one copy of a volume, while it is in use',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['<pool>', 'the pool that has the replica', 'pool'],
    ],
    options: waitOptions(),
    details:
      'One at a time, and never the last one that is Healthy. To have it elsewhere instead, use\n' +
      '`replica move`: that takes nothing away before the new one is whole.',
    examples: [['transship replica remove db p1', 'its space is free when the pool collects']],
    run: async (cli, [name, pool], options) => {
      const { client } = await cli.api();
      const volume = await findVolume(client, checkName(name!, 'volume'));
      const wanted = without(volume, pool!);
      if (wanted.length === 0) {
        const remedy = `move it (transship replica move ${name} ${pool} OTHER)`;
        const told = `pool ${pool} has the only replica of ${name}: ${remedy}`;
        fail('RedundancyLost', `${told}, or delete the volume`);
      }
      await change(cli, client, volume, { wanted, verb: `left pool ${pool}`, ...options });
    },
  });
}

function moveReplica(registry: Registry, replica: Command): void {
  add<WaitOptions>(registry, replica, {
    name: 'move',
    about: 'move one copy of a volume to another pool, while it is in use',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['<from>', 'the pool that has the replica', 'pool'],
      ['[to]', 'a pool of a node that has none yet (default: the emptiest)', 'pool'],
    ],
    options: waitOptions(),
    details:
      'Makes the new replica, waits until it is Healthy, then takes the old one away: the\n' +
      'volume never has fewer whole copies than before. Also for a volume with one replica.',
    examples: [['transship replica move db p1 p3', 'p1 may be drained, its disk taken out']],
    run: async (cli, [name, from, named], options) => {
      const { client } = await cli.api();
      const volume = await findVolume(client, checkName(name!, 'volume'));
      const known = await everyPool(client);
      without(volume, from!);
      const to = named ?? choosePool(volume, known, await everyOne(client, volumes));
      if (wantedPools(volume).includes(to)) {
        fail('AlreadyExists', `volume ${name} has a replica in pool ${to} already`);
      }
      const wanted = wantedPools(volume).map((pool) => (pool === from ? to : pool));
      checkPools(wanted, known);
      const told = { wanted, verb: `moved from pool ${from} to ${to}` };
      await change(cli, client, volume, { ...told, ...options });
    },
  });
}

function without(volume: Volume, pool: string): readonly string[] {
  const before = wantedPools(volume);
  if (before.includes(pool)) return before.filter((one) => one !== pool);
  const there = before.length === 0 ? 'none yet' : before.join(', ');
  return fail('NotFound', `volume ${volume.metadata.name} has no replica in ${pool} (${there})`);
}

interface Change extends WaitOptions {
  readonly wanted: readonly string[];
  /** What is said of the volume when it is done. */
  readonly verb: string;
}

async function change(cli: Cli, client: KubeClient, volume: Volume, told: Change): Promise<void> {
  const changed = await editReplicas(client, volume, told.wanted);
  const { name = '' } = volume.metadata;
  if (!told.wait) {
    await printChanged(cli, client, { type: volumes, object: changed }, 'edited');
    cli.note(`It goes on; see: transship replica list ${name} --cluster ${client.cluster}`);
    return;
  }
  const onRefusal = () => takeBack(client, changed, wantedPools(volume));
  const scaling = { progress: true, onRefusal, ...given('timeoutMs', told.timeout) };
  const object = await whenScaled(cli, client, changed, scaling);
  await printChanged(cli, client, { type: volumes, object }, told.verb);
}
