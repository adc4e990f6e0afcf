/** Volumes that go through a repository, because no direct way is taken: real restic. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { savedVersions } from '../../../src/api/kinds/saved-version.ts';
import { repositories } from '../../../src/api/kinds/repository.ts';
import { volumeTransfers } from '../../../src/api/kinds/volume-transfer.ts';
import { annotations } from '../../../src/controllers/labels.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { secrets } from '../../../src/kube/resources.ts';
import { missing } from '../../interop/tools.ts';
import { fleetCases, SkippedCase } from './case.ts';
import { type FleetContext, MiB } from './context.ts';
import {
  change,
  clientPod,
  everything,
  filledClaim,
  halfway,
  make,
  noHelpers,
  noise,
  succeeded,
  there,
} from './movers.ts';

/** A directory of this machine, as embedded clusters share it. */
async function withRestic(t: FleetContext, run: (name: string) => Promise<void>) {
  const reason = missing('restic', 'setfacl', 'getfattr');
  if (reason !== false) throw new SkippedCase(String(reason));
  await withRepository(t, run);
}

export async function withRepository(
  t: FleetContext,
  run: (name: string, path: string) => Promise<void>,
): Promise<void> {
  const path = fs.mkdtempSync(join(tmpdir(), 'ts-repository-'));
  const key = { namespace: '', name: t.namespace };
  const marks = { [annotations.noDirectWay]: 'true' };
  try {
    await t.east.client.create(repositories, {
      metadata: { name: key.name, annotations: marks },
      spec: { directory: { path } },
    } as never);
    await run(key.name, path);
  } finally {
    const secret = { namespace: 'transship-system', name: `transship-repository-${key.name}` };
    for (const { client } of [t.east, t.west]) {
      await client.delete(repositories, key);
      await client.delete(secrets, secret);
    }
    fs.rmSync(path, { recursive: true, force: true });
  }
}

const same = (source: string, destination: string): void => {
  const said = spawnSync('diff', ['-r', '--no-dereference', source, destination]);
  assert.equal(said.status, 0, String(said.stdout));
};

export const repositoryCases = fleetCases({
  'a volume of ours moves as chunks, and a second stage brings the difference': async (t) => {
    await withRepository(t, async (repository, path) => {
      const { east, west } = t;
      const source = await t.filledClaim(east, 'data');
      const stage = async (name: string, spec: object) => {
        const claim = { namespace: t.namespace, claim: 'data' };
        await east.client.create(volumeTransfers, {
          metadata: t.key(name),
          spec: {
            source: { cluster: east.name, ...claim },
            destination: { cluster: west.name, ...claim },
            repository,
            ...spec,
          },
        } as never);
        const complete = { type: 'Complete', status: 'True' } as const;
        return (await t.condition(east, volumeTransfers, name, complete)).status!;
      };
      const first = await stage('ahead', {});
      assert.equal(first.method, 'Teleport');
      assert.equal(first.route, `repository ${repository} (chunks)`);
      assert.equal(first.percent, 100);
      assert.ok((first.wireBytes ?? 0) > 4 * MiB, JSON.stringify(first));
      await t.fill(east, source, MiB, 79);
      const second = await stage('again', {});
      assert.ok((second.wireBytes ?? 0) < 3 * MiB, JSON.stringify(second));
      const last = await stage('last', { pass: 'Last', verify: true });
      assert.equal(last.conditions?.find(({ type }) => type === 'Verified')?.status, 'True');
      assert.ok((last.wireBytes ?? 0) < MiB, JSON.stringify(last));
      const copy = await t.bound(west, 'data');
      assert.equal(await t.digest(west, copy), await t.digest(east, source));
      // Whose place it is sees neither names nor content.
      const files = fs.readdirSync(path, { recursive: true, encoding: 'utf8' });
      assert.ok(files.some((name) => name.startsWith('transship-chunks/packs/')));
      assert.ok(!files.some((name) => name.includes(source)));
      const saved = async () => {
        const found = [];
        for await (const one of east.client.list(savedVersions)) {
          if (one.spec.repository === repository) found.push(one.metadata.name ?? '');
        }
        return found;
      };
      for (const name of ['ahead', 'again', 'last']) {
        await east.client.delete(volumeTransfers, t.key(name));
        await t.gone(east, volumeTransfers, name);
      }
      await t.until('nothing saved is left', async () => {
        return (await saved()).length === 0 ? true : undefined;
      });
    });
  },

  'files go through a repository, ahead and then to the end': async (t) => {
    await withRestic(t, async (repository) => {
      const source = await filledClaim(t, t.east, everything);
      await make(t, 'ahead', { repository });
      const ahead = await succeeded(t, 'ahead');
      assert.equal(ahead.status?.route, `repository ${repository} (restic)`);
      assert.equal(ahead.status.attempts, 1, JSON.stringify(ahead.status));
      const destination = await there(t);
      same(source, destination);
      await noHelpers(t);
      fs.writeFileSync(join(source, 'late'), 'written since');
      fs.rmSync(join(source, 'absolute'));
      await make(t, 'last', { repository, pass: 'Last', overwrite: true, verify: true });
      const { status } = await succeeded(t, 'last');
      assert.equal(status?.audit?.source?.digest, status?.audit?.destination?.digest);
      assert.ok((status?.audit?.source?.files ?? 0) > 4, JSON.stringify(status));
      assert.ok((status?.wireBytes ?? 0) < 2 ** 20, JSON.stringify(status));
      assert.equal(status?.conditions?.find(({ type }) => type === 'Verified')?.status, 'True');
      same(source, destination);
      assert.deepEqual(fs.readdirSync(destination), fs.readdirSync(source));
      assert.equal(fs.statSync(join(destination, 'database/table')).nlink, 2);
      await noHelpers(t);
    });
  },

  'a copy through a repository whose pods are killed goes on': {
    long: true,
    run: async (t) => {
      await withRestic(t, async (repository) => {
        const source = await filledClaim(t, t.east, noise(12));
        await make(t, 'cut', { repository, pass: 'Last', bandwidth: '2Mi' });
        const name = clientPod(await halfway(t, 'cut'));
        await t.east.client.delete(pods, t.key(name), { graceSeconds: 0 });
        await t.until('the second half', async () => {
          const object = await t.object(t.east, volumeTransfers, 'cut');
          assert.ok(object.status?.phase !== 'Failed', JSON.stringify(object.status));
          return (object.status?.percent ?? 0) > 50 ? true : undefined;
        });
        const server = name.replace('client', 'server');
        await t.west.client.delete(pods, t.key(server), { graceSeconds: 0 });
        await change(t, 'cut', { bandwidth: null });
        const { status } = await succeeded(t, 'cut');
        assert.ok((status?.attempts ?? 0) > 2, JSON.stringify(status));
        assert.equal(status?.percent, 100);
        same(source, await there(t));
        await noHelpers(t);
      });
    },
  },
});
