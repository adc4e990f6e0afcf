import type { Command } from 'commander';
import type { Pool } from '../../api/kinds/pool.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import {
  isLeaving,
  type Move,
  type MovePlan,
  movesAtOnce,
  planDrain,
  planRebalance,
  wantedPools,
} from '../../controllers/pool/moves.ts';
import type { KubeClient } from '../../kube/api.ts';
import { needObject, printChanged } from '../api/printing.ts';
import { editReplicas, everyOne, everyPool, whenScaled } from '../api/replicas.ts';
import { findVolume, isFinal, sayer } from '../api/volumes.ts';
import { currentCondition, failWith, until } from '../api/waiting.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { type Column, renderTable } from '../table.ts';

const { pools, volumes } = resources;

/** drain, undrain, rebalance. */
export function poolDrainCommands(registry: Registry, pool: Command): void {
  drain(registry, pool);
  undrain(registry, pool);
  rebalance(registry, pool);
}

interface DrainOptions {
  readonly to?: readonly string[];
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly timeout?: number;
}

function drain(registry: Registry, pool: Command): void {
  add<DrainOptions>(registry, pool, {
    name: 'drain',
    about: 'move every replica off a pool, while the volumes are in use',
    args: [['<pool>', 'the pool to empty', 'pool']],
    options: [
      option('--to <pool>', 'a pool that may take them; may be repeated (default: any other)', {
        completes: 'pool',
        parse: collect,
      }),
      option('--dry-run', 'only show what would move, and what is in the way'),
      option('--no-wait', 'return when it is asked for, not when the pool is empty'),
      shared.timeout(),
    ],
    details:
      'Volumes move in the order of their names, two at a time, each whole at its new place\n' +
      'before the old replica goes. It is refused when a volume has nowhere to go. The wish is\n' +
      'kept in spec.drain of the Pool: it goes on without this command, and after any restart.',
    examples: [
      ['transship pool drain p1 --dry-run', 'what would move where'],
      ['transship pool drain p1 --to p3 --to p4', 'and wait until it is empty'],
      ['transship pool undrain p1', 'take it back; what moves arrives'],
    ],
    run: async (cli, [name], options) => {
      const { client } = await cli.api();
      const object = await needObject(client, pools, { namespace: '', name: name! });
      const plan = await drainPlan(client, object, options.to);
      showPlan(cli, plan);
      if (plan.hindrances.length > 0) refuse(name!, plan);
      if (options.dryRun === true) return;
      const spec = { drain: { ...given('to', options.to) } };
      const key = { namespace: '', name: name! };
      const changed = await client.patch(pools, key, { spec });
      if (!options.wait) {
        await printChanged(cli, client, { type: pools, object: changed }, 'is being drained');
        return;
      }
      const drained = await whenDrained(cli, client, changed, options.timeout);
      await printChanged(cli, client, { type: pools, object: drained }, 'drained');
    },
  });
}

function collect(text: string, before: unknown): readonly string[] {
  return [...((before as readonly string[] | undefined) ?? []), text];
}

async function drainPlan(
  client: KubeClient,
  pool: Pool,
  to: readonly string[] | undefined,
): Promise<MovePlan> {
  const known = await everyPool(client);
  const unknown = to?.find((name) => !known.some(({ metadata }) => metadata.name === name));
  if (unknown !== undefined) fail('NotFound', `there is no pool ${unknown}`);
  const name = pool.metadata.name ?? '';
  return planDrain(name, known, await everyOne(client, volumes), to);
}

const moveColumns: readonly Column<Move>[] = [
  { header: 'VOLUME', value: ({ volume }) => volume },
  { header: 'FROM', value: ({ from }) => from },
  { header: 'TO', value: ({ to }) => to },
  { header: 'SIZE', value: ({ bytes }) => formatSize(bytes) },
];

function showPlan(cli: Cli, { moves, hindrances }: MovePlan): void {
  if (moves.length === 0 && hindrances.length === 0) cli.note('Nothing has to move.');
  if (moves.length > 0) {
    cli.note(renderTable(moveColumns, moves, { wide: false }).trimEnd());
  }
}

function refuse(pool: string, { hindrances }: MovePlan): never {
  const [first] = hindrances;
  const words = hindrances.map(({ problem }) => problem.message).join('\n  ');
  return fail(first!.problem.reason, `pool ${pool} cannot be emptied:\n  ${words}`);
}

async function whenDrained(
  cli: Cli,
  client: KubeClient,
  changed: Pool,
  timeoutMs: number | undefined,
): Promise<Pool> {
  const { name = '', uid, generation = 0 } = changed.metadata;
  const say = sayer(cli);
  return until(cli, client, {
    type: pools,
    key: { namespace: '', name },
    goesOn: `it goes on; see: transship pool show ${name} --cluster ${client.cluster}`,
    ...given('timeoutMs', timeoutMs),
    test: (pool) => {
      if (pool === undefined || pool.metadata.uid !== uid) {
        return fail('NotFound', `pool ${name} was deleted meanwhile`);
      }
      if ((pool.metadata.generation ?? 0) < generation) return undefined;
      if (pool.spec.drain === undefined) fail('Canceled', `the drain of ${name} was taken back`);
      const drained = currentCondition(pool, 'Drained');
      if (drained?.status === 'True') return pool;
      const message = drained?.message;
      if (isFinal(drained)) failWith(drained.reason, `${message}; it is tried again`);
      if (message !== undefined) say(message);
      return undefined;
    },
  });
}

function undrain(registry: Registry, pool: Command): void {
  add<Record<string, never>>(registry, pool, {
    name: 'undrain',
    about: 'end a drain: what moves arrives, the rest stays, and the pool takes replicas again',
    args: [['<pool>', 'the pool', 'pool']],
    run: async (cli, [name]) => {
      const { client } = await cli.api();
      const object = await needObject(client, pools, { namespace: '', name: name! });
      if (object.spec.drain === undefined) fail('Conflict', `pool ${name} is not being drained`);
      const key = { namespace: '', name: name! };
      const changed = await client.patch(pools, key, { spec: { drain: null } });
      await printChanged(cli, client, { type: pools, object: changed }, 'takes replicas again');
    },
  });
}

interface RebalanceOptions {
  readonly dryRun?: boolean;
  readonly tolerance: number;
  readonly timeout?: number;
}

/** More than that is planned anew when these are done. */
const movesMax = 64;

function rebalance(registry: Registry, pool: Command): void {
  add<RebalanceOptions>(registry, pool, {
    name: 'rebalance',
    about: 'move replicas from full pools to empty ones, while the volumes are in use',
    options: [
      option('--dry-run', 'only show what would move'),
      option('--tolerance <percent>', 'difference of fill levels to leave alone (default: 10)', {
        parse: parsePercent,
      }).default(10),
      shared.timeout(),
    ],
    details:
      'Shows the moves and asks; then two at a time, each planned again when it is its turn.\n' +
      'Interrupted, the moves that were begun arrive; run it again for the rest.',
    examples: [['transship pool rebalance --dry-run', 'what would move where']],
    run: async (cli, _args, options) => {
      const { client } = await cli.api();
      const ratio = options.tolerance / 100;
      const moves = await rebalancePlan(client, ratio);
      if (moves.length === 0) {
        cli.note(`The pools are alike within ${options.tolerance} %.`);
        return;
      }
      const table = renderTable(moveColumns, moves, { wide: false }).trimEnd();
      if (options.dryRun === true) {
        cli.out(`${table}\n`);
        return;
      }
      await cli.confirm(['These replicas move:', table]);
      await moveAll(cli, client, ratio, options.timeout);
    },
  });
}

function parsePercent(text: string): number {
  const percent = /^[0-9]{1,2}$/.test(text) ? Number(text) : Number.NaN;
  if (!(percent >= 1)) fail('BadArgument', `'${text}' is no share from 1 to 99`);
  return percent;
}

async function rebalancePlan(client: KubeClient, ratio: number): Promise<readonly Move[]> {
  const [known, all] = await Promise.all([everyPool(client), everyOne(client, volumes)]);
  return planRebalance(known, all, { toleranceRatio: ratio, movesMax });
}

/** The next ones are planned when these are done: others may have changed what is there. */
async function moveAll(
  cli: Cli,
  client: KubeClient,
  ratio: number,
  timeoutMs: number | undefined,
): Promise<void> {
  const moved = new Set<string>();
  for (;;) {
    const plan = await rebalancePlan(client, ratio);
    const due = plan.filter(({ volume }) => !moved.has(volume)).slice(0, movesAtOnce);
    if (due.length === 0) break;
    for (const { volume } of due) moved.add(volume);
    await Promise.all(due.map((move) => moveOne(cli, client, move, timeoutMs)));
  }
  cli.note('Nothing is left to move.');
}

async function moveOne(
  cli: Cli,
  client: KubeClient,
  move: Move,
  timeoutMs: number | undefined,
): Promise<void> {
  const volume = await findVolume(client, move.volume);
  if (isLeaving(volume, move.from)) return;
  try {
    const wanted = wantedPools(volume).map((pool) => (pool === move.from ? move.to : pool));
    const changed = await editReplicas(client, volume, wanted);
    const limits = given('timeoutMs', timeoutMs);
    const object = await whenScaled(cli, client, changed, { progress: false, ...limits });
    const verb = `moved from pool ${move.from} to ${move.to}`;
    await printChanged(cli, client, { type: volumes, object }, verb);
  } catch (error) {
    // Somebody else changed it: it is planned again with what they made of it.
    if (asTransshipError(error).reason !== 'Conflict') throw error;
  }
}
