import type { Command } from 'commander';
import { add, given, type Registry } from '../command.ts';
import type { JobObject } from '../../api/objects.ts';
import { formatBytes } from '../../base/units.ts';
import type { Cli } from '../context.ts';
import { runJob } from '../watching.ts';

/** list, show, scrub, repair, collect. */
export function poolCommands(registry: Registry, pool: Command): void {
  add<Record<string, never>>(registry, pool, {
    name: 'list',
    about: 'pools of the cluster',
    run: async (cli) => {
      const client = await cli.client();
      await cli.printList(await client.call('pool.list', {}), 'No pools.');
    },
  });
  add<Record<string, never>>(registry, pool, {
    name: 'show',
    about: 'one pool: space, savings, conditions',
    args: [['[pool]', 'the pool (default: the only one)', 'pool']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      await cli.printOne(await client.call('pool.show', given('pool', name)));
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
