import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { printable } from '../../base/names.ts';
import { formatAge, parseDuration } from '../../base/units.ts';
import { add, given, option, type Registry } from '../command.ts';
import { printReport } from './volume-data.ts';

/** add, token, list, show, check, remove. */
export function clusterCommands(registry: Registry, cluster: Command): void {
  join(registry, cluster);
  look(registry, cluster);
  check(registry, cluster);
  remove(registry, cluster);
}

interface AddOptions {
  readonly token?: string;
}

function join(registry: Registry, cluster: Command): void {
  add<AddOptions>(registry, cluster, {
    name: 'add',
    about: 'join the cloud of another cluster, so that volumes can teleport between them',
    args: [['[name]', 'a cluster on this machine, when there is no token', 'cluster']],
    options: [option('--token <token>', 'from `transship cluster token` over there')],
    examples: [
      ['transship cluster add east --cluster west', 'two clusters of this machine'],
      [
        'transship cluster add --token transship1-...',
        'a cluster elsewhere; the token tells where',
      ],
    ],
    run: async (cli, [name], options) => {
      if ((name === undefined) === (options.token === undefined)) {
        fail('BadArgument', 'give the name of a cluster on this machine, or --token');
      }
      const client = await cli.client();
      if (name === client.cluster) fail('BadArgument', `${name} cannot join itself`);
      const token = options.token ?? (await cli.clientOf(name!).call('cluster.token', {})).token;
      const joined = await client.call('cluster.join', { token });
      await cli.printDone(joined, `trusted by ${client.cluster}`);
    },
  });
  add<{ readonly life?: number }>(registry, cluster, {
    name: 'token',
    about: 'make a token with which one other cluster may join',
    options: [
      option('--life <duration>', 'until when it works (default 1h)', { parse: parseDuration }),
    ],
    details: 'The token is a secret until it is used; it works once.',
    run: async (cli, _args, options) => {
      const client = await cli.client();
      const made = await client.call('cluster.token', given('lifeMs', options.life));
      if (cli.options.output !== undefined) return cli.print(made);
      cli.out(`${made.token}\n`);
      const left = formatAge(Date.parse(made.expirationTime) - cli.nowMs());
      cli.note(`For one cluster, within ${left}: transship cluster add --token TOKEN`);
      return undefined;
    },
  });
}

function look(registry: Registry, cluster: Command): void {
  add<Record<string, never>>(registry, cluster, {
    name: 'list',
    about: 'this cluster and its peers, with health',
    run: async (cli) => {
      const client = await cli.client();
      await cli.printList(await client.call('cluster.list', {}), 'No clusters.');
    },
  });
  add<Record<string, never>>(registry, cluster, {
    name: 'show',
    about: 'one cluster: health with reasons, addresses, savings',
    args: [['[name]', 'the cluster (default: this one)', 'peer']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      const { items } = await client.call('cluster.list', {});
      const wanted = name ?? client.cluster;
      const found = items.find((item) => item.metadata.name === wanted);
      if (found === undefined) {
        const known = items.map((item) => item.metadata.name).join(', ');
        fail('NotFound', `no cluster '${printable(wanted)}' in this cloud (known: ${known})`);
      }
      await cli.printOne(found);
      if (cli.options.output !== undefined || !found.spec.local) return;
      const { home, pid, nbdSocket, metricsUrl } = found.status;
      cli.out(`Home: ${home}\nProcess: ${pid}\nNBD: ${nbdSocket}\nMetrics: ${metricsUrl}\n`);
    },
  });
}

function check(registry: Registry, cluster: Command): void {
  add<Record<string, never>>(registry, cluster, {
    name: 'check',
    about: 'try the way to a peer: address, certificate, protocol, round trip',
    args: [['<name>', 'the peer', 'peer']],
    run: async (cli, [name]) => {
      const client = await cli.client();
      return printReport(cli, await client.call('cluster.check', { name: name! }));
    },
  });
}

function remove(registry: Registry, cluster: Command): void {
  add<{ readonly force?: boolean }>(registry, cluster, {
    name: 'remove',
    about: 'end the trust in a peer',
    args: [['<name>', 'the peer', 'peer']],
    options: [option('--force', 'also while a teleport depends on it: that one never finishes')],
    run: async (cli, [name], options) => {
      const client = await cli.client();
      await cli.confirm([
        `This ends the trust between ${client.cluster} and ${name}; joining again needs a token.`,
      ]);
      const request = { name: name!, ...given('force', options.force) };
      await cli.printDone(await client.call('cluster.remove', request), 'removed');
      // Nobody can end another cluster's trust for it (I-27).
      cli.note(`${name} still trusts ${client.cluster} until it is removed there too.`);
    },
  });
}
