/** Teleports through the API: what a user asks for, and what must then be so at both ends. */
import assert from 'node:assert/strict';
import { resources } from '../../../src/api/kinds/resources.ts';
import { namespaces, persistentVolumeClaims, storageClasses } from '../../../src/kube/resources.ts';
import { fleetCases } from './case.ts';
import { MiB } from './context.ts';

export const teleportCases = fleetCases({
  'a claim teleports: same name, same bytes, nothing held at the source': async (t) => {
    const { east, west } = t;
    const source = await t.filledClaim(east, 'data');
    await t.teleport({ name: 'data', claim: 'data' });
    const done = await t.succeeded('data');
    assert.equal(done.status?.phase, 'Available');
    const copy = await t.bound(west, 'data');
    assert.equal(await t.digest(west, copy), await t.digest(east, source));
    const { metadata } = await t.object(east, resources.volumes, source);
    const held = metadata.finalizers?.filter((one) => one.includes('teleport-')) ?? [];
    assert.deepEqual(held, []);
    await t.until('the lease to end', async () => {
      const { leasedBy } = (await east.agent.volume(source)).status;
      return leasedBy.length === 0 ? true : undefined;
    });
  },

  'a bare volume teleports back and forth under another name': async (t) => {
    const { east, west } = t;
    const name = `${t.namespace}-db`;
    await t.makeVolume(east, name, { size: '16Mi' });
    await t.fill(east, name, 4 * MiB);
    await t.teleport({ name: 'there', volume: name });
    await t.succeeded('there');
    const back = { volume: `${name}-2` };
    await t.teleport({ name: 'back', volume: name, from: west, to: east, destination: back });
    await t.succeeded('back');
    assert.equal(await t.digest(east, `${name}-2`), await t.digest(east, name));
  },

  'a thin one is Ready and Succeeded when it can be used, and is filled when asked': async (t) => {
    const { east, west } = t;
    const source = await t.filledClaim(east, 'data');
    await t.teleport({ name: 'data', claim: 'data', thin: true });
    const thin = await t.succeeded('data');
    assert.equal(thin.status?.phase, 'Accessible');
    const copy = await t.bound(west, 'data');
    assert.ok((await west.agent.volume(copy)).status.missingBytes > 0);
    await east.client.patch(resources.teleports, t.key('data'), { spec: { thin: false } });
    await t.until('nothing to be missing', async () => {
      const { phase } = (await t.object(east, resources.teleports, 'data')).status ?? {};
      return phase === 'Available' ? true : undefined;
    });
    assert.equal((await west.agent.volume(copy)).status.missingBytes, 0);
    assert.equal(await t.digest(west, copy), await t.digest(east, source));
  },

  'a name that is taken fails, and nothing is made': async (t) => {
    const { east, west } = t;
    await t.filledClaim(east, 'data', MiB);
    await t.makeClaim(west, 'data');
    const before = await t.bound(west, 'data');
    await t.teleport({ name: 'data', claim: 'data' });
    await t.failed('data', 'AlreadyExists');
    assert.equal(await t.bound(west, 'data'), before);
    const { metadata } = await t.object(east, resources.teleports, 'data');
    const volume = `tp-${metadata.uid}`;
    assert.ok(!(await west.agent.volumeNames()).includes(volume));
    await east.client.delete(resources.teleports, t.key('data'));
    await t.gone(east, resources.teleports, 'data');
  },

  'a storage class of other parameters fails; another one may be named (I-9)': async (t) => {
    const { east, west } = t;
    const name = `${t.namespace}-class`;
    for (const [member, blockSize] of [
      [east, '16Ki'],
      [west, '4Ki'],
    ] as const) {
      await member.client.create(storageClasses, {
        metadata: { name },
        provisioner: 'transship.dev',
        parameters: { type: 'ext4', blockSize },
      } as never);
    }
    await t.makeClaim(east, 'data', { storageClass: name });
    await t.bound(east, 'data');
    await t.teleport({ name: 'refused', claim: 'data' });
    await t.failed('refused', 'ClassMismatch');
    const destination = { storageClass: 'transship' };
    await t.teleport({ name: 'named', claim: 'data', destination });
    await t.succeeded('named');
  },

  'a claim that does not exist is waited for, and named': async (t) => {
    const { east } = t;
    await t.teleport({ name: 'data', claim: 'data' });
    const blocked = await t.until('a blocker to be named', async () => {
      const teleport = await east.client.get(resources.teleports, t.key('data'));
      const succeeded = teleport?.status?.conditions?.find(({ type }) => type === 'Succeeded');
      return succeeded?.status === 'Unknown' && succeeded.message.includes('data')
        ? succeeded.message
        : undefined;
    });
    assert.match(blocked, /data/);
    await t.filledClaim(east, 'data', MiB);
    await t.succeeded('data');
  },

  'the destination claim deleted while Accessible is a cancel (I-15)': async (t) => {
    const { east, west } = t;
    const source = await t.filledClaim(east, 'data');
    await t.teleport({ name: 'data', claim: 'data', bandwidth: '64Ki' });
    await t.ready('data');
    const copy = await t.bound(west, 'data');
    await west.client.delete(persistentVolumeClaims, t.key('data'));
    await t.failed('data', 'Canceled');
    await t.gone(west, resources.volumes, copy);
    assert.ok(!(await west.agent.volumeNames()).includes(copy));
    await t.until('the source to be let go', async () => {
      const { metadata } = await t.object(east, resources.volumes, source);
      const held = metadata.finalizers?.some((one) => one.includes('teleport-')) === true;
      return held ? undefined : true;
    });
  },

  'the source claim deleted during a teleport keeps its data until it is over (I-16, I-17)': async (
    t,
  ) => {
    const { east, west } = t;
    const source = await t.filledClaim(east, 'data');
    const digest = await t.digest(east, source);
    await t.teleport({ name: 'data', claim: 'data', bandwidth: '256Ki' });
    await t.ready('data');
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    assert.ok((await east.agent.volumeNames()).includes(source));
    await east.client.patch(resources.teleports, t.key('data'), { spec: { bandwidth: '1Gi' } });
    await t.succeeded('data');
    const copy = await t.bound(west, 'data');
    assert.equal(await t.digest(west, copy), digest);
    await t.gone(east, resources.volumes, source);
    assert.ok(!(await east.agent.volumeNames()).includes(source));
  },

  'a Teleport deleted before it is Accessible leaves nothing': async (t) => {
    const { east } = t;
    await t.teleport({ name: 'data', claim: 'data' });
    await t.until('it to be seen', async () => {
      const teleport = await east.client.get(resources.teleports, t.key('data'));
      return teleport?.metadata.finalizers === undefined ? undefined : true;
    });
    await east.client.delete(resources.teleports, t.key('data'));
    await t.gone(east, resources.teleports, 'data');
    await t.nothingLeft();
  },

  'a Teleport deleted after it is Accessible: the volume goes on filling': async (t) => {
    const { east, west } = t;
    const source = await t.filledClaim(east, 'data');
    await t.teleport({ name: 'data', claim: 'data', bandwidth: '2Mi' });
    await t.ready('data');
    const copy = await t.bound(west, 'data');
    await east.client.delete(resources.teleports, t.key('data'));
    await t.gone(east, resources.teleports, 'data');
    await t.until('nothing to be missing', async () => {
      return (await west.agent.volume(copy)).status.missingBytes === 0 ? true : undefined;
    });
    assert.equal(await t.digest(west, copy), await t.digest(east, source));
  },

  'an unknown cluster, an unknown namespace': async (t) => {
    const { east } = t;
    await t.filledClaim(east, 'data', MiB);
    await t.teleport({ name: 'nowhere', claim: 'data', destination: { cluster: 'north' } });
    await t.until('the cluster to be named', async () => {
      const { status } = await t.object(east, resources.teleports, 'nowhere');
      const text = status?.conditions?.find(({ type }) => type === 'Succeeded')?.message ?? '';
      return text.includes('north') ? true : undefined;
    });
    const namespace = `${t.namespace}-none`;
    await t.teleport({ name: 'no-namespace', claim: 'data', destination: { namespace } });
    await t.until('the namespace to be named', async () => {
      const { status } = await t.object(east, resources.teleports, 'no-namespace');
      const text = status?.conditions?.find(({ type }) => type === 'Succeeded')?.message ?? '';
      return text.includes(namespace) ? true : undefined;
    });
    await t.west.client.create(namespaces, { metadata: { name: namespace } });
    await t.succeeded('no-namespace').catch(() => t.failed('no-namespace', 'NotFound'));
  },

  'a volume of a cluster whose agents alone are known': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      const name = `${t.namespace}-db`;
      await t.makeVolume(east, name, { size: '16Mi' });
      await t.fill(east, name, 4 * MiB);
      const key = { namespace: '', name: 'east' };
      const before = await t.object(west, resources.clusters, 'east');
      const { kubeconfigSecretRef } = before.spec;
      await west.client.patch(resources.clusters, key, { spec: { kubeconfigSecretRef: null } });
      const known = { type: 'Reachable', status: 'Unknown', reason: 'CredentialsMissing' };
      await t.condition(west, resources.clusters, 'east', known);
      await t.teleport({ name: 'there', volume: name }, west);
      await t.succeeded('there', west);
      assert.equal(await t.digest(west, name), await t.digest(east, name));
      await west.client.patch(resources.clusters, key, { spec: { kubeconfigSecretRef } });
      const ready = { type: 'Reachable', status: 'True' };
      await t.condition(west, resources.clusters, 'east', ready);
    },
  },
});
