import type { Command } from 'commander';
import type { HistoryPolicy } from '../../api/kinds/history-policy.ts';
import { resources } from '../../api/kinds/resources.ts';
import { retentionText } from '../../api/kinds/retention.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { parseDuration } from '../../base/units.ts';
import { labels } from '../../controllers/labels.ts';
import type { KubeClient } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import { asking, needObject, printChanged, printGone, printListed } from '../api/printing.ts';
import {
  deleteObject,
  failIfFinal,
  findVolume,
  lookAgain,
  momentMs,
  whenReady,
  whenSynced,
} from '../api/volumes.ts';
import { currentCondition, until } from '../api/waiting.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';

const { historyPolicies, volumes } = resources;

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
      const { client } = await cli.api();
      const spec = specOf({ seconds: 0, minutes: 0, hours: 0, days: 0, ...options });
      const made = await client.create(historyPolicies, { metadata: { name: name! }, spec });
      const goesOn = lookAgain(`get historypolicy ${name} -o yaml`, client);
      const object = await whenReady(cli, client, { type: historyPolicies, made, goesOn });
      await printChanged(cli, client, { type: historyPolicies, object }, 'created');
    },
  });
  add<{ readonly watch?: boolean }>(registry, policy, {
    name: 'list',
    about: 'policies and how many volumes have them',
    options: [shared.watch()],
    run: async (cli, _args, { watch }) => {
      const { client } = await cli.api();
      const whenEmpty = 'No policies.';
      await printListed(cli, client, asking(historyPolicies), { whenEmpty, watch });
    },
  });
}

/** Only what was given: nothing else of the policy changes. */
function specOf(options: RetentionOptions): HistoryPolicy['spec'] {
  const { seconds, minutes, hours, days } = options;
  const text = (ms: number | undefined) => (ms === undefined ? undefined : retentionText(ms));
  return {
    ...given('seconds', text(seconds)),
    ...given('minutes', text(minutes)),
    ...given('hours', text(hours)),
    ...given('days', text(days)),
  };
}

async function findPolicy(client: KubeClient, name: string): Promise<HistoryPolicy> {
  return needObject(client, historyPolicies, { namespace: '', name });
}

function checkOwn({ metadata }: HistoryPolicy): void {
  if (metadata.labels?.[labels.preset] !== 'true') return;
  const what = `policy ${metadata.name} comes with Transship and cannot be changed or deleted`;
  fail('NotAllowed', `${what}; make one of your own`);
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
      const { client } = await cli.api();
      const before = await findPolicy(client, name!);
      checkOwn(before);
      const changed = await client.patch(historyPolicies, keyOf(before), { spec: specOf(options) });
      const object = await whenEverywhere(cli, client, changed);
      await printChanged(cli, client, { type: historyPolicies, object }, 'changed');
    },
  });
}

/** Once every agent has it. */
async function whenEverywhere(
  cli: Cli,
  client: KubeClient,
  changed: HistoryPolicy,
): Promise<HistoryPolicy> {
  const { name = '', generation = 0 } = changed.metadata;
  return until(cli, client, {
    type: historyPolicies,
    key: keyOf(changed),
    goesOn: lookAgain(`get historypolicy ${name} -o yaml`, client),
    timeoutMs: momentMs,
    test: (policy) => {
      if (policy === undefined) return fail('NotFound', `policy ${name} was deleted meanwhile`);
      if ((policy.metadata.generation ?? 0) < generation) return undefined;
      const ready = currentCondition(policy, 'Ready');
      failIfFinal(ready);
      return ready?.status === 'True' ? policy : undefined;
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
      const { client } = await cli.api();
      await findPolicy(client, historyPolicy!);
      const before = await findVolume(client, name!);
      const spec = { historyPolicy: historyPolicy! };
      const changed = await client.patch(volumes, keyOf(before), { spec });
      const object = await whenSynced(cli, client, changed, () => true);
      await printChanged(cli, client, { type: volumes, object }, `has policy ${historyPolicy}`);
    },
  });
  add<Record<string, never>>(registry, policy, {
    name: 'delete',
    about: 'delete a policy that no volume has',
    args: [['<policy>', 'the policy', 'policy']],
    run: async (cli, [name]) => {
      await cli.confirm([`This deletes history policy ${name}.`]);
      const { client } = await cli.api();
      const object = await findPolicy(client, name!);
      checkOwn(object);
      const users = object.status?.volumes ?? [];
      if (users.length > 0) fail('InUse', `volume ${users.join(', ')} has policy ${name}`);
      await deleteObject(cli, client, { type: historyPolicies, object });
      await printGone(cli, object, 'deleted');
    },
  });
}
