// Nothing is started on copies that are not proven (rule 3 of docs/guides/answers.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { auditSteps } from '../../src/controllers/migration/steps/audit.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { namespaces, persistentVolumeClaims, secrets } from '../../src/kube/resources.ts';
import { makeRun, named, startHub, startSide } from './steps.ts';

const lastTransitionTime = '2026-01-01T00:00:00Z';
const key = { namespace: 'moves', name: 'go-l-12345678' };
const owner = { apiVersion: 'transship.dev/v1alpha1', kind: 'Migration', name: 'go' };

async function told(hub: KubeClient, conditions: Readonly<Record<string, string>>) {
  const list = Object.entries(conditions).map(([type, status]) => {
    return { type, status, reason: 'Told', message: '', lastTransitionTime };
  });
  await hub.patchStatus(volumeTransfers, key, { status: { conditions: list } });
}

test('a copy that is not equal to its source, or has not succeeded, ends the run', async () => {
  const [hub, source] = [await startHub(), startSide('audited-east')];
  const scene = { hub, source, destination: startSide('audited-west') };
  await hub.create(namespaces, { metadata: { name: 'moves' } });
  const place = (cluster: string) => ({ cluster, namespace: 'shop', claim: 'db' });
  await hub.create(volumeTransfers, {
    metadata: { ...key, ownerReferences: [{ ...owner, uid: 'migration-1' }] },
    spec: { migration: 'go', source: place('east'), destination: place('west'), pass: 'Last' },
  } as never);
  const run = makeRun(scene);
  const step = named(auditSteps, 'auditVolumes');
  const seen = async () => {
    const found = await step.observe(run);
    return 'message' in found ? `${found.kind}: ${found.message}` : found.kind;
  };
  assert.equal(await seen(), 'failed: the copy of claim shop/db has not succeeded');
  await told(hub, { Succeeded: 'True', Verified: 'False' });
  assert.equal(await seen(), 'failed: claim shop/db: the copy is not equal to its source');
  await told(hub, { Succeeded: 'True', Verified: 'True' });
  assert.equal(await seen(), 'done');
});

test('a claim that came after the copies were chosen ends the run', async () => {
  const [hub, source] = [await startHub(), startSide('late-east')];
  const run = makeRun({ hub, source, destination: startSide('late-west') });
  await hub.create(namespaces, { metadata: { name: 'moves' } });
  await source.create(namespaces, { metadata: { name: 'shop' } });
  const packed = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
  await hub.create(secrets, {
    metadata: { namespace: 'moves', name: 'transship-choices-migration-1' },
    data: { choices: packed([{ namespace: 'shop', claim: 'db', action: 'Copy' }]) },
  });
  const make = async (name: string, phase: 'Bound' | 'Pending') => {
    const resources = { requests: { storage: '1Mi' } };
    const spec = { accessModes: ['ReadWriteOnce'], resources };
    await source.create(persistentVolumeClaims, {
      metadata: { namespace: 'shop', name },
      spec,
    } as never);
    await source.patchStatus(
      persistentVolumeClaims,
      { namespace: 'shop', name },
      { status: { phase } },
    );
  };
  const step = named(auditSteps, 'auditVolumes');
  await make('db', 'Bound');
  // Nothing was ever written to it, and nobody can begin.
  await make('unused', 'Pending');
  assert.equal((await step.observe(run)).kind, 'done');
  await make('db-1', 'Bound');
  const seen = await step.observe(run);
  assert.ok(seen.kind === 'failed');
  assert.match(seen.message, /^claim shop\/db-1 was made after the copies had been chosen/);
});
