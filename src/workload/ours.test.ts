import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/objects.ts';
import { whyExcluded } from './exclusions.ts';
import { fenceName, ourLabels, recordPrefix } from './ours.ts';

const of = (kind: string, name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { namespace: 'shop', name, labels },
});

test('what Transship makes for a move is never copied; claims are, whoever made them', () => {
  const mark = { [ourLabels.transfer]: 'transfer-1' };
  const ours = [
    of('Secret', `${recordPrefix}stopped-1`),
    of('ResourceQuota', fenceName),
    of('Pod', 'mover', mark),
    of('ConfigMap', 'mover', mark),
    of('Secret', 'mover', mark),
    of('Pod', 'hook', { [ourLabels.hook]: 'freeze' }),
    { ...of('RoleBinding', 'any'), roleRef: { name: 'transship-migrate' } },
  ];
  for (const one of ours) {
    assert.equal(whyExcluded('', one), 'Transship made it for a move', one.metadata.name);
  }
  const theirs = [
    of('Secret', 'keys'),
    of('ResourceQuota', 'limits'),
    of('ConfigMap', `${recordPrefix}notes`),
    of('PersistentVolumeClaim', 'data', mark),
    of('Pod', 'web', { app: 'web' }),
    { ...of('RoleBinding', 'transship-migrate'), roleRef: { name: 'view' } },
  ];
  for (const one of theirs) assert.equal(whyExcluded('', one), undefined, one.metadata.name);
});
