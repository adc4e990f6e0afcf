/** Migrations as objects: named, made, waited for; and which of a plan's still run. */
import type { Migration, MigrationSpec } from '../../api/kinds/migration.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { isReason, type Reason } from '../../base/reasons.ts';
import { limits } from '../../base/limits.ts';
import { formatBytes, formatDuration } from '../../base/units.ts';
import type { Timer } from '../../base/ports.ts';
import type { KubeClient } from '../../kube/api.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Cli } from '../context.ts';
import { pictureOf, saidBy } from '../migration/picture.ts';
import {
  adviceFor,
  failureOf,
  hasEnded,
  isOpen,
  type Standing,
  standingOf,
} from '../migration/standing.ts';
import { needObject, printChanged } from './printing.ts';
import type { Hub } from './teleports.ts';
import { conditionOf, until } from './waiting.ts';

const { migrations } = resources;

export async function findMigration({ client, key }: Hub): Promise<Migration> {
  return needObject(client, migrations, key);
}

export async function hubOf(cli: Cli, name: string): Promise<Hub> {
  const { client } = await cli.api();
  return { client, key: { namespace: cli.namespace, name } };
}

/** A command line as this person would have to type it: the same cluster, the same namespace. */
export function wordsFor(cli: Cli, { client, key }: Hub): (line: string) => string {
  const { context, kubeconfig } = cli.options;
  const place = cli.namesContext
    ? [
        ...(context === undefined ? [] : [`--context ${context}`]),
        ...(kubeconfig === undefined ? [] : [`--kubeconfig ${kubeconfig}`]),
      ].join(' ')
    : `--cluster ${client.cluster}`;
  const namespace = key.namespace === 'default' ? '' : ` -n ${key.namespace}`;
  return (line) => `transship ${line}${namespace} ${place}`;
}

/** All migrations of a plan, the oldest first. */
export async function migrationsOf({ client, key }: Hub): Promise<readonly Migration[]> {
  const found: Migration[] = [];
  const selectors = { namespace: key.namespace, fields: `spec.plan=${key.name}` };
  for await (const one of client.list(migrations, selectors)) found.push(one);
  const madeAt = ({ metadata }: Migration) => metadata.creationTimestamp ?? '';
  return found.toSorted((a, b) => (madeAt(a) < madeAt(b) ? -1 : 1));
}

/** Those that others wait for: also one that failed and was neither retried nor put back. */
export function stillOpen(all: readonly Migration[]): readonly Migration[] {
  return all.filter((one) => isOpen(one));
}

/** Somebody else who makes one at the same moment is not waited for. */
const triesMax = 20;

/** As named, or `<plan>-<type>-<n>` with the next n that is free. */
export async function makeMigration(
  plan: Hub,
  spec: MigrationSpec,
  name: string | undefined,
): Promise<Migration> {
  const { client, key } = plan;
  const { namespace } = key;
  if (name !== undefined) return client.create(migrations, { metadata: { name, namespace }, spec });
  const word = spec.type.toLowerCase();
  let number = await lastNumber(client, namespace, (one) => nameOf(key.name, word, one));
  for (let tries = 1; ; tries++) {
    number += 1;
    const metadata = { name: nameOf(key.name, word, number), namespace };
    try {
      return await client.create(migrations, { metadata, spec });
    } catch (error) {
      const isTaken = asTransshipError(error).reason === 'AlreadyExists';
      if (!isTaken || tries === triesMax) throw error;
    }
  }
}

/** A long plan's name is cut, so that the whole stays a name that commands accept. */
function nameOf(plan: string, word: string, number: number): string {
  const end = `-${word}-${number}`;
  return `${plan.slice(0, limits.nameLengthMax - end.length).replace(/[-.]+$/, '')}${end}`;
}

async function lastNumber(
  client: KubeClient,
  namespace: string,
  name: (number: number) => string,
): Promise<number> {
  let last = 0;
  for await (const { metadata } of client.list(migrations, { namespace })) {
    const number = Number(/-(\d+)$/.exec(metadata.name ?? '')?.[1] ?? 0);
    if (number > last && metadata.name === name(number)) last = number;
  }
  return last;
}

export interface Following {
  readonly timeoutMs?: number;
  /** The incarnation that is followed. */
  readonly uid: string | undefined;
  /** Ends also when it waits before the step that it was told to hold before. */
  readonly untilHeld?: boolean;
  /** Called with every version; without it, progress is painted. */
  readonly onObject?: (migration: Migration) => void;
}

/** Times are drawn anew; where lines stay, only so often that one sees that it goes on. */
const redrawMs = 1000;
const againMs = 60_000;

/** Follows it to its end, with progress. `NotFound` when it is deleted meanwhile. */
export async function followMigration(
  cli: Cli,
  hub: Hub,
  following: Following,
): Promise<Migration> {
  const { client, key } = hub;
  const { uid, timeoutMs, onObject } = following;
  const painting = onObject === undefined ? paintingOf(cli) : undefined;
  try {
    return await until(cli, client, {
      type: migrations,
      key,
      goesOn:
        `the migration goes on in the cluster; come back with: ` +
        wordsFor(cli, hub)(`migration watch ${key.name}`),
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      onObject: onObject ?? ((one) => painting?.show(one)),
      test: (one) => {
        if (one === undefined || (uid !== undefined && one.metadata.uid !== uid)) {
          return fail('NotFound', `migration ${key.name} was deleted meanwhile`);
        }
        const isHeld = following.untilHeld === true && standingOf(one) === 'Held';
        return hasEnded(one) || isHeld ? one : undefined;
      },
    });
  } finally {
    painting?.end();
  }
}

/** Paints whenever it changes, and now and then although it does not. */
function paintingOf(cli: Cli) {
  const painter = cli.painter();
  const { clock } = cli.ports;
  const everyMs = painter.isDrawing ? redrawMs : againMs;
  const late: { timer?: Timer; last?: Migration } = {};
  const paint = (): void => {
    late.timer?.cancel();
    late.timer = clock.after(everyMs, paint);
    if (late.last !== undefined) painter.paint(pictureOf(late.last, cli.nowMs()));
  };
  return {
    show: (one: Migration): void => {
      const isMoving = ['Running', 'TakingBack'].includes(standingOf(one));
      // The next step begins at once; between two there is nothing to see.
      if (isMoving && saidBy(one) === undefined) return;
      late.last = one;
      paint();
    },
    end: (): void => {
      late.timer?.cancel();
      painter.end();
    },
  };
}

const verbs: Partial<Record<Standing, string>> = { Succeeded: 'succeeded', Held: 'held' };

/** The last word of a command that waited: the result, or the failure with what can be done. */
export async function printEnded(cli: Cli, hub: Hub, ended: Migration): Promise<void> {
  failUnlessWell(cli, hub, ended);
  const verb = verbs[standingOf(ended)] ?? 'ended';
  await printChanged(cli, hub.client, { type: migrations, object: ended }, verb);
  sayWhatNext(cli, hub, ended);
}

/** Failures keep their reason, which decides the exit code. */
export function failUnlessWell(cli: Cli, hub: Hub, ended: Migration): void {
  const succeeded = conditionOf(ended, 'Succeeded');
  if (succeeded?.status !== 'False') return;
  const { step, reason = succeeded.reason, message = '' } = failureOf(ended) ?? {};
  const isPutBack = standingOf(ended) === 'PutBack';
  const what =
    step === undefined
      ? `migration ${hub.key.name}: ${succeeded.message}`
      : `step ${step} of migration ${hub.key.name} failed: ${message}`;
  const after = isPutBack ? ['what it had changed was put back'] : [];
  const advice = adviceFor(ended, wordsFor(cli, hub));
  // A rollback is needed because somebody canceled it too late.
  const word: Reason =
    reason === 'NeedsRollback' ? 'Conflict' : isReason(reason) ? reason : 'Internal';
  fail(word, [what, ...after, ...advice].join('\n'));
}

/** What came out in one line, and the commands that may follow. */
export function sayWhatNext(cli: Cli, hub: Hub, ended: Migration): void {
  const summary = hasEnded(ended) ? summaryOf(ended) : '';
  if (summary !== '') cli.note(summary);
  for (const warning of ended.status?.warnings ?? []) cli.note(`warning: ${warning}`);
  for (const line of adviceFor(ended, wordsFor(cli, hub))) cli.note(line);
}

export function summaryOf({ status = {} }: Migration): string {
  const { report = {}, downtimeMilliseconds } = status;
  const { objects, volumes, images, bytes, wireBytes } = report;
  const wire = wireBytes === undefined ? '' : ` (${formatBytes(wireBytes)} on the wire)`;
  const parts = [
    ...counted(objects, 'object'),
    ...counted(volumes, 'volume'),
    ...counted(images, 'image'),
    ...(bytes === undefined || bytes === 0 ? [] : [`${formatBytes(bytes)}${wire}`]),
    ...(downtimeMilliseconds === undefined
      ? []
      : [`down for ${formatDuration(downtimeMilliseconds)}`]),
  ];
  return parts.join(', ');
}

function counted(count: number | undefined, what: string): readonly string[] {
  if (count === undefined || count === 0) return [];
  return [`${count} ${what}${count === 1 ? '' : 's'}`];
}

/** Waits until an object that was deleted is really gone: its finalizers clean up first. */
export async function whenGone(
  cli: Cli,
  hub: Hub,
  gone: Migration,
  timeoutMs?: number,
): Promise<void> {
  const { uid, name = '' } = gone.metadata;
  await until<Migration, true>(cli, hub.client, {
    type: migrations,
    key: keyOf(gone),
    goesOn: `${name} is still being deleted; see: ${wordsFor(cli, hub)('migration list')}`,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    test: (now) => (now !== undefined && now.metadata.uid === uid ? undefined : true),
  });
}
