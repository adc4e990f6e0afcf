import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mismatch, VolumeModel } from './model.ts';
import { rootOf } from './oracle.ts';

const shape = { sizeBytes: 16 * 4096, blockBytes: 4096 };

function bytes(value: number, length = 4096): Uint8Array {
  return new Uint8Array(length).fill(value);
}

function whole(changes: Readonly<Record<number, number>>): Uint8Array {
  const all = new Uint8Array(shape.sizeBytes);
  for (const [at, value] of Object.entries(changes)) all.fill(value, +at * 4096, (+at + 1) * 4096);
  return all;
}

function write(model: VolumeModel, sector: number, value: number): void {
  model.begin(sector * 4096, bytes(value));
  model.end(sector * 4096, 4096);
}

test('a read gives what was written last and nothing else', () => {
  const model = new VolumeModel('v', shape);
  write(model, 3, 1);
  write(model, 3, 2);
  model.checkRead(3 * 4096, bytes(2));
  assert.throws(() => model.checkRead(3 * 4096, bytes(1)), Mismatch);
  model.begin(3 * 4096 + 100, bytes(9, 50));
  model.end(3 * 4096 + 100, 50);
  model.checkRead(3 * 4096 + 90, Uint8Array.from([...bytes(2, 10), ...bytes(9, 50)]));
});

test('power loss may undo what no flush covered, and only that', () => {
  for (const good of [whole({ 1: 1 }), whole({ 1: 2 }), whole({ 1: 2, 2: 7 })]) {
    modelLike().reopened(good, true);
  }
  assert.throws(() => modelLike().reopened(whole({}), true), Mismatch);
  assert.throws(() => modelLike().reopened(whole({ 1: 3 }), true), Mismatch);
  assert.throws(() => modelLike().reopened(whole({ 1: 1 }), false), Mismatch);
  modelLike().reopened(whole({ 1: 2 }), false);

  function modelLike(): VolumeModel {
    const same = new VolumeModel('v', shape);
    write(same, 1, 1);
    const at = same.mark();
    write(same, 1, 2);
    same.flushed(at);
    same.begin(2 * 4096, bytes(7));
    return same;
  }
});

test('after a crash the content is fixed by the next flush, not before', () => {
  const model = new VolumeModel('v', shape);
  write(model, 1, 1);
  model.reopened(whole({ 1: 1 }), true);
  model.reopened(whole({}), true);
  write(model, 1, 2);
  model.flushed(model.mark());
  assert.throws(() => model.reopened(whole({ 1: 1 }), true), Mismatch);
});

test('a failed write leaves either content, and a frozen one is fixed by its first look', () => {
  const model = new VolumeModel('v', shape);
  model.begin(0, bytes(5));
  model.end(0, 4096, true);
  model.checkRead(0, bytes(0));
  model.checkRead(0, bytes(5));
  const frozen = model.freeze('s');
  model.begin(4096, bytes(6));
  model.endFreeze(frozen);
  model.end(4096, 4096);
  frozen.check(whole({ 1: 6 }));
  assert.throws(() => frozen.check(whole({ 0: 5, 1: 6 })), Mismatch);
});

test('the oracle knows the root of nothing', () => {
  assert.equal(rootOf(new Uint8Array(1 << 20), 4096), '00'.repeat(32));
});
