import type { Command } from 'commander';
import type { Pool } from '../../api/kinds/pool.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { JobObject } from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { formatBytes, formatSize } from '../../base/units.ts';
import type { KubeClient } from '../../kube/api.ts';
import { asking, type Field, printListed, printObject } from '../api/printing.ts';
import { add, given, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { runJob } from '../watching.ts';

const { pools } = resources;

/** list, show, scrub, repair, collect. */
export function poolCommands(registry: Registry, pool: Command): void {
  add<{ readonly watch?: boolean }>(registry, pool, {
    name: 'list',
    about: 'pools of the cluster',
    options: [shared.watch()],
    run: async (cli, _args, { watch }) => {
      const { client } = await cli.api();
      await printListed(cli, client, asking(pools), { whenEmpty: 'No pools.', watch });
    },
  });
  add<Record<string, never>>(registry, pool, {
    name: 'show',
    about: 'one pool: space, savings, conditions',
    args: [['[pool]', 'the pool (default: the only one)', 'pool']],
    run: async (cli, [named]) => {
      const { client } = await cli.api();
      const name = named ?? (await onlyPool(client));
      await printObject(cli, client, { type: pools, key: { namespace: '', name } }, fieldsOf);
    },
  });
  add<Record<string, never>>(registry, pool, {
    name: 'scrub',
    about: 'read and verify everything the pool holds',
    args: [['[pool]', 'the pool (default: the only one)', 'pool']],
    details: 'A corrupt chunk is fetched again from where the volume came from, when it still can.',
    run: async (cli, [name]) => {
      const client = await cli.client();
      return finish(cli, await runJob(cli, client, 'pool.scrub', given('pool', name)), 'scrubbed');
    },
  });
  add<Record<string, never>>(registry, pool, {
    name: 'collect',
    about: 'give back now what no volume, snapshot, history or lease holds',
    args: [['[pool]', 'the pool (default: the only one)', 'pool']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      const job = await runJob(cli, client, 'pool.collect', given('pool', name));
      return finish(cli, job, 'collected');
    },
  });
  add<Record<string, never>>(registry, pool, {
    name: 'repair',
    about: 'rebuild the index of a pool from its segments, while its agent is down',
    args: [['<cluster>', 'the cluster whose pool it is', 'cluster']],
    examples: [['transship down east && transship pool repair east', 'then start it again']],
    run: async (cli, [name]) => {
      await cli.ports.agents.repairPool(name!, (line) => cli.note(line));
      cli.out(`pool of ${name} repaired\n`);
    },
  });
}

async function onlyPool(client: KubeClient): Promise<string> {
  const names: string[] = [];
  for await (const { metadata } of client.list(pools)) names.push(metadata.name ?? '');
  if (names.length === 1) return names[0]!;
  if (names.length === 0) fail('NotFound', `cluster ${client.cluster} has no pool`);
  return fail('BadArgument', `${names.length} pools: choose one of ${names.join(', ')}`);
}

/** What the columns leave out. */
function fieldsOf({ status = {} }: Pool): readonly Field[] {
  const { logicalBytes, uniqueBytes, storedBytes, journalBytes, chunks, segments } = status;
  const size = (bytes: number | undefined) => (bytes === undefined ? undefined : formatSize(bytes));
  return [
    ['Logical', size(logicalBytes)],
    ['Unique', size(uniqueBytes)],
    ['Stored', size(storedBytes)],
    ['Journal', size(journalBytes)],
    ['Chunks', chunks?.toString()],
    ['Segments', segments?.toString()],
  ];
}

async function finish(cli: Cli, job: JobObject, verb: string): Promise<undefined> {
  if (cli.options.output !== undefined) {
    await cli.print(job);
    return undefined;
  }
  cli.out(`pool/${job.spec.target} ${verb}\n`);
  for (const [key, value] of Object.entries(job.status.result ?? {})) {
    const text = typeof value === 'number' && key.endsWith('Bytes') ? formatBytes(value) : value;
    cli.out(`  ${key}: ${Array.isArray(text) ? text.join(', ') || '<none>' : String(text)}\n`);
  }
  return undefined;
}
