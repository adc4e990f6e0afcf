import type { Command } from 'commander';
import type { Migration } from '../../api/kinds/migration.ts';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import { hubOf, migrationsOf, stillOpen, wordsFor } from '../api/migrations.ts';
import { changePlan, findPlan } from '../api/plans.ts';
import { printChanged, printGone } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import { deleteObject } from '../api/volumes.ts';
import { add, type Registry } from '../command.ts';
import type { Cli } from '../context.ts';
import { cutoverInEffect, pointPassed, standingOf } from '../migration/standing.ts';

const { plans } = resources;

const planArgument = [['<plan>', 'the plan', 'plan']] as const;

/** close and delete. */
export function endPlan(registry: Registry, plan: Command): void {
  add<Record<string, never>>(registry, plan, {
    name: 'close',
    about: 'say that the move is finished: the way back goes, no migration of it runs any more',
    args: planArgument,
    details:
      'What was kept for a rollback is finished: undo records are deleted in both clusters, and\n' +
      'volumes at the destination get the reclaim policies that they should have. Claims there\n' +
      'that stages made and no cutover has started on are deleted. The source stays as the\n' +
      'cutover left it, stopped and fenced, with its data: delete it when you like.',
    run: async (cli, [name]) => {
      const hub = await hubOf(cli, name!);
      await findPlan(hub);
      const all = await migrationsOf(hub);
      needNoneRunning(cli, hub, all, 'closed');
      await cli.confirm([
        `This closes plan ${name} for ever: no stage, cutover or rollback of it.`,
        'Undo records are deleted in both clusters: there is no way back after it.',
        'Volumes at the destination get their reclaim policies, so that a deleted claim may',
        'delete its data again. Claims that stages made there, and that no cutover has started',
        'on, are deleted with their volumes. The source stays as it is, stopped, with its data.',
        ...halfWay(all),
      ]);
      const object = await changePlan(hub, (spec) => ({ ...spec, closed: true }));
      await printChanged(cli, hub.client, { type: plans, object }, 'closed');
    },
  });
  add<Record<string, never>>(registry, plan, {
    name: 'delete',
    about: 'delete a plan; what its migrations moved stays where it is',
    args: planArgument,
    run: async (cli, [name]) => {
      const hub = await hubOf(cli, name!);
      const object = await findPlan(hub);
      const all = await migrationsOf(hub);
      needNoneRunning(cli, hub, all, 'deleted');
      const isOpen = object.spec.closed !== true && cutoverInEffect(all) !== undefined;
      await cli.confirm([
        `This deletes plan ${name}. What it moved stays where it is.`,
        ...(isOpen ? openWarning(wordsFor(cli, hub)(`plan close ${name}`)) : []),
        ...halfWay(all),
      ]);
      await deleteObject(cli, hub.client, { type: plans, object });
      await printGone(cli, object, 'deleted');
    },
  });
}

/** `Conflict` names those that run, and what ends them. */
function needNoneRunning(
  cli: Cli,
  hub: Hub,
  all: readonly Migration[],
  done: 'closed' | 'deleted',
): void {
  const open = stillOpen(all);
  if (open.length === 0) return;
  const words = wordsFor(cli, hub);
  const lines = open.map((one) => {
    const { name } = one.metadata;
    const isPast = pointPassed(one) !== undefined && one.spec.type === 'Cutover';
    const way = isPast ? `migrate rollback ${one.spec.plan}` : `migration cancel ${name}`;
    return `${name} (${one.spec.type}, ${standingOf(one)}):  ${words(way)}`;
  });
  const what = `plan ${hub.key.name} cannot be ${done} before its migrations have ended; wait, or`;
  fail('Conflict', [what, ...lines].join('\n'));
}

function openWarning(close: string): readonly string[] {
  return [
    'It is not closed: undo records stay in both clusters, and volumes at the destination',
    `keep the policy Retain. To finish them, close it first:  ${close}`,
  ];
}

/** An application may be down because of it. */
function halfWay(all: readonly Migration[]): readonly string[] {
  const cutover = cutoverInEffect(all);
  if (cutover === undefined) return [];
  const standing = standingOf(cutover);
  if (standing === 'Succeeded') return [];
  return [`Careful: ${cutover.metadata.name} stands half way (${standing}); look at it first.`];
}
