import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { replications } from '../../src/api/kinds/replication.ts';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import {
  configMaps,
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../src/kube/resources.ts';
import {
  change,
  checkOf,
  claimsAt,
  decide,
  makeReplication,
  reached,
  replication,
  resultOf,
  saidBy,
  there,
} from './replication-world.ts';
import { withData } from './scenarios.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const key = { namespace: 'shop', name: 'copy' };

suite('replications', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, async (world) => {
      await withData(world);
      await world.admin('east').create(configMaps, {
        metadata: { namespace: 'shop', name: 'settings' },
        data: { a: '1' },
      });
    });
  });

  async function open(): Promise<World> {
    const world = await openWorld(library, saved);
    world.fetchBytes = 4 * 1024 * 1024;
    return world;
  }

  const settingsThere = (world: World) =>
    world.find('west', configMaps, { namespace: there, name: 'settings' });

  test('a missing namespace halts it; remediated it starts by itself and ends well', async () => {
    const world = await open();
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    assert.equal(resultOf(halted, 'NamespaceMissing'), 'Actionable');
    assert.match(checkOf(halted, 'NamespaceMissing')?.fix ?? '', /namespace market is made/);
    assert.deepEqual(
      [halted.status?.actionable, halted.status?.incompatible, halted.status?.state],
      [1, 0, 'Error'],
    );
    assert.deepEqual(halted.status?.offers, ['Remediate', 'Recheck', 'ProceedAnyway', 'Stop']);
    assert.equal(await world.find('west', namespaces, { name: there }), undefined);
    await decide(world, 'Remediate');
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.equal(done.spec.decision, undefined);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    assert.equal((await settingsThere(world))?.data?.['a'], '1');
    // The source runs on, and nothing of the run is left but what it made.
    assert.deepEqual(await claimsAt(world, 'east'), ['shop/db Bound']);
    assert.deepEqual(await world.list('east', volumeTransfers), []);
    assert.deepEqual(await world.list('east', teleports), []);
    const left = (await world.list('west', secrets)).map(({ metadata }) => metadata.name);
    assert.deepEqual(
      left.filter((name) => name?.startsWith('transship-')),
      [],
    );
    assert.deepEqual(
      done.status?.resources?.map(({ resource, replicated }) => [resource, replicated]),
      [['configmaps', 1]],
    );
    assert.equal(done.status?.report?.volumes, 1);
    assert.match(done.status?.jobId ?? '', /^[0-9a-f]{8}-1$/);
    await world.stop();
  });
});
