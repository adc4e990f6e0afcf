import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/objects.ts';
import { referencesOf } from './references.ts';

const classes = { storageClassName: 'fast', volumeAttributesClassName: 'gold' };

function named(object: object): readonly string[] {
  return referencesOf(object as KubeObject)
    .filter(({ to }) => to.group === 'storage.k8s.io')
    .map(({ to, field }) => `${to.kind} ${to.name} in ${field}`);
}

test('claims, and what claims are made of, name both of their classes', () => {
  const metadata = { namespace: 'shop', name: 'db' };
  const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: classes };
  assert.deepEqual(named(claim), [
    'StorageClass fast in spec.storageClassName',
    'VolumeAttributesClass gold in spec.volumeAttributesClassName',
  ]);
  const set = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata,
    spec: { volumeClaimTemplates: [{ spec: classes }] },
  };
  assert.deepEqual(named(set), [
    'StorageClass fast in spec.volumeClaimTemplates.storageClassName',
    'VolumeAttributesClass gold in spec.volumeClaimTemplates.volumeAttributesClassName',
  ]);
  const volumes = [{ name: 'scratch', ephemeral: { volumeClaimTemplate: { spec: classes } } }];
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { volumes } };
  assert.equal(named(pod).length, 2);
});

test('a claim that names no class needs none', () => {
  const metadata = { namespace: 'shop', name: 'db' };
  const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: {} };
  assert.deepEqual(named(claim), []);
});
