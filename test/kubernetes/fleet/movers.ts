/** Volumes of foreign storage, copied by pods at both sides: real processes, rsync and stunnel. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { type VolumeTransfer, volumeTransfers } from '../../../src/api/kinds/volume-transfer.ts';
import { annotations, labels } from '../../../src/controllers/labels.ts';
import {
  services,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../../src/kube/resources.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { missing, must } from '../../interop/tools.ts';
import { fleetCases, SkippedCase } from './case.ts';
import { type FleetContext, MiB } from './context.ts';
import { makePod, pathOf, phase, run } from './directories.ts';
import type { Member } from './member.ts';

const size = '64Mi';
const ofDirectory = { size, storageClass: 'directory' };

function needPrograms(): void {
  const reason = missing('rsync', 'stunnel4', 'setfacl', 'getfattr');
  if (reason !== false) throw new SkippedCase(String(reason));
}

/** A bound claim; returns where its content is on this machine. */
export async function filledClaim(
  t: FleetContext,
  at: Member,
  fill: (path: string) => Promise<void>,
): Promise<string> {
  await t.makeClaim(at, 'data', ofDirectory);
  await run(t, at, { name: 'first-user', claim: 'data', script: 'true' });
  const path = await pathOf(t, at, await t.bound(at, 'data'));
  await fill(path);
  return path;
}

/** A bound raw claim of 16 MiB; returns the file behind its device. */
async function rawClaim(t: FleetContext, at: Member): Promise<string> {
  await at.client.create<PersistentVolumeClaim>(persistentVolumeClaims, {
    metadata: t.key('data'),
    spec: {
      storageClassName: 'directory',
      volumeMode: 'Block',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '16Mi' } },
    },
  });
  await run(t, at, { name: 'first-user', claim: 'data', block: true, script: 'true' });
  return pathOf(t, at, await t.bound(at, 'data'));
}

export async function make(
  t: FleetContext,
  name: string,
  spec: Partial<VolumeTransfer['spec']> = {},
): Promise<VolumeTransfer> {
  const { east, west, namespace } = t;
  const claim = { namespace, claim: 'data' };
  return east.client.create<VolumeTransfer>(volumeTransfers, {
    metadata: t.key(name),
    spec: {
      source: { cluster: east.name, ...claim },
      destination: { cluster: west.name, ...claim, storageClass: 'directory' },
      method: 'Filesystem',
      ...spec,
    },
  });
}

export async function change(t: FleetContext, name: string, spec: object): Promise<void> {
  await t.east.client.patch(volumeTransfers, t.key(name), { spec });
}

export function succeeded(t: FleetContext, name: string): Promise<VolumeTransfer> {
  const wanted = { type: 'Succeeded', status: 'True' };
  return t.condition(t.east, volumeTransfers, name, wanted);
}

/** Some of the data has arrived, and most has not. */
export async function halfway(t: FleetContext, name: string): Promise<VolumeTransfer> {
  return t.until(`${name} to be halfway`, async () => {
    const object = await t.object(t.east, volumeTransfers, name);
    assert.ok(object.status?.phase !== 'Failed', JSON.stringify(object.status));
    return (object.status?.copiedBytes ?? 0) > 0 ? object : undefined;
  });
}

export async function there(t: FleetContext): Promise<string> {
  return pathOf(t, t.west, await t.bound(t.west, 'data'));
}

/** No helper of the transfers of this case is left at either side. */
export async function noHelpers(t: FleetContext): Promise<void> {
  for (const { client, name } of t.fleet.members) {
    const selectors = { namespace: t.namespace, labels: labels.transfer };
    await t.until(`helpers to be gone from ${name}`, async () => {
      for (const type of [pods, secrets, services]) {
        for await (const _left of client.list(type as typeof pods, selectors)) return undefined;
      }
      return true;
    });
  }
}

export const clientPod = ({ metadata }: VolumeTransfer) => `vt-${metadata.uid}-client`;

export async function everything(path: string): Promise<void> {
  const at = (name: string): string => join(path, name);
  fs.mkdirSync(at('database'), { mode: 0o700 });
  fs.writeFileSync(at('database/table'), 'rows', { mode: 0o600 });
  fs.linkSync(at('database/table'), at('second name'));
  fs.symlinkSync('/etc/hostname', at('absolute'));
  fs.writeFileSync(at('sparse'), 'start');
  fs.truncateSync(at('sparse'), 32 * MiB);
  await must('setfattr', '-n', 'user.colour', '-v', 'green', at('sparse'));
  await must('setfacl', '-m', 'u:1234:r', at('second name'));
  if (process.geteuid?.() === 0) fs.chownSync(at('database/table'), 999, 998);
}

export async function sameAs(source: string, destination: string): Promise<void> {
  const list = (path: string) =>
    spawnSync('getfacl', ['-R', '-n', '.'], { cwd: path, encoding: 'utf8' }).stdout;
  assert.equal(list(destination), list(source));
  const said = spawnSync('diff', ['-r', '--no-dereference', source, destination]);
  assert.equal(said.status, 0, String(said.stdout));
  assert.equal(fs.statSync(join(destination, 'database/table')).nlink, 2);
  assert.ok(fs.statSync(join(destination, 'sparse')).blocks * 512 < MiB, 'it is still sparse');
  assert.match(await must('getfattr', '-n', 'user.colour', join(destination, 'sparse')), /green/);
}

export const noise = (mebibytes: number) => async (path: string) => {
  for (let at = 0; at < mebibytes; at++) {
    fs.writeFileSync(join(path, `noise-${at}`), randomBytes(MiB));
  }
};

export const moverCases = fleetCases({
  'files are copied with all that they have, ahead and then to the end': async (t) => {
    needPrograms();
    const source = await filledClaim(t, t.east, everything);
    await make(t, 'ahead');
    const ahead = await succeeded(t, 'ahead');
    assert.equal(ahead.status?.attempts, 1, JSON.stringify(ahead.status));
    assert.match(ahead.status?.route ?? '', /^address of the pod, 127\.0\.0\.1:\d+$/);
    const destination = await there(t);
    await sameAs(source, destination);
    await noHelpers(t);
    fs.writeFileSync(join(source, 'late'), 'written since');
    fs.rmSync(join(source, 'absolute'));
    await make(t, 'last', { pass: 'Last', overwrite: true, verify: true });
    const last = await succeeded(t, 'last');
    const { audit, volume = '' } = last.status ?? {};
    assert.equal(audit?.source?.digest, audit?.destination?.digest);
    assert.ok((audit?.source?.files ?? 0) > 4, JSON.stringify(last.status));
    assert.equal(last.status?.conditions?.find(({ type }) => type === 'Verified')?.status, 'True');
    await sameAs(source, destination);
    assert.deepEqual(fs.readdirSync(destination), fs.readdirSync(source));
    const made = await t.object(t.west, persistentVolumes, volume);
    assert.equal(made.spec?.persistentVolumeReclaimPolicy, 'Retain');
    const claim = await t.object(t.west, persistentVolumeClaims, 'data');
    assert.equal(claim.metadata.annotations?.[annotations.torn], undefined);
    await noHelpers(t);
  },

  'a copy whose pod is killed goes on with what has arrived': async (t) => {
    needPrograms();
    const source = await filledClaim(t, t.east, noise(12));
    await make(t, 'cut', { bandwidth: '2Mi' });
    const name = clientPod(await halfway(t, 'cut'));
    await t.east.client.delete(pods, t.key(name), { graceSeconds: 0 });
    await change(t, 'cut', { bandwidth: null });
    const { status } = await succeeded(t, 'cut');
    assert.ok((status?.attempts ?? 0) > 1, JSON.stringify(status));
    assert.equal(status?.percent, 100);
    assert.ok((status?.wireBytes ?? 0) < 12 * MiB, JSON.stringify(status));
    assert.equal(spawnSync('diff', ['-r', source, await there(t)]).status, 0);
    await noHelpers(t);
  },

  'a paused copy has no pod at the source, and goes on later': async (t) => {
    needPrograms();
    const source = await filledClaim(t, t.east, noise(8));
    await make(t, 'held', { bandwidth: '1Mi' });
    const name = clientPod(await halfway(t, 'held'));
    await change(t, 'held', { paused: true, bandwidth: null });
    await t.gone(t.east, pods, name);
    await t.condition(t.east, volumeTransfers, 'held', {
      type: 'Succeeded',
      status: 'Unknown',
      reason: 'Paused',
    });
    await change(t, 'held', { paused: false });
    await succeeded(t, 'held');
    assert.equal(spawnSync('diff', ['-r', source, await there(t)]).status, 0);
    await noHelpers(t);
  },

  'a canceled copy leaves nothing when its data is discarded': async (t) => {
    needPrograms();
    await filledClaim(t, t.east, noise(8));
    await make(t, 'dropped', { bandwidth: '1Mi' });
    await halfway(t, 'dropped');
    const path = await there(t);
    const volume = await t.bound(t.west, 'data');
    await change(t, 'dropped', { canceled: true, discard: true });
    await t.gone(t.west, persistentVolumeClaims, 'data');
    await t.gone(t.west, persistentVolumes, volume);
    assert.ok(!fs.existsSync(path));
    await noHelpers(t);
    const { status } = await t.object(t.east, volumeTransfers, 'dropped');
    assert.equal(status?.phase, 'Canceled');
  },

  'a server that is killed is found again where it listens then': {
    long: true,
    run: async (t) => {
      needPrograms();
      const source = await filledClaim(t, t.east, noise(8));
      await make(t, 'moved', { bandwidth: '1Mi' });
      const { metadata } = await halfway(t, 'moved');
      await t.west.client.delete(pods, t.key(`vt-${metadata.uid}-server`), { graceSeconds: 0 });
      await change(t, 'moved', { bandwidth: null });
      await succeeded(t, 'moved');
      assert.equal(spawnSync('diff', ['-r', source, await there(t)]).status, 0);
      await noHelpers(t);
    },
  },

  'a copy ahead runs beside the application, the last one waits for its end': async (t) => {
    needPrograms();
    const source = await filledClaim(t, t.east, noise(1));
    const script = 'exec sleep 1000';
    await makePod(t, t.east, { name: 'application', claim: 'data', script });
    await phase(t, t.east, 'application', 'Running');
    await make(t, 'ahead');
    await succeeded(t, 'ahead');
    await make(t, 'last', { pass: 'Last', overwrite: true });
    // Before that it may wait for the end of the other copy's server.
    await t.until('the last copy to wait for the application', async () => {
      const { status } = await t.object(t.east, volumeTransfers, 'last');
      const { message = '' } = status?.conditions?.find(({ type }) => type === 'Succeeded') ?? {};
      return /claim [^ ]+ is used by pod application/.test(message);
    });
    await t.east.client.delete(pods, t.key('application'));
    await succeeded(t, 'last');
    assert.equal(spawnSync('diff', ['-r', source, await there(t)]).status, 0);
    await noHelpers(t);
  },

  'a volume is copied to another claim of its own namespace': async (t) => {
    needPrograms();
    const source = await filledClaim(t, t.east, everything);
    const { east, namespace } = t;
    const destination = { cluster: east.name, namespace, claim: 'data-ts-1' };
    await make(t, 'beside', { destination, pass: 'Last' });
    await succeeded(t, 'beside');
    await sameAs(source, await pathOf(t, east, await t.bound(east, 'data-ts-1')));
    await noHelpers(t);
  },

  'what differs of a raw device travels, ahead and then to the end': async (t) => {
    const source = await rawClaim(t, t.east);
    const content = randomBytes(8 * MiB);
    fs.writeFileSync(source, content, { flag: 'r+' });
    const block = { method: 'Block' } as const;
    await make(t, 'ahead', block);
    const ahead = await succeeded(t, 'ahead');
    assert.ok((ahead.status?.wireBytes ?? 0) >= 8 * MiB, JSON.stringify(ahead.status));
    const destination = await there(t);
    assert.ok(fs.readFileSync(destination).equals(fs.readFileSync(source)));
    const file = fs.openSync(source, 'r+');
    fs.writeSync(file, 'late', 3 * MiB);
    fs.closeSync(file);
    await make(t, 'last', { ...block, pass: 'Last', overwrite: true, verify: true });
    const last = await succeeded(t, 'last');
    assert.ok((last.status?.wireBytes ?? 0) < MiB, JSON.stringify(last.status));
    assert.equal(last.status?.audit?.source?.bytes, 16 * MiB);
    assert.ok(fs.readFileSync(destination).equals(fs.readFileSync(source)));
    await noHelpers(t);
  },

  'a raw device whose sender is killed goes on': {
    long: true,
    run: async (t) => {
      const source = await rawClaim(t, t.east);
      fs.writeFileSync(source, randomBytes(16 * MiB), { flag: 'r+' });
      await make(t, 'cut', { method: 'Block', bandwidth: '2Mi' });
      const name = clientPod(await halfway(t, 'cut'));
      await t.east.client.delete(pods, t.key(name), { graceSeconds: 0 });
      await change(t, 'cut', { bandwidth: null });
      const { status } = await succeeded(t, 'cut');
      assert.ok((status?.attempts ?? 0) > 1, JSON.stringify(status));
      assert.ok(fs.readFileSync(await there(t)).equals(fs.readFileSync(source)));
      await noHelpers(t);
    },
  },

  'a claim of somebody else is not written to': async (t) => {
    needPrograms();
    await filledClaim(t, t.east, noise(1));
    const theirs = await filledClaim(t, t.west, async (path) => {
      fs.writeFileSync(join(path, 'theirs'), 'kept');
    });
    await make(t, 'refused');
    const wanted = { type: 'Succeeded', status: 'False', reason: 'AlreadyExists' };
    await t.condition(t.east, volumeTransfers, 'refused', wanted);
    assert.deepEqual(fs.readdirSync(theirs), ['theirs']);
    await noHelpers(t);
  },

  'a copy outlives the controllers': {
    alone: true,
    run: async (t) => {
      needPrograms();
      const source = await filledClaim(t, t.east, noise(6));
      await make(t, 'orphan', { bandwidth: '1Mi', pass: 'Last' });
      await halfway(t, 'orphan');
      await t.east.controller.end('SIGKILL');
      await t.east.controller.start();
      const { status } = await succeeded(t, 'orphan');
      assert.equal(status?.attempts, 1, JSON.stringify(status));
      assert.equal(spawnSync('diff', ['-r', source, await there(t)]).status, 0);
      await noHelpers(t);
    },
  },
});
