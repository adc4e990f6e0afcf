/**
 * A hundred teleports, and everything that takes part is killed in the middle of them: all end
 * right, and nothing is left over, at the agents, in the API, or among the processes.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { resources } from '../../../src/api/kinds/resources.ts';
import type { Teleport } from '../../../src/api/kinds/teleport.ts';
import {
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../src/kube/resources.ts';
import { pods } from '../../../src/kube/workloads.ts';
import { until } from '../../interop/cloud.ts';
import { fleetCases } from './case.ts';
import { FleetContext, MiB } from './context.ts';
import { startFleet } from './fleet.ts';
import type { Member } from './member.ts';

const count = 100;
const atOnce = 10;
const patienceMs = 180_000;
/** Every so many: thin. Another share: looked at byte by byte, beside the verifying of all. */
const thinEvery = 4;
const sampleEvery = 12;

interface One {
  readonly claim: string;
  readonly thin: boolean;
  readonly source: string;
}

export const hundredCases = fleetCases({
  'everything is killed in the middle of a hundred teleports': {
    alone: true,
    long: true,
    run: async ({ fleet: { side }, namespace }) => {
      const fleet = await startFleet(side);
      const home = fleet.cloud.home;
      try {
        const t = new FleetContext(fleet, namespace);
        await t.makeNamespaces();
        await hundred(t);
      } finally {
        await fleet.close();
      }
      await until('all processes to end', () => processesOf(home).length === 0, 30_000).catch(() =>
        assert.deepEqual(processesOf(home), []),
      );
    },
  },
});

async function hundred(t: FleetContext): Promise<void> {
  const { east, west } = t;
  const all = await makeSources(t);
  const digests = new Map<string, string>();
  for (const { source } of all.filter((_one, i) => i % sampleEvery === 0)) {
    digests.set(source, await t.digest(east, source));
  }
  await inLanes(all, async ({ claim, thin }) => {
    await t.teleport({ name: claim, claim, thin, bandwidth: '160Ki' });
  });
  await killInTheMiddle(t);
  await unlimited(t, all);
  await everyTeleport(t, 'to have succeeded', ({ status }) => {
    return status?.conditions?.some(
      ({ type, status: is }) => type === 'Succeeded' && is === 'True',
    );
  });
  await compare(t, all, digests);
  await nothingOver(t, all, ({ thin }) => thin);
  for (const { claim, thin } of all) {
    if (!thin) continue;
    await east.client.patch(resources.teleports, t.key(claim), { spec: { thin: false } });
  }
  await everyTeleport(t, 'to be Available', ({ status }) => status?.phase === 'Available');
  await compare(t, all, digests);
  await nothingOver(t, all, () => false);
  for (const { client } of [west, east]) {
    await client.delete(namespaces, { namespace: '', name: t.namespace });
  }
  for (const member of t.fleet.members) {
    await until(
      `nothing to be left at ${member.name}`,
      async () => (await ours(t, member)).length === 0,
      patienceMs,
    ).catch(async () => assert.deepEqual(await ours(t, member), []));
  }
}

async function makeSources(t: FleetContext): Promise<readonly One[]> {
  const { east } = t;
  const numbers = Array.from({ length: count }, (_, i) => i);
  const claims = numbers.map((i) => `data-${String(i).padStart(3, '0')}`);
  await inLanes(claims, (claim) => t.makeClaim(east, claim, { size: '4Mi' }));
  return inLanes(numbers, async (i) => {
    const claim = claims[i]!;
    const source = await t.bound(east, claim);
    await t.fill(east, source, (1 + (i % 4)) * MiB, 1000 + i);
    return { claim, source, thin: i % thinEvery === 1 };
  });
}

/** Each only when the work has got so far that it hits the middle of something. */
async function killInTheMiddle(t: FleetContext): Promise<void> {
  const { east, west } = t;
  await progressed(t, 'Initializing', 25);
  await east.controller.end('SIGKILL');
  await east.controller.start();
  await progressed(t, 'Accessible', 20);
  // As a machine fails that has an embedded cluster on it.
  if (t.fleet.side === 'embedded') await west.agent.kill();
  await west.api.kill9();
  if (t.fleet.side === 'embedded') await t.fleet.cloud.start(west.name);
  await west.api.start();
  await progressed(t, 'Accessible', 60);
  await west.agent.kill();
  await west.controller.end('SIGKILL');
  await t.fleet.cloud.start(west.name);
  await west.controller.start();
  await progressed(t, 'Available', 5);
  await east.agent.kill();
  await east.api.kill9();
  await t.fleet.cloud.start(east.name);
  await east.api.start();
}

/** The limit was only there so that kills hit the middle. */
async function unlimited({ east, namespace }: FleetContext, all: readonly One[]): Promise<void> {
  await inLanes(all, async ({ claim }) => {
    const spec = { bandwidth: '1Gi' };
    await east.client.patch(resources.teleports, { namespace, name: claim }, { spec });
  });
}

const order = ['Pending', 'Initializing', 'Accessible', 'Available'];

/** So many are in this phase or in a later one. */
async function progressed(t: FleetContext, phase: string, wanted: number): Promise<void> {
  let seen: readonly string[] = [];
  const isSo = async () => {
    const all = await listTeleports(t).catch(() => []);
    seen = all.map(({ status }) => status?.phase ?? 'Pending');
    const far = seen.filter((one) => order.indexOf(one) >= order.indexOf(phase));
    return far.length >= wanted;
  };
  await until(`${wanted} to be ${phase}`, isSo, patienceMs).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}: ${tallyText(seen)}`);
  });
}

function tallyText(words: readonly string[]): string {
  const kinds = [...new Set(words)];
  return kinds.map((one) => `${one} ${words.filter((word) => word === one).length}`).join(', ');
}

async function listTeleports(t: FleetContext): Promise<readonly Teleport[]> {
  const all: Teleport[] = [];
  const { namespace } = t;
  for await (const one of t.east.client.list(resources.teleports, { namespace })) all.push(one);
  return all;
}

async function everyTeleport(
  t: FleetContext,
  what: string,
  isSo: (teleport: Teleport) => boolean | undefined,
): Promise<void> {
  let last: readonly Teleport[] = [];
  const all = async () => {
    last = await listTeleports(t).catch(() => []);
    return last.length === count && last.every((one) => isSo(one) === true);
  };
  await until(`every teleport ${what}`, all, patienceMs).catch((error: unknown) => {
    const others = last.filter((one) => isSo(one) !== true);
    const some = JSON.stringify(
      others.slice(0, 2).map(({ metadata, status }) => [metadata, status]),
    );
    throw new Error(`${(error as Error).message}; ${others.length} are not: ${some}`);
  });
}

/** All by their roots, some by every byte. */
async function compare(
  t: FleetContext,
  all: readonly One[],
  digests: ReadonlyMap<string, string>,
): Promise<void> {
  const { east, west } = t;
  await inLanes(all, async ({ claim, source, thin }) => {
    const copy = await t.bound(west, claim);
    const { phase } = (await t.object(east, resources.teleports, claim)).status ?? {};
    const { missingBytes } = (await west.agent.volume(copy)).status;
    if (phase === 'Available')
      assert.equal(missingBytes, 0, `${claim} is Available and lacks data`);
    else assert.ok(thin, `${claim} is ${phase}`);
    const digest = digests.get(source);
    if (digest !== undefined) assert.equal(await t.digest(west, copy), digest, claim);
    if (phase !== 'Available') return;
    const peer = { cluster: east.name, peerVolume: source };
    const report = await west.agent.job('volume.verify', { volume: copy, ...peer });
    assert.ok(report.passed, `${claim}: ${JSON.stringify(report.findings)}`);
  });
}

async function nothingOver(
  t: FleetContext,
  all: readonly One[],
  isThin: (one: One) => boolean,
): Promise<void> {
  const { east, west } = t;
  const sources = all.map(({ source }) => source).toSorted();
  const copies = (await inLanes(all, ({ claim }) => t.bound(west, claim))).toSorted();
  for (const [member, wanted] of [
    [east, sources],
    [west, copies],
  ] as const) {
    assert.deepEqual(await member.agent.volumeNames(), wanted);
    const names = all.map(({ claim }) => `claim ${claim}`);
    const objects = wanted.flatMap((name) => [`pv ${name}`, `volume ${name}`]);
    assert.deepEqual(await ours(t, member), [...names, ...objects].toSorted());
    const there: string[] = [];
    for await (const pod of member.client.list(pods)) there.push(pod.metadata.name ?? '');
    assert.deepEqual(there, []);
  }
  const stillNeeded = new Set(all.filter(isThin).map(({ source }) => source));
  await until('sources to be let go', async () => (await held(t, stillNeeded)).length === 0).catch(
    async () => assert.deepEqual(await held(t, stillNeeded), []),
  );
}

/** Claims, PersistentVolumes and Volumes of the case, and all of the agent's volumes. */
async function ours(t: FleetContext, { client, agent }: Member): Promise<readonly string[]> {
  const found: string[] = [];
  const { namespace } = t;
  for await (const { metadata } of client.list(persistentVolumeClaims, { namespace })) {
    found.push(`claim ${metadata.name}`);
  }
  for await (const { metadata } of client.list(persistentVolumes))
    found.push(`pv ${metadata.name}`);
  for await (const { metadata } of client.list(resources.volumes)) {
    found.push(`volume ${metadata.name}`);
  }
  for (const name of await agent.volumeNames()) {
    if (!found.includes(`volume ${name}`)) found.push(`volume ${name} of the agent only`);
  }
  return found.toSorted();
}

/** What still has a lease, or a finalizer of a teleport, and should not. */
async function held(t: FleetContext, stillNeeded: ReadonlySet<string>): Promise<readonly string[]> {
  const { client, agent } = t.east;
  const found: string[] = [];
  for await (const { metadata } of client.list(resources.volumes)) {
    const { name = '', finalizers = [] } = metadata;
    if (stillNeeded.has(name)) continue;
    const mine = finalizers.filter((one) => one.includes('/teleport-'));
    if (mine.length > 0) found.push(`${name}: ${mine.join(', ')}`);
  }
  const { items } = await agent.call('volume.list', {});
  for (const { metadata, status } of items) {
    const isLeased = status.leasedBy.length > 0 && !stillNeeded.has(metadata.name);
    if (isLeased) found.push(`${metadata.name} leased by ${status.leasedBy.join(', ')}`);
  }
  return found;
}

async function inLanes<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = [];
  const todo = items.entries();
  const lane = async (): Promise<void> => {
    for (const [at, item] of todo) results[at] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return results;
}

/** Everything that was started for this home, by what it was told. */
export function processesOf(home: string): readonly string[] {
  const found: string[] = [];
  for (const id of readdirSync('/proc')) {
    if (!/^\d+$/.test(id) || Number(id) === process.pid) continue;
    try {
      const words = readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const isOurs = `${words} ${readFileSync(`/proc/${id}/environ`, 'utf8')}`.includes(home);
      const isZombie = /\) Z /.test(readFileSync(`/proc/${id}/stat`, 'utf8'));
      if (isOurs && !isZombie) found.push(`${id}: ${words}`);
    } catch {
      // It ended while it was looked at, or is somebody else's.
    }
  }
  return found;
}
