/** Volumes of the engine as part of migrations: staged ahead of time, handed over, brought back. */
import assert from 'node:assert/strict';
import { resources } from '../../../src/api/kinds/resources.ts';
import { type VolumeTransfer, volumeTransfers } from '../../../src/api/kinds/volume-transfer.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../../src/kube/resources.ts';
import { fleetCases } from './case.ts';
import { type FleetContext, MiB } from './context.ts';
import type { Member } from './member.ts';

interface Wish {
  readonly from?: Member;
  readonly to?: Member;
  /** At the destination. */
  readonly claim?: string;
  readonly spec?: Partial<VolumeTransfer['spec']>;
}

async function make(t: FleetContext, name: string, wish: Wish = {}): Promise<void> {
  const { from = t.east, to = t.west, claim = 'data', spec = {} } = wish;
  const { namespace } = t;
  await t.east.client.create<VolumeTransfer>(volumeTransfers, {
    metadata: t.key(name),
    spec: {
      source: { cluster: from.name, namespace, claim: 'data' },
      destination: { cluster: to.name, namespace, claim },
      ...spec,
    },
  });
}

function until(t: FleetContext, name: string, type: string): Promise<VolumeTransfer> {
  return t.condition(t.east, volumeTransfers, name, { type, status: 'True' });
}

async function discard(t: FleetContext, name: string): Promise<void> {
  const spec = { canceled: true, discard: true };
  await t.east.client.patch(volumeTransfers, t.key(name), { spec });
  const gone = { type: 'Ready', status: 'False', reason: 'Discarded' };
  await t.condition(t.east, volumeTransfers, name, gone);
}

export const transferCases = fleetCases({
  'a volume is staged, handed over and brought back; what is there is not sent again': async (
    t,
  ) => {
    const { east, west } = t;
    const source = await t.filledClaim(east, 'data');
    await make(t, 'stage');
    const staged = await until(t, 'stage', 'Complete');
    assert.equal(staged.status?.method, 'Teleport');
    const sentBytes = staged.status?.wireBytes ?? 0;
    assert.ok(sentBytes > 2 * MiB, JSON.stringify(staged.status));
    await t.fill(east, source, MiB, 77);
    await make(t, 'last', { spec: { pass: 'Last', verify: true } });
    const last = await until(t, 'last', 'Succeeded');
    await until(t, 'last', 'Verified');
    const { wireBytes = sentBytes } = (await until(t, 'last', 'Complete')).status ?? {};
    assert.ok(wireBytes > 0 && wireBytes < sentBytes / 2, `${wireBytes} after ${sentBytes}`);
    const copy = await t.bound(west, 'data');
    assert.equal(copy, last.status?.volume);
    assert.equal(await t.digest(west, copy), await t.digest(east, source));
    const { spec } = await t.object(west, persistentVolumes, copy);
    assert.equal(spec?.persistentVolumeReclaimPolicy, 'Retain');
    const stage = `vt-${staged.metadata.uid}`;
    await t.gone(west, resources.volumes, stage);
    assert.ok(!(await west.agent.volumeNames()).includes(stage));
    await t.fill(west, copy, MiB, 78);
    await make(t, 'back', { from: west, to: east, claim: 'old', spec: { pass: 'Last' } });
    await until(t, 'back', 'Complete');
    const back = await t.bound(east, 'old');
    assert.equal(await t.digest(east, back), await t.digest(west, copy));
    await discard(t, 'back');
    await t.gone(east, persistentVolumeClaims, 'old');
    assert.ok(!(await east.agent.volumeNames()).includes(back));
    await discard(t, 'last');
    await t.gone(west, persistentVolumes, copy);
    assert.ok(!(await west.agent.volumeNames()).includes(copy));
    assert.equal(await t.bound(east, 'data'), source, 'the source is what it was');
  },

  'a slow one can be used before it is whole, also when nobody follows it any more': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      const source = await t.filledClaim(east, 'data');
      await make(t, 'last', { spec: { pass: 'Last', bandwidth: '64Ki' } });
      const usable = await until(t, 'last', 'Succeeded');
      const copy = usable.status?.volume ?? '';
      assert.ok((await west.agent.volume(copy)).status.missingBytes > 0, 'bytes still come');
      await east.client.delete(volumeTransfers, t.key('last'));
      await t.gone(east, volumeTransfers, 'last');
      await t.gone(east, resources.teleports, copy);
      assert.equal(await t.bound(west, 'data'), copy, 'the claim stays, and fills on');
      assert.equal(await t.digest(west, copy), await t.digest(east, source));
    },
  },
});
