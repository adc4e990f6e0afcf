import type { Command } from 'commander';
import type { Migration } from '../../api/kinds/migration.ts';
import { resources } from '../../api/kinds/resources.ts';
import { checkName } from '../../base/names.ts';
import {
  failUnlessWell,
  findMigration,
  followMigration,
  hubOf,
  migrationsOf,
  printEnded,
  wordsFor,
} from '../api/migrations.ts';
import { asking, printChanged, printListed } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { partsOf } from '../migration/parts.ts';
import { adviceFor, isOpen } from '../migration/standing.ts';
import { migrationText } from '../migration/text.ts';
import { changeMigration } from './migration-change.ts';

const { migrations } = resources;

const migrationArgument = [['<migration>', 'the migration', 'migration']] as const;

/** list, show, watch, logs, report; pause, resume, hold, retry, cancel, delete. */
export function migrationCommands(registry: Registry, migration: Command): void {
  list(registry, migration);
  show(registry, migration);
  watch(registry, migration);
  changeMigration(registry, migration);
  logs(registry, migration);
  report(registry, migration);
}

interface ListOptions {
  readonly allNamespaces?: boolean;
  readonly watch?: boolean;
  readonly plan?: string;
}

function list(registry: Registry, migration: Command): void {
  add<ListOptions>(registry, migration, {
    name: 'list',
    about: 'migrations that this cluster keeps',
    options: [
      option('--plan <plan>', 'only those of this plan', {
        completes: 'plan',
        parse: (text) => checkName(text, 'plan'),
      }),
      option('-A, --all-namespaces', 'of all namespaces'),
      shared.watch(),
    ],
    run: async (cli, _args, options) => {
      const { client } = await cli.api();
      const what = options.allNamespaces === true ? {} : { namespace: cli.namespace };
      const fields = options.plan === undefined ? undefined : `spec.plan=${options.plan}`;
      const asked = { ...asking(migrations, what), fields };
      await printListed(cli, client, asked, {
        whenEmpty: 'No migrations.',
        watch: options.watch,
      });
    },
  });
}

function show(registry: Registry, migration: Command): void {
  add<Record<string, never>>(registry, migration, {
    name: 'show',
    about: 'one migration: where it stands, its steps, what is copied, what to do',
    args: migrationArgument,
    run: async (cli, [name]) => {
      const hub = await hubOf(cli, name!);
      const object = await findMigration(hub);
      if (cli.options.output !== undefined) {
        return printChanged(cli, hub.client, { type: migrations, object }, '');
      }
      const parts = await partsOf(hub.client, object);
      const advice = await adviceNow(cli, hub, object);
      cli.out(migrationText(parts, { nowMs: cli.nowMs(), advice }));
      return undefined;
    },
  });
}

/** What one may do about an old migration is what one may do about those that came after it. */
async function adviceNow(cli: Cli, hub: Hub, migration: Migration): Promise<readonly string[]> {
  const words = wordsFor(cli, hub);
  const { name } = migration.metadata;
  if (!isOpen(migration)) {
    const all = await migrationsOf({ ...hub, key: { ...hub.key, name: migration.spec.plan } });
    const at = all.findIndex(({ metadata }) => metadata.name === name);
    const next = all.slice(at + 1).findLast(({ spec }) => spec.type !== 'Rehearsal');
    const later = next?.metadata.name;
    if (later !== undefined)
      return [`look at the one after it:  ${words(`migration show ${later}`)}`];
  }
  return adviceFor(migration, words);
}

function watch(registry: Registry, migration: Command): void {
  add<{ readonly timeout?: number }>(registry, migration, {
    name: 'watch',
    about: 'see it happen until it ends; Ctrl-C stops watching only',
    args: migrationArgument,
    options: [shared.timeout()],
    details:
      'On a terminal the picture is drawn again, elsewhere there is a line for what is new.\n' +
      'With -o json (or yaml, name): the object, whenever it changes. The exit code is that of\n' +
      'the migration.',
    examples: [['transship migration watch shop-cutover-1', 'its steps as they go']],
    run: async (cli, [name], { timeout }) => {
      const hub = await hubOf(cli, name!);
      const found = await findMigration(hub);
      const format = cli.options.output;
      const isStream = format === 'json' || format === 'yaml' || format === 'name';
      const stream = isStream ? objectStream(cli) : undefined;
      try {
        const ended = await followMigration(cli, hub, {
          uid: found.metadata.uid,
          ...given('timeoutMs', timeout),
          ...given('onObject', stream?.show),
        });
        await stream?.written();
        if (isStream) failUnlessWell(cli, hub, ended);
        else await printEnded(cli, hub, ended);
      } finally {
        await stream?.written();
      }
    },
  });
}

/** One version after the other, each once. */
function objectStream(cli: Cli) {
  let printing = Promise.resolve();
  let version: string | undefined;
  return {
    show: (one: Migration): void => {
      if (one.metadata.resourceVersion === version) return;
      version = one.metadata.resourceVersion;
      printing = printing.then(() => cli.printAny(one));
    },
    written: async () => printing,
  };
}

function logs(registry: Registry, migration: Command): void {
  add<{ readonly follow?: boolean }>(registry, migration, {
    name: 'logs',
    about: 'what happened step by step, and what copies and hooks printed last',
    args: migrationArgument,
    options: [option('-f, --follow', 'and what comes, until it ends')],
    details: 'A line has in front who said it. With -o json each is an object on a line.',
    examples: [['transship migration logs shop-cutover-1 --follow', 'as it happens']],
    run: async (cli, [name], { follow }) => {
      // Loaded when asked for, as the report: no part of a fast start.
      const { printLogs } = await import('../migration/logs.ts');
      await printLogs(cli, await hubOf(cli, name!), follow === true);
    },
  });
}

function report(registry: Registry, migration: Command): void {
  add<{ readonly file?: string }>(registry, migration, {
    name: 'report',
    about: 'what moved, how, how fast and how it was checked: objects, volumes, images, times',
    args: migrationArgument,
    options: [
      option('--file <path>', 'write it to a new file (JSON when it ends in .json)', {
        completes: 'file',
      }),
    ],
    details:
      'Also of one that still runs or has failed. The fields of -o json are stable; they are\n' +
      'described in docs/formats/migration-report.md.',
    examples: [
      ['transship migration report shop-cutover-1', 'for people'],
      ['transship migration report shop-cutover-1 --file shop.json', 'for the records'],
    ],
    run: async (cli, [name], { file }) => {
      const { printReport } = await import('../migration/report-print.ts');
      await printReport(cli, await hubOf(cli, name!), file);
    },
  });
}
