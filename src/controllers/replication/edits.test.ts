import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../kube/objects.ts';
import { editorsOf, isOurManager, isScaling } from './edits.ts';

function written(
  ...entries: readonly (readonly [string, (string | undefined)?, object?])[]
): KubeObject {
  const managedFields = entries.map(([manager, subresource, fields = { 'f:spec': {} }]) => ({
    manager,
    operation: 'Update',
    ...(subresource === undefined ? {} : { subresource }),
    fieldsV1: fields,
  }));
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'shop', name: 'web', managedFields },
  } as KubeObject;
}

test('people and their tools are editors; controllers of the cluster and ours are not', () => {
  assert.deepEqual(editorsOf(written(['transship-hub'], ['transship-controller'])), []);
  assert.deepEqual(
    editorsOf(written(['kube-controller-manager', 'status'], ['kubelet', 'status'])),
    [],
  );
  assert.deepEqual(editorsOf(written(['kube-controller-manager'], ['csi-provisioner'])), []);
  assert.deepEqual(editorsOf(written(['kubectl-edit'], ['helm'])), ['kubectl-edit', 'helm']);
  // What a person does with our command is theirs.
  assert.deepEqual(editorsOf(written(['transship'])), ['transship']);
});

test('who scales by hand is an editor, an autoscaler is none, nor who owns nothing', () => {
  assert.deepEqual(editorsOf(written(['kubectl', 'scale'])), ['kubectl']);
  assert.deepEqual(editorsOf(written(['kube-controller-manager', 'scale'])), []);
  assert.deepEqual(editorsOf(written(['my-operator', 'status'])), []);
  assert.deepEqual(editorsOf(written(['kubectl-edit', undefined, {}])), []);
});

test('a clash about replicas with the cluster is scaling, with a person it is an edit', () => {
  assert.equal(isScaling({ manager: 'kube-controller-manager', field: '.spec.replicas' }), true);
  assert.equal(isScaling({ manager: 'kubectl', field: '.spec.replicas' }), false);
  assert.equal(isScaling({ manager: 'kube-controller-manager', field: '.spec.paused' }), false);
  assert.equal(isOurManager('transship-hub'), true);
});
