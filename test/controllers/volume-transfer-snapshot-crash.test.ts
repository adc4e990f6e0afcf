// Copies by snapshots whose controllers die at any moment; before the first test is declared, as in
// crash.test.ts.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import {
  snapshotClasses,
  snapshotContents,
  snapshots,
} from '../../src/controllers/volume-transfer/methods/snapshot-api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import {
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../../src/kube/resources.ts';
import { firstDifference } from './crashes.ts';
import { isBound, makeForeignClaim, type Scenario, type Step } from './scenarios.ts';
import { serveSnapshots } from './snapshot-crds.ts';
import { snapshotDriver, Snapshotter } from './snapshotter.ts';
import { change, isCleanedUp, makeTransfer, phaseOf } from './transfers.ts';
import { saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const home = mkdtempSync(join(tmpdir(), 'transship-snapshots-'));
const copies = join(home, 'copies');

async function withSnapshots(world: World): Promise<void> {
  const data = new Snapshotter(home).place('data');
  writeFileSync(join(data, 'word'), 'kept');
  const client = world.admin('east');
  const csi = { driver: snapshotDriver, volumeHandle: data };
  await makeForeignClaim(world, 'disk', { csi, storageClassName: '' });
  await client.create(namespaces, { metadata: { name: 'other' } });
  await client.create(storageClasses, {
    metadata: { name: 'fast' },
    provisioner: snapshotDriver,
    volumeBindingMode: 'Immediate',
  });
  await serveSnapshots(client);
  await client.create(snapshotClasses, {
    metadata: { name: 'keeping' },
    driver: snapshotDriver,
    deletionPolicy: 'Retain',
  });
  await world.until('it is bound', () =>
    isBound(world, 'east', { namespace: 'shop', name: 'disk' }),
  );
  // Until the cluster's object says what it can do.
  await world.run(120_000);
}

/** The storage system begins each run with nothing but the volume. */
function storage(): (world: World) => Promise<void> {
  rmSync(copies, { recursive: true, force: true });
  const disk = new Snapshotter(copies);
  disk.place('');
  return (world) => disk.act(world.admin('east'));
}

const begin = (namespace: string): Step => ({
  when: async () => true,
  act: async (world) => {
    const source = { cluster: 'east', claim: 'disk' };
    const destination = { ...source, namespace, claim: 'new', storageClass: 'fast' };
    await makeTransfer(world, { spec: { pass: 'Last' }, source, destination });
  },
});

async function hasNoSnapshot(world: World): Promise<boolean> {
  const left = [...(await world.list('east', snapshots))].length;
  return left + (await world.list('east', snapshotContents)).length === 0;
}

/** What the new claim has. */
async function wordUnder(world: World, namespace: string): Promise<string> {
  const claim = await world.find('east', persistentVolumeClaims, { namespace, name: 'new' });
  const key = { name: claim?.spec?.volumeName ?? '' };
  const volume = await world.find('east', persistentVolumes, key);
  return readFileSync(join(volume?.spec?.csi?.volumeHandle ?? '', 'word'), 'utf8');
}

const copied = (namespace: string): Scenario => ({
  name: `a copy to namespace ${namespace}`,
  steps: [begin(namespace)],
  isOver: async (world) => {
    const isDone = (await isCleanedUp(world)) && (await phaseOf(world)) === 'Succeeded';
    if (!isDone || !(await hasNoSnapshot(world))) return false;
    assert.equal(await wordUnder(world, namespace), 'kept');
    return true;
  },
});

const scenarios: readonly Scenario[] = [
  copied('shop'),
  copied('other'),
  {
    name: 'a copy that is canceled and discarded once there is a snapshot',
    steps: [
      begin('other'),
      {
        when: async (world) => (await world.list('east', snapshots)).length > 0,
        act: (world) => change(world, { canceled: true, discard: true }),
      },
    ],
    isOver: async (world) => {
      const claims = await world.list('east', persistentVolumeClaims);
      return (
        (await isCleanedUp(world)) &&
        (await phaseOf(world)) === 'Canceled' &&
        (await hasNoSnapshot(world)) &&
        claims.length === 1
      );
    },
  },
];

const saved = await saveWorld(library, withSnapshots);
const differences = new Map<string, string | undefined>();
for (const scenario of scenarios) {
  const beginning = { library, saved, others: storage };
  differences.set(scenario.name, await firstDifference(beginning, scenario).catch(String));
}

suite('copies by snapshots whose controllers die, or lose an answer', () => {
  after(() => rmSync(home, { recursive: true, force: true }));

  for (const { name } of scenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
