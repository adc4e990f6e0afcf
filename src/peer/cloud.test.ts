import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { chunkOf, createMemoryStore, createTestNet, joined, within } from './fixture.ts';
import { encodeFrameHead } from './frame.ts';
import { createMemoryLinks } from './memory-link.ts';
import { commonVersion, encodeHello, type Hello, operations } from './messages.ts';
import { decodeToken, encodeToken } from './token.ts';

const reasonIs = (reason: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === reason;

test('peers survive a restart of either side, and can be removed', async () => {
  const store = createMemoryStore([chunkOf(1)]);
  const { net, east, west } = await joined({ store });
  west.restart();
  east.restart();
  assert.deepEqual(
    west.cloud.peers().map(({ record }) => [record.name, record.addresses]),
    [['east', ['east:7441']]],
  );
  const source = west.cloud.peer('east').sourceFor();
  assert.equal((await within(net.clock, 5000, source.pull([chunkOf(1).name], 'demand'))).length, 1);
  let changes = 0;
  east.cloud.onChange(() => changes++);
  east.cloud.remove('west');
  assert.throws(() => east.cloud.remove('west'), reasonIs('NotFound'));
  assert.throws(() => east.cloud.peer('west'), reasonIs('NotFound'));
  assert.equal(changes, 1);
  east.restart();
  await net.clock.advance(60_000);
  assert.equal(east.cloud.peers().length, 0);
  assert.equal(west.cloud.peer('east').status().lastError?.reason, 'NotTrusted');
  // Trusted again with a fresh token, once west has let go as well.
  const again = east.cloud.createToken().token;
  await assert.rejects(west.cloud.join(again), reasonIs('AlreadyExists'));
  west.cloud.remove('east');
  const peer = await within(net.clock, 1000, west.cloud.join(again));
  await within(net.clock, 1000, peer.listVolumes());
});

test('a join whose answer is lost can be repeated with the same token', async () => {
  const net = createTestNet();
  const east = net.cluster('east');
  const west = net.cluster('west');
  const { token } = east.cloud.createToken();
  const lost = west.cloud.join(token);
  const isLost = assert.rejects(lost, reasonIs('SourceUnreachable'));
  await net.clock.advance(1);
  assert.equal(east.cloud.peers().length, 1);
  for (const link of net.links) link.cut();
  await net.clock.advance(10);
  await isLost;
  assert.equal(west.cloud.peers().length, 0);
  await within(net.clock, 1000, west.cloud.join(token));
  assert.equal(west.cloud.peers().length, 1);
  // For everybody else it is used.
  const north = net.cluster('north');
  const reused = within(net.clock, 1000, north.cloud.join(token));
  await assert.rejects(reused, reasonIs('TokenInvalid'));
});

test('names are unique; a refusal changes nothing and leaves the token usable', async () => {
  const { net, east } = await joined();
  const second = net.cluster('west', undefined, 'other-west');
  const { token } = east.cloud.createToken();
  const taken = within(net.clock, 1000, second.cloud.join(token));
  await assert.rejects(taken, reasonIs('AlreadyExists'));
  assert.equal(second.cloud.peers().length, 0);
  assert.equal(east.cloud.peers().length, 1);
  const ownName = { ...decodeToken(token), cluster: { id: 'f'.repeat(32), name: 'west' } };
  const self = second.cloud.join(encodeToken(ownName));
  await assert.rejects(self, reasonIs('AlreadyExists'));
  assert.throws(() => east.cloud.createToken(-1), reasonIs('BadArgument'));
  const south = net.cluster('south');
  await within(net.clock, 1000, south.cloud.join(token));
});

test('agents of one cluster join by tokens made for that, and keep knowing it', async () => {
  const net = createTestNet();
  const first = net.cluster('east');
  const second = net.member('east-2', 'east');
  const pretender = net.member('west', 'east');
  const stranger = net.cluster('north');
  const join = (who: typeof first, token: string, isMember?: boolean) =>
    within(net.clock, 1000, who.cloud.join(token, isMember));
  const plain = first.cloud.createToken().token;
  // Who says so itself gets nowhere, neither here nor there.
  await assert.rejects(join(pretender, plain), reasonIs('AlreadyExists'));
  await assert.rejects(join(pretender, plain, true), reasonIs('AlreadyExists'));
  await assert.rejects(join(stranger, plain, true), reasonIs('NotTrusted'));
  const own = first.cloud.createToken(undefined, true).token;
  await assert.rejects(join(stranger, own), reasonIs('NotTrusted'));
  assert.equal(first.cloud.peers().length, 0);
  await join(second, own, true);
  await join(stranger, plain);
  await join(stranger, second.cloud.createToken().token);
  for (const one of [first, second, stranger]) one.restart();
  const known = (who: typeof first) =>
    who.cloud
      .peers()
      .map(({ record }) => `${record.name} ${record.memberOf ?? ''}`)
      .toSorted((a, b) => a.localeCompare(b));
  assert.deepEqual(known(first), ['east-2 east', 'north ']);
  assert.deepEqual(known(stranger), ['east ', 'east-2 east']);
});

test('tokens are counted, and expire', () => {
  const net = createTestNet();
  const east = net.cluster('east');
  for (let i = 0; i < limits.tokensMax; i++) east.cloud.createToken();
  assert.throws(() => east.cloud.createToken(), reasonIs('LimitExceeded'));
  return net.clock.advance(limits.tokenLifeMs + 1).then(() => {
    east.cloud.createToken();
  });
});

test('who opens links and says nothing is shown out', async () => {
  const { net, east, west } = await joined();
  for (const fingerprint of ['ee'.repeat(32), west.fingerprint]) {
    const pair = createMemoryLinks({
      fingerprints: [fingerprint, east.fingerprint],
      later: (run) => void net.clock.after(1, run),
    });
    let isClosed = false;
    const onClose = () => {
      isClosed = true;
    };
    pair.ends[0].start({ onBytes: () => {}, onDrain: () => {}, onClose });
    east.cloud.accept(pair.ends[1]);
    await net.clock.advance(limits.strangerMs - 100);
    assert.equal(isClosed, false);
    await net.clock.advance(200);
    assert.equal(isClosed, true);
  }
});

test('a hello of another cluster or protocol is refused with the reason', async () => {
  const { net, east, west } = await joined();
  const hello: Hello = {
    protocol: { min: 1, max: 1 },
    cluster: { id: west.fingerprint.slice(0, 32), name: 'west' },
    agentVersion: '9.9.9',
    capabilities: [],
    use: 'shared',
    wallMs: 0,
  };
  const attempts: readonly (readonly [Hello, RegExp])[] = [
    [{ ...hello, protocol: { min: 7, max: 9 } }, /speaks peer protocol 7 to 9, this agent 1 to 1/],
    [{ ...hello, cluster: { id: '0'.repeat(32), name: 'west' } }, /NotTrusted/],
  ];
  for (const [said, expected] of attempts) {
    const pair = createMemoryLinks({
      fingerprints: [west.fingerprint, east.fingerprint],
      later: (run) => void net.clock.after(1, run),
    });
    let text = '';
    const onBytes = (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString('latin1');
    };
    pair.ends[0].start({ onBytes, onDrain: () => {}, onClose: () => {} });
    east.cloud.accept(pair.ends[1]);
    const payload = encodeHello(said);
    const head = { lane: 'demand', last: true, number: 1, argument: 4096 } as const;
    const type = operations.hello;
    pair.ends[0].send([encodeFrameHead({ ...head, type }, payload.length), payload]);
    await net.clock.advance(10);
    assert.match(text, expected);
  }
  assert.equal(commonVersion({ min: 1, max: 3 }, { ...hello, protocol: { min: 2, max: 9 } }), 3);
});

test('a damaged registry stops the start instead of losing peers', async () => {
  const { west } = await joined();
  const good = west.disk.files.get('peers.json');
  west.disk.files.set('peers.json', Buffer.from(`x${good?.toString()}`));
  assert.throws(() => west.restart(), reasonIs('DataCorrupt'));
});
