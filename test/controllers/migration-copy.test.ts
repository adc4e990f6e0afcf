// Which copies are asked for, when the source is at rest and when it runs on.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import type { Choice } from '../../src/controllers/migration/choices.ts';
import type { Run } from '../../src/controllers/migration/run.ts';
import { copySteps } from '../../src/controllers/migration/steps/copy.ts';
import { transferName } from '../../src/controllers/migration/transfers.ts';
import { ownerReference } from '../../src/kube/api.ts';
import { namespaces, secrets } from '../../src/kube/resources.ts';
import { makeRun, type RunShape, startHub, startSide } from './steps.ts';

const namespace = 'moves';

function choice(claim: string, more: Partial<Choice> = {}): Choice {
  const destination = { cluster: 'west', namespace: 'shop', claim };
  return { namespace: 'shop', claim, action: 'Copy', destination, verify: false, ...more };
}

/** A run whose copies ahead are done, by these methods. */
async function begin(
  shape: RunShape,
  choices: readonly Choice[],
  methods: Readonly<Record<string, string>>,
): Promise<Run & { readonly warnings: readonly string[] }> {
  const hub = await startHub();
  await hub.create(namespaces, { metadata: { name: namespace } });
  const run = makeRun({ source: startSide('east'), destination: startSide('west'), hub }, shape);
  const kind = { apiVersion: 'transship.dev/v1alpha1', kind: 'Migration' };
  const mine = { ...run, migration: { ...run.migration, ...kind } as Run['migration'] };
  await hub.create(secrets, {
    metadata: { namespace, name: `transship-choices-${mine.migration.metadata.uid}` },
    data: { choices: Buffer.from(JSON.stringify(choices)).toString('base64') },
  } as never);
  for (const [claim, method] of Object.entries(methods)) {
    const name = transferName(mine, 'a', { namespace: 'shop', claim });
    const { destination } = choice(claim);
    await hub.create(volumeTransfers, {
      metadata: { namespace, name, ownerReferences: [ownerReference(mine.migration)] },
      spec: {
        migration: 'go',
        source: { cluster: 'east', namespace: 'shop', claim },
        destination,
        pass: 'Ahead',
      },
    } as never);
    await hub.patchStatus(volumeTransfers, { namespace, name }, { status: { method } });
  }
  return mine;
}

/** Claim, pass and method of what is copied last. */
async function lastCopies(run: Run): Promise<readonly string[]> {
  const step = copySteps.find(({ name }) => name === 'copyLast');
  await step?.ensure(run);
  const found: string[] = [];
  for await (const { metadata, spec } of run.context.client.list(volumeTransfers, { namespace })) {
    if (!metadata.name?.includes('-l-')) continue;
    const { source, pass, method, action } = spec;
    found.push(`${source.claim} ${action} ${pass} ${method ?? 'any'}`);
  }
  return found.toSorted();
}

const all = [choice('db'), choice('files'), choice('nfs', { action: 'Move' })];
const skipped = choice('tmp', { action: 'Skip' });
const methods = { db: 'Teleport', files: 'Filesystem' };

suite('the last copies', () => {
  test('are exact, by the methods of those before', async () => {
    const run = await begin({}, [...all, skipped], methods);
    assert.deepEqual(await lastCopies(run), [
      'db Copy Last Teleport',
      'files Copy Last Filesystem',
      'nfs Move Last any',
    ]);
    assert.deepEqual(run.warnings, []);
  });

  for (const migration of [{ type: 'Rehearsal' }, { quiesce: false }]) {
    test(`do not wait for who goes on: ${JSON.stringify(migration)}`, async () => {
      const run = await begin({ migration }, all, methods);
      assert.deepEqual(await lastCopies(run), [
        'db Copy Last Teleport',
        'files Copy Ahead Filesystem',
        'nfs Move Last any',
      ]);
      assert.match(run.warnings.join(), /while the source ran/);
    });
  }

  test('are as many at once as the plan says, and none while it is paused', async () => {
    const paused = await begin({ migration: { paused: true } }, all, methods);
    assert.deepEqual(await lastCopies(paused), []);
    const run = await begin({ plan: { concurrency: 1, bandwidth: '8Mi' } }, all, methods);
    assert.deepEqual(await lastCopies(run), ['db Copy Last Teleport']);
    const key = { namespace, name: transferName(run, 'l', { namespace: 'shop', claim: 'db' }) };
    const found = await run.context.client.get(volumeTransfers, key);
    assert.equal(found?.spec.bandwidth, '8Mi');
  });
});
