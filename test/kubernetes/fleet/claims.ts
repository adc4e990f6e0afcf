/** Claims, volumes and policies: the controllers beside the agents. */
import assert from 'node:assert/strict';
import type { HistoryPolicy } from '../../../src/api/kinds/history-policy.ts';
import { resources } from '../../../src/api/kinds/resources.ts';
import type { Volume } from '../../../src/api/kinds/volume.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type VolumeAttributesClass,
  volumeAttributesClasses,
} from '../../../src/kube/resources.ts';
import { fleetCases } from './case.ts';
import { MiB } from './context.ts';

export const claimCases = fleetCases({
  'a claim gets a volume of the engine, and gives everything back': async (t) => {
    const { east } = t;
    await t.makeClaim(east, 'data');
    const volume = await t.bound(east, 'data');
    assert.equal((await east.agent.volume(volume)).spec.size, '16Mi');
    const object = await t.object(east, resources.volumes, volume);
    assert.equal(object.status?.phase, 'Available');
    const { spec } = await t.object(east, persistentVolumes, volume);
    assert.equal(spec?.csi?.driver, 'transship.dev');
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    await t.gone(east, resources.volumes, volume);
    assert.ok(!(await east.agent.volumeNames()).includes(volume));
    await t.nothingLeft((name) => name === volume);
  },

  'a claim grows': async (t) => {
    const { east } = t;
    await t.makeClaim(east, 'data');
    const volume = await t.bound(east, 'data');
    await east.client.patch<PersistentVolumeClaim>(persistentVolumeClaims, t.key('data'), {
      spec: { resources: { requests: { storage: '32Mi' } } },
    });
    await t.until('the claim to have grown', async () => {
      const claim = await east.client.get(persistentVolumeClaims, t.key('data'));
      return claim?.status?.capacity?.['storage'] === '32Mi' ? true : undefined;
    });
    assert.equal((await east.agent.volume(volume)).status.sizeBytes, 32 * MiB);
  },

  'a claim asks for another attributes class, and its volume follows': async (t) => {
    const { east } = t;
    const name = `${t.namespace}-kept`;
    await t.makeClaim(east, 'data');
    const volume = await t.bound(east, 'data');
    const ask = (className: string) =>
      east.client.patch<PersistentVolumeClaim>(persistentVolumeClaims, t.key('data'), {
        spec: { volumeAttributesClassName: className },
      });
    const status = async () => (await t.object(east, persistentVolumeClaims, 'data')).status;
    await ask(name);
    await t.until('it to wait for the class', async () => {
      return (await status())?.modifyVolumeStatus?.status === 'Pending' ? true : undefined;
    });
    await east.client.create<VolumeAttributesClass>(volumeAttributesClasses, {
      metadata: { name },
      driverName: 'transship.dev',
      parameters: { historyPolicy: 'one-hour' },
    });
    await t.until('the volume to be so', async () => {
      const { currentVolumeAttributesClassName: current } = (await status()) ?? {};
      return current === name ? true : undefined;
    });
    assert.equal((await status())?.modifyVolumeStatus, undefined);
    assert.equal((await east.agent.volume(volume)).spec.historyPolicy, 'one-hour');
    const { spec } = await t.object(east, persistentVolumes, volume);
    assert.equal(spec?.volumeAttributesClassName, name);
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    await t.gone(east, resources.volumes, volume);
    // A claim that begins with a class is bound to what was made by it.
    await t.makeClaim(east, 'data', { attributesClass: name });
    const made = await t.bound(east, 'data');
    await t.until('the claim to say so', async () => {
      const { currentVolumeAttributesClassName: current } = (await status()) ?? {};
      return current === name ? true : undefined;
    });
    assert.equal((await east.agent.volume(made)).spec.historyPolicy, 'one-hour');
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    await t.gone(east, resources.volumes, made);
    await east.client.delete(volumeAttributesClasses, { namespace: '', name });
  },

  'a claim is cloned by its annotation': async (t) => {
    const { east } = t;
    const source = await t.filledClaim(east, 'data');
    const annotations = { 'transship.dev/source-claim': 'data' };
    await t.makeClaim(east, 'copy', { annotations });
    const copy = await t.bound(east, 'copy');
    assert.equal(await t.digest(east, copy), await t.digest(east, source));
  },

  'a volume made by the agent alone gets an object': async (t) => {
    const { east } = t;
    const name = `${t.namespace}-foreign`;
    await east.agent.create(name, 4 * MiB);
    const wanted = { type: 'Ready', status: 'True' };
    const object = await t.condition(east, resources.volumes, name, wanted);
    assert.equal(object.spec.size, '4Mi');
    await east.client.delete(resources.volumes, { namespace: '', name });
    await t.gone(east, resources.volumes, name);
    assert.ok(!(await east.agent.volumeNames()).includes(name));
  },

  'a clone of a snapshot, and of a name that is not there': async (t) => {
    const { east } = t;
    const [name, missing] = [`${t.namespace}-a`, `${t.namespace}-missing`];
    await t.makeVolume(east, name, { size: '4Mi' });
    await t.fill(east, name, MiB);
    await east.agent.call('volume.snapshot', { volume: name, name: 'one' });
    const before = await t.digest(east, name);
    await t.fill(east, name, 2 * MiB, 77);
    const clone = { clone: { volume: name, snapshot: 'one' } };
    await t.makeVolume(east, `${name}-then`, { source: clone });
    assert.equal(await t.digest(east, `${name}-then`), before);
    await east.client.create<Volume>(resources.volumes, {
      metadata: { name: missing },
      spec: { source: { clone: { volume: `${missing}-source` } } },
    });
    const bad = { type: 'Ready', status: 'False', reason: 'NotFound' };
    await t.condition(east, resources.volumes, missing, bad);
    for (const one of [name, `${name}-then`, missing]) {
      await east.client.delete(resources.volumes, { namespace: '', name: one });
      await t.gone(east, resources.volumes, one);
    }
  },

  'a history policy that a volume has stays until the volume is gone': async (t) => {
    const { east } = t;
    const policy = `${t.namespace}-careful`;
    await east.client.create<HistoryPolicy>(resources.historyPolicies, {
      metadata: { name: policy },
      spec: { seconds: '1h', minutes: '1d', hours: '0', days: '0' },
    });
    await t.condition(east, resources.historyPolicies, policy, { type: 'Ready', status: 'True' });
    const volume = `${t.namespace}-v`;
    await t.makeVolume(east, volume, { size: '4Mi', historyPolicy: policy });
    await east.client.delete(resources.historyPolicies, { namespace: '', name: policy });
    const held = await t.object(east, resources.historyPolicies, policy);
    assert.ok(held.metadata.deletionTimestamp !== undefined);
    await east.client.delete(resources.volumes, { namespace: '', name: volume });
    await t.gone(east, resources.historyPolicies, policy);
    const { items } = await east.agent.call('policy.list', {});
    assert.ok(!items.some(({ metadata }) => metadata.name === policy));
  },

  'pools and clusters say what is': async (t) => {
    for (const member of t.fleet.members) {
      const pool = await t.object(member, resources.pools, 'main');
      assert.equal(pool.status?.readOnly, false);
      assert.ok((pool.status?.capacityBytes ?? 0) > 0);
      const cluster = await t.object(member, resources.clusters, member.name);
      assert.equal(cluster.status?.health, 'None');
      assert.ok(cluster.status?.capabilities?.includes('Engine') === true);
    }
  },
});
