import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import {
  forgetBackup,
  listBackups,
  putBackupPart,
  readBackupPart,
  verifyBackups,
} from './backups.ts';
import { createWorld } from './world.ts';

const reason = (wanted: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === wanted;

suite('backups in a repository', () => {
  test('parts are read as they were put, and only the part 0 makes a backup', async () => {
    const world = await createWorld();
    const repository = await world.open(true);
    const put = (name: string, part: number, content: string) =>
      putBackupPart(repository, { name, part, parts: 0, content, cluster: 'east' });
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

  test('every part is read again by a verification, which says what is bad', async () => {
    const world = await createWorld();
    const repository = await world.open(true);
    const { store } = world;
    const places = () => [...store.objects.keys()].filter((one) => one.startsWith('parts/'));
    const made = new Map<string, readonly string[]>();
    for (const name of ['whole', 'torn', 'short', 'gone']) {
      const before = new Set(places());
      for (let part = 1; part <= 3; part++) {
        await putBackupPart(repository, { name, part, parts: 0, content: 'x', cluster: 'east' });
      }
      const named = { name, part: 0, parts: 3, content: 'head', cluster: 'east' };
      await putBackupPart(repository, named);
      made.set(
        name,
        places().filter((one) => !before.has(one)),
      );
    }
    const verified = async () => {
      const { backups, damaged } = await verifyBackups(repository);
      const lines = backups.map(({ name, parts, badParts }) => `${name} ${badParts} of ${parts}`);
      return { lines: lines.toSorted(), damaged };
    };
    const all = ['gone 0 of 3', 'short 0 of 3', 'torn 0 of 3', 'whole 0 of 3'];
    assert.deepEqual(await verified(), { lines: all, damaged: [] });
    const [torn = ''] = made.get('torn') ?? [];
    await store.put(torn, [(await store.get(torn)).map((byte, at) => (at === 90 ? ~byte : byte))]);
    // The last one: nothing behind it is missed by counting.
    await store.delete(made.get('short')?.at(-1) ?? '');
    const head = [...store.objects.keys()].findLast((one) => one.startsWith('backups/')) ?? '';
    await store.put(head, [Buffer.from('no object of ours, and much shorter than one')]);
    assert.deepEqual(await verified(), {
      lines: ['short 1 of 3', 'torn 1 of 3', 'whole 0 of 3'],
      damaged: [head],
    });
    store.fault = () => {
      throw new TransshipError('SourceUnreachable', 'the place is away');
    };
    await assert.rejects(verified(), reason('SourceUnreachable'));
  });

  test('whose place it is reads neither names nor contents, and exchanges nothing', async () => {
    const world = await createWorld();
    const repository = await world.open(true);
    for (const name of ['shop-1', 'shop-2']) {
      const content = 'a secret word';
      await putBackupPart(repository, { name, part: 0, parts: 0, content, cluster: 'east' });
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
