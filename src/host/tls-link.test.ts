import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as tls from 'node:tls';
import { X509Certificate } from 'node:crypto';
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { openCloud } from '../peer/cloud.ts';
import {
  chunkOf,
  createMemoryDisk,
  createMemoryStore,
  isGood,
  noMetrics,
  silent,
} from '../peer/fixture.ts';
import { encodeFrameHead } from '../peer/frame.ts';
import type { Link } from '../peer/link.ts';
import { createClock } from './clock.ts';
import { type Identity, openIdentity } from './identity.ts';
import { createRandom } from './random.ts';
import { createTlsDialer, listenForPeers } from './tls-link.ts';

const reasonIs = (reason: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === reason;

function identityOf(context: TestContext, name: string): Identity {
  const directory = fs.mkdtempSync(join(tmpdir(), 'transship-'));
  context.after(() => fs.rmSync(directory, { recursive: true }));
  return openIdentity(directory, name);
}

async function listen(context: TestContext, identity: Identity) {
  const links: Link[] = [];
  const refused: TransshipError[] = [];
  const listener = await listenForPeers({
    identity,
    host: '127.0.0.1',
    port: 0,
    onLink: (link) => links.push(link),
    onRefused: (error) => refused.push(error),
  });
  context.after(() => {
    for (const link of links) link.close();
    void listener.close();
  });
  return { links, refused, port: listener.port, address: `127.0.0.1:${listener.port}` };
}

async function agent(context: TestContext, name: string, chunks = 0, wallMs?: () => number) {
  const identity = identityOf(context, name);
  const store = createMemoryStore(Array.from({ length: chunks }, (_, i) => chunkOf(i, 65_536)));
  const { id, fingerprint } = identity;
  let addresses: readonly string[] = [];
  const clock = { ...createClock(), ...(wallMs === undefined ? {} : { wallMs }) };
  const cloud = openCloud({
    self: {
      id,
      name,
      fingerprint,
      agentVersion: '0.1.0',
      capabilities: [],
      addresses: () => addresses,
    },
    disk: createMemoryDisk(),
    store,
    dialer: createTlsDialer(identity),
    clock,
    random: createRandom(),
    log: silent,
    metrics: noMetrics,
    demandTimeoutMs: 5000,
  });
  const listener = await listenForPeers({
    identity,
    host: '127.0.0.1',
    port: 0,
    onLink: (link) => cloud.accept(link),
  });
  addresses = [`127.0.0.1:${listener.port}`];
  context.after(async () => {
    cloud.close();
    await listener.close();
  });
  return { identity, store, cloud, port: listener.port };
}

const until = async (isDone: () => boolean) => {
  for (let i = 0; i < 500 && !isDone(); i++) await new Promise((go) => setTimeout(go, 10));
  assert.ok(isDone(), 'it took more than 5 s');
};

test('an identity is made once, private, and openssl agrees with it', (context) => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'transship-'));
  context.after(() => fs.rmSync(directory, { recursive: true }));
  assert.throws(() => openIdentity(directory), reasonIs('NotFound'));
  assert.throws(() => openIdentity(directory, 'No Name'), reasonIs('BadName'));
  const made = openIdentity(directory, 'west');
  assert.deepEqual(openIdentity(directory), made);
  assert.throws(() => openIdentity(directory, 'east'), reasonIs('AlreadyExists'));
  assert.deepEqual(fs.readdirSync(directory), ['identity.json']);
  const path = join(directory, 'identity.json');
  assert.equal(fs.statSync(path).mode & 0o777, 0o600);
  const certificate = new X509Certificate(made.certificatePem);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(certificate.subject, 'CN=transship west');
  const input = made.certificatePem;
  const text = execFileSync('openssl', ['x509', '-noout', '-text'], { input }).toString();
  assert.match(text, /ecdsa-with-SHA256[\s\S]*Dec 31 23:59:59 9999[\s\S]*prime256v1/);
  fs.chmodSync(path, 0o644);
  assert.throws(() => openIdentity(directory), reasonIs('NotAllowed'));
});

test('bytes go both ways; a link has one binding; it ends once', async (context) => {
  const server = identityOf(context, 'east');
  const client = identityOf(context, 'west');
  const { links, address } = await listen(context, server);
  const dialer = createTlsDialer(client);
  const near = await dialer.connect({ address, fingerprint: server.fingerprint });
  await until(() => links.length === 1);
  const far = links[0]!;
  assert.equal(far.remote.fingerprint, client.fingerprint);
  assert.deepEqual(far.remote.binding, near.remote.binding);
  assert.equal(near.remote.binding.length, 32);
  let received = 0;
  let ends = 0;
  let drains = 0;
  const idle = { onDrain: () => {}, onBytes: () => {} };
  near.start({ ...idle, onDrain: () => drains++, onClose: () => ends++ });
  const big = Buffer.alloc(4 * 1024 * 1024, 1);
  assert.equal(near.send([Buffer.alloc(10), big]), false);
  // What came before the start is not lost.
  await new Promise((go) => setTimeout(go, 50));
  far.start({ ...idle, onBytes: (bytes) => (received += bytes.length), onClose: () => ends++ });
  await until(() => received === big.length + 10 && drains === 1);
  near.send([Buffer.alloc(5)]);
  near.close();
  near.close();
  assert.equal(near.send([big]), true);
  await until(() => ends === 2);
  assert.equal(received, big.length + 15);
});

test('who is not who was expected is not trusted', async (context) => {
  const east = identityOf(context, 'east');
  const west = identityOf(context, 'west');
  const { links, refused, port, address } = await listen(context, east);
  const wrong = createTlsDialer(west).connect({ address, fingerprint: west.fingerprint });
  await assert.rejects(wrong, reasonIs('NotTrusted'));
  const nobody = createTlsDialer(west).connect({ address: '127.0.0.1:1', fingerprint: 'x' });
  await assert.rejects(nobody, reasonIs('SourceUnreachable'));
  // The server may have taken the link before the dialer left.
  await until(() => links.length + refused.length === 1);
  links.length = 0;
  refused.length = 0;
  const { certificatePem: cert, keyPem: key } = west;
  const open = { port, rejectUnauthorized: false, ALPNProtocols: ['transship/1'] };
  const attempts: tls.ConnectionOptions[] = [
    open,
    { ...open, cert, key, maxVersion: 'TLSv1.2' },
    { ...open, cert, key, ALPNProtocols: ['h2'] },
    { port, cert, key, rejectUnauthorized: false },
  ];
  for (const [i, attempt] of attempts.entries()) {
    const socket = tls.connect(attempt);
    socket.on('error', () => {});
    socket.resume();
    await until(() => refused.length === i + 1);
  }
  const plain = net.connect(port, '127.0.0.1', () => plain.write('GET / HTTP/1.1\r\n\r\n'));
  plain.on('error', () => {});
  await until(() => refused.length === attempts.length + 1);
  assert.equal(links.length, 0);
});

test('join with a token, then pull; both ways', async (context) => {
  const east = await agent(context, 'east', 200);
  const west = await agent(context, 'west', 10);
  const { token } = east.cloud.createToken();
  const peer = await west.cloud.join(token);
  const names = Array.from({ length: 200 }, (_, i) => chunkOf(i, 65_536).name);
  const got = await peer.sourceFor().pull(names, 'background');
  assert.ok(got.length === 200 && got.every(isGood));
  const back = await east.cloud.peer('west').sourceFor().pull(names.slice(0, 10), 'demand');
  assert.ok(back.length === 10 && back.every(isGood));
  const found = await peer.check({ probeBytes: 1 << 20 });
  assert.ok(found.roundTripMs < 1000 && found.bytesPerSecond > 1e6);
  await assert.rejects(west.cloud.join(token), reasonIs('AlreadyExists'));
  east.cloud.remove('west');
  const late = peer.sourceFor().pull(names, 'demand');
  await assert.rejects(late, /SourceUnreachable|did not answer/);
  assert.equal(peer.status().lastError?.reason, 'NotTrusted');
});

test('tokens: reused, expired, wrong, cut off; nothing changes', async (context) => {
  let skipMs = 0;
  const east = await agent(context, 'east', 0, () => Date.now() + skipMs);
  const west = await agent(context, 'west');
  const north = await agent(context, 'north');
  const { token } = east.cloud.createToken();
  const other = north.cloud.createToken().token;
  for (let length = 0; length < token.length; length += 7) {
    await assert.rejects(west.cloud.join(token.slice(0, length)), reasonIs('TokenInvalid'));
  }
  await west.cloud.join(token);
  await assert.rejects(north.cloud.join(token), reasonIs('TokenInvalid'));
  const old = east.cloud.createToken(1000).token;
  skipMs = 2000;
  await assert.rejects(north.cloud.join(old), reasonIs('TokenInvalid'));
  await assert.rejects(north.cloud.join(other), reasonIs('BadArgument'));
  // A token whose secret was guessed wrong.
  const { token: fresh } = east.cloud.createToken();
  const { decodeToken, encodeToken } = await import('../peer/token.ts');
  const guessed = encodeToken({ ...decodeToken(fresh), secret: Buffer.alloc(32, 1) });
  await assert.rejects(north.cloud.join(guessed), reasonIs('TokenInvalid'));
  assert.equal(north.cloud.peers().length, 0);
  assert.deepEqual(
    east.cloud.peers().map(({ record }) => record.name),
    ['west'],
  );
  // The wrong guess did not use the token up.
  await north.cloud.join(fresh);
});

test('strangers: oversized frames, wrong frames and crowds end quickly', async (context) => {
  const east = await agent(context, 'east');
  const dialer = createTlsDialer(identityOf(context, 'stranger'));
  const { fingerprint } = east.identity;
  const target = { address: `127.0.0.1:${east.port}`, fingerprint };
  const head = { lane: 'demand', last: true, number: 1, argument: 0 } as const;
  const frames = [
    encodeFrameHead({ ...head, type: 12 }, limits.frameBytesStranger + 1),
    encodeFrameHead({ ...head, type: 1 }, 0),
    encodeFrameHead({ ...head, type: 2 }, 0),
    encodeFrameHead({ ...head, type: 8 }, 0),
    Buffer.alloc(64, 0xff),
  ];
  const opened: Link[] = [];
  const open = async () => {
    const link = await dialer.connect(target);
    opened.push(link);
    return link;
  };
  for (const frame of frames) {
    const link = await open();
    const ended = new Promise<void>((resolve) => {
      link.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => resolve() });
    });
    link.send([frame]);
    await ended;
  }
  let ends = 0;
  for (let i = 0; i < limits.strangersMax + 5; i++) {
    (await open()).start({ onBytes: () => {}, onDrain: () => {}, onClose: () => ends++ });
  }
  await until(() => ends === 5);
  context.after(() => {
    for (const link of opened) link.close();
  });
});

/** The name in a ClientHello (RFC 8446 4.1.2, RFC 6066 3): all that an ingress sees of TLS. */
function serverNameIn(hello: Buffer): string | undefined {
  let at = 5 + 4 + 2 + 32;
  at += 1 + hello.readUInt8(at);
  at += 2 + hello.readUInt16BE(at);
  at += 1 + hello.readUInt8(at);
  const end = at + 2 + hello.readUInt16BE(at);
  for (at += 2; at + 4 <= end; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) !== 0) continue;
    const length = hello.readUInt16BE(at + 7);
    return hello.toString('latin1', at + 9, at + 9 + length);
  }
  return undefined;
}

test('passes an ingress that looks at nothing but the name, on one port', async (context) => {
  const east = await agent(context, 'east');
  const west = await agent(context, 'west');
  const names: (string | undefined)[] = [];
  const ingress = net.createServer((outside) => {
    outside.on('error', () => undefined);
    outside.once('data', (hello: Buffer) => {
      names.push(serverNameIn(hello));
      outside.pause();
      const inside = net.connect(west.port, '127.0.0.1');
      inside.on('error', () => outside.destroy());
      inside.write(hello);
      outside.pipe(inside).pipe(outside);
    });
  });
  await new Promise<void>((resolve) => ingress.listen(0, '127.0.0.1', resolve));
  context.after(() => ingress.close());
  const { port } = ingress.address() as net.AddressInfo;
  for (const host of ['localhost', '127.0.0.1']) {
    const target = { address: `${host}:${port}`, fingerprint: west.identity.fingerprint };
    const link = await createTlsDialer(east.identity).connect(target);
    link.close();
  }
  assert.deepEqual(names, ['localhost', undefined]);
});
