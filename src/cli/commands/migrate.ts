import type { Command } from 'commander';
import type { Migration, MigrationSpec } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import {
  followMigration,
  hubOf,
  makeMigration,
  migrationsOf,
  printEnded,
  stillOpen,
  whenGone,
  wordsFor,
} from '../api/migrations.ts';
import { findPlan, verdictOf } from '../api/plans.ts';
import { printChanged } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import { conditionOf } from '../api/waiting.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { canRetry, cutoverInEffect, plannedSteps, pointPassed } from '../migration/standing.ts';

const { migrations } = resources;

interface RunOptions {
  readonly quiesce?: boolean;
  readonly verify?: boolean;
  readonly keepData?: boolean;
  readonly holdBefore?: string;
  readonly name?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
}

const planArgument = [['<plan>', 'the plan', 'plan']] as const;

const common = () => [
  option('--hold-before <step>', 'wait before this step, until `migration resume`', {
    completes: 'step',
  }),
  option('--name <name>', 'its name (default: PLAN-TYPE-NUMBER)', {
    parse: (text) => checkName(text, 'migration'),
  }),
  shared.wait('it has ended; the exit code says how'),
  shared.timeout(),
];

const verify = () => option('--no-verify', 'do not wait until the workloads are healthy');

const waiting =
  'It runs in the cluster, also when this command or machine ends. With --wait, Ctrl-C only\n' +
  'stops watching. Exit 0: done. 130: it was canceled. Else the code of what made it fail.';

/** stage, cutover, rollback. */
export function migrateCommands(registry: Registry, migrate: Command): void {
  add<RunOptions>(registry, migrate, {
    name: 'stage',
    about: 'copy data and images ahead of time, while everything runs; may be repeated',
    args: planArgument,
    options: common(),
    details: waiting,
    examples: [['transship migrate stage shop --wait', 'so that the cutover has little to copy']],
    run: async (cli, [plan], options) => start(cli, plan!, 'Stage', options),
  });
  add<RunOptions>(registry, migrate, {
    name: 'cutover',
    about: 'stop at the source, copy what is missing, start at the destination',
    args: planArgument,
    options: [
      option('--quiesce', 'stop workloads before the last copy, whatever the plan says'),
      option('--no-quiesce', 'leave them running: the copy is of a moment'),
      verify(),
      ...common(),
    ],
    details: `A failure puts the source back, unless the plan says Pause.\n${waiting}`,
    examples: [
      ['transship migrate cutover shop --wait', 'and see it happen'],
      [
        'transship migrate cutover shop --hold-before startDestination --wait',
        'all is there, nothing runs yet: look, then `migration resume`',
      ],
    ],
    run: async (cli, [plan], options) => start(cli, plan!, 'Cutover', options),
  });
  add<RunOptions>(registry, migrate, {
    name: 'rollback',
    about: 'stop at the destination, bring its data back, start at the source',
    args: planArgument,
    options: [
      option('--keep-data', 'bring back what was written at the destination (default)'),
      option('--no-keep-data', 'the source goes on with the data it had at the cutover'),
      verify(),
      ...common(),
    ],
    details: waiting,
    examples: [
      ['transship migrate rollback shop --wait', 'with all that was written meanwhile'],
      ['transship migrate rollback shop --no-keep-data', 'as if the cutover had not been'],
    ],
    run: async (cli, [plan], options) => start(cli, plan!, 'Rollback', options),
  });
}

type Type = MigrationSpec['type'];

async function start(cli: Cli, name: string, type: Type, options: RunOptions) {
  const { quiesce, keepData, holdBefore } = options;
  const spec: MigrationSpec = {
    plan: name,
    type,
    ...given('quiesce', quiesce),
    ...(options.verify === false ? { verify: false } : {}),
    ...given('keepData', keepData),
    ...given('holdBefore', checkStep(type, holdBefore)),
  };
  return begin(cli, await hubOf(cli, name), spec, options);
}

/** A word that is no step would never be waited for. */
function checkStep(type: Type, step: string | undefined): string | undefined {
  if (step === undefined) return undefined;
  const names = plannedSteps(type).map(({ name }) => name);
  if (names.includes(step)) return step;
  return fail('BadArgument', `a ${type} has no step ${step}; its steps: ${names.join(', ')}`);
}

/** Makes the Migration, says how to follow it, and follows it when that was asked for. */
async function begin(
  cli: Cli,
  planHub: Hub,
  spec: MigrationSpec,
  options: RunOptions,
): Promise<undefined> {
  const plan = await findPlan(planHub);
  const words = wordsFor(cli, planHub);
  if (plan.spec.closed === true) {
    fail(
      'Conflict',
      `plan ${spec.plan} is closed: no migration of it runs any more; make a new plan`,
    );
  }
  const all = await migrationsOf(planHub);
  const others = stillOpen(all);
  if (spec.type === 'Rollback') checkWayBack(all, others);
  const made = await makeMigration(planHub, spec, options.name);
  const { name = '', namespace = '' } = made.metadata;
  const hub = { client: planHub.client, key: { namespace, name } };
  for (const other of others) sayOther(cli, other, spec.type);
  if (spec.type !== 'Rollback') sayChecks(cli, plan);
  if (options.wait !== true && options.timeout === undefined) {
    await printChanged(cli, hub.client, { type: migrations, object: made }, 'created');
    cli.note(`Follow it: ${words(`migration watch ${name}`)}`);
    return undefined;
  }
  cli.note(`migration/${name} created`);
  const ended = await followMigration(cli, hub, {
    uid: made.metadata.uid,
    untilHeld: spec.holdBefore !== undefined,
    ...given('timeoutMs', options.timeout),
  });
  await printEnded(cli, hub, ended);
  return undefined;
}

/** `Conflict` when nothing was cut over, and nothing that runs may still be. */
function checkWayBack(all: readonly Migration[], open: readonly Migration[]): void {
  if (cutoverInEffect(all) !== undefined) return;
  if (open.some(({ spec }) => spec.type === 'Cutover')) return;
  fail('Conflict', 'no cutover of this plan is in effect: there is nothing to go back from');
}

function sayOther(cli: Cli, other: Migration, mine: MigrationSpec['type']): void {
  const { name } = other.metadata;
  const isWayOut = mine === 'Rollback' && canRetry(other) && pointPassed(other) !== undefined;
  if (isWayOut) return;
  const { type } = other.spec;
  cli.note(
    canRetry(other)
      ? `Migration ${name} (${type}) of this plan has failed and is not put back: this one waits ` +
          'until it is retried or canceled.'
      : `Migration ${name} (${type}) of this plan has not ended: this one waits for it.`,
  );
}

/** The migration looks again itself; who reads this may solve it before it fails. */
function sayChecks(cli: Cli, plan: Plan): void {
  if (verdictOf(plan) !== 'Refused') return;
  const ready = conditionOf(plan, 'Ready');
  cli.note(`The checks of the plan refuse it as of now: ${ready?.reason}: ${ready?.message}`);
}

interface RehearseOptions {
  readonly suffix?: string;
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly clean?: boolean;
  readonly name?: string;
}

/** `plan rehearse`: the whole move into namespaces of its own, and away with them again. */
export function rehearseCommand(registry: Registry, plan: Command): void {
  add<RehearseOptions>(registry, plan, {
    name: 'rehearse',
    about: 'try the move: a copy in namespaces of its own, while the source runs on',
    args: planArgument,
    options: [
      option('--suffix <suffix>', 'what these namespaces have behind their names', {
        parse: parseSuffix,
      }),
      option('--clean', 'take away what rehearsals of this plan made; with --wait until gone'),
      option('--name <name>', 'its name (default: PLAN-rehearsal-NUMBER)', {
        parse: (text) => checkName(text, 'migration'),
      }),
      shared.wait('the copy runs and is healthy, or has failed'),
      shared.timeout(),
    ],
    details:
      'Nothing leads into it from outside: no ingress, no load balancer, no scheduled jobs.\n' +
      'It stays until --clean. The suffix is -rehearsal unless given.',
    examples: [
      ['transship plan rehearse shop --wait', 'shop-rehearsal at the destination'],
      ['transship plan rehearse shop --clean', 'and all of it is gone'],
    ],
    run: async (cli, [name], options) => {
      if (options.clean === true) return clean(cli, name!, options);
      const hub = await hubOf(cli, name!);
      const spec: MigrationSpec = {
        plan: name!,
        type: 'Rehearsal',
        ...given('sandbox', options.suffix),
      };
      return begin(cli, hub, spec, options);
    },
  });
}

function parseSuffix(text: string): string {
  const suffix = text.startsWith('-') ? text : `-${text}`;
  if (/^-[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(suffix) && suffix.length <= 32) return suffix;
  return fail(
    'BadArgument',
    `--suffix ${text}: lower-case letters, digits and hyphens, at most 31`,
  );
}

async function clean(cli: Cli, name: string, options: RehearseOptions): Promise<undefined> {
  if (options.suffix !== undefined || options.name !== undefined) {
    fail('BadArgument', '--clean takes all rehearsals of the plan away; leave out the rest');
  }
  const hub = await hubOf(cli, name);
  const all = await migrationsOf(hub);
  const rehearsals = all.filter(({ spec }) => spec.type === 'Rehearsal');
  if (rehearsals.length === 0) {
    await findPlan(hub);
    cli.note(`Plan ${name} has no rehearsal.`);
    return undefined;
  }
  const suffixes = rehearsals.map(({ spec }) => spec.sandbox ?? '-rehearsal');
  await cli.confirm([
    `This deletes ${rehearsals.map(({ metadata }) => metadata.name).join(', ')}`,
    `and the namespaces they made (*${[...new Set(suffixes)].join(', *')})`,
    'with all that is in them.',
    'The source, and what cutovers made, stay as they are.',
  ]);
  for (const { metadata } of rehearsals) {
    const { namespace = '', name: own = '', uid } = metadata;
    const key = { namespace, name: own };
    await hub.client.delete(migrations, key, uid === undefined ? {} : { uid });
  }
  const isWaiting = options.wait === true || options.timeout !== undefined;
  for (const one of rehearsals) {
    if (isWaiting) await whenGone(cli, hub, one, options.timeout);
    cli.out(`migration/${one.metadata.name} deleted\n`);
  }
  return undefined;
}
