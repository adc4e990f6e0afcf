import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { decodeChunks, encodeNames } from './chunk-codec.ts';
import { chunkOf, createMemoryStore, type MemoryStore, noMetrics } from './fixture.ts';
import { encodeFrameHead, type Lane } from './frame.ts';
import { createManualClock } from './manual-clock.ts';
import { createMemoryLinks } from './memory-link.ts';
import { operations, replyBit } from './messages.ts';
import { createRateLimit } from './rate.ts';
import { createPeerServer } from './server.ts';
import { type Handler, openSession } from './session.ts';

const reasonIs = (reason: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === reason;

function setUp(options: { store?: MemoryStore; handler?: Handler; bufferBytes?: number } = {}) {
  const clock = createManualClock();
  const { bufferBytes = 256 * 1024 } = options;
  const later = (run: () => void) => void clock.after(1, run);
  const wire = createMemoryLinks({ fingerprints: ['aa', 'bb'], later, bufferBytes });
  const ends: TransshipError[] = [];
  const outgoing = createRateLimit(clock);
  const store = options.store ?? createMemoryStore();
  const server = createPeerServer({
    store,
    clock,
    metrics: noMetrics,
    peerName: 'west',
    outgoing,
  });
  const refuse: Handler = (_, answer) => answer.fail(new TransshipError('Unsupported', 'no'));
  const onClose = (error: TransshipError) => void ends.push(error);
  const handler = options.handler ?? server.handler();
  const [near, far] = wire.ends;
  const west = openSession({ link: near, clock, name: 'east', handler: refuse, onClose });
  const east = openSession({ link: far, clock, name: 'west', handler, onClose });
  west.admit(refuse);
  east.admit(handler);
  return { clock, wire, west, east, ends, outgoing, store };
}

function manyChunks(count: number, bytes = 65_536) {
  const chunks = Array.from({ length: count }, (_, i) => chunkOf(i, bytes));
  return { store: createMemoryStore(chunks), names: chunks.map(({ name }) => name) };
}

const pullOf = (lane: Lane, names: readonly Uint8Array[], credit: number) => ({
  type: operations.pull,
  lane,
  payload: [encodeNames(names)],
  credit,
});

test('demand overtakes the background that waits on the same link', async () => {
  const { store, names } = manyChunks(128);
  const { clock, west } = setUp({ store, bufferBytes: 64 * 1024 });
  const done: string[] = [];
  const behind = west.request(pullOf('background', names, 16 << 20)).then((reply) => {
    done.push('background');
    return reply;
  });
  await clock.advance(3);
  const now = west.request(pullOf('demand', names.slice(0, 1), 1 << 20)).then(() => {
    done.push('demand');
  });
  await clock.advance(500);
  await Promise.all([behind, now]);
  assert.deepEqual(done, ['demand', 'background']);
  assert.equal((await behind).payloads.flatMap(decodeChunks).length, 128);
});

test('a reply stays within its credit, and a pull always gets on', async () => {
  const { store, names } = manyChunks(20);
  const { clock, west } = setUp({ store });
  const credits = [0, 1, 65_584, 200_000, 65_584 * 20, 1 << 24];
  for (const credit of credits) {
    const asked = west.request(pullOf('background', names, credit));
    await clock.advance(100);
    const reply = await asked;
    const count = reply.payloads.flatMap(decodeChunks).length;
    assert.equal(count, Math.max(1, Math.min(20, Math.floor(credit / 65_584))), `${credit}`);
    assert.equal(reply.argument, count);
  }
});

test('the answerer reads ahead of a slow link only so far', async () => {
  const { store, names } = manyChunks(1000);
  const { clock, west, wire } = setUp({ store });
  // The link takes one buffer and then nothing more.
  let isStuck = false;
  const far = wire.ends[1];
  const send = far.send.bind(far);
  far.send = (parts) => {
    if (isStuck) assert.fail('sent on a full link');
    send(parts);
    isStuck = true;
    return false;
  };
  const asked = west.request(pullOf('background', names, 100 << 20));
  const isLost = assert.rejects(asked);
  await clock.advance(1000);
  const ahead = store.reads * 65_536;
  assert.ok(ahead <= limits.peerSendBytes + (4 << 20), `${ahead} bytes read ahead`);
  wire.cut();
  await isLost;
});

test('the background keeps to the rate of the sender, demand does not wait for it', async () => {
  const { store, names } = manyChunks(64);
  const { clock, west, outgoing } = setUp({ store });
  outgoing.set(1_000_000);
  const startMs = clock.monotonicMs();
  const behind = west.request(pullOf('background', names, 16 << 20)).then(() => {
    return clock.monotonicMs() - startMs;
  });
  const now = west.request(pullOf('demand', names, 16 << 20));
  await clock.advance(200);
  assert.equal((await now).payloads.flatMap(decodeChunks).length, 64);
  await clock.advance(10_000);
  const tookMs = await behind;
  // 4.2 MB at 1 MB/s, less the burst and the last frame's debt.
  assert.ok(tookMs > 3400 && tookMs < 4400, `${tookMs} ms`);
});

test('more than the limits is refused, and the rest is answered', async () => {
  const { store, names } = manyChunks(1);
  const { clock, west } = setUp({ store });
  let open: () => void = () => {};
  store.gate = new Promise((resolve) => {
    open = resolve;
  });
  const asked = Array.from({ length: limits.peerRequestsMax + 5 }, () =>
    west.request(pullOf('demand', names, 1000)),
  );
  const results = Promise.allSettled(asked);
  await clock.advance(100);
  open();
  await clock.advance(100);
  const refused = (await results).filter(({ status }) => status === 'rejected');
  assert.equal(refused.length, 5);
  const greedy = west.request(pullOf('demand', names, limits.peerCreditBytesMax + 1));
  const isRefused = assert.rejects(greedy, reasonIs('LimitExceeded'));
  await clock.advance(10);
  await isRefused;
});

test('bad requests are answered with an error and hurt nobody else', async () => {
  const { store, names } = manyChunks(3);
  const { clock, west, ends } = setUp({ store });
  const bad: readonly (readonly [number, Uint8Array, string])[] = [
    [99, new Uint8Array(0), 'Unsupported'],
    [operations.replicaWrite, new Uint8Array(40), 'Unsupported'],
    [operations.pull, new Uint8Array(0), 'ProtocolError'],
    [operations.pull, new Uint8Array(33), 'ProtocolError'],
    [operations.pull, new Uint8Array(32 * (limits.pullNamesMax + 1)), 'ProtocolError'],
    [operations.read, new Uint8Array(60), 'ProtocolError'],
    [operations.have, new Uint8Array(7), 'ProtocolError'],
    [operations.push, new Uint8Array(47), 'ProtocolError'],
    [operations.push, new Uint8Array(limits.pushBytesMax + 1), 'LimitExceeded'],
    [operations.grant, Buffer.from('{"key":1}'), 'ProtocolError'],
    [operations.renew, Buffer.from('[]'), 'ProtocolError'],
    [operations.release, Buffer.from('{'), 'ProtocolError'],
    [operations.probe, Buffer.from('{"bytes":1e12}'), 'LimitExceeded'],
  ];
  for (const [type, payload, reason] of bad) {
    const asked = west.request({ type, lane: 'demand', payload: [payload], credit: 1 << 20 });
    const isRefused = assert.rejects(asked, reasonIs(reason), `${type}`);
    const good = west.request(pullOf('demand', names, 1 << 20));
    await clock.advance(50);
    await isRefused;
    assert.equal((await good).argument, 3);
  }
  assert.equal(ends.length, 0);
});

test('an answer that breaks the rules ends the link and loses its requests', async () => {
  const reply = { type: operations.pull | replyBit, lane: 'demand' as Lane, argument: 1 };
  const hostile: readonly Uint8Array[] = [
    encodeFrameHead({ ...reply, number: 77, last: true }, 0),
    encodeFrameHead({ ...reply, type: operations.have | replyBit, number: 1, last: true }, 0),
    Buffer.concat([
      encodeFrameHead({ ...reply, number: 1, last: false }, 1 << 20),
      Buffer.alloc(1 << 20),
    ]),
    Buffer.concat([
      encodeFrameHead({ ...reply, type: 255, number: 1, last: true }, 3),
      Buffer.from('{}}'),
    ]),
    encodeFrameHead({ ...reply, type: 8, number: 5, last: false }, 0),
  ];
  for (const bytes of hostile) {
    const { clock, west, wire, ends } = setUp({ handler: () => {} });
    await clock.advance(2);
    const asked = west.request(pullOf('demand', [chunkOf(1).name], 1000));
    const isLost = assert.rejects(asked, reasonIs('ProtocolError'));
    wire.ends[1].send([bytes]);
    await clock.advance(10);
    await isLost;
    assert.ok(ends.some(({ reason }) => reason === 'ProtocolError'));
    assert.equal(west.isOpen, false);
  }
});

test('an abandoned request keeps its number and credit until it is answered', async () => {
  const { store, names } = manyChunks(1);
  const { clock, west } = setUp({ store });
  const aborter = new AbortController();
  const asked = west.request({ ...pullOf('demand', names, 1 << 20), signal: aborter.signal });
  aborter.abort(new Error('enough'));
  await assert.rejects(asked, /enough/);
  assert.ok(west.openCredit >= 1 << 20);
  await clock.advance(20);
  assert.equal(west.isOpen, true);
  assert.equal(west.openCredit, 0);
});
