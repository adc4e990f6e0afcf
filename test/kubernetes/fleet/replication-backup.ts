/** A database goes into a repository twice, is lost, and comes back as it was saved last. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { replications } from '../../../src/api/kinds/replication.ts';
import { savedVersions } from '../../../src/api/kinds/saved-version.ts';
import { namespaces } from '../../../src/kube/resources.ts';
import { type FleetContext, MiB } from './context.ts';
import { hubNamespace, runningPods } from './migrating.ts';
import { change, removed, succeeded } from './replicating.ts';
import { withRepository } from './repositories.ts';
import { makeShop, readShop, shopOf, written } from './shop.ts';

async function make(t: FleetContext, name: string, spec: object): Promise<void> {
  await t.east.client.create(replications, {
    metadata: { namespace: hubNamespace, name },
    spec: { namespaces: [{ name: shopOf(t) }], ...spec },
  } as never);
}

/** Noise, of which a part changes between two backups. */
async function onlyDifferences(t: FleetContext, repository: string): Promise<void> {
  const { east } = t;
  const name = `${t.namespace}-noise`;
  const volume = await t.filledClaim(east, 'data');
  const namespaces = [{ name: t.namespace }];
  await make(t, name, { source: east.name, repository, namespaces });
  const first = (await succeeded(t, 1, name)).backups?.at(-1)?.addedBytes ?? 0;
  await t.fill(east, volume, MiB, 79);
  await change(t, { run: 2 }, name);
  const second = (await succeeded(t, 2, name)).backups?.at(-1)?.addedBytes ?? first;
  assert.ok(first > 4 * MiB && second < 3 * MiB, `${first} bytes, then ${second}`);
  await removed(t, name);
}

async function lose(t: FleetContext): Promise<void> {
  const key = { namespace: '', name: shopOf(t) };
  await t.east.client.delete(namespaces, key);
  await t.until('the namespace to be gone', async () => {
    return (await t.east.client.get(namespaces, key)) === undefined ? true : undefined;
  });
}

export async function backedUp(t: FleetContext): Promise<void> {
  await withRepository(t, async (repository, path) => {
    const { east } = t;
    const back = `${t.namespace}-back`;
    await makeShop(t, east, 'transship');
    await make(t, t.namespace, { source: east.name, repository });
    const first = (await succeeded(t)).backups?.at(-1);
    assert.ok((first?.addedBytes ?? 0) > 0, JSON.stringify(first));
    const durable = await written(t, east, 20);
    await change(t, { run: 2 });
    const second = (await succeeded(t, 2)).backups?.at(-1);
    assert.equal(second?.volumes, 1);
    await onlyDifferences(t, repository);
    const files = fs.readdirSync(path, { recursive: true, encoding: 'utf8' });
    assert.ok(files.some((name) => name.startsWith('transship-chunks/backups/')));
    assert.ok(!files.some((name) => name.includes(shopOf(t))));
    await lose(t);
    await make(t, back, { destination: east.name, repository, workloads: 'Standby' });
    assert.equal((await succeeded(t, 1, back)).restored, second?.name);
    assert.deepEqual(await runningPods(t, east), []);
    const rows = await readShop(t, east, shopOf(t));
    assert.ok(rows.isSound && rows.rows >= durable, JSON.stringify(rows));
    await change(t, { run: 2, workloads: 'Run' }, back);
    await succeeded(t, 2, back);
    await written(t, east, rows.rows + 1);
    await removed(t, back);
    // A real API server takes a namespace away in its own time.
    await t.until('the namespace to be gone', async () => {
      const key = { namespace: '', name: shopOf(t) };
      return (await east.client.get(namespaces, key)) === undefined ? true : undefined;
    });
    await removed(t);
    for await (const { spec } of east.client.list(savedVersions)) {
      assert.notEqual(spec.repository, repository, 'nothing saved is left');
    }
    const left = fs.readdirSync(path, { recursive: true, encoding: 'utf8' });
    const ours = (name: string) => /transship-chunks\/(backups|parts|versions)\/.*\d/.test(name);
    assert.deepEqual(
      left.filter((name) => ours(name) && fs.statSync(`${path}/${name}`).isFile()),
      [],
    );
  });
}
