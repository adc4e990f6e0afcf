import type { Command } from 'commander';
import type { Migration, MigrationSpec } from '../../api/kinds/migration.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import {
  findMigration,
  followMigration,
  hubOf,
  migrationsOf,
  printEnded,
  whenGone,
  wordsFor,
} from '../api/migrations.ts';
import { printChanged, printGone } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import { add, given, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import {
  canRetry,
  cutoverInEffect,
  isOpen,
  plannedSteps,
  pointPassed,
  standingOf,
  stepNow,
  stepsOf,
} from '../migration/standing.ts';
import { undoingOf } from '../migration/undoing.ts';

const { migrations } = resources;

const named = [['<migration>', 'the migration', 'migration']] as const;

/** pause, resume, hold, retry, cancel, delete. */
export function changeMigration(registry: Registry, migration: Command): void {
  pause(registry, migration);
  hold(registry, migration);
  retry(registry, migration);
  cancel(registry, migration);
  remove(registry, migration);
}

/** Somebody who changes it all the time is not waited for. */
const conflictsMax = 10;

/**
 * Changes what was judged: after a conflict the newest is read and judged anew. Undefined from
 * `change`: it is so already.
 */
async function changeSpec(
  hub: Hub,
  change: (migration: Migration) => Partial<Record<keyof MigrationSpec, unknown>> | undefined,
): Promise<Migration> {
  for (let tries = 1; ; tries++) {
    const before = await findMigration(hub);
    const spec = change(before);
    if (spec === undefined) return before;
    const { resourceVersion } = before.metadata;
    try {
      return await hub.client.patch(migrations, hub.key, { metadata: { resourceVersion }, spec });
    } catch (error) {
      if (asTransshipError(error).reason !== 'Conflict' || tries === conflictsMax) throw error;
    }
  }
}

/** One that failed may go on, and can be told before how. */
function needOpen(migration: Migration, what: string): void {
  if (isOpen(migration)) return;
  const { name } = migration.metadata;
  fail('Conflict', `migration ${name} has ended (${standingOf(migration)}); ${what}`);
}

function pause(registry: Registry, migration: Command): void {
  add<Record<string, never>>(registry, migration, {
    name: 'pause',
    about: 'begin no further step and no further copy until `migration resume`',
    args: named,
    details: 'A step that runs comes to its end; what was stopped at the source stays stopped.',
    run: async (cli, [name]) => {
      const hub = await hubOf(cli, name!);
      const object = await changeSpec(hub, (one) => {
        needOpen(one, 'there is nothing to pause');
        return one.spec.paused === true ? undefined : { paused: true };
      });
      await printChanged(cli, hub.client, { type: migrations, object }, 'paused');
      const step = stepNow(object);
      if (step?.state === 'Running') cli.note(`Step ${step.name} comes to its end first.`);
      cli.note(`Go on with: ${wordsFor(cli, hub)(`migration resume ${name}`)}`);
    },
  });
  add<Record<string, never>>(registry, migration, {
    name: 'resume',
    about: 'go on after `pause`, or past the step that it was held before',
    args: named,
    run: async (cli, [name]) => {
      const hub = await hubOf(cli, name!);
      let wasHeld = false;
      const object = await changeSpec(hub, (one) => {
        needOpen(one, 'there is nothing to resume');
        const { paused, holdBefore } = one.spec;
        // A hold further down is a wish that still stands.
        wasHeld = holdBefore !== undefined && (paused !== true || standingOf(one) === 'Held');
        if (paused !== true && holdBefore === undefined) return undefined;
        return { ...(paused === true && { paused: false }), ...(wasHeld && { holdBefore: null }) };
      });
      await printChanged(cli, hub.client, { type: migrations, object }, 'resumed');
      const { holdBefore } = object.spec;
      if (holdBefore !== undefined) cli.note(`It will hold before ${holdBefore}.`);
    },
  });
}

function hold(registry: Registry, migration: Command): void {
  add<Record<string, never>>(registry, migration, {
    name: 'hold',
    about: 'wait before a step that has not begun, until `migration resume`',
    args: [...named, ['<step>', 'the step', 'step']],
    examples: [
      ['transship migration hold shop-cutover-1 startDestination', 'to look before it starts'],
    ],
    run: async (cli, [name, step]) => {
      const hub = await hubOf(cli, name!);
      const object = await changeSpec(hub, (one) => {
        needOpen(one, 'there is nothing to hold');
        checkPending(one, step!);
        return one.spec.holdBefore === step ? undefined : { holdBefore: step };
      });
      await printChanged(cli, hub.client, { type: migrations, object }, `held before ${step}`);
    },
  });
}

/** `Conflict` when the step has begun, `BadArgument` when there is none of that name. */
function checkPending(migration: Migration, step: string): void {
  const { type } = migration.spec;
  const steps = stepsOf(migration);
  const names = (steps.length > 0 ? steps : plannedSteps(type)).map(({ name }) => name);
  if (names.length > 0 && !names.includes(step)) {
    fail('BadArgument', `it has no step ${step}; its steps: ${names.join(', ')}`);
  }
  const found = steps.find(({ name }) => name === step);
  if (found === undefined || found.state === 'Pending') return;
  const left = steps.filter(({ state }) => state === 'Pending').map(({ name }) => name);
  fail('Conflict', `step ${step} has begun already (${found.state}); not yet: ${left.join(', ')}`);
}

interface WaitOptions {
  readonly wait?: boolean;
  readonly timeout?: number;
}

/** Says what was asked for; with --wait, what came of it. */
async function afterChange(
  cli: Cli,
  hub: Hub,
  object: Migration,
  { verb, options }: { readonly verb: string; readonly options: WaitOptions },
): Promise<undefined> {
  const { name } = hub.key;
  if (options.wait !== true && options.timeout === undefined) {
    await printChanged(cli, hub.client, { type: migrations, object }, verb);
    cli.note(`Follow it: ${wordsFor(cli, hub)(`migration watch ${name}`)}`);
    return undefined;
  }
  cli.note(`migration/${name} ${verb}`);
  const ended = await followMigration(cli, hub, {
    uid: object.metadata.uid,
    ...given('timeoutMs', options.timeout),
  });
  // That it is canceled is what was asked for.
  const isBack = ['Canceled', 'PutBack'].includes(standingOf(ended));
  if (verb === 'canceling' && isBack) {
    await printChanged(cli, hub.client, { type: migrations, object: ended }, 'canceled');
  } else await printEnded(cli, hub, ended);
  return undefined;
}

function retry(registry: Registry, migration: Command): void {
  add<WaitOptions>(registry, migration, {
    name: 'retry',
    about: 'go on from the step that failed; what was proven before it stays',
    args: named,
    options: [shared.wait('it has ended; the exit code says how'), shared.timeout()],
    run: async (cli, [name], options) => {
      const hub = await hubOf(cli, name!);
      const object = await changeSpec(hub, (one) => {
        checkRetry(cli, hub, one);
        return { retry: Math.max(one.spec.retry ?? 0, one.status?.retried ?? 0) + 1 };
      });
      return afterChange(cli, hub, object, { verb: 'retrying', options });
    },
  });
}

function checkRetry(cli: Cli, hub: Hub, migration: Migration): void {
  const { spec } = migration;
  const { name } = migration.metadata;
  const standing = standingOf(migration);
  if (standing === 'Failed' && canRetry(migration)) return;
  const words = wordsFor(cli, hub);
  const anew =
    spec.type === 'Rehearsal'
      ? words(`plan rehearse ${spec.plan}`)
      : words(`migrate ${spec.type.toLowerCase()} ${spec.plan}`);
  switch (standing) {
    case 'Succeeded':
      return fail('Conflict', `nothing failed: migration ${name} has succeeded`);
    case 'Failed':
    case 'PutBack':
    case 'Canceled':
    case 'TakingBack':
      return fail('Conflict', `what ${name} changed was put back; make a new one: ${anew}`);
    case 'NeedsRollback':
      return fail(
        'Conflict',
        `migration ${name} was canceled after its workloads were started there; only this ` +
          `leads back: ${words(`migrate rollback ${spec.plan}`)}`,
      );
    default:
      return fail('Conflict', `nothing failed: migration ${name} has not ended (${standing})`);
  }
}

function cancel(registry: Registry, migration: Command): void {
  add<WaitOptions>(registry, migration, {
    name: 'cancel',
    about: 'stop it, and put back what it changed; shows what that is, and asks',
    args: named,
    options: [shared.wait('all is put back'), shared.timeout()],
    run: async (cli, [name], options) => {
      const hub = await hubOf(cli, name!);
      const before = await findMigration(hub);
      checkCancel(cli, hub, before);
      if (before.spec.canceled !== true) await cli.confirm(undoingOf(before));
      const object = await changeSpec(hub, (one) => {
        // It may have gone on while the person was thinking.
        checkCancel(cli, hub, one);
        return one.spec.canceled === true ? undefined : { canceled: true };
      });
      return afterChange(cli, hub, object, { verb: 'canceling', options });
    },
  });
}

/** `Conflict` where canceling would put nothing back, with what does. */
function checkCancel(cli: Cli, hub: Hub, migration: Migration): void {
  const { name } = migration.metadata;
  const { plan, type } = migration.spec;
  const standing = standingOf(migration);
  const words = wordsFor(cli, hub);
  const point = pointPassed(migration);
  if (standing === 'Canceled' || standing === 'PutBack') {
    fail('Conflict', `migration ${name} has ended, and all that it changed was put back`);
  }
  if (point !== undefined && type === 'Cutover') {
    const back = words(`migrate rollback ${plan}`);
    fail('Conflict', `${point} was begun at the destination; only this leads back: ${back}`);
  }
  if (point !== undefined) {
    const about = standing === 'Failed' ? `; go on: ${words(`migration retry ${name}`)}` : '';
    fail('Conflict', `the source is being started again; it has to come to its end${about}`);
  }
  if (standing === 'Succeeded') {
    const anew = type === 'Rehearsal' ? `; take it away: ${words(`migration delete ${name}`)}` : '';
    fail('Conflict', `migration ${name} has succeeded; there is nothing to cancel${anew}`);
  }
}

function remove(registry: Registry, migration: Command): void {
  add<WaitOptions>(registry, migration, {
    name: 'delete',
    about: 'forget a migration that has ended, its report and logs; what it moved stays',
    args: named,
    options: [shared.wait('it is gone'), shared.timeout()],
    details:
      'Deleting a rehearsal takes away what it made. A failed cutover that was not put back is\n' +
      'not deleted: cancel it, or roll back, first.',
    run: async (cli, [name], options) => {
      const hub = await hubOf(cli, name!);
      const found = await findMigration(hub);
      await checkDelete(cli, hub, found);
      await cli.confirm(deletionOf(found));
      const { uid } = found.metadata;
      await hub.client.delete(migrations, hub.key, uid === undefined ? {} : { uid });
      if (options.wait === true || options.timeout !== undefined) {
        await whenGone(cli, hub, found, options.timeout);
      }
      await printGone(cli, found, 'deleted');
    },
  });
}

/** What is not over is not forgotten, nor what a rollback needs: there would be no way back. */
async function checkDelete(cli: Cli, hub: Hub, migration: Migration): Promise<void> {
  const { name } = migration.metadata;
  const { plan, type } = migration.spec;
  const words = wordsFor(cli, hub);
  if (type === 'Rehearsal') return;
  const planHub = { ...hub, key: { ...hub.key, name: plan } };
  const inEffect = cutoverInEffect(await migrationsOf(planHub));
  if (inEffect?.metadata.uid === migration.metadata.uid) {
    const found = await hub.client.get(resources.plans, planHub.key);
    if (found === undefined || found.spec.closed === true) return;
    fail(
      'Conflict',
      [
        `a rollback of plan ${plan} would go back from ${name}: without it there is no way back`,
        `finish the plan:  ${words(`plan close ${plan}`)}`,
        `or go back:  ${words(`migrate rollback ${plan}`)}`,
      ].join('\n'),
    );
  }
  if (!isOpen(migration)) return;
  const standing = standingOf(migration);
  const how = words(`migration cancel ${name}`);
  const why =
    standing === 'Failed'
      ? `what ${name} changed is not put back`
      : `migration ${name} has not ended (${standing})`;
  fail('Conflict', `${why}; cancel it first: ${how}`);
}

function deletionOf({ metadata, spec }: Migration): readonly string[] {
  if (spec.type !== 'Rehearsal') {
    return [
      `This deletes migration ${metadata.name}, its report and its logs.`,
      'What it moved stays where it is.',
    ];
  }
  const suffix = spec.sandbox ?? '-rehearsal';
  return [
    `This deletes rehearsal ${metadata.name} and the namespaces it made (*${suffix})`,
    'with all that is in them. The source stays as it is.',
  ];
}
