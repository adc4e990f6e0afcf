// Bytes that nobody who means well would send: to the NBD socket, the peer port and the control
// socket. The agent refuses them, lives on, and stays small.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as http from 'node:http';
import * as net from 'node:net';
import * as tls from 'node:tls';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRng } from '../../sim/rng.ts';
import { decodeToken, encodeToken } from '../../../src/peer/token.ts';
import { type Agent, type Cloud, refusal, startCloud } from '../cloud.ts';
import { noise } from '../content.ts';
import { missing, scratch } from '../tools.ts';

const mebibyte = 1024 * 1024;
/** What all of this may cost in memory, buffers of the runtime included. */
const growthBytesMax = 160 * mebibyte;

let cloud: Cloud;
let east: Agent;
let memoryBefore = 0;

before(async () => {
  cloud = await startCloud(['east', 'west']);
  east = cloud.agent('east');
  await east.create('db', 16 * mebibyte);
  using client = await east.connect('db');
  await client.write(noise(1, mebibyte), 0);
  await client.flush();
  memoryBefore = east.memoryBytes;
});
after(() => cloud.close());

/** It still does everything it should, as the same process. */
async function assertLives(pid: number): Promise<void> {
  assert.equal(east.pid, pid);
  using client = await east.connect('db');
  const back = Buffer.alloc(mebibyte);
  await client.read(back, 0);
  assert.ok(back.equals(noise(1, mebibyte)));
  await client.write(noise(2, 4096), 8 * mebibyte);
  await client.flush();
  assert.ok(!/agent ends|assertion/.test(east.log), east.log.slice(-2000));
  const grown = east.memoryBytes - memoryBefore;
  assert.ok(grown < growthBytesMax, `${Math.round(grown / mebibyte)} MiB more than before`);
}

/** Connects, sends, waits for the end of it or a moment; returns what was answered. */
function talk(target: net.NetConnectOpts, parts: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = net.connect(target);
    const answers: Buffer[] = [];
    const end = (): void => {
      socket.destroy();
      resolve(Buffer.concat(answers));
    };
    socket.on('data', (bytes: Buffer) => answers.push(bytes));
    socket.on('error', () => undefined).on('close', end);
    socket.on('connect', () => {
      for (const part of parts) socket.write(part);
      setTimeout(end, 200);
    });
  });
}

test('garbage and broken frames at the NBD socket', async () => {
  const { pid } = east;
  const rng = createRng(4);
  const target = { path: east.paths.nbdSocket };
  const flags = Buffer.from([0, 0, 0, 3]);
  const option = (type: number, length: number) => {
    const bytes = Buffer.alloc(16);
    bytes.write('IHAVEOPT', 0, 'latin1');
    bytes.writeUInt32BE(type, 8);
    bytes.writeUInt32BE(length, 12);
    return bytes;
  };
  const go = Buffer.concat([option(7, 8), Buffer.from([0, 0, 0, 2]), Buffer.from('db\0\0')]);
  const request = (type: number, offset: bigint, length: number) => {
    const bytes = Buffer.alloc(28);
    bytes.writeUInt32BE(0x25609513, 0);
    bytes.writeUInt16BE(type, 6);
    bytes.writeBigUInt64BE(offset, 16);
    bytes.writeUInt32BE(length, 24);
    return bytes;
  };
  const cases = [
    [rng.bytes(100_000)],
    [flags, rng.bytes(100_000)],
    [flags, option(7, 0xffff_ffff), rng.bytes(100_000)],
    [flags, option(6, 70_000), rng.bytes(70_000)],
    [flags, go, rng.bytes(100_000)],
    [flags, go, request(1, 0n, 0xffff_ffff), rng.bytes(100_000)],
    [flags, go, request(0, 0n, 0xffff_ffff)],
    [flags, go, request(0, 2n ** 63n, 4096), request(4, 2n ** 64n - 1n, 4096)],
    [flags, go, request(1, 0n, 4096), rng.bytes(100)],
    [flags.subarray(0, 2)],
  ];
  await Promise.all(cases.map((parts) => talk(target, parts)));
  await Promise.all(Array.from({ length: 60 }, () => talk(target, [flags, rng.bytes(5000)])));
  await assertLives(pid);
});

test('requests that are too large are refused one by one', async () => {
  using client = await east.connect('db');
  const past = await refusal(client.read(Buffer.alloc(4096), 16 * mebibyte - 1));
  assert.equal(past.reason, 'BadArgument');
  const back = Buffer.alloc(16);
  await client.read(back, 0);
  assert.equal(client.description.requestBytesMax, 32 * mebibyte);
});

test('plain text, garbage and strangers at the peer port', {
  skip: missing('openssl'),
}, async () => {
  const { pid, peerPort: port } = east;
  const host = '127.0.0.1';
  const rng = createRng(5);
  await talk({ host, port }, [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')]);
  const many = Array.from({ length: 50 }, () => talk({ host, port }, [rng.bytes(20_000)]));
  await Promise.all(many);
  using directory = scratch();
  const stranger = certificateIn(directory.path);
  for (const payload of [rng.bytes(100), rng.bytes(200_000), frameOf(1, '{}'), frameOf(12, 'x')]) {
    await talkTls({ host, port, ...stranger }, payload);
  }
  await talkTls({ host, port }, rng.bytes(1000));
  await talkTls({ host, port, ...stranger, maxVersion: 'TLSv1.2' }, rng.bytes(1000));
  // A frame that claims to be larger than memory.
  const huge = Buffer.alloc(16);
  huge.writeUInt32LE(0xffff_ffff, 0);
  huge[4] = 12;
  await talkTls({ host, port, ...stranger }, huge);
  await assertLives(pid);
  assert.doesNotMatch(east.log, /BEGIN (EC )?PRIVATE KEY/);
  // Those who are trusted still get through.
  await east.connected('west');
  const report = await cloud.cli('cluster', 'check', 'west', '--cluster', 'east');
  assert.equal(report.code, 0, report.stderr);
});

function certificateIn(directory: string): { readonly key: Buffer; readonly cert: Buffer } {
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const words = ['req', '-x509', ...curve, '-keyout', key, '-out', cert, '-subj', '/CN=stranger'];
  execFileSync('openssl', words, { stdio: 'ignore' });
  return { key: readFileSync(key), cert: readFileSync(cert) };
}

/** A frame of the peer protocol, last of its request. */
function frameOf(type: number, payload: string): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(payload.length, 0);
  head[4] = type;
  head[6] = 1;
  head.writeUInt32LE(1, 8);
  head.writeUInt32LE(8192, 12);
  return Buffer.concat([head, Buffer.from(payload)]);
}

function talkTls(options: tls.ConnectionOptions, payload: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = tls.connect({
      rejectUnauthorized: false,
      ALPNProtocols: ['transship/1'],
      ...options,
    });
    const end = (): void => {
      socket.destroy();
      resolve();
    };
    socket.on('error', () => undefined).on('close', end);
    socket.on('secureConnect', () => {
      socket.write(payload);
      setTimeout(end, 150);
    });
  });
}

test('tokens that are used, expired, changed or for nobody', async () => {
  const other = await cloud.start('other');
  const { token } = await east.call('cluster.token', {});
  const said = decodeToken(token);
  const changed = encodeToken({ ...said, secret: Buffer.alloc(32, 7) });
  assert.equal(
    (await refusal(other.call('cluster.join', { token: changed }))).reason,
    'TokenInvalid',
  );
  const cut = token.slice(0, -4);
  assert.equal((await refusal(other.call('cluster.join', { token: cut }))).reason, 'TokenInvalid');
  // Somebody else answers at the address: nothing of the token is said to it.
  const elsewhere = encodeToken({ ...said, addresses: [`127.0.0.1:${other.peerPort}`] });
  const wrong = await refusal(other.call('cluster.join', { token: elsewhere }));
  assert.ok(['NotTrusted', 'SourceUnreachable'].includes(wrong.reason), wrong.message);
  const { token: short } = await east.call('cluster.token', { lifeMs: 1000 });
  await sleep(1100);
  const late = await cloud.cli('cluster', 'add', '--token', short, '--cluster', 'other');
  assert.equal(late.code, 6, late.stderr);
  assert.match(late.stderr, /new token/);
  assert.doesNotMatch(late.stderr, new RegExp(short.slice(20, 60)));
  assert.equal((await other.call('cluster.list', {})).items.length, 1, 'nobody was added');
  await other.call('cluster.join', { token });
  const third = await cloud.start('third');
  const used = await refusal(third.call('cluster.join', { token }));
  assert.equal(used.reason, 'TokenInvalid');
  assert.doesNotMatch(east.log, new RegExp(Buffer.from(said.secret).toString('hex')));
});

test('garbage at the control socket', async () => {
  const { pid } = east;
  const rng = createRng(6);
  const target = { path: east.paths.controlSocket };
  await Promise.all(Array.from({ length: 40 }, () => talk(target, [rng.bytes(30_000)])));
  const post = (path: string, body: Buffer | string): Promise<number> =>
    new Promise((resolve) => {
      const sent = http.request({ socketPath: target.path, path, method: 'POST' }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
      });
      sent.on('error', () => resolve(0));
      sent.end(body);
    });
  const answers = [
    await post('/v1/volume.create', '{"name": "x", "sizeBytes": "large"}'),
    await post('/v1/volume.create', '{"name": 7'),
    await post('/v1/volume.create', `{"name": "${'x'.repeat(4 * mebibyte)}"}`),
    await post('/v1/__proto__', '{}'),
    await post('/../../etc/passwd', '{}'),
    await post('/v1/volume.create', Buffer.from(rng.bytes(10_000))),
  ];
  for (const status of answers) assert.notEqual(status, 200);
  assert.deepEqual(await east.volumeNames(), ['db']);
  await assertLives(pid);
});
