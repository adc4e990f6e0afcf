/**
 * Days on which something that everybody relies on is away, is there twice, or comes back. A
 * teleport's bandwidth is that of the link, so what must not end too early runs alone.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resources } from '../../../src/api/kinds/resources.ts';
import { systemNamespace } from '../../../src/controllers/installation.ts';
import { leaseName } from '../../../src/controllers/manager.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/objects.ts';
import { leases, namespaces, persistentVolumeClaims } from '../../../src/kube/resources.ts';
import { fleetCases } from './case.ts';
import { FleetContext, MiB } from './context.ts';
import { startFleet } from './fleet.ts';
import { ControllerProcess, type Member } from './member.ts';

const events: ResourceType<KubeObject & { readonly reportingInstance?: string }> = {
  group: 'events.k8s.io',
  version: 'v1',
  plural: 'events',
  kind: 'Event',
  namespaced: true,
};
/** Long enough to see that something does not happen. */
const quietMs = 4_000;

export const dayCases = fleetCases({
  'of two controllers one waits, and goes on when the other is killed': {
    alone: true,
    long: true,
    run: async (t) => {
      const { east } = t;
      const second = await secondController(t);
      try {
        await t.filledClaim(east, 'data', MiB);
        assert.equal(await holderOf(t, east), east.controller.pid);
        await east.controller.end('SIGKILL');
        await t.teleport({ name: 'data', claim: 'data' });
        await t.succeeded('data');
        assert.equal(await holderOf(t, east), second.pid);
      } finally {
        await east.controller.start();
        await second.end('SIGTERM');
      }
      await leads(t, east, east.controller);
    },
  },

  'a leader that was suspended for longer than its lease acts no more': {
    alone: true,
    long: true,
    run: async (t) => {
      const { east } = t;
      const second = await secondController(t);
      const first = east.controller.pid!;
      try {
        await t.filledClaim(east, 'data', 4 * MiB);
        await t.teleport({ name: 'data', claim: 'data', bandwidth: '64Ki' });
        await t.ready('data');
        process.kill(first, 'SIGSTOP');
        await leads(t, east, second);
        const told = await toldBy(t, first);
        process.kill(first, 'SIGCONT');
        // Work for whoever feels responsible.
        await t.makeClaim(east, 'more');
        await t.bound(east, 'more');
        await sleep(quietMs);
        assert.equal(await holderOf(t, east), second.pid);
        assert.deepEqual(await toldBy(t, first), told);
        await east.client.patch(resources.teleports, t.key('data'), { spec: { bandwidth: '1Gi' } });
        await t.succeeded('data');
      } finally {
        process.kill(first, 'SIGCONT');
        await second.end('SIGTERM');
      }
      await leads(t, east, east.controller);
    },
  },

  'the link between the agents is cut: it stays Accessible, says so, and goes on': {
    alone: true,
    long: true,
    run: async ({ fleet: { side }, namespace }) => {
      await using fleet = await startFleet(side, { relays: true });
      const t = new FleetContext(fleet, namespace);
      await t.makeNamespaces();
      const source = await t.filledClaim(t.east, 'data', 8 * MiB);
      await t.teleport({ name: 'data', claim: 'data', bandwidth: '256Ki' });
      await t.ready('data');
      fleet.cloud.cut();
      const cut = { type: 'SourceConnected', status: 'False' };
      await t.condition(t.east, resources.teleports, 'data', cut);
      await sleep(quietMs);
      const { status } = await t.object(t.east, resources.teleports, 'data');
      assert.equal(status?.phase, 'Accessible');
      const ready = status.conditions?.find(({ type }) => type === 'Ready');
      assert.equal(ready?.status, 'True');
      const copy = await t.bound(t.west, 'data');
      assert.ok((await t.west.agent.volume(copy)).status.missingBytes > 0);
      fleet.cloud.restore();
      const back = { type: 'SourceConnected', status: 'True' };
      await t.condition(t.east, resources.teleports, 'data', back);
      await t.east.client.patch(resources.teleports, t.key('data'), { spec: { bandwidth: '1Gi' } });
      await t.succeeded('data');
      assert.equal(await t.digest(t.west, copy), await t.digest(t.east, source));
    },
  },

  'both API servers are killed again and again while a claim teleports': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      const source = await t.filledClaim(east, 'data', 4 * MiB);
      await t.teleport({ name: 'data', claim: 'data', bandwidth: '256Ki' });
      for (const { api } of [west, east, west]) {
        await api.kill9();
        await sleep(300);
        await api.start();
      }
      await t.succeeded('data');
      const copy = await t.bound(west, 'data');
      assert.equal(await t.digest(west, copy), await t.digest(east, source));
      // What happens after the restarts is seen: the watches are back.
      await t.makeClaim(west, 'later');
      await t.bound(west, 'later');
    },
  },

  'the Volume at the destination is deleted under its claim: a cancel, and nothing is left': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      await t.filledClaim(east, 'data', 4 * MiB);
      await t.teleport({ name: 'data', claim: 'data', bandwidth: '64Ki' });
      await t.ready('data');
      const copy = await t.bound(west, 'data');
      await west.client.delete(resources.volumes, { namespace: '', name: copy });
      await t.failed('data', 'Canceled');
      await t.gone(west, resources.volumes, copy);
      await t.gone(west, persistentVolumeClaims, 'data');
      await east.client.delete(persistentVolumeClaims, t.key('data'));
      await t.nothingLeft((name) => name === copy);
    },
  },

  'the Volume at the source is deleted while it is needed: it goes when it is not': {
    alone: true,
    long: true,
    run: async (t) => {
      const { east, west } = t;
      const source = `${t.namespace}-db`;
      await t.makeVolume(east, source, { size: '8Mi' });
      await t.fill(east, source, 4 * MiB);
      const digest = await t.digest(east, source);
      await t.teleport({ name: 'data', volume: source, bandwidth: '64Ki' });
      await t.ready('data');
      await east.client.delete(resources.volumes, { namespace: '', name: source });
      await sleep(quietMs / 4);
      assert.ok((await east.agent.volumeNames()).includes(source));
      await east.client.patch(resources.teleports, t.key('data'), { spec: { bandwidth: '1Gi' } });
      await t.succeeded('data');
      await t.gone(east, resources.volumes, source);
      assert.ok(!(await east.agent.volumeNames()).includes(source));
      assert.equal(await t.digest(west, source), digest);
    },
  },

  'a Volume object that lost its finalizers by force comes back: its data is still there': async (
    t,
  ) => {
    const { east } = t;
    const name = `${t.namespace}-db`;
    await t.makeVolume(east, name, { size: '8Mi' });
    await t.fill(east, name, MiB);
    const digest = await t.digest(east, name);
    const { metadata } = await t.object(east, resources.volumes, name);
    const key = { namespace: '', name };
    await east.client.patch(resources.volumes, key, { metadata: { finalizers: null } });
    await east.client.delete(resources.volumes, key);
    const outcome = await t.until('the volume to be known again, or gone everywhere', async () => {
      const found = await east.client.get(resources.volumes, key);
      const isNew = found !== undefined && found.metadata.uid !== metadata.uid;
      const isThere = (await east.agent.volumeNames()).includes(name);
      if (isNew && isThere) return 'known again';
      // The finalizer may have been put back before the deletion came: then it was a deletion.
      return found === undefined && !isThere ? 'gone' : undefined;
    });
    if (outcome === 'known again') assert.equal(await t.digest(east, name), digest);
  },

  'a Teleport is deleted while it is Initializing and the agent there is away': {
    alone: true,
    long: true,
    run: async (t) => {
      const { east, west } = t;
      await t.filledClaim(east, 'data', MiB);
      await west.agent.kill();
      try {
        await t.teleport({ name: 'data', claim: 'data' });
        await t.until('it to have begun', async () => {
          const { status } = await t.object(east, resources.teleports, 'data');
          return status?.phase === 'Initializing' ? true : undefined;
        });
        await east.client.delete(resources.teleports, t.key('data'));
        await sleep(quietMs / 4);
      } finally {
        await t.fleet.cloud.start(west.name);
      }
      await t.gone(east, resources.teleports, 'data');
      await east.client.delete(persistentVolumeClaims, t.key('data'));
      await t.nothingLeft();
    },
  },

  'the namespace at the destination is deleted under a teleport': {
    alone: true,
    run: async (t) => {
      const { east, west } = t;
      await t.filledClaim(east, 'data', 4 * MiB);
      await t.teleport({ name: 'data', claim: 'data', bandwidth: '64Ki' });
      await t.ready('data');
      const copy = await t.bound(west, 'data');
      await west.client.delete(namespaces, { namespace: '', name: t.namespace });
      await t.failed('data', 'Canceled');
      await t.gone(west, resources.volumes, copy);
      await t.until('the namespace to be gone', async () => {
        const found = await west.client.get(namespaces, { namespace: '', name: t.namespace });
        return found === undefined ? true : undefined;
      });
      assert.ok(!(await west.agent.volumeNames()).includes(copy));
    },
  },
});

async function secondController({ east, fleet }: FleetContext): Promise<ControllerProcess> {
  const { home } = fleet.cloud;
  const place = { name: east.name, home, directory: join(home, 'controllers'), open: east.open };
  const second = new ControllerProcess(place, 'second');
  await second.start();
  return second;
}

/** The process that leads, as its identity says. */
async function holderOf(t: FleetContext, { client }: Member): Promise<number | undefined> {
  return t.until('a leader', async () => {
    const lease = await client.get(leases, { namespace: systemNamespace, name: leaseName });
    const holder = lease?.spec?.holderIdentity ?? '';
    return holder === '' ? undefined : Number(holder.split('-').at(-2));
  });
}

async function leads(t: FleetContext, at: Member, wanted: ControllerProcess): Promise<void> {
  await t.until(`controller ${wanted.pid} to lead`, async () => {
    return (await holderOf(t, at)) === wanted.pid ? true : undefined;
  });
}

/** Names of the events of that process. */
async function toldBy({ east }: FleetContext, pid: number): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { metadata, reportingInstance = '' } of east.client.list(events)) {
    if (reportingInstance.includes(`-${pid}-`)) found.push(metadata.name ?? '');
  }
  return found.toSorted();
}
