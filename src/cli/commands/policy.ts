import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { parseDuration } from '../../base/units.ts';
import { add, given, option, type Registry } from '../command.ts';

interface RetentionOptions {
  readonly seconds?: number;
  readonly minutes?: number;
  readonly hours?: number;
  readonly days?: number;
}

const retention = () => [
  option('--seconds <duration>', 'any second of this long (at most 24h)', { parse: parseDuration }),
  option('--minutes <duration>', 'then any minute of this long (at most 31d)', {
    parse: parseDuration,
  }),
  option('--hours <duration>', 'then any hour of this long (at most 366d)', {
    parse: parseDuration,
  }),
  option('--days <duration>', 'then any day of this long (at most 3660d)', {
    parse: parseDuration,
  }),
];

/** create, list, set, assign, delete. */
export function policyCommands(registry: Registry, policy: Command): void {
  create(registry, policy);
  change(registry, policy);
  assign(registry, policy);
}

function create(registry: Registry, policy: Command): void {
  add<RetentionOptions>(registry, policy, {
    name: 'create',
    about: 'a new policy: how long which points of the past are kept',
    args: [['<name>', 'its name']],
    options: retention(),
    examples: [
      ['transship history-policy create prod --seconds 1h --hours 7d', 'what is kept, by step'],
    ],
    run: async (cli, [name], options) => {
      checkName(name!, 'history policy');
      if (Object.keys(options).length === 0) {
        fail('BadPolicy', 'the policy would keep nothing; give --seconds, --minutes, ...');
      }
      const client = await cli.client();
      const made = await client.call('policy.create', {
        name: name!,
        secondsMs: options.seconds ?? 0,
        minutesMs: options.minutes ?? 0,
        hoursMs: options.hours ?? 0,
        daysMs: options.days ?? 0,
      });
      await cli.printDone(made, 'created');
    },
  });
  add<Record<string, never>>(registry, policy, {
    name: 'list',
    about: 'policies and how many volumes have them',
    run: async (cli) => {
      const client = await cli.client();
      await cli.printList(await client.call('policy.list', {}), 'No policies.');
    },
  });
}

function change(registry: Registry, policy: Command): void {
  add<RetentionOptions>(registry, policy, {
    name: 'set',
    about: 'change a policy, also for the volumes that have it',
    args: [['<policy>', 'the policy', 'policy']],
    options: retention(),
    details: 'What a shorter retention no longer covers is forgotten soon after.',
    run: async (cli, [name], options) => {
      if (Object.keys(options).length === 0) {
        fail('BadArgument', 'nothing to change; give --seconds, --minutes, --hours or --days');
      }
      const client = await cli.client();
      const after = await client.call('policy.set', {
        name: name!,
        ...given('secondsMs', options.seconds),
        ...given('minutesMs', options.minutes),
        ...given('hoursMs', options.hours),
        ...given('daysMs', options.days),
      });
      await cli.printDone(after, 'changed');
    },
  });
}

function assign(registry: Registry, policy: Command): void {
  add<Record<string, never>>(registry, policy, {
    name: 'assign',
    about: 'give a volume another policy; it may be in use',
    args: [
      ['<volume>', 'the volume', 'volume'],
      ['<policy>', 'the policy; none keeps no history', 'policy'],
    ],
    run: async (cli, [name, historyPolicy]) => {
      const client = await cli.client();
      const request = { name: name!, historyPolicy: historyPolicy! };
      const after = await client.call('volume.set-policy', request);
      await cli.printDone(after, `has policy ${after.spec.historyPolicy}`);
    },
  });
  add<Record<string, never>>(registry, policy, {
    name: 'delete',
    about: 'delete a policy that no volume has',
    args: [['<policy>', 'the policy', 'policy']],
    run: async (cli, [name]) => {
      await cli.confirm([`This deletes history policy ${name}.`]);
      const client = await cli.client();
      await cli.printDone(await client.call('policy.delete', { name: name! }), 'deleted');
    },
  });
}
