// What closing a plan takes away of what its stages left at the destination.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { labels } from '../../src/controllers/labels.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { persistentVolumes } from '../../src/kube/resources.ts';
import { closePlan, ended, endOf, makeMigration, makePlan } from './migration-world.ts';
import { withData } from './scenarios.ts';
import { type World, worldsAfter } from './world.ts';

suite('stages of plans that are closed', () => {
  const begin = worldsAfter(withData);

  async function open(): Promise<World> {
    const world = await begin();
    await makePlan(world);
    await makeMigration(world, 'first', { type: 'Stage' });
    assert.equal(endOf(await ended(world, 'first')), 'Completed');
    return world;
  }

  async function close(world: World): Promise<void> {
    await closePlan(world);
    await world.run(30_000);
  }

  async function names(world: World): Promise<readonly string[]> {
    return (await world.list('west', volumes)).map(({ metadata }) => metadata.name ?? '');
  }

  test('a volume that nobody has a claim on goes, with its teleport', async () => {
    const world = await open();
    const [made] = await world.list('west', volumes);
    assert.notEqual(made?.metadata.labels?.[labels.stage], undefined);
    await world.admin('west').create(volumes, {
      metadata: { name: 'other', labels: { [labels.stage]: '0123456789abcdef' } },
      spec: made!.spec,
    } as never);
    await close(world);
    assert.deepEqual(await names(world), ['other']);
    assert.deepEqual(await world.list('east', teleports), []);
    await world.stop();
  });

  test('one on which there is a PersistentVolume stays', async () => {
    const world = await open();
    await makeMigration(world, 'go', { type: 'Cutover' });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    const [made] = await world.list('west', persistentVolumes);
    const name = made?.metadata.name ?? '';
    const stage = await stageOf(world);
    assert.match(stage, /^[0-9a-f]{16}$/);
    const marks = { metadata: { labels: { [labels.stage]: stage } } };
    await world.admin('west').patch(volumes, { namespace: '', name }, marks);
    await world.until('all is there', async () => {
      const all = await world.list('east', volumeTransfers);
      return all.every((one) => conditionOf(one, 'Complete')?.status === 'True');
    });
    await close(world);
    assert.deepEqual(await names(world), [name]);
    await world.stop();
  });

  async function stageOf(world: World): Promise<string> {
    const [teleport] = await world.list('east', teleports);
    return teleport?.metadata.labels?.[labels.stage] ?? '';
  }
});
