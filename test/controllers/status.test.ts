import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { type Teleport, teleports } from '../../src/api/kinds/teleport.ts';
import { TransshipError } from '../../src/base/errors.ts';
import { condition, type Report, StatusWriter } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { World } from './world.ts';

const started = { phase: 'Initializing', startTime: '2026-01-01T00:00:00Z', sourceVolume: 'db' };

/** What was known stays known, as controllers report it. */
function pendingReport({ status }: Teleport, why: string): Report {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = status ?? {};
  const conditions = [condition('Ready', false, 'Initializing', why)];
  return { conditions, fields: { ...known, phase: 'Initializing' } };
}

function isConflict(error: unknown): boolean {
  return error instanceof TransshipError && error.reason === 'Conflict';
}

suite('the writer of statuses', () => {
  let client: KubeClient;
  let writer: StatusWriter;
  let count = 0;

  before(async () => {
    const world = new World(createSchemaLibrary());
    await world.prepare();
    client = world.admin('east');
    writer = new StatusWriter(world.clock, client);
  });

  /** As a cache has it that no later change reaches. */
  function create(): Promise<Teleport> {
    count += 1;
    return client.create<Teleport>(teleports, {
      metadata: { namespace: 'shop', name: `move-${count}` },
      spec: {
        source: { cluster: 'east', volume: 'db' },
        destination: { cluster: 'west', volume: 'copy' },
      },
    });
  }

  async function sourceOf({ metadata }: Teleport): Promise<string | undefined> {
    const { namespace = '', name = '' } = metadata;
    return (await client.get(teleports, { namespace, name }))?.status?.sourceVolume;
  }

  test('a report of what a cache shows does not undo what was written since', async () => {
    const cached = await create();
    const now = await writer.set(teleports, cached, started);
    await writer.write(teleports, now, pendingReport(now, 'it has been asked for'));
    const late = pendingReport(cached, 'it is being asked for');
    await assert.rejects(writer.write(teleports, cached, late), isConflict);
    assert.equal(await sourceOf(cached), 'db');
  });

  test('the newest object is known before a cache shows it', async () => {
    const cached = await create();
    assert.equal(writer.newest(cached), cached);
    await writer.set(teleports, cached, started);
    const newest = writer.newest(cached);
    assert.equal(newest.status?.sourceVolume, 'db');
    await writer.write(teleports, newest, pendingReport(newest, 'it has been asked for'));
    assert.equal(await sourceOf(cached), 'db');
  });

  test('fields are not set on what somebody else has changed', async () => {
    const cached = await create();
    const { namespace = '', name = '' } = cached.metadata;
    await client.patch(teleports, { namespace, name }, { spec: { bandwidth: '1Mi' } });
    await assert.rejects(writer.set(teleports, cached, started), isConflict);
  });
});
