// The command line against real agents and control planes: what a person types, and what comes of
// it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Cloud, runCli, startCloud, until } from '../cloud.ts';
import { missing, must, run, scratch } from '../tools.ts';

const MiB = 2 ** 20;

/** An image with data, holes and repetition. */
function makeImage(path: string): void {
  const bytes = Buffer.alloc(24 * MiB);
  randomBytes(6 * MiB).copy(bytes, 0);
  bytes.fill('transship ', 16 * MiB, 20 * MiB);
  writeFileSync(path, bytes);
}

async function json(cloud: Cloud, ...words: readonly string[]): Promise<Record<string, never>> {
  return JSON.parse(await cloud.must(...words, '-o', 'json'));
}

test('import, teleport, verify, edit, teleport back, delete', async () => {
  await using cloud = await startCloud(['east', 'west'], { planes: true });
  const image = join(cloud.home, 'image.raw');
  makeImage(image);
  assert.equal(
    await cloud.must('volume', 'import', 'db', image, '-c', 'east'),
    'volume/db imported\n',
  );
  const out = await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west', '--wait');
  assert.equal(out, 'teleport/db Available\n');
  const verified = await cloud.must('volume', 'verify', 'db', '-c', 'west', '--with', 'east');
  assert.match(verified, /complete {11}Passed/);
  assert.match(verified, /equal to east\/db {3}Passed/);

  using client = await cloud.agent('west').connect('db');
  await client.write(Buffer.alloc(4096, 1), 5 * MiB);
  await client.flush();
  const differ = await cloud.cli('volume', 'verify', 'db', '-c', 'west', '--with', 'east');
  assert.equal(differ.code, 3, differ.stdout);
  const back = ['teleport', 'db', '--from', 'west', '--to', 'east', '--name', 'db-2', '--wait'];
  await cloud.must(...back);
  const { status } = await cloud.agent('east').teleport('db-2');
  assert.ok(status.progress.wireBytes < 2 * MiB, 'only the difference travels');
  const refused = await cloud.cli('volume', 'delete', 'db', '-c', 'west');
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /needs --yes/);
  client.disconnect();
  await until('the door to close', async () => {
    return (await cloud.agent('west').volume('db')).status.doors.length === 0;
  });
  await cloud.must('volume', 'delete', 'db', '-c', 'west', '--yes');
  assert.deepEqual(await cloud.agent('west').volumeNames(), []);
});

test('a name clash is refused before anything happens', async () => {
  await using cloud = await startCloud(['east', 'west'], { planes: true });
  await cloud.must('volume', 'create', 'db', '--size', '8Mi', '-c', 'east');
  await cloud.must('volume', 'create', 'db', '--size', '16Mi', '-c', 'west');
  const clash = await cloud.cli('teleport', 'db', '--from', 'east', '--to', 'west');
  assert.equal(clash.code, 6);
  assert.match(clash.stderr, /reason: AlreadyExists/);
  assert.equal((await cloud.agent('west').volume('db')).spec.size, '16Mi');
  await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west', '--name', 'db-2');
});

test('snapshot, history, clone and restore to a moment', async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  const create = ['volume', 'create', 'db', '--size', '8Mi', '--history-policy', 'one-hour'];
  await cloud.must(...create);
  const write = async (byte: number) => {
    using client = await cloud.agent('east').connect('db');
    await client.write(Buffer.alloc(MiB, byte), 0);
    await client.flush();
  };
  await write(1);
  await cloud.must('volume', 'snapshot', 'db', 'one', '--trace');
  await write(2);
  await cloud.must('volume', 'clone', 'db', 'then', '--snapshot', 'one');
  using clone = await cloud.agent('east').connect('then');
  const first = Buffer.alloc(4096);
  await clone.read(first, 0);
  assert.equal(first[0], 1);
  const history = await cloud.must('volume', 'history', 'db');
  assert.match(history, /Policy: {2}one-hour/);
  assert.match(history, /one {4}db {7}8Mi/);
  await until('the door to close', async () => {
    return (await cloud.agent('east').volume('db')).status.doors.length === 0;
  });
  await cloud.must('volume', 'restore', 'db', '--snapshot', 'one', '--yes');
  using restored = await cloud.agent('east').connect('db');
  await restored.read(first, 0);
  assert.equal(first[0], 1);
  const early = await cloud.cli('volume', 'clone', 'db', 'x', '--at', '2020-01-01T00:00:00Z');
  assert.equal(early.code, 1);
  assert.match(early.stderr, /reason: NotFound/);
});

test('qcow2 in and out', { skip: missing('qemu-img', 'qemu-nbd') }, async () => {
  await using cloud = await startCloud(['east']);
  const [raw, qcow2, again] = ['a.raw', 'a.qcow2', 'b.qcow2'].map((name) => {
    return join(cloud.home, name);
  }) as [string, string, string];
  makeImage(raw);
  await must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', raw, qcow2);
  await cloud.must('volume', 'import', 'raw', raw);
  await cloud.must('volume', 'import', 'qcow2', qcow2);
  const roots = await Promise.all(
    ['raw', 'qcow2'].map(async (name) => (await cloud.agent('east').volume(name)).status.root),
  );
  assert.equal(roots[0], roots[1]);
  await cloud.must('volume', 'export', 'raw', again, '--format', 'qcow2');
  await must('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', raw, again);
  const there = await cloud.cli('volume', 'export', 'raw', again, '--format', 'qcow2');
  assert.equal(there.code, 6, there.stderr);
  writeFileSync(qcow2, 'QFI\u00fbnot an image', 'latin1');
  const broken = await cloud.cli('volume', 'import', 'broken', qcow2);
  assert.equal(broken.code, 2);
  assert.match(broken.stderr, /reason: BadImage/);
  assert.equal(existsSync(`${again}.partial`), false);
});

test('an unchanged image is the same root; a changed one moves its difference', async () => {
  await using cloud = await startCloud(['east', 'west'], { planes: true });
  const image = join(cloud.home, 'image.raw');
  makeImage(image);
  const words = ['teleport', 'vm', '--from', 'east', '--to', 'west', '--from-image', image];
  await cloud.must(...words, '--wait');
  const { root } = (await cloud.agent('east').volume('vm')).status;
  await cloud.must('volume', 'import', 'vm', image, '--update', '-c', 'east');
  assert.equal((await cloud.agent('east').volume('vm')).status.root, root);
  const bytes = readFileSync(image);
  bytes.fill(0, 0, MiB);
  bytes.fill(9, 10 * MiB, 10 * MiB + 100);
  writeFileSync(image, bytes);
  await cloud.must(...words, '--name', 'vm-2', '--wait');
  await cloud.must('volume', 'verify', 'vm-2', '-c', 'west', '--with', 'east/vm');
  const { status } = await cloud.agent('west').teleport('vm-2');
  assert.ok(status.progress.wireBytes < 256 * 1024, `${status.progress.wireBytes} bytes`);
  const out = join(cloud.home, 'out.raw');
  await cloud.must('volume', 'export', 'vm-2', out, '-c', 'west');
  assert.ok(readFileSync(out).equals(bytes));
});

test('an image that changes while it is read is refused and leaves nothing', async () => {
  await using cloud = await startCloud(['east']);
  const image = join(cloud.home, 'image.raw');
  writeFileSync(image, randomBytes(192 * MiB));
  const importing = cloud.cli('volume', 'import', 'db', image);
  await until('the import to begin', async () => {
    return (await cloud.agent('east').volumeNames()).includes('db');
  });
  appendFileSync(image, 'x');
  const { code, stderr } = await importing;
  assert.equal(code, 2, stderr);
  assert.match(stderr, /image\.raw changed while it was read/);
  assert.deepEqual(await cloud.agent('east').volumeNames(), []);
});

test('a teleport goes on after SIGKILL of the destination', async () => {
  await using cloud = await startCloud(['east', 'west'], {
    planes: true,
    settings: { bytesPerSecond: 16 * MiB },
  });
  const image = join(cloud.home, 'image.raw');
  writeFileSync(image, randomBytes(96 * MiB));
  await cloud.must('volume', 'import', 'db', image, '-c', 'east');
  await cloud.must('teleport', 'db', '--from', 'east', '--to', 'west');
  const leased = await cloud.cli('volume', 'delete', 'db', '--yes', '-c', 'east');
  assert.equal(leased.code, 3, leased.stderr);
  assert.match(leased.stderr, /reason: Leased/);
  const needed = await cloud.cli('cluster', 'remove', 'east', '--yes', '-c', 'west');
  assert.equal(needed.code, 6, needed.stderr);
  await cloud.agent('west').kill();
  // What is known stays known; only who asks the agent itself gets no answer.
  assert.match(await cloud.must('volume', 'list', '-c', 'west'), /^db /m);
  const gone = await cloud.cli('job', 'list', '-c', 'west');
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /reason: AgentUnreachable/);
  await cloud.must('up', 'west', '--detach');
  const late = await cloud.cli('teleport', 'watch', 'db', '-c', 'west', '--timeout', '1ms');
  assert.equal(late.code, 5, late.stderr);
  await cloud.must('teleport', 'fill', 'db', '-c', 'west', '--rate', '1GiB/s', '--wait');
  await cloud.must('volume', 'verify', 'db', '-c', 'west', '--with', 'east', '--deep');
  await until('the lease to end', async () => {
    return (await cloud.cli('volume', 'delete', 'db', '--yes', '-c', 'east')).code === 0;
  });
});

test('Ctrl-C while watching leaves the teleport alone', async () => {
  await using cloud = await startCloud(['east', 'west'], {
    planes: true,
    settings: { bytesPerSecond: MiB },
  });
  const image = join(cloud.home, 'image.raw');
  writeFileSync(image, randomBytes(32 * MiB));
  await cloud.must('volume', 'import', 'db', image, '-c', 'east');
  const words = ['teleport', 'db', '--from', 'east', '--to', 'west', '--watch'];
  const env = { ...process.env, TRANSSHIP_HOME: cloud.home };
  const main = join(import.meta.dirname, '../../../src/main.ts');
  const child = spawn(process.execPath, [main, ...words], { env, stdio: 'pipe' });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  await until('the first line of progress', () => stderr.includes('Accessible'));
  child.kill('SIGINT');
  assert.equal(await ended, 130, stderr);
  assert.match(stderr, /Interrupted; the teleport goes on/);
  const { status } = await cloud.agent('west').teleport('db');
  assert.equal(status.phase, 'Accessible');
  await cloud.must('teleport', 'cancel', 'db', '--yes', '-c', 'west');
  assert.deepEqual(await cloud.agent('west').volumeNames(), []);
});

test('up and down: joined, remembered, private, refused twice', async () => {
  using directory = scratch();
  const home = directory.path;
  const cli = async (...words: readonly string[]) => runCli(home, words);
  try {
    const up = await cli('up', 'east', 'west', '--detach');
    assert.equal(up.code, 0, up.stderr);
    assert.match(up.stdout, /^NAME +API +PEERS-AT +PROCESS +HOME\neast +https:\/\/127/);
    const list = await cli('cluster', 'list', '-c', 'west', '-o', 'json');
    assert.equal(JSON.parse(list.stdout).items.length, 2);
    const sockets = ['control.sock', 'nbd.sock'].map((name) => join(home, 'clusters/east', name));
    for (const path of sockets) assert.equal(statSync(path).mode & 0o777, 0o600, path);
    const again = await cli('up', 'east', '--detach');
    assert.match(again.stderr, /east runs already/);
    const second = await cli('up', 'other', '--pool', join(home, 'clusters/east/pool'), '-d');
    assert.equal(second.code, 6, second.stderr);
    assert.match(second.stderr, /reason: PoolLocked/);
    const ambiguous = await cli('volume', 'list');
    assert.equal(ambiguous.code, 2);
    const bad = await cli('up', 'x', '--listen', 'nowhere', '--detach');
    assert.equal(bad.code, 2, bad.stderr);
    assert.match(bad.stderr, /write host:port/);
  } finally {
    const down = await cli('down');
    assert.equal(down.code, 0, down.stderr);
  }
  const down = await cli('down', 'east');
  assert.equal(down.stdout, 'cluster/east was not running\n');
  const repaired = await cli('pool', 'repair', 'east');
  assert.equal(repaired.code, 0, repaired.stderr);
});

test('metrics in Prometheus text, at the URL, the socket and the command', async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  await cloud.must('volume', 'create', 'db', '--size', '8Mi');
  using client = await cloud.agent('east').connect('db');
  await client.write(Buffer.alloc(8192, 1), 0);
  await client.flush();
  const { status } = await cloud.agent('east').call('agent.status', {});
  const answer = await fetch(status.metricsUrl!);
  const text = await answer.text();
  for (const found of [text, await cloud.must('metrics')]) {
    assert.match(found, /^transship_volume_writes_total\{volume="db"\} 1$/m);
    assert.match(found, /^transship_volume_written_bytes_total\{volume="db"\} 8192$/m);
    assert.match(found, /^transship_pool_capacity_bytes\{pool="main"\} \d+$/m);
  }
  assert.equal((await fetch(new URL('/', status.metricsUrl))).status, 404);
  const promtool = missing('promtool') === false;
  if (promtool) {
    writeFileSync(join(cloud.home, 'metrics'), text);
    const checked = await run('sh', '-c', `promtool check metrics < ${cloud.home}/metrics`);
    assert.equal(checked.code, 0, checked.stderr);
  }
});

test('every list and every object has a versioned JSON form', async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  await cloud.must('volume', 'create', 'db', '--size', '8Mi');
  for (const [words, kind] of [
    ['volume list', 'VolumeList'],
    ['volume show db', 'Volume'],
    ['volume history db', 'History'],
    ['volume trace db', 'Trace'],
    ['volume uri db', 'VolumeUri'],
    ['volume verify db', 'Report'],
    ['pool list', 'PoolList'],
    ['pool show', 'Pool'],
    ['pool collect', 'Job'],
    ['cluster list', 'ClusterList'],
    ['cluster show', 'Cluster'],
    ['cluster token', 'JoinToken'],
    ['teleport list', 'TeleportList'],
    ['history-policy list', 'HistoryPolicyList'],
    ['job list', 'JobList'],
    ['events', 'EventList'],
    ['doctor', 'Report'],
    ['version', 'Version'],
  ] as const) {
    const object = await json(cloud, ...words.split(' '));
    assert.deepEqual([object['kind'], object['apiVersion']], [kind, 'transship.dev/v1alpha1']);
  }
});
