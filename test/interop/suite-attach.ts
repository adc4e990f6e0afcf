// A volume as a block device and a mounted directory: real file systems, real crashes.
//
// The server may live in this very process: a synchronous call on the mount would wait for ever.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AttachRequest,
  attachVolume,
  detachVolume,
  listAttachments,
} from '../../src/host/attach.ts';
import { loopDevicesOf, mounts } from '../../src/host/block-probe.ts';
import { fuseProcesses } from '../../src/host/attach-steps.ts';
import { type NbdTarget, type StartNbd } from './suite-nbd.ts';
import { missing, must, scratch } from './tools.ts';

interface Place {
  readonly target: NbdTarget;
  readonly stateDirectory: string;
  readonly mount: string;
  /** `uri`, `name` and `stateDirectory` of a request. */
  readonly base: Pick<AttachRequest, 'uri' | 'name' | 'stateDirectory' | 'serve'>;
}

/** Why this machine cannot; false when it can. */
export function cannotAttach(): string | false {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const node of ['/dev/fuse', '/dev/loop-control']) {
    if (!existsSync(node)) return `there is no ${node}`;
  }
  return missing('nbdfuse', 'losetup', 'mount', 'blkid', 'mkfs.ext4');
}

/** Mounts a target as the file `disk` of a directory; returns the process that serves it. */
export type Serve = (target: NbdTarget, directory: string) => Promise<number>;

/** Registers the tests. `start` as for `nbdSuite`; without `serve`, nbdfuse does. */
export function attachSuite(start: StartNbd, serve?: Serve): void {
  const on = (name: string, body: (place: Place) => Promise<void>): void => {
    test(name, { skip: cannotAttach() }, async () => {
      const target = await start();
      using directory = scratch();
      const stateDirectory = join(directory.path, 'state');
      const mount = join(directory.path, 'mnt');
      const served = serve && { serve: (at: string) => serve(target, at) };
      const base = { uri: target.uri, name: 'vol', stateDirectory, ...served };
      try {
        await body({ target, stateDirectory, mount, base });
        await detachVolume(base);
        assertNothingLeft(stateDirectory, mount);
      } finally {
        await detachVolume({ ...base, force: true });
        await target.close();
      }
    });
  };
  deviceTests(on);
  mountTests(on);
  namespaceTests(on);
  refusalTests(on);
  crashTests(on);
  if (serve === undefined) nbdfuseTests(on);
}

type Register = (name: string, body: (place: Place) => Promise<void>) => void;

function assertNothingLeft(stateDirectory: string, mount: string): void {
  const fuse = join(stateDirectory, 'vol', 'fuse');
  assert.deepEqual(loopDevicesOf(join(fuse, 'disk')), []);
  assert.deepEqual(fuseProcesses(fuse), []);
  assert.equal(existsSync(join(stateDirectory, 'vol')), false);
  assert.equal(
    mounts().some(({ path }) => path === mount || path === fuse),
    false,
  );
}

function deviceTests(on: Register): void {
  on('a device of the right size, whose writes arrive', async ({ target, base }) => {
    const attached = await attachVolume(base);
    assert.equal(attached.working, true);
    const content = randomBytes(1024 * 1024);
    using directory = scratch();
    const file = join(directory.path, 'content');
    writeFileSync(file, content);
    await must('dd', `if=${file}`, `of=${attached.device}`, 'bs=64k', 'seek=3', 'conv=fsync');
    assert.deepEqual(await detachVolume(base), { flushed: true });
    const back = join(directory.path, 'back');
    await must('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', target.uri, back);
    const at = 3 * 65536;
    assert.ok(
      readFileSync(back)
        .subarray(at, at + content.length)
        .equals(content),
    );
  });

  on('attaching again changes nothing; attaching differently is refused', async (place) => {
    const { base, mount, stateDirectory } = place;
    const first = await attachVolume(base);
    assert.deepEqual(await attachVolume(base), first);
    assert.deepEqual(listAttachments(stateDirectory), [first]);
    await assert.rejects(attachVolume({ ...base, mount, format: 'ext4' }), { reason: 'InUse' });
    await assert.rejects(attachVolume({ ...base, readOnly: true }), { reason: 'InUse' });
  });

  on('detaching what is not attached changes nothing', async ({ base, stateDirectory }) => {
    assert.deepEqual(await detachVolume(base), { flushed: true });
    assert.deepEqual(listAttachments(stateDirectory), []);
  });

  on('an open device is in use, and its user is named', async ({ base }) => {
    const { device } = await attachVolume(base);
    const holder = await holding(['sh', '-c', `exec 3<${device}; exec sleep 60`]);
    const busy = new RegExp(`\\(process ${holder.pid}\\)`);
    await assert.rejects(detachVolume(base), { reason: 'InUse', message: busy });
    await ended(holder);
  });
}

/** A process that has had the time to open what it opens. */
async function holding(words: readonly [string, ...string[]]): Promise<ChildProcess> {
  const child = spawn(words[0], words.slice(1), { stdio: 'ignore' });
  await sleep(300);
  return child;
}

async function ended(child: ChildProcess): Promise<void> {
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
  await sleep(50);
}

function namespaceTests(on: Register): void {
  on('a copy of the mount in another mount namespace does not stop detach', async (place) => {
    const { base, mount } = place;
    await attachVolume({ ...base, mount, format: 'ext4' });
    // Containers and `ip netns exec` copy all mounts; the last one to go writes to the volume.
    const container = await holding(['unshare', '--mount', 'sleep', '60']);
    await writeFile(join(mount, 'file'), randomBytes(1024 * 1024));
    assert.deepEqual(await detachVolume(base), { flushed: true });
    await ended(container);
  });
}

function mountTests(on: Register): void {
  for (const format of ['ext4', 'xfs'] as const) {
    on(`files on ${format} survive a detach, and the file system is sound`, async (place) => {
      const { target, base, mount } = place;
      const size = Number(await must('nbdinfo', '--size', target.uri));
      // xfs needs 300 MiB.
      if (format === 'xfs' && (missing('mkfs.xfs') !== false || size < 300 * 2 ** 20)) return;
      const content = randomBytes(5_000_000);
      await attachVolume({ ...base, mount, format });
      await writeFile(join(mount, 'file'), content);
      await detachVolume(base);
      assert.equal(existsSync(mount), false);
      const device = (await attachVolume(base)).device;
      if (format === 'ext4') await must('e2fsck', '-f', '-n', device);
      else await must('xfs_repair', '-n', device);
      await detachVolume(base);
      await attachVolume({ ...base, mount, readOnly: true });
      assert.ok((await readFile(join(mount, 'file'))).equals(content));
      await assert.rejects(writeFile(join(mount, 'other'), 'x'), /EROFS/);
    });
  }

  on('what is deleted is given back', async ({ target, base, mount }) => {
    const dataBytes = async (): Promise<number> => {
      const map = JSON.parse(await must('nbdinfo', '--map', '--json', target.uri));
      const data = map.filter(({ type }: { type: number }) => type === 0);
      return data.reduce((sum: number, { length }: { length: number }) => sum + length, 0);
    };
    await attachVolume({ ...base, mount, format: 'ext4' });
    await writeFile(join(mount, 'file'), randomBytes(20_000_000), { flush: true });
    await must('sync');
    const before = await dataBytes();
    await rm(join(mount, 'file'));
    await must('sync');
    // The kernel discards in the background.
    let after = before;
    for (let turn = 0; turn < 100 && after > before - 15_000_000; turn += 1) {
      await sleep(100);
      after = await dataBytes();
    }
    assert.ok(after <= before - 15_000_000, `${before} bytes before, ${after} after`);
  });

  on('a directory that was there stays', async ({ base, mount }) => {
    mkdirSync(mount);
    await attachVolume({ ...base, mount, format: 'ext4' });
    await detachVolume(base);
    assert.equal(statSync(mount).isDirectory(), true);
  });

  on('a mount in use is refused, its user named, and nothing broken', async ({ base, mount }) => {
    await attachVolume({ ...base, mount, format: 'ext4' });
    const file = join(mount, 'log');
    const holder = await holding(['sh', '-c', `exec 3>${file}; cd ${mount}; exec sleep 60`]);
    const busy = new RegExp(`\\(process ${holder.pid}\\)`);
    await assert.rejects(detachVolume(base), { reason: 'InUse', message: busy });
    assert.equal(listAttachments(base.stateDirectory)[0]?.working, true);
    await writeFile(join(mount, 'still'), 'works');
    await ended(holder);
  });
}

function refusalTests(on: Register): void {
  on('what is not blank is never formatted', async ({ target, base, mount }) => {
    await must('qemu-io', '-f', 'raw', '-c', 'write -P 7 200k 512', target.uri);
    const refused = { reason: 'BadArgument', message: /not formatted/ };
    await assert.rejects(attachVolume({ ...base, mount, format: 'ext4' }), refused);
    assertNothingLeft(base.stateDirectory, mount);
    await must('qemu-io', '-f', 'raw', '-c', 'write -z 200k 512', target.uri);
    await attachVolume({ ...base, mount, format: 'ext4' });
    await detachVolume(base);
    const again = { reason: 'BadArgument', message: /holds ext4/ };
    await assert.rejects(attachVolume({ ...base, mount, format: 'ext4' }), again);
  });

  on('a blank volume is not mounted without a format', async ({ base, mount }) => {
    const refused = { reason: 'BadArgument', message: /blank/ };
    await assert.rejects(attachVolume({ ...base, mount }), refused);
    assertNothingLeft(base.stateDirectory, mount);
  });
}

/** What depends on who serves the file. */
function nbdfuseTests(on: Register): void {
  on('an export that is not there leaves nothing behind', async ({ base, mount }) => {
    const uri = base.uri.replace('?', '-not?');
    await assert.rejects(attachVolume({ ...base, uri }), { reason: 'SourceUnreachable' });
    assertNothingLeft(base.stateDirectory, mount);
  });

  on('after nbdfuse was killed, detach clears everything', async ({ base, mount }) => {
    await attachVolume({ ...base, mount, format: 'ext4' });
    const [pid] = fuseProcesses(join(base.stateDirectory, 'vol', 'fuse'));
    process.kill(pid!, 'SIGKILL');
    await sleep(200);
    assert.equal(listAttachments(base.stateDirectory)[0]?.working, false);
    await detachVolume(base);
    assertNothingLeft(base.stateDirectory, mount);
    await attachVolume({ ...base, mount });
  });
}

function crashTests(on: Register): void {
  on('after the server was stopped, detach clears everything', async ({ target, base, mount }) => {
    await attachVolume({ ...base, mount, format: 'ext4' });
    await writeFile(join(mount, 'file'), 'lost');
    await target.close();
    await detachVolume({ ...base, force: true });
    assertNothingLeft(base.stateDirectory, mount);
  });

  // Each record is what a process leaves that dies right after that step.
  for (const step of ['fuse', 'loop', 'mount'] as const) {
    on(`a crash while ${step} is made leaves nothing after detach`, async ({ base, mount }) => {
      const file = join(base.stateDirectory, 'vol', 'attachment.json');
      await attachVolume({ ...base, mount, format: 'ext4' });
      const record = JSON.parse(readFileSync(file, 'utf8'));
      record.complete = false;
      if (step === 'fuse') {
        // Known only by what it runs: the process died before it could note the number.
        await must('umount', mount);
        await must('losetup', '--detach', record.loop.device);
        delete record.fuse.pid;
        delete record.loop;
        delete record.mount;
      } else if (step === 'loop') {
        await must('umount', mount);
        record.loop = {};
        delete record.mount;
      }
      writeFileSync(file, JSON.stringify(record));
      assert.equal(listAttachments(base.stateDirectory)[0]?.working, false);
      if (step === 'loop') await attachVolume({ ...base, mount });
      await detachVolume(base);
      await rm(mount, { recursive: true, force: true });
      assertNothingLeft(base.stateDirectory, mount);
    });
  }
}
