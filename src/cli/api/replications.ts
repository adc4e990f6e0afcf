/** Replications as objects: made, begun again, followed, and how their end becomes an exit code. */
import type { Replication, ReplicationSpec } from '../../api/kinds/replication.ts';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import type { Cli } from '../context.ts';
import { checksText, isOver, pictureOf, summaryOf } from '../replication/text.ts';
import { needObject, printChanged } from './printing.ts';
import type { Hub } from './teleports.ts';
import { conditionOf, failWith, until } from './waiting.ts';

const { replications } = resources;

export async function findReplication({ client, key }: Hub): Promise<Replication> {
  return needObject(client, replications, key);
}

/** `BadArgument` without two ends, which a new one needs. */
export async function makeReplication(
  { client, key }: Hub,
  spec: ReplicationSpec,
): Promise<Replication> {
  const { source, destination, repository } = spec;
  const clusters = [source, destination].filter((one) => one !== undefined);
  if (clusters.length + (repository === undefined ? 0 : 1) < 2 || clusters.length === 0) {
    const what = `there is no replication ${key.name}`;
    const ways = 'give --from and --to to make it, or one of them and --repository';
    return fail('BadArgument', `${what}: ${ways}`);
  }
  return client.create(replications, { metadata: { ...key }, spec });
}

/** Begins another run of it, with what else was said now. */
export async function beginAgain(
  { client, key }: Hub,
  known: Replication,
  change: Partial<ReplicationSpec>,
): Promise<Replication> {
  const { uid, resourceVersion } = known.metadata;
  const run = Math.max(known.spec.run ?? 1, known.status?.run ?? 0) + 1;
  return client.patch(replications, key, {
    metadata: { uid, resourceVersion },
    spec: { ...change, run },
  });
}

export interface Following {
  readonly uid: string | undefined;
  readonly timeoutMs?: number;
  /** It is what was asked for, and no older state. */
  readonly isNew: (one: Replication) => boolean;
}

/** Follows it, with progress, until it is over or waits for a decision. */
export async function followReplication(
  cli: Cli,
  { client, key }: Hub,
  { uid, timeoutMs, isNew }: Following,
): Promise<Replication> {
  const painter = cli.painter();
  try {
    return await until<Replication, Replication>(cli, client, {
      type: replications,
      key,
      goesOn: `it goes on in the cluster; see it with: transship replicate show ${key.name}`,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      onObject: (one) => {
        if (isNew(one) && !isOver(one)) painter.paint(pictureOf(one));
      },
      test: (one) => {
        if (one === undefined || (uid !== undefined && one.metadata.uid !== uid)) {
          return fail('NotFound', `replication ${key.name} was deleted meanwhile`);
        }
        return isNew(one) && isOver(one) && one.spec.decision === undefined ? one : undefined;
      },
    });
  } finally {
    painter.end();
  }
}

/** The last word of a command that waited. `ChecksFailed` while it waits for a decision. */
export async function printFollowed(
  cli: Cli,
  { client, key }: Hub,
  ended: Replication,
  advice: readonly string[],
): Promise<void> {
  const { phase, state } = ended.status ?? {};
  const succeeded = conditionOf(ended, 'Succeeded');
  if (phase === 'Halted') {
    const { actionable = 0, incompatible = 0 } = ended.status ?? {};
    if (actionable + incompatible > 0) {
      cli.note(checksText(ended).trimEnd());
      const what = `replication ${key.name} waits for a decision: ${succeeded?.message ?? ''}`;
      fail('ChecksFailed', [what, ...advice].join('\n'));
    }
    await printChanged(cli, client, { type: replications, object: ended }, 'checked');
  } else if (state === 'Success') {
    await printChanged(cli, client, { type: replications, object: ended }, 'replicated');
    cli.note(summaryOf(ended));
    for (const note of ended.status?.notes ?? []) cli.note(`note: ${note}`);
  } else {
    failWith(succeeded?.reason ?? 'Internal', `replication ${key.name}: ${succeeded?.message}`);
  }
  for (const line of advice) cli.note(line);
}
