import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fsTypeOf, fsTypeParameter } from './made.ts';
import { checkParameters } from './request.ts';

const classWith = (parameters: Readonly<Record<string, string>>) => ({
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'fast' },
  provisioner: 'transship.dev',
  parameters,
});

test('a class names its file system in our way or in the one of all drivers', () => {
  assert.equal(fsTypeOf(undefined), 'ext4');
  assert.equal(fsTypeOf(classWith({})), 'ext4');
  assert.equal(fsTypeOf(classWith({ type: 'xfs' })), 'xfs');
  assert.equal(fsTypeOf(classWith({ type: 'block' })), 'ext4');
  assert.equal(fsTypeOf(classWith({ [fsTypeParameter]: 'xfs' })), 'xfs');
  for (const parameters of [{ [fsTypeParameter]: 'xfs' }, { type: 'xfs' }, { type: 'block' }]) {
    checkParameters(classWith(parameters));
  }
});

test('a file system that we do not make, or two of them, are refused', () => {
  const refusals: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ type: 'btrfs' }, /type 'btrfs' is not ext4, xfs or block/],
    [{ [fsTypeParameter]: 'btrfs' }, /fstype 'btrfs' is not ext4 or xfs/],
    [{ [fsTypeParameter]: 'block' }, /fstype 'block' is not ext4 or xfs/],
    [{ type: 'ext4', [fsTypeParameter]: 'xfs' }, /type says ext4 and .* says xfs: keep one/],
    [{ size: '1' }, /parameter 'size' is unknown/],
  ];
  for (const [parameters, text] of refusals) {
    assert.throws(() => checkParameters(classWith(parameters)), text);
  }
});
