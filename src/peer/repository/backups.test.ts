import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { forgetBackup, listBackups, putBackupPart, readBackupPart } from './backups.ts';
import { createWorld } from './world.ts';

const reason = (wanted: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === wanted;

suite('backups in a repository', () => {
  test('parts are read as they were put, and only the part 0 makes a backup', async () => {
    const world = await createWorld();
    const repository = await world.open(true);
    const put = (name: string, part: number, content: string) =>
      putBackupPart(repository, { name, part, content, cluster: 'east' });
    await put('one', 1, 'a secret word');
    assert.deepEqual(await listBackups(repository), []);
    await put('one', 0, 'head');
    await put('two', 0, 'other');
    const found = new Map((await listBackups(repository)).map((one) => [one.name, one.content]));
    assert.deepEqual([found.size, found.get('one'), found.get('two')], [2, 'head', 'other']);
    assert.equal((await readBackupPart(repository, 'one', 1)).content, 'a secret word');
    await put('one', 1, 'again');
    assert.equal((await readBackupPart(repository, 'one', 1)).content, 'again');
    await assert.rejects(readBackupPart(repository, 'one', 2), reason('NotFound'));
    const long = 'x'.repeat(limits.backupPartMax + 1);
    await assert.rejects(put('one', 2, long), reason('LimitExceeded'));
    await forgetBackup(repository, 'one');
    await forgetBackup(repository, 'one');
    assert.deepEqual(
      (await listBackups(repository)).map(({ name }) => name),
      ['two'],
    );
    await assert.rejects(readBackupPart(repository, 'one', 1), reason('NotFound'));
  });

  test('whose place it is reads neither names nor contents, and exchanges nothing', async () => {
    const world = await createWorld();
    const repository = await world.open(true);
    for (const name of ['shop-1', 'shop-2']) {
      await putBackupPart(repository, { name, part: 0, content: 'a secret word', cluster: 'east' });
    }
    const { objects } = world.store;
    const places = [...objects.keys()].filter((name) => name.startsWith('backups/'));
    for (const place of places) {
      assert.equal(place.includes('shop'), false);
      const bytes = Buffer.from(await world.store.get(place));
      assert.equal(bytes.includes('secret'), false);
    }
    const [first = '', second = ''] = places;
    await world.store.put(second, [await world.store.get(first)]);
    const name = ['shop-1', 'shop-2'];
    const results = await Promise.allSettled(name.map((one) => readBackupPart(repository, one, 0)));
    assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
    await world.store.put(first, [Buffer.from('no object of ours, and much shorter than one')]);
    await assert.rejects(listBackups(repository), reason('DataCorrupt'));
  });
});
