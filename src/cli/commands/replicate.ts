import type { Command } from 'commander';
import {
  type Decision,
  keepMax,
  type Replication,
  type ReplicationSpec,
} from '../../api/kinds/replication.ts';
import { resources } from '../../api/kinds/resources.ts';
import { endsText, shapeOf } from '../../api/replication-ends.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { exactSize, parseDuration } from '../../base/units.ts';
import { hubOf, wordsFor } from '../api/migrations.ts';
import { asking, printChanged, printGone, printListed } from '../api/printing.ts';
import {
  beginAgain,
  findReplication,
  followReplication,
  makeReplication,
  printFollowed,
} from '../api/replications.ts';
import type { Hub } from '../api/teleports.ts';
import { until } from '../api/waiting.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { adviceFor, checksText, decisionWords, replicationText } from '../replication/text.ts';

const { replications } = resources;

const nameArgument = ['<replication>', 'its name', 'replication'] as const;
const namespacesArgument = [
  '[namespaces...]',
  'namespaces as NAME or NAME:NAME-THERE; the name of the replication when not given',
] as const;

interface MakeOptions {
  readonly from?: string;
  readonly to?: string;
  readonly volumes?: boolean;
  readonly workloads?: 'Run' | 'Standby';
  readonly repository?: string;
  readonly rate?: { readonly bytesPerSecond: number | undefined };
  readonly version?: string;
  readonly keep?: number;
  readonly continuous?: string;
  readonly remediate?: boolean;
  readonly wait?: boolean;
  readonly timeout?: number;
}

const making = () => [
  option('--from <cluster>', 'the cluster to replicate from', { completes: 'peer' }),
  option('--to <cluster>', 'the cluster to replicate to', { completes: 'peer' }),
  option('--no-volumes', 'claims without the data in them'),
  option('--workloads <what>', 'whether workloads run there (default: Run)', {
    choices: ['Run', 'Standby'],
  }),
  option(
    '--repository <repository>',
    'go through it where there is no direct way; without --to: back up into it; without --from: ' +
      'restore from it',
  ),
  option('--version <backup>', 'the backup to restore (default: the newest)'),
  option('--keep <count>', 'backups to keep (default: 7)', { parse: checkCount }),
  shared.rate(),
  option('--continuous <duration>', 'again and again, so often (for example 5m)', {
    parse: checkInterval,
  }),
];

function checkCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= keepMax) return count;
  return fail('BadArgument', `${text}: write a number from 1 to ${keepMax}`);
}

function checkInterval(text: string): string {
  parseDuration(text);
  return text;
}

/** check, run, list, show, decide, delete. */
export function replicateCommands(registry: Registry, replicate: Command): void {
  checkCommand(registry, replicate);
  runCommand(registry, replicate);
  listCommand(registry, replicate);
  showCommand(registry, replicate);
  decideCommand(registry, replicate);
  deleteCommand(registry, replicate);
}

function pairOf(text: string): ReplicationSpec['namespaces'][number] {
  const [name = '', to, ...rest] = text.split(':');
  if (rest.length > 0) fail('BadArgument', `${text}: write NAME or NAME:NAME-THERE`);
  checkName(name, 'namespace');
  return to === undefined ? { name } : { name, to: checkName(to, 'namespace') };
}

function changeOf(options: MakeOptions): Partial<ReplicationSpec> {
  const { volumes, workloads, repository, version, keep, rate, continuous } = options;
  const bytes = rate?.bytesPerSecond;
  return {
    ...(volumes === false ? { volumes: 'Exclude' as const } : {}),
    ...given('workloads', workloads),
    ...given('repository', repository),
    ...given('version', version),
    ...given('keep', keep),
    ...given('continuous', continuous),
    ...(bytes === undefined ? {} : { bandwidth: exactSize(bytes) }),
  };
}

/** A new one, or another run of the one that is there. */
async function begin(
  cli: Cli,
  [name = '', ...namespaces]: readonly string[],
  { options, change }: { readonly options: MakeOptions; readonly change: Partial<ReplicationSpec> },
): Promise<undefined> {
  const hub = await hubOf(cli, name);
  const known = await hub.client.get(replications, hub.key);
  if (known !== undefined) {
    if (namespaces.length > 0) checkSame(known, namespaces);
    const object = await beginAgain(hub, known, { ...changeOf(options), ...change });
    const before = known.status?.runs ?? 0;
    return follow(cli, hub, {
      object,
      options,
      isNew: ({ status }) => (status?.runs ?? 0) > before,
    });
  }
  const named = namespaces.length === 0 ? [name] : namespaces;
  const object = await makeReplication(hub, {
    ...given('source', options.from),
    ...given('destination', options.to),
    namespaces: named.map(pairOf),
    ...changeOf(options),
    ...change,
  });
  return follow(cli, hub, { object, options, isNew: ({ status }) => (status?.runs ?? 0) > 0 });
}

function checkSame({ spec, metadata }: Replication, namespaces: readonly string[]): void {
  const wanted = JSON.stringify(namespaces.map(pairOf));
  if (wanted === JSON.stringify(spec.namespaces)) return;
  const message = `replication ${metadata.name} is of other namespaces; choose another name`;
  fail('Conflict', message);
}

interface Begun {
  readonly object: Replication;
  readonly options: Pick<MakeOptions, 'wait' | 'timeout'>;
  readonly isNew: (one: Replication) => boolean;
}

async function follow(cli: Cli, hub: Hub, { object, options, isNew }: Begun): Promise<undefined> {
  const words = wordsFor(cli, hub);
  const { name, uid } = object.metadata;
  if (options.wait !== true && options.timeout === undefined) {
    await printChanged(cli, hub.client, { type: replications, object }, 'begun');
    cli.note(`See how it stands: ${words(`replicate show ${name}`)}`);
    return undefined;
  }
  const ended = await followReplication(cli, hub, {
    uid,
    isNew,
    ...given('timeoutMs', options.timeout),
  });
  await printFollowed(cli, hub, ended, adviceFor(ended, words));
  return undefined;
}

const waiting =
  'It runs in the cluster, also when this command or machine ends. With --wait: exit 0: done;\n' +
  '3: checks failed, and it waits for `replicate decide`; else the code of what made it fail.';

function checkCommand(registry: Registry, replicate: Command): void {
  add<MakeOptions>(registry, replicate, {
    name: 'check',
    about: 'make the checks, and nothing else',
    args: [nameArgument, namespacesArgument],
    options: [...making(), shared.timeout()],
    details: 'Exit 0: nothing is in the way, 3: something is. `replicate run` goes on from there.',
    examples: [['transship replicate check shop --from east --to west', 'could it be replicated?']],
    run: async (cli, args, options) => {
      const change = { onlyCheck: true } as const;
      return begin(cli, args, { options: { ...options, wait: true }, change });
    },
  });
}

function runCommand(registry: Registry, replicate: Command): void {
  add<MakeOptions>(registry, replicate, {
    name: 'run',
    about: 'replicate namespaces; of one that is there, what differs',
    args: [nameArgument, namespacesArgument],
    options: [
      ...making(),
      option('--remediate', 'decide beforehand to correct what can be corrected'),
      shared.wait('it has ended, or waits for a decision'),
      shared.timeout(),
    ],
    details: `The source runs on. What others change there stays as it is.\n${waiting}`,
    examples: [
      ['transship replicate run shop --from east --to west --wait', 'and see it happen'],
      ['transship replicate run shop --wait', 'again: only what differs travels'],
      [
        'transship replicate run night shop:shop-backup --from east --to east',
        'a copy in the same cluster',
      ],
      [
        'transship replicate run nightly shop --from east --repository store --continuous 24h',
        'a backup every day',
      ],
      [
        'transship replicate run back shop --to west --repository store --wait',
        'the newest backup, restored in another cluster',
      ],
      [
        'transship replicate run shop --from east --to west --continuous 5m --remediate',
        'a standby that is kept up to date',
      ],
    ],
    run: async (cli, args, options) => {
      const change = {
        onlyCheck: false,
        ...(options.remediate === true ? { decision: 'Remediate' as const } : {}),
      };
      return begin(cli, args, { options, change });
    },
  });
}

function listCommand(registry: Registry, replicate: Command): void {
  add<{ readonly allNamespaces?: boolean; readonly watch?: boolean }>(registry, replicate, {
    name: 'list',
    about: 'replications that this cluster keeps',
    options: [option('-A, --all-namespaces', 'of all namespaces'), shared.watch()],
    run: async (cli, _args, { allNamespaces, watch }) => {
      const { client } = await cli.api();
      const what = allNamespaces === true ? {} : { namespace: cli.namespace };
      const listing = { whenEmpty: 'No replications.', watch };
      await printListed(cli, client, asking(replications, what), listing);
    },
  });
}

function showCommand(registry: Registry, replicate: Command): void {
  add<{ readonly checks?: boolean }>(registry, replicate, {
    name: 'show',
    about: 'one replication: its checks, its steps, what is there, what to do',
    args: [nameArgument],
    options: [option('--checks', 'all checks, also those that found nothing')],
    run: async (cli, [name], { checks }) => {
      const hub = await hubOf(cli, name!);
      const object = await findReplication(hub);
      if (cli.options.output !== undefined) {
        return printChanged(cli, hub.client, { type: replications, object }, '');
      }
      if (checks === true) cli.out(checksText(object, true));
      else cli.out(replicationText(object, { nowMs: cli.nowMs(), words: wordsFor(cli, hub) }));
      return undefined;
    },
  });
}

const decisions = Object.entries(decisionWords) as readonly (readonly [Decision, string])[];

function decideCommand(registry: Registry, replicate: Command): void {
  add<{ readonly wait?: boolean; readonly timeout?: number }>(registry, replicate, {
    name: 'decide',
    about: 'answer the checks of a replication that they have halted',
    args: [nameArgument, ['<decision>', decisions.map(([, word]) => word).join(', '), 'decision']],
    options: [shared.wait('it has ended, or waits for a decision again'), shared.timeout()],
    details:
      'remediate: correct what can be corrected, and start if nothing else is in the way.\n' +
      'recheck: look again. proceed-anyway: start in spite of the checks. stop: end it.\n' +
      `\`replicate show\` says which of them make sense now.\n${waiting}`,
    examples: [['transship replicate decide shop remediate --wait', 'correct it and go on']],
    run: async (cli, [name, word], options) => {
      const hub = await hubOf(cli, name!);
      const known = await findReplication(hub);
      const decision = checkDecision(known, word!);
      const { uid, resourceVersion } = known.metadata;
      const object = await hub.client.patch(replications, hub.key, {
        metadata: { uid, resourceVersion },
        spec: { decision },
      });
      const before = known.status?.decided?.time ?? '';
      const generation = object.metadata.generation ?? 0;
      const isNew = ({ status }: Replication): boolean =>
        status?.decided?.generation === generation || (status?.decided?.time ?? '') > before;
      return follow(cli, hub, { object, options, isNew });
    },
  });
}

/** `Conflict` names what can be decided now. */
function checkDecision({ status, metadata }: Replication, word: string): Decision {
  const found = decisions.find(([name, typed]) => typed === word || name === word)?.[0];
  if (found === undefined) {
    const all = decisions.map(([, typed]) => typed).join(', ');
    return fail('BadArgument', `${word} is no decision; choose one of ${all}`);
  }
  const { offers = [] } = status ?? {};
  if (offers.includes(found)) return found;
  const open = offers.map((one) => decisionWords[one]).join(', ');
  const now = open === '' ? 'nothing is to be decided now' : `it offers ${open}`;
  return fail('Conflict', `replication ${metadata.name}: ${now}`);
}

function deleteCommand(registry: Registry, replicate: Command): void {
  add<{ readonly timeout?: number }>(registry, replicate, {
    name: 'delete',
    about: 'delete a replication, and what it made at the destination',
    args: [nameArgument],
    options: [shared.timeout()],
    details:
      'Takes away what the replication made there, with the data, and nothing else: what others\n' +
      'have changed, or use, stays and is named. The source stays as it is. Asks for DELETE.',
    run: async (cli, [name], { timeout }) => {
      const hub = await hubOf(cli, name!);
      const object = await findReplication(hub);
      await cli.confirm(lossOf(object), 'DELETE');
      await remove(cli, hub, object, timeout);
    },
  });
}

function lossOf({ metadata: { name }, spec, status }: Replication): readonly string[] {
  const { to } = endsText(spec);
  const there = spec.namespaces.map(({ name: here, to: other = here }) => other).join(', ');
  if (shapeOf(spec) === 'Backup') {
    const count = status?.backups?.length ?? 0;
    return [
      `This deletes all backups that replication ${name} made of ${there} in ${to}; it keeps ` +
        `${count} now. Nobody can restore them then. The source stays as it is.`,
    ];
  }
  return [
    `This deletes what replication ${name} made in ${there} of ${to}, with its`,
    'data.',
    'What others have changed or use there stays. The source stays as it is.',
  ];
}

async function remove(cli: Cli, hub: Hub, object: Replication, timeoutMs?: number) {
  const { uid } = object.metadata;
  const notes = new Set(object.status?.notes ?? []);
  await hub.client.delete(replications, hub.key, uid === undefined ? {} : { uid });
  await until<Replication, true>(cli, hub.client, {
    type: replications,
    key: hub.key,
    goesOn: `replication/${hub.key.name} goes when all that it made is gone`,
    ...given('timeoutMs', timeoutMs),
    onObject: ({ status }) => {
      for (const note of status?.notes ?? []) {
        if (!notes.has(note)) cli.note(`note: ${note}`);
        notes.add(note);
      }
    },
    test: (now) => (now === undefined || now.metadata.uid !== uid ? true : undefined),
  });
  await printGone(cli, object, 'deleted');
}
