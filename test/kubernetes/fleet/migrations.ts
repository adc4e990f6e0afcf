/** Namespaces move: real agents, real pods, real rsync and stunnel, over both kinds of servers. */
import assert from 'node:assert/strict';
import { type Migration, migrations } from '../../../src/api/kinds/migration.ts';
import { type FleetCase, fleetCases } from './case.ts';
import type { FleetContext } from './context.ts';
import {
  backAsItWas,
  ended,
  endingWell,
  hubNamespace,
  look,
  makePlan,
  renamed,
  runningPods,
  start,
  succeeded,
  transfersOf,
} from './migrating.ts';
import { makeShop, written } from './shop.ts';

async function wireBytes(t: FleetContext, name: string): Promise<number> {
  const all = await transfersOf(t, name);
  return all.reduce((sum, { status }) => sum + (status?.wireBytes ?? 0), 0);
}

/** There, a write, and back with it; the source's rows are never lost. */
async function thereAndBack(t: FleetContext, storageClass: string): Promise<void> {
  const { east, west } = t;
  await makeShop(t, east, storageClass);
  await makePlan(t, renamed);
  await succeeded(t, await start(t, 'Stage'));
  const first = await wireBytes(t, `${t.namespace}-stage`);
  await written(t, east, 40);
  await succeeded(t, await start(t, 'Stage', { name: 'again' }));
  const again = await wireBytes(t, `${t.namespace}-again`);
  assert.ok(first > 0 && again > 0, `bytes on the wire: ${first}, then ${again}`);
  const durable = await written(t, east, 60);
  const cutover = await succeeded(t, await start(t, 'Cutover'));
  assert.ok((cutover.status?.downtimeMilliseconds ?? 0) > 0, 'the downtime was measured');
  assert.deepEqual(await runningPods(t, east), []);
  await written(t, west, durable + 1);
  assert.equal((await runningPods(t, west)).filter((name) => name.startsWith('web-')).length, 2);
  const moved = await look(t, west);
  assert.ok(moved.isSound && (moved.clusters['east'] ?? 0) >= durable, JSON.stringify(moved));
  assert.ok((moved.clusters['west'] ?? 0) > 0, JSON.stringify(moved));
  await written(t, west, moved.rows + 5);
  await succeeded(t, await start(t, 'Rollback'));
  await written(t, east, moved.rows + 6);
  const back = await look(t, east);
  assert.ok(back.isSound, JSON.stringify(back));
  assert.equal(back.clusters['east']! >= moved.clusters['east']!, true);
  assert.ok(back.clusters['west']! >= moved.clusters['west']! + 5, JSON.stringify(back));
  assert.deepEqual(await runningPods(t, west), []);
}

type Run = FleetCase['run'];

const long = (run: Run): Partial<FleetCase> & { readonly run: Run } => ({ long: true, run });

const cases = fleetCases({
  'a namespace moves by rsync, and comes back with what was written there': (t) =>
    thereAndBack(t, 'directory'),

  'a namespace moves by teleport, and comes back with what was written there': (t) =>
    thereAndBack(t, 'transship'),

  'rolled back without data, the source is as it was': long(async (t) => {
    const { east, west } = t;
    await makeShop(t, east, 'directory');
    await makePlan(t, renamed);
    await succeeded(t, await start(t, 'Cutover'));
    await written(t, west, 20);
    await succeeded(t, await start(t, 'Rollback', { keepData: false }));
    await backAsItWas(t);
    const rows = await look(t, east);
    assert.ok(rows.isSound && rows.clusters['west'] === undefined, JSON.stringify(rows));
  }),

  'a cutover that is canceled brings the source back': async (t) => {
    const { east } = t;
    await makeShop(t, east, 'directory');
    await makePlan(t);
    const name = await start(t, 'Cutover', { holdBefore: 'startDestination' });
    await t.until('it to hold', async () => {
      const found = await east.client.get(migrations, { namespace: hubNamespace, name });
      const steps = found?.status?.itinerary ?? [];
      return steps.some((one) => one.name === 'makeObjects' && one.state === 'Succeeded')
        ? true
        : undefined;
    });
    assert.deepEqual(await runningPods(t, east), []);
    await east.client.patch<Migration>(
      migrations,
      { namespace: hubNamespace, name },
      { spec: { canceled: true } as never },
    );
    const end = await ended(t, name);
    const found = end.status?.conditions?.find(({ type }) => type === 'Succeeded');
    assert.deepEqual([found?.status, found?.reason], ['False', 'Canceled']);
    await backAsItWas(t);
  },
});

export const migrationCases = endingWell(cases);
