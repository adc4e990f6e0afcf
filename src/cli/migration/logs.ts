/**
 * What a migration said: events of it and its transfers, the last lines of each transfer, and the
 * output of hooks. Movers print at both sides; the hub keeps their last lines, so that one place is
 * asked and no cluster has to be reached from here.
 */
import type { Migration } from '../../api/kinds/migration.ts';
import { formatDuration } from '../../base/units.ts';
import { labels } from '../../controllers/labels.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type ConfigMap, configMaps, type Event, events } from '../../kube/resources.ts';
import { sleep } from '../../base/sleep.ts';
import { findMigration, wordsFor } from '../api/migrations.ts';
import type { Hub } from '../api/teleports.ts';
import type { Cli } from '../context.ts';
import { cellText } from '../table.ts';
import { partsOf } from './parts.ts';
import { hasEnded, stepsOf } from './standing.ts';
import { type Parts, tookMs } from './text.ts';

/** One stream of lines: they come at its end only, while old ones may fall off its beginning. */
interface Stream {
  /** What tells it from others of the same source; the source when absent. */
  readonly id?: string;
  readonly source: string;
  readonly lines: readonly string[];
}

const pollMs = 1000;

/** Prints what there is; with `isFollowing` what comes, until the migration ends. */
export async function printLogs(cli: Cli, hub: Hub, isFollowing: boolean): Promise<void> {
  const { client, key } = hub;
  const seen = new Map<string, readonly string[]>();
  let migration = await findMigration(hub);
  const { uid } = migration.metadata;
  const printNew = async (): Promise<void> => {
    for (const stream of await streamsOf(client, migration, cli.nowMs())) {
      const { source, id = source, lines } = stream;
      for (const line of newLines(seen.get(id) ?? [], lines)) printLine(cli, source, line);
      seen.set(id, lines);
    }
  };
  await printNew();
  if (!isFollowing) {
    if (seen.values().every(({ length }) => length === 0)) cli.note('It has said nothing yet.');
    return;
  }
  const words = wordsFor(cli, hub)(`migration logs ${key.name} --follow`);
  const goesOn = `the migration goes on in the cluster; come back with: ${words}`;
  await cli.watching({ goesOn }, async (signal) => {
    // What is said last comes before the end is seen, so it is asked for once more after it.
    while (!hasEnded(migration)) {
      await sleep(cli.ports.clock, pollMs, signal);
      signal.throwIfAborted();
      migration = await findMigration(hub);
      if (migration.metadata.uid !== uid) break;
      await printNew();
    }
  });
}

function printLine(cli: Cli, source: string, line: string): void {
  if (cli.options.output === 'json') cli.out(`${JSON.stringify({ source, line })}\n`);
  else cli.out(`${source}  ${cellText(line)}\n`);
}

/** What `now` has behind the end of `before`: the longest overlap is what both know. */
export function newLines(before: readonly string[], now: readonly string[]): readonly string[] {
  const longest = Math.min(before.length, now.length);
  for (let common = longest; common > 0; common--) {
    const end = before.slice(-common);
    if (end.every((line, at) => line === now[at])) return now.slice(common);
  }
  return now;
}

async function streamsOf(
  client: KubeClient,
  migration: Migration,
  nowMs: number,
): Promise<readonly Stream[]> {
  const parts = await partsOf(client, migration);
  const { volumes, images } = parts;
  const history = await historyOf(client, parts, nowMs);
  return [
    history,
    ...volumes.map(({ spec, status }) => ({
      source: `volume ${spec.source.namespace}/${spec.source.claim} ${spec.pass ?? 'Ahead'}`,
      lines: status?.log ?? [],
    })),
    ...images.map(({ spec, status }) => ({
      source: `image ${spec.source.reference}`,
      lines: status?.log ?? [],
    })),
    ...(await hookStreams(client, migration)),
  ];
}

/** Events where the cluster still has them; they expire, the times of the steps do not. */
async function historyOf(client: KubeClient, parts: Parts, nowMs: number): Promise<Stream> {
  const { migration, volumes, images } = parts;
  const { namespace = '' } = migration.metadata;
  const about = new Map<string, string>();
  for (const { metadata } of [migration, ...volumes, ...images]) {
    about.set(metadata.uid ?? '', metadata.name ?? '');
  }
  const found: Event[] = [];
  for await (const event of client.list(events, { namespace })) {
    if (about.has(event.regarding?.uid ?? '')) found.push(event);
  }
  const source = `migration ${migration.metadata.name}`;
  if (found.length === 0) return { source, lines: stepLines(migration, nowMs) };
  const lines = found
    .toSorted((a, b) => (a.eventTime < b.eventTime ? -1 : a.eventTime > b.eventTime ? 1 : 0))
    .map((event) => eventLine(event, migration));
  return { source, lines };
}

function eventLine(event: Event, migration: Migration): string {
  const { eventTime, reason = '', note = '', regarding } = event;
  const isOwn = regarding?.uid === migration.metadata.uid;
  const whose = isOwn ? '' : ` ${regarding?.kind?.toLowerCase()}/${regarding?.name}`;
  return `${eventTime.replace(/\.\d+Z$/, 'Z')}${whose} ${reason}: ${note}`;
}

function stepLines(migration: Migration, nowMs: number): readonly string[] {
  return stepsOf(migration).flatMap((step) => {
    const { name, state, startTime, completionTime } = step;
    const message = step.failure ?? step.message;
    if (startTime === undefined || state === 'Pending') return [];
    const about = message === undefined ? '' : `: ${message}`;
    const took = tookMs(step, nowMs);
    const end =
      completionTime === undefined || took === undefined
        ? `${state}`
        : `${state} after ${formatDuration(took)}`;
    return [`${completionTime ?? startTime} step ${name} ${end}${about}`];
  });
}

/** The output of hooks is kept in ConfigMaps of the migration, with what became of each. */
async function hookStreams(client: KubeClient, { metadata }: Migration): Promise<Stream[]> {
  const { namespace = '', uid = '' } = metadata;
  const found: Stream[] = [];
  const selectors = { namespace, labels: `${labels.migration}=${uid}` };
  for await (const { data = {} } of client.list<ConfigMap>(configMaps, selectors)) {
    const { hook, phase = '', state = '', message = '', log = '' } = data;
    if (hook === undefined) continue;
    const source = `hook ${hook} ${phase}`;
    const where = `job ${data['namespace']}/${data['job']} at ${data['cluster']}`;
    const about = message === '' ? '' : `: ${message}`;
    found.push({ id: `${source} state`, source, lines: [`${state}, ${where}${about}`] });
    found.push({ source, lines: log.split('\n').filter((line) => line !== '') });
  }
  return found.toSorted((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : 0));
}
