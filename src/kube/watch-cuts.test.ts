/** Wherever a stream breaks, and however it comes in pieces, the cache ends the same. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { createInformer } from './informer.ts';
import { createLineReader } from './lines.ts';
import { testConnection, TestTime, thing, things } from './testing.ts';
import { eventLine, FakeServer } from './testing-server.ts';

const root = '/apis/test.dev/v1/namespaces/ns/things';

/** Changes with names and text of several bytes a character. */
function change(server: FakeServer): void {
  server.put(`${root}/a`, thing('a', { spec: { text: 'ä€😀' } }));
  server.put(`${root}/b`, thing('b'));
  server.put(`${root}/a`, thing('a', { spec: { text: '\n"{}' } }));
  server.remove(`${root}/b`);
  server.put(`${root}/c`, thing('c'));
  server.put(`${root}/b`, thing('b', { spec: { again: true } }));
  server.remove(`${root}/gone`);
}

interface Ended {
  readonly state: string;
  readonly told: readonly string[];
  readonly lists: number;
  readonly streamBytes: number;
}

/** The first watch breaks after `cutAt` bytes, given in pieces of `pieceBytes`. */
async function run(cutAt: number, pieceBytes: number): Promise<Ended> {
  const time = new TestTime();
  const server = new FakeServer();
  server.put(`${root}/gone`, thing('gone'));
  let streamBytes = 0;
  let watches = 0;
  let lists = 0;
  server.before = async (request) => {
    if (!request.path.includes('watch=true')) {
      lists++;
      return undefined;
    }
    if (watches++ > 0) return undefined;
    const honest = server.handle(request);
    change(server);
    const pieces: Uint8Array[] = [];
    for await (const piece of honest.body) {
      pieces.push(piece);
      if (pieces.length === 7) break;
    }
    const whole = Buffer.concat(pieces);
    streamBytes = whole.length;
    return { status: 200, headers: {}, body: cutBody(whole.subarray(0, cutAt), pieceBytes) };
  };
  const connection = testConnection(time, server.transport);
  const informer = createInformer({ connection }, things);
  const told: string[] = [];
  informer.onChange(({ key, before, now }) => {
    told.push(`${key.name} ${before?.metadata.resourceVersion} ${now?.metadata.resourceVersion}`);
  });
  await time.until(() => watches === 2);
  await time.settle();
  const state = [...informer.list()]
    .map((one) => JSON.stringify(one))
    .sort()
    .join('\n');
  await informer.stop();
  return { state, told, lists, streamBytes };
}

async function* cutBody(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    yield bytes.subarray(at, at + pieceBytes);
  }
  throw new Error('reset');
}

suite('a watch', () => {
  test('cut after any byte ends in the same cache, by the same changes, listed once', async () => {
    const whole = await run(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    assert.ok(whole.streamBytes > 1000 && whole.told.length === 8, whole.told.join('; '));
    for (let cutAt = 0; cutAt <= whole.streamBytes; cutAt++) {
      const ended = await run(cutAt, 1 + (cutAt % 97));
      assert.deepEqual({ ...ended, cutAt }, { ...whole, cutAt });
    }
  });
});

suite('lines', () => {
  test('come out as they went in, however they are cut', () => {
    const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => JSON.stringify(text));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(30)), (lines, sizes) => {
        const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''));
        const reader = createLineReader();
        const read: string[] = [];
        let at = 0;
        for (const size of [...sizes, bytes.length]) {
          read.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        assert.deepEqual(read, lines);
        assert.equal(reader.pendingBytes, 0);
      }),
    );
  });

  test('that are too long are refused, in one piece or in many', () => {
    const fits = eventLine('ADDED', {}).length;
    assert.equal(createLineReader(fits).push(eventLine('ADDED', {})).length, 1);
    const refused = { reason: 'LimitExceeded' };
    assert.throws(() => createLineReader(5).push(Buffer.from('123456\n')), refused);
    const reader = createLineReader(5);
    reader.push(Buffer.from('123'));
    assert.throws(() => reader.push(Buffer.from('456')), refused);
  });
});
