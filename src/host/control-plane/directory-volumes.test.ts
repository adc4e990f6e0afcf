import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { suite, test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import type { Log } from '../../base/ports.ts';
import { createDirectoryVolumes, type HostDirectoryVolumes } from './directory-volumes.ts';

const quiet: Log = { log: () => undefined };
const name = 'pvc-0a-1b';

async function within(
  run: (volumes: HostDirectoryVolumes, root: string, scratch: string) => Promise<void>,
): Promise<void> {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'transship-directories-'));
  const root = path.join(scratch, 'directories');
  const volumes = createDirectoryVolumes(root, quiet);
  try {
    await run(volumes, root, scratch);
  } finally {
    await volumes.close();
    fs.rmSync(scratch, { recursive: true });
  }
}

suite('directory volumes', () => {
  test('making again keeps what is there; the parents are their owner’s only', () =>
    within(async (volumes, root) => {
      const wanted = { name, block: false, sizeBytes: 1 };
      const data = await volumes.make(wanted);
      fs.writeFileSync(path.join(data, 'word'), 'kept');
      assert.equal(await createDirectoryVolumes(root, quiet).make(wanted), data);
      assert.equal(fs.readFileSync(path.join(data, 'word'), 'utf8'), 'kept');
      for (const one of [root, path.dirname(data)]) {
        assert.equal(fs.statSync(one).mode & 0o777, 0o700);
      }
    }));

  test('a removed one takes links along and leaves what they name', () =>
    within(async (volumes, root, scratch) => {
      const outside = path.join(scratch, 'outside');
      fs.mkdirSync(outside);
      fs.writeFileSync(path.join(outside, 'word'), 'kept');
      const data = await volumes.make({ name, block: false, sizeBytes: 1 });
      fs.symlinkSync(outside, path.join(data, 'link'));
      await volumes.remove(name);
      await volumes.remove(name);
      // Somebody put a link in the place of a whole volume.
      fs.symlinkSync(outside, path.join(root, name));
      await volumes.remove(name);
      assert.deepEqual(await volumes.names(), []);
      assert.equal(fs.readFileSync(path.join(outside, 'word'), 'utf8'), 'kept');
    }));

  test('names that are no volume’s are refused', () =>
    within(async (volumes) => {
      for (const bad of ['../outside', 'pvc-../x', '', '.', 'pvc-', 'other']) {
        await assert.rejects(
          async () => volumes.remove(bad),
          (error) => error instanceof TransshipError && error.reason === 'Invalid',
        );
      }
    }));

  test('a block volume has exactly its size, and keeps it', () =>
    within(async (volumes) => {
      const file = await volumes.make({ name, block: true, sizeBytes: 4_194_816 });
      const { size, blocks } = fs.statSync(file);
      assert.deepEqual([size, blocks], [4_194_816, 0]);
      fs.writeFileSync(file, 'word', { flag: 'r+' });
      await volumes.make({ name, block: true, sizeBytes: 4_194_816 });
      assert.equal(fs.statSync(file).size, 4_194_816);
      assert.equal(fs.readFileSync(file).subarray(0, 4).toString(), 'word');
    }));

  test('two pods get one device, which goes with the volume', () =>
    within(async (volumes) => {
      const file = await volumes.make({ name, block: true, sizeBytes: 1024 * 1024 });
      const [one, two] = await Promise.all([
        volumes.path({ name, block: true }),
        volumes.path({ name, block: true }),
      ]);
      assert.equal(one, two);
      assert.equal(await volumes.path({ name, block: true }), one);
      await volumes.remove(name);
      assert.ok(!fs.existsSync(file));
    }));

  test('what was written to is not unused', () =>
    within(async (volumes) => {
      const data = await volumes.make({ name, block: false, sizeBytes: 1 });
      fs.writeFileSync(path.join(data, 'word'), '');
      assert.equal(await volumes.removeUnused(name), false);
      fs.rmSync(path.join(data, 'word'));
      assert.equal(await volumes.removeUnused(name), true);
      const file = await volumes.make({ name, block: true, sizeBytes: 8192 });
      fs.writeFileSync(file, 'word', { flag: 'r+', flush: true });
      assert.equal(await volumes.removeUnused(name), false);
      await volumes.remove(name);
      await volumes.make({ name, block: true, sizeBytes: 8192 });
      assert.equal(await volumes.removeUnused(name), true);
      assert.deepEqual(await volumes.names(), []);
    }));
});
