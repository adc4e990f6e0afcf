// A volume by way of a repository in a directory, with Debian's restic.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { missing, must, scratch } from '../tools.ts';
import { Transfer } from './movers.ts';
import { fillOddly } from './odd-tree.ts';

const isRoot = process.geteuid?.() === 0;
const skip = missing('restic', 'setfacl', 'getfattr') || (!isRoot && 'needs root');
const MiB = 1024 * 1024;

async function withTransfer(run: (transfer: Transfer) => Promise<void>): Promise<void> {
  using at = scratch();
  await using transfer = new Transfer(at.path);
  await run(transfer);
}

async function fill(source: string): Promise<void> {
  await fillOddly(source);
  const at = (name: string): string => join(source, name);
  fs.writeFileSync(at('[a]*?\\'), 'odd');
  fs.chmodSync(source, 0o710);
  await must('setfattr', '-n', 'user.colour', '-v', 'green', at('second name'));
}

/** What `ls` would tell of every file, times of the year included. */
function listing(path: string): string {
  const words = ['.', '-printf', '%P %y %m %U %G %n %l %T@\\n'];
  const options = { cwd: path, encoding: 'utf8' } as const;
  const said = spawnSync('find', words, options).stdout;
  const lines = said.split('\n').filter((line) => !line.startsWith('lost+found'));
  const short = lines.map((line) => line.replace(/(\.\d{6})\d*$/, '$1'));
  // Of directories the number of names says how many directories they have.
  return short
    .map((line) => line.replace(/( d \d+ \d+ \d+) \d+/, '$1'))
    .toSorted()
    .join('\n');
}

async function copy(transfer: Transfer, verify = false) {
  const { saved, addedBytes } = await transfer.backup({ verify }).wait('Saved');
  const done = await transfer.restore(saved, { verify }).wait('Done');
  return { saved, addedBytes, done };
}

test('a volume comes out of a repository as it went in', { skip }, async () => {
  await withTransfer(async (transfer) => {
    await fill(transfer.source);
    const { done } = await copy(transfer, true);
    assert.equal(done.audit?.contentCompared, true);
    assert.ok((done.audit?.entries ?? 0) > 10);
    assert.equal(listing(transfer.destination), listing(transfer.source));
    const there = (name: string): string => join(transfer.destination, name);
    assert.match(await must('getfattr', '-n', 'user.colour', there('second name')), /green/);
    assert.match(await must('getfacl', '-n', there('line\nbreak')), /user:1234:r--/);
    assert.equal(fs.existsSync(there('lost+found')), false);
  });
});

test('a further pass brings the difference and removes what is gone', { skip }, async () => {
  await withTransfer(async (transfer) => {
    const { source, destination } = transfer;
    await fill(source);
    fs.writeFileSync(join(source, 'large'), randomBytes(8 * MiB));
    await copy(transfer);
    const large = fs.statSync(join(destination, 'large')).ino;
    fs.appendFileSync(join(source, 'database/table'), ' and more');
    fs.rmSync(join(source, 'absolute'));
    fs.rmSync(join(source, 'dangling'));
    fs.mkdirSync(join(source, 'dangling'));
    fs.symlinkSync('elsewhere', join(source, 'dangling/link'));
    fs.rmSync(join(source, '[a]*?\\'));
    fs.writeFileSync(join(destination, 'stranger'), 'not of the source');
    fs.chmodSync(source, 0o711);
    const { addedBytes, done } = await copy(transfer);
    assert.ok(addedBytes < MiB, `${addedBytes} bytes more in the repository`);
    assert.ok(done.stats.sentBytes < MiB, `${done.stats.sentBytes} bytes fetched`);
    assert.equal(fs.statSync(join(destination, 'large')).ino, large);
    assert.equal(listing(destination), listing(source));
    const { audit } = done;
    assert.notEqual(audit, undefined);
  });
});

test('attributes that changed alone are found by the audit, and all is made anew', {
  skip,
}, async () => {
  await withTransfer(async (transfer) => {
    await fill(transfer.source);
    await copy(transfer);
    await must('setfattr', '-n', 'user.colour', '-v', 'red', join(transfer.source, 'second name'));
    const { done } = await copy(transfer);
    assert.notEqual(done.audit, undefined);
    const there = join(transfer.destination, 'second name');
    assert.match(await must('getfattr', '-n', 'user.colour', there), /red/);
    assert.equal(listing(transfer.destination), listing(transfer.source));
  });
});

test('what a killed restore left is made whole', { skip }, async () => {
  await withTransfer(async (transfer) => {
    const { source, destination } = transfer;
    for (let file = 0; file < 8; file++) {
      fs.writeFileSync(join(source, `file-${file}`), randomBytes(MiB));
    }
    const { saved } = await transfer.backup().wait('Saved');
    const cut = transfer.restore(saved, { bytesPerSecond: MiB });
    await cut.wait('Progress');
    cut.child.kill('SIGTERM');
    await cut.ended;
    const { audit } = await transfer.restore(saved, { verify: false }).wait('Done');
    assert.equal(audit?.bytes, 8 * MiB);
    assert.equal(spawnSync('diff', ['-r', source, destination]).status, 0);
  });
});

test('a writer in the final pass is found', { skip }, async () => {
  await withTransfer(async (transfer) => {
    fs.writeFileSync(join(transfer.source, 'file'), 'content');
    const { saved } = await transfer.backup().wait('Saved');
    fs.writeFileSync(join(transfer.source, 'file'), 'changed');
    const later = await transfer.backup().wait('Saved');
    const mixed = { ...saved, list: later.saved.list };
    const failed = await transfer.restore(mixed).wait('Failed');
    assert.equal(failed.reason, 'DataCorrupt');
    assert.match(failed.message, /file: mtime|file: content|file:/);
  });
});

test('a volume without anything empties its copy', { skip }, async () => {
  await withTransfer(async (transfer) => {
    fs.writeFileSync(join(transfer.destination, 'stranger'), 'content');
    const { done } = await copy(transfer);
    assert.equal(done.audit?.entries, 1);
    assert.deepEqual(fs.readdirSync(transfer.destination), []);
  });
});

test('another password is refused, and no secret is told', { skip }, async () => {
  await withTransfer(async (transfer) => {
    const { saved } = await transfer.backup().wait('Saved');
    const password = 'some-other-password';
    const mover = transfer.restore(saved, { password });
    const failed = await mover.wait('Failed');
    assert.equal(failed.reason, 'NotTrusted');
    assert.ok(!JSON.stringify(mover.said).includes(password));
  });
});
