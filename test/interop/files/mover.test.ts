// The movers of the method Filesystem with Debian's rsync and stunnel.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { configText, placesOf } from '../../../src/files/pods.ts';
import { auditVolume } from '../../../src/host/mover/audit.ts';
import { startRelay } from '../../relay/relay.ts';
import { until } from '../cloud.ts';
import { missing, must, scratch } from '../tools.ts';
import { type Mover, Transfer } from './movers.ts';
import { fillOddly } from './odd-tree.ts';

const isRoot = process.geteuid?.() === 0;
const skip = missing('rsync', 'stunnel4', 'setfacl', 'getfattr') || (!isRoot && 'needs root');
const MiB = 1024 * 1024;
const mainPath = join(import.meta.dirname, '../../../src/main.ts');

interface Place extends AsyncDisposable {
  readonly transfer: Transfer;
}

function place(): Place {
  const at = scratch();
  const transfer = new Transfer(at.path);
  return {
    transfer,
    [Symbol.asyncDispose]: async () => {
      await transfer[Symbol.asyncDispose]();
      at[Symbol.dispose]();
    },
  };
}

const attemptsOf = ({ said }: Mover) => said.filter(({ type }) => type === 'Attempt').length;

async function fill(source: string): Promise<void> {
  await fillOddly(source);
  const at = (name: string): string => join(source, name);
  fs.writeFileSync(at('sparse'), 'start');
  fs.truncateSync(at('sparse'), 64 * MiB);
  fs.symlinkSync('../../../../escaping', at('escaping'));
  await must('setfattr', '-n', 'user.colour', '-v', 'green', at('sparse'));
}

test('a copy has everything that its source has', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  await fill(transfer.source);
  const { port } = await transfer.server();
  const { audit, attempts, notes } = await transfer.client(port, { verify: true }).wait('Done');
  assert.equal(attempts, 1);
  assert.deepEqual(notes, []);
  assert.equal(audit?.contentCompared, true);
  assert.equal(audit.bytes, 64 * MiB + 4 + 3 + 3);
  const there = (name: string): string => join(transfer.destination, name);
  const table = fs.statSync(there('database/table'));
  assert.deepEqual([table.uid, table.gid, table.mode & 0o777, table.nlink], [999, 998, 0o600, 2]);
  assert.equal(fs.statSync(there('second name')).ino, table.ino);
  assert.ok(fs.statSync(there('sparse')).blocks * 512 < MiB, 'it is still sparse');
  assert.equal(fs.readlinkSync(there('absolute')), '/etc/hostname');
  assert.equal(fs.readlinkSync(there('escaping')), '../../../../escaping');
  assert.ok(fs.lstatSync(there('fifo')).isFIFO());
  assert.equal(fs.existsSync(there('lost+found')), false);
  assert.equal(fs.existsSync(there('database/lost+found')), true);
  assert.match(await must('getfattr', '-n', 'user.colour', there('sparse')), /green/);
  assert.match(await must('getfacl', '-n', there('line\nbreak')), /user:1234:r--/);
});

test('a further pass sends the difference and removes what is gone', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  const large = join(transfer.source, 'large');
  fs.writeFileSync(large, Buffer.alloc(8 * MiB, 'first'));
  fs.writeFileSync(join(transfer.source, 'gone'), 'soon');
  const { port } = await transfer.server();
  const first = await transfer.client(port, { pass: 'Stage' }).wait('Done');
  assert.equal(first.audit, undefined);
  assert.ok(first.stats.literalBytes >= 8 * MiB);
  fs.appendFileSync(large, 'more');
  fs.rmSync(join(transfer.source, 'gone'));
  const second = await transfer.client(port).wait('Done');
  assert.ok(second.stats.sentBytes < MiB, `${second.stats.sentBytes} bytes`);
  assert.equal(second.stats.deletedFiles, 1);
  assert.deepEqual(fs.readdirSync(transfer.destination), ['large']);
  assert.notEqual(second.audit, undefined);
});

test('another rate holds soon, and is no failed attempt', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  for (let file = 0; file < 16; file++) {
    fs.writeFileSync(join(transfer.source, `file-${file}`), randomBytes(MiB));
  }
  const { port } = await transfer.server();
  const client = transfer.client(port, { pass: 'Stage', bytesPerSecond: MiB });
  await client.wait('Progress');
  const faster = JSON.stringify(transfer.clientConfig(port, { pass: 'Stage' }));
  fs.writeFileSync(join(transfer.directory, 'client.json'), faster);
  const { attempts, stats } = await client.wait('Done');
  assert.equal(attempts, 1);
  assert.equal(attemptsOf(client), 2);
  assert.ok(stats.sentBytes < 16 * MiB, `${stats.sentBytes} bytes of the last attempt`);
});

test('a pod that may not mount finds its places below its directory', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  fs.writeFileSync(join(transfer.source, 'file'), 'content');
  const { port } = await transfer.server();
  const places = placesOf('vt-test');
  const linked = (path: string): string => join(transfer.directory, 'links', path);
  const links = {
    [places.secret]: join(transfer.directory, 'tls/client'),
    [places.volume]: transfer.source,
    [places.state]: fs.mkdtempSync(join(transfer.directory, 'state-')),
  };
  for (const [path, target] of Object.entries(links)) {
    fs.mkdirSync(join(linked(path), '..'), { recursive: true });
    fs.symlinkSync(target, linked(path));
  }
  const told = transfer.clientConfig(port, { source: places.volume });
  const text = configText('vt-test', told);
  fs.writeFileSync(join(transfer.directory, 'tls/client/config.json'), text);
  const words = [mainPath, 'mover', 'client', '--config', `${places.secret}/config.json`];
  const { status, stdout } = spawnSync(process.execPath, words, { cwd: linked('/') });
  assert.equal(status, 0, String(stdout));
  assert.equal(fs.readFileSync(join(transfer.destination, 'file'), 'utf8'), 'content');
});

test('a cut connection costs an attempt and not what is there', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  const names = Array.from({ length: 24 }, (_, index) => `file-${index}`);
  for (const name of names) fs.writeFileSync(join(transfer.source, name), randomBytes(MiB));
  const server = await transfer.server();
  const relay = await startRelay({ host: '127.0.0.1', port: server.port, delayMs: 0 });
  try {
    relay.onPassed(() => {
      if (relay.bytes() < 12 * MiB) return;
      relay.onPassed(() => undefined);
      relay.cut();
    });
    const client = transfer.client(relay.port);
    const failed = await client.wait('AttemptFailed');
    assert.equal(failed.reason, 'SourceUnreachable');
    relay.restore();
    const { stats, attempts, audit } = await client.wait('Done');
    assert.ok(attempts > 1);
    assert.equal(attemptsOf(client), attempts);
    assert.ok(stats.sentBytes < 20 * MiB, `the last attempt sent ${stats.sentBytes} bytes`);
    assert.equal(audit?.bytes, names.length * MiB);
  } finally {
    await relay.close();
  }
});

test('a client of another transfer gets nothing', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  fs.writeFileSync(join(transfer.source, 'file'), 'content');
  transfer.writeCertificates('other');
  const { port } = await transfer.server();
  const certificates = join(transfer.directory, 'mixed');
  fs.cpSync(join(transfer.directory, 'other/client'), certificates, { recursive: true });
  fs.copyFileSync(join(transfer.directory, 'tls/client/ca.crt'), join(certificates, 'ca.crt'));
  const stranger = await transfer.client(port, { certificates }).wait('Failed');
  assert.equal(stranger.reason, 'NotTrusted');
  assert.match(stranger.message, /refused the client's certificate/);
  const wrongName = await transfer.client(port, { serverName: 'other.test' }).wait('Failed');
  assert.equal(wrongName.reason, 'NotTrusted');
  assert.match(wrongName.message, /another name/);
  assert.deepEqual(fs.readdirSync(transfer.destination), []);
});

test('who comes back late cannot write over what a later attempt copied', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  const stale = join(transfer.directory, 'stale');
  fs.mkdirSync(stale);
  for (const [from, text] of [
    [stale, 'old'],
    [transfer.source, 'new'],
  ] as const) {
    fs.writeFileSync(join(from, 'a'), text.repeat(3 * MiB));
    fs.writeFileSync(join(from, 'b'), randomBytes(8 * MiB));
  }
  transfer.writeCertificates('later');
  const early = await transfer.server();
  const relay = await startRelay({ host: '127.0.0.1', port: early.port, delayMs: 0 });
  try {
    relay.onPassed(() => {
      if (relay.bytes() < 4 * MiB) return;
      relay.onPassed(() => undefined);
      relay.cut();
    });
    const late = transfer.client(relay.port, { source: stale });
    await late.wait('AttemptFailed');
    early.child.kill('SIGKILL');
    await early.ended;
    const certificates = (side: string) => join(transfer.directory, 'later', side);
    const port = early.port;
    await transfer.server({ port, certificates: certificates('server') });
    const next = transfer.client(port, { certificates: certificates('client') });
    await next.wait('Done');
    relay.restore();
    assert.equal((await late.wait('Failed')).reason, 'NotTrusted');
    assert.equal(fs.readFileSync(join(transfer.destination, 'a'), 'utf8').slice(0, 3), 'new');
    const [here, there] = [transfer.source, transfer.destination].map((one) => {
      return fs.readFileSync(join(one, 'b')).toString('base64');
    });
    assert.ok(here === there);
  } finally {
    await relay.close();
  }
});

test('a full destination says so, at once', { skip }, async (t) => {
  await using at = place();
  const { transfer } = at;
  const { destination } = transfer;
  try {
    await must('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', destination);
  } catch {
    return t.skip('mounts are not allowed here');
  }
  try {
    fs.writeFileSync(join(transfer.source, 'large'), randomBytes(MiB));
    fs.writeFileSync(join(transfer.source, 'larger'), randomBytes(MiB));
    const { port } = await transfer.server();
    const failed = await transfer.client(port).wait('Failed');
    assert.match(failed.message, /no space left/);
    assert.match(failed.remedy, /larger/);
    assert.equal(failed.attempts, 1);
    await transfer[Symbol.asyncDispose]();
  } finally {
    await must('umount', destination);
  }
});

test('a killed server that starts again goes on at its port', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  fs.writeFileSync(join(transfer.source, 'file'), 'content');
  const { child, port, ended } = await transfer.server();
  await transfer.client(port, { pass: 'Stage' }).wait('Done');
  child.kill('SIGKILL');
  await ended;
  await transfer.server({ port });
  const { audit } = await transfer.client(port).wait('Done');
  assert.equal(audit?.entries, 2);
});

test('a server that is told to stop leaves no process', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  const { child, ended } = await transfer.server();
  const state = join(transfer.directory, 'server-state');
  const running = () => must('ps', '-eo', 'args').then((text) => text.includes(`${state}/`));
  assert.equal(await running(), true);
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  assert.equal(await running(), false);
});

test('content of the same size and time is compared when asked for', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  const there = join(transfer.destination, 'file');
  const moment = new Date('2026-01-01T00:00:00Z');
  for (const [path, text] of [
    [join(transfer.source, 'file'), 'content'] as const,
    [there, 'changed'] as const,
  ]) {
    fs.writeFileSync(path, text);
    fs.utimesSync(path, moment, moment);
  }
  const { port } = await transfer.server();
  await transfer.client(port).wait('Done');
  assert.equal(fs.readFileSync(there, 'utf8'), 'changed');
  const { stats } = await transfer.client(port, { verify: true }).wait('Done');
  assert.equal(stats.transferredFiles, 1);
  assert.equal(fs.readFileSync(there, 'utf8'), 'content');
});

/** A user of no name, as in restricted pods; false where it may not read this checkout. */
const user = 54_321;
const mayRun = (): boolean => {
  const words = ['--version'];
  return spawnSync(process.execPath, words, { uid: user, gid: user }).status === 0;
};

test('movers without root copy what they own and name what they may not read', {
  skip: skip || (!mayRun() && 'this checkout is closed to other users'),
}, async () => {
  await using at = place();
  const { transfer } = at;
  fs.mkdirSync(join(transfer.source, 'open'));
  fs.writeFileSync(join(transfer.source, 'open/file'), 'content');
  fs.symlinkSync('/etc/hostname', join(transfer.source, 'open/link'));
  for (const name of ['open', 'open/file', 'open/link']) {
    fs.lchownSync(join(transfer.source, name), user, user);
  }
  transfer.runAs(user);
  const { port } = await transfer.server();
  const { audit } = await transfer.client(port, { verify: true }).wait('Done');
  assert.equal(audit?.entries, 4);
  assert.equal(fs.readlinkSync(join(transfer.destination, 'open/link')), '/etc/hostname');
  fs.mkdirSync(join(transfer.source, 'database'), { mode: 0o700 });
  const failed = await transfer.client(port, { pass: 'Stage' }).wait('Failed');
  assert.equal(failed.reason, 'Forbidden');
  assert.match(failed.message, /database/);
  assert.equal(failed.attempts, 1);
});

test('the audit names what differs', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  fs.writeFileSync(join(transfer.source, 'missing'), 'content');
  fs.mkdirSync(join(transfer.destination, 'stranger'));
  for (const side of [transfer.source, transfer.destination]) {
    fs.writeFileSync(join(side, 'same'), 'content');
    fs.utimesSync(join(side, 'same'), 1, 1);
    fs.mkdirSync(join(side, 'excluded'));
    fs.writeFileSync(join(side, 'excluded/file'), side);
  }
  fs.chmodSync(join(transfer.destination, 'same'), 0o600);
  const { port } = await transfer.server();
  const config = transfer.clientConfig(port, { excludes: ['/excluded'] });
  const audited = await auditVolume(config, new AbortController().signal);
  assert.ok('reason' in audited && audited.reason === 'DataCorrupt');
  assert.match(audited.message, /missing: missing at the destination/);
  assert.match(audited.message, /stranger: only at the destination/);
  assert.match(audited.message, /same: mode 644 at the source, 600 there/);
  assert.doesNotMatch(audited.message, /excluded/);
});

test('an audit that the server does not go on with ends, and says what to do', {
  skip,
}, async () => {
  await using at = place();
  const { transfer } = at;
  const { port, child } = await transfer.server();
  child.kill('SIGSTOP');
  try {
    // Its tunnel still answers, so that no attempt fails.
    const config = transfer.clientConfig(port, { timeoutSeconds: 1 });
    const audited = await auditVolume(config, new AbortController().signal);
    assert.ok('reason' in audited && audited.reason === 'TimedOut');
    assert.match(audited.message, /not gone on .* for 1 seconds/);
    assert.match(audited.remedy ?? '', /log of the server's pod/);
  } finally {
    child.kill('SIGCONT');
  }
});

test('an audit that goes on is waited for', { skip }, async () => {
  await using at = place();
  const { transfer } = at;
  fs.writeFileSync(join(transfer.source, 'file'), 'content');
  const { port, child } = await transfer.server();
  await transfer.client(port, { pass: 'Stage' }).wait('Done');
  const state = join(transfer.directory, 'server-state');
  const worked = join(state, 'answers/worked');
  child.kill('SIGSTOP');
  // What the server would do, were the tree large.
  const telling = setInterval(() => fs.writeFileSync(worked, randomBytes(8).toString('hex')), 20);
  try {
    const config = transfer.clientConfig(port, { timeoutSeconds: 1 });
    const audit = auditVolume(config, new AbortController().signal);
    // By the fifth look more than the second has passed, as the pauses between them double.
    const looks = () => fs.readFileSync(join(state, 'rsyncd.log'), 'utf8').split('/worked').length;
    await Promise.race([audit, until('the client to look again', () => looks() > 5)]);
    clearInterval(telling);
    const mine = fs.readFileSync(worked, 'utf8');
    child.kill('SIGCONT');
    const audited = await audit;
    assert.ok('summary' in audited, JSON.stringify(audited));
    assert.notEqual(fs.readFileSync(worked, 'utf8'), mine, 'the server tells it too');
  } finally {
    clearInterval(telling);
    child.kill('SIGCONT');
  }
});
