// restic by way of a bucket behind TLS of a private authority, as movers use it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Transfer } from '../files/movers.ts';
import { missing, scratch } from '../tools.ts';
import { bucketPlace, skipS3 } from './places.ts';

const isRoot = process.geteuid?.() === 0;
const skip = skipS3 || missing('restic', 'setfacl', 'getfattr') || (!isRoot && 'needs root');

test('files come through a bucket with restic, and then only what changed', { skip }, async () => {
  using at = scratch();
  await using bucket = await bucketPlace(at.path);
  await using transfer = new Transfer(at.path);
  const { place: repository } = bucket;
  const copy = async () => {
    const { saved, addedBytes } = await transfer.backup({ repository }).wait('Saved');
    await transfer.restore(saved, { repository }).wait('Done');
    return addedBytes;
  };
  const large = Buffer.alloc(4 * 1024 * 1024, 'not all the same ');
  fs.writeFileSync(join(transfer.source, 'large'), large);
  fs.writeFileSync(join(transfer.source, 'rows'), 'one');
  await copy();
  fs.writeFileSync(join(transfer.source, 'rows'), 'two');
  assert.ok((await copy()) < 100_000);
  const there = (name: string) => fs.readFileSync(join(transfer.destination, name));
  assert.equal(there('rows').toString(), 'two');
  assert.ok(there('large').equals(large));
});

test('restic refuses a bucket whose certificate nobody vouches for', { skip }, async () => {
  using at = scratch();
  await using bucket = await bucketPlace(at.path);
  await using transfer = new Transfer(at.path);
  const { caBundle: _, ...repository } = bucket.place;
  fs.writeFileSync(join(transfer.source, 'rows'), 'one');
  const failed = await transfer.backup({ repository }).wait('Failed');
  assert.match(failed.message, /certificate/);
});
