/** Volumes that go through a repository, because no direct way is taken: real restic. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositories } from '../../../src/api/kinds/repository.ts';
import { volumeTransfers } from '../../../src/api/kinds/volume-transfer.ts';
import { annotations } from '../../../src/controllers/labels.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { missing } from '../../interop/tools.ts';
import { fleetCases, SkippedCase } from './case.ts';
import type { FleetContext } from './context.ts';
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
async function withRepository(t: FleetContext, run: (name: string) => Promise<void>) {
  const reason = missing('restic', 'setfacl', 'getfattr');
  if (reason !== false) throw new SkippedCase(String(reason));
  const path = fs.mkdtempSync(join(tmpdir(), 'ts-repository-'));
  const key = { namespace: '', name: t.namespace };
  const marks = { [annotations.noDirectWay]: 'true' };
  try {
    await t.east.client.create(repositories, {
      metadata: { name: key.name, annotations: marks },
      spec: { directory: { path } },
    } as never);
    await run(key.name);
  } finally {
    await t.east.client.delete(repositories, key);
    fs.rmSync(path, { recursive: true, force: true });
  }
}

const same = (source: string, destination: string): void => {
  const said = spawnSync('diff', ['-r', '--no-dereference', source, destination]);
  assert.equal(said.status, 0, String(said.stdout));
};

export const repositoryCases = fleetCases({
  'files go through a repository, ahead and then to the end': async (t) => {
    await withRepository(t, async (repository) => {
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
      await withRepository(t, async (repository) => {
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
