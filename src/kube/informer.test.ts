import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { Change, Informer, InformerOptions } from './api.ts';
import { createInformer } from './informer.ts';
import { keyText } from './objects.ts';
import {
  jsonResponse,
  piecesOf,
  statusObject,
  testConnection,
  type TestConnection,
  TestTime,
  type Thing,
  thing,
  things,
} from './testing.ts';
import { eventLine, FakeServer } from './testing-server.ts';
import type { KubeRequest, KubeResponse } from './transport.ts';

const root = '/apis/test.dev/v1/namespaces/ns/things';
const isWatch = (request: KubeRequest): boolean => request.path.includes('watch=true');
const expired = (): KubeResponse => jsonResponse(410, statusObject(410, 'Expired'));

interface World {
  readonly time: TestTime;
  readonly server: FakeServer;
  readonly connection: TestConnection;
  readonly informer: Informer<Thing>;
  /** `+a`, `~a`, `-a`. */
  readonly told: string[];
}

function startWorld(server = new FakeServer(), options: InformerOptions<Thing> = {}): World {
  const time = new TestTime();
  const connection = testConnection(time, server.transport);
  const informer = createInformer({ connection }, things, options);
  const told: string[] = [];
  informer.onChange((change) => told.push(wordOf(change)));
  return { time, server, connection, informer, told };
}

function wordOf({ key, before, now }: Change<Thing>): string {
  const sign = before === undefined ? '+' : now === undefined ? '-' : '~';
  return `${sign}${key.name}`;
}

const namesOf = (informer: Informer<Thing>): string[] =>
  [...informer.list()].map(({ metadata }) => metadata.name ?? '').sort();

const watchesOf = (server: FakeServer): number => server.requests.filter(isWatch).length;
const listsOf = (server: FakeServer): number => server.requests.length - watchesOf(server);

suite('an informer', () => {
  test('lists, then follows', async () => {
    const server = new FakeServer();
    server.put(`${root}/a`, thing('a'));
    server.put(`${root}/b`, thing('b'));
    const { time, informer, told } = startWorld(server);
    assert.equal(informer.isSynced, false);
    await time.finish(informer.synced);
    assert.deepEqual(told, ['+a', '+b']);
    await time.settle();
    server.put(`${root}/c`, thing('c'));
    server.put(`${root}/a`, thing('a', { spec: { x: 1 } }));
    server.remove(`${root}/b`);
    await time.settle();
    assert.deepEqual(told, ['+a', '+b', '+c', '~a', '-b']);
    assert.deepEqual(informer.get({ namespace: 'ns', name: 'a' })?.spec, { x: 1 });
    assert.equal(informer.get({ namespace: 'ns', name: 'a' })?.kind, 'Thing');
    assert.equal(informer.count(), 2);
    await informer.stop();
    assert.equal(time.timers, 0);
  });

  test('asks for its namespace and its selectors, in lists and watches', async () => {
    const selectors = { namespace: 'ns', labels: 'a in (b,c)', fields: 'metadata.name=x' };
    const { time, server, informer } = startWorld(new FakeServer(), { selectors });
    await time.finish(informer.synced);
    await time.settle();
    const query = 'labelSelector=a%20in%20(b%2Cc)&fieldSelector=metadata.name%3Dx';
    assert.equal(server.requests[0]?.path, `${root}?limit=500&${query}`);
    const [path, rest] = server.requests[1]?.path.split('?') ?? [];
    assert.equal(path, root);
    assert.match(rest ?? '', /^watch=true&allowWatchBookmarks=true&resourceVersion=100&/);
    assert.ok(rest?.endsWith(query));
    const seconds = Number(/timeoutSeconds=(\d+)/.exec(rest ?? '')?.[1]);
    assert.ok(seconds >= 300 && seconds <= 600);
    await informer.stop();
  });

  test('keeps indexes as objects come, change and go', async () => {
    const server = new FakeServer();
    const ofOwner = (object: Thing): string[] => (object.spec?.['owners'] as string[]) ?? [];
    const { time, informer } = startWorld(server, { indexes: { owner: ofOwner } });
    server.put(`${root}/a`, thing('a', { spec: { owners: ['x', 'y'] } }));
    await time.finish(informer.synced);
    server.put(`${root}/b`, thing('b', { spec: { owners: ['y'] } }));
    await time.settle();
    const names = (value: string): unknown[] =>
      informer.byIndex('owner', value).map(({ metadata }) => metadata.name);
    assert.deepEqual([names('x'), names('y')], [['a'], ['a', 'b']]);
    server.put(`${root}/a`, thing('a', { spec: { owners: ['z'] } }));
    server.remove(`${root}/b`);
    await time.settle();
    assert.deepEqual([names('x'), names('y'), names('z')], [[], [], ['a']]);
    assert.throws(() => informer.byIndex('none', 'x'), /no index none/);
    await informer.stop();
  });

  test('drops managed fields, or trims as it is told', async () => {
    const server = new FakeServer();
    server.put(`${root}/a`, thing('a', { metadata: { managedFields: [{ manager: 'x' }] } }));
    const plain = startWorld(server);
    const trim = (object: Thing): Thing => ({ ...object, spec: { only: 'this' } });
    const trimmed = startWorld(server, { trim });
    await plain.time.finish(plain.informer.synced);
    await trimmed.time.finish(trimmed.informer.synced);
    const key = { namespace: 'ns', name: 'a' };
    assert.equal(plain.informer.get(key)?.metadata.managedFields, undefined);
    assert.deepEqual(trimmed.informer.get(key)?.spec, { only: 'this' });
    await Promise.all([plain.informer.stop(), trimmed.informer.stop()]);
  });

  test('stops at once, also before its first list, and leaves nothing behind', async () => {
    const server = new FakeServer();
    server.before = () => new Promise(() => undefined);
    const { time, informer } = startWorld(server);
    await time.settle();
    await time.finish(informer.stop(), 0);
    await assert.rejects(informer.synced, { reason: 'Stopping' });
    assert.equal(time.timers, 0);
  });
});

suite('after trouble, an informer', () => {
  test('goes on where it was after a cut, without a new list', async () => {
    const { time, server, informer, told } = startWorld();
    await time.finish(informer.synced);
    let cuts = 3;
    server.before = (request) => {
      if (!isWatch(request) || cuts-- <= 0) return undefined;
      throw new TransshipError('ApiUnreachable', 'reset');
    };
    const { signal } = server.requests.at(-1) ?? {};
    assert.equal(signal?.aborted, false);
    await time.advance(700_000);
    server.put(`${root}/a`, thing('a'));
    await time.until(() => told.length > 0);
    assert.deepEqual(told, ['+a']);
    assert.equal(listsOf(server), 1);
    await informer.stop();
  });

  test('reports what disappeared and what came while nobody watched', async () => {
    const server = new FakeServer();
    for (const name of ['a', 'b', 'c']) server.put(`${root}/${name}`, thing(name));
    let isDown = false;
    const streams = new Set<() => void>();
    server.before = (request) => {
      if (isDown) throw new TransshipError('ApiUnreachable', 'down');
      if (!isWatch(request)) return undefined;
      return { status: 200, headers: {}, body: until(streams) };
    };
    const { time, informer, told } = startWorld(server);
    await time.finish(informer.synced);
    await time.settle();
    isDown = true;
    for (const end of streams) end();
    await time.advance(60_000);
    assert.equal(informer.trouble?.reason, 'ApiUnreachable');
    server.remove(`${root}/a`);
    server.remove(`${root}/b`);
    server.put(`${root}/b`, thing('b'));
    server.put(`${root}/d`, thing('d'));
    server.forget();
    isDown = false;
    server.before = () => undefined;
    told.length = 0;
    await time.until(() => informer.get({ namespace: 'ns', name: 'd' }) !== undefined);
    assert.deepEqual(told.sort(), ['+b', '+d', '-a', '-b']);
    assert.deepEqual(namesOf(informer), ['b', 'c', 'd']);
    await time.advance(60_000);
    assert.equal(informer.trouble, undefined);
    await informer.stop();
  });

  for (const [what, answer] of [
    ['an answer 410', expired],
    ['an event 410', () => errorEvent(410, 'Expired')],
    ['an event of another error', () => errorEvent(400, 'BadRequest')],
    ['an event that is no JSON', () => streamOf('{"type":\n')],
    ['an event that is no object', () => streamOf('42\n')],
    ['an event of an unknown type', () => streamOf('{"type":"MOVED","object":{"metadata":{}}}\n')],
    ['an event without a name', () => streamOf('{"type":"ADDED","object":{"metadata":{}}}\n')],
    ['an event that is too long', () => streamOf('x'.repeat(9 * 1024 * 1024))],
  ] as const) {
    test(`lists again after ${what}`, async () => {
      const server = new FakeServer();
      server.put(`${root}/a`, thing('a'));
      let troubles = 2;
      server.before = (request) => (isWatch(request) && troubles-- > 0 ? answer() : undefined);
      const { time, informer, told } = startWorld(server);
      await time.until(() => troubles < 0);
      server.put(`${root}/b`, thing('b'));
      await time.until(() => told.includes('+b'));
      assert.deepEqual(told, ['+a', '+b']);
      assert.equal(listsOf(server), 3);
      await informer.stop();
    });
  }

  test('goes on after an event of a busy server, and lists when that never ends', async () => {
    const server = new FakeServer();
    let troubles = 10;
    const answer = (): KubeResponse => errorEvent(500, 'InternalError');
    server.before = (request) => (isWatch(request) && troubles-- > 0 ? answer() : undefined);
    const { time, informer } = startWorld(server);
    await time.until(() => watchesOf(server) === 3);
    assert.equal(listsOf(server), 1);
    await time.until(() => watchesOf(server) === 11);
    assert.ok(listsOf(server) > 1);
    await informer.stop();
  });

  test('begins a list again that grew old, in larger pages', async () => {
    const server = new FakeServer();
    for (let i = 0; i < 1300; i++) server.put(`${root}/t${i}`, thing(`t${i}`));
    let troubles = 3;
    server.before = (request) =>
      request.path.includes('continue=') && troubles-- > 0 ? expired() : undefined;
    const { time, informer, told } = startWorld(server);
    await time.finish(informer.synced);
    assert.equal(informer.count(), 1300);
    assert.equal(told.length, 1300);
    const limits = server.requests.map(({ path }) => /limit=(\d+)/.exec(path)?.[1]);
    assert.deepEqual(limits.slice(0, 5), ['500', '500', '1000', '1000', '2000']);
    await informer.stop();
  });

  test('names a missing right, tries on, and says when it is granted', async () => {
    const message =
      'things.test.dev is forbidden: User "eve" cannot watch resource "things" in API group ' +
      '"test.dev" at the cluster scope';
    const server = new FakeServer();
    let isGranted = false;
    server.before = (request) =>
      isWatch(request) && !isGranted
        ? jsonResponse(403, statusObject(403, 'Forbidden', { message }))
        : undefined;
    const { time, informer } = startWorld(server);
    let troubles = 0;
    informer.onTrouble(() => troubles++);
    await time.until(() => informer.trouble !== undefined);
    assert.deepEqual(informer.trouble, {
      reason: 'Forbidden',
      message: 'needs the right to watch things.test.dev (cluster east, user eve)',
    });
    const before = server.requests.length;
    await time.advance(600_000);
    const tries = server.requests.length - before;
    assert.ok(tries >= 30 && tries <= 120, `${tries} tries in ten minutes`);
    assert.equal(troubles, 1);
    isGranted = true;
    await time.until(() => informer.trouble === undefined, 60_000);
    assert.equal(troubles, 2);
    await informer.stop();
  });

  test('does not hurry when a server ends every watch at once', async () => {
    const server = new FakeServer();
    server.before = (request) => (isWatch(request) ? streamOf('') : undefined);
    const { time, informer } = startWorld(server);
    await time.finish(informer.synced);
    await time.advance(600_000);
    assert.ok(watchesOf(server) < 60, `${watchesOf(server)} watches in ten minutes`);
    await informer.stop();
  });

  test('takes a silent watch for dead: late without bookmarks, soon with them', async () => {
    const silentAfter = async (bookmarks: number): Promise<number> => {
      const server = new FakeServer();
      const { time, informer } = startWorld(server);
      server.before = (request) => {
        if (!isWatch(request) || watchesOf(server) > 1) return undefined;
        const body = bookmarksThenNothing(bookmarks);
        return { status: 200, headers: {}, body };
      };
      await time.until(() => watchesOf(server) > 0);
      const startMs = time.nowMs;
      await time.until(() => watchesOf(server) > 1, 700_000);
      assert.equal(listsOf(server), 1);
      const { path } = server.requests.at(-1) ?? { path: '' };
      assert.ok(path.includes(`resourceVersion=${bookmarks > 0 ? 777 : 100}&`));
      await informer.stop();
      return time.nowMs - startMs;
    };
    const late = await silentAfter(0);
    assert.ok(late >= 330_000 && late <= 640_000, `${late} ms`);
    const soon = await silentAfter(2);
    assert.ok(soon >= 180_000 && soon <= 190_000, `${soon} ms`);
  });
});

suite('what a watch repeats or brings late', () => {
  const at = (name: string, version: number, uid = `uid-${name}`): Thing =>
    thing(name, { metadata: { namespace: 'ns', name, uid, resourceVersion: String(version) } });

  async function after(...events: readonly [string, Thing][]): Promise<World> {
    const server = new FakeServer();
    const text = Buffer.concat(events.map(([type, object]) => eventLine(type, object)));
    server.before = (request) => {
      if (!isWatch(request)) return undefined;
      return { status: 200, headers: {}, body: thenNothing([text]) };
    };
    const world = startWorld(server);
    await world.time.finish(world.informer.synced);
    await world.time.settle();
    return world;
  }

  const cases: readonly [string, readonly [string, Thing][], string[], string[]][] = [
    [
      'the same twice',
      [
        ['ADDED', at('a', 101)],
        ['ADDED', at('a', 101)],
      ],
      ['+a'],
      ['a@101'],
    ],
    [
      'an older state',
      [
        ['ADDED', at('a', 105)],
        ['MODIFIED', at('a', 103)],
      ],
      ['+a'],
      ['a@105'],
    ],
    [
      'the end before the last change',
      [
        ['ADDED', at('a', 101)],
        ['DELETED', at('a', 105)],
        ['MODIFIED', at('a', 103)],
      ],
      ['+a', '-a'],
      [],
    ],
    [
      'the end of a former incarnation',
      [
        ['ADDED', at('a', 101, 'old')],
        ['ADDED', at('a', 110, 'new')],
        ['DELETED', at('a', 105, 'old')],
      ],
      ['+a', '-a', '+a'],
      ['a@110'],
    ],
    [
      'two ends',
      [
        ['ADDED', at('a', 101)],
        ['DELETED', at('a', 105)],
        ['DELETED', at('a', 105)],
      ],
      ['+a', '-a'],
      [],
    ],
    [
      'a number that text would sort wrongly',
      [
        ['ADDED', at('a', 999)],
        ['MODIFIED', at('a', 1000)],
        ['MODIFIED', at('a', 999)],
      ],
      ['+a', '~a'],
      ['a@1000'],
    ],
    [
      'an end that names the last state',
      [
        ['ADDED', at('a', 101)],
        ['DELETED', at('a', 101)],
      ],
      ['+a', '-a'],
      [],
    ],
  ];
  for (const [what, events, told, left] of cases) {
    test(what, async () => {
      const world = await after(...events);
      assert.deepEqual(world.told, told);
      const kept = [...world.informer.list()].map(
        ({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`,
      );
      assert.deepEqual(kept, left);
      await world.informer.stop();
    });
  }

  test('versions that are no numbers are taken as they come', async () => {
    const odd = (version: string): Thing =>
      thing('a', { metadata: { namespace: 'ns', name: 'a', uid: 'u', resourceVersion: version } });
    const world = await after(
      ['ADDED', odd('zz')],
      ['MODIFIED', odd('aa')],
      ['DELETED', odd('mm')],
    );
    assert.deepEqual(world.told, ['+a', '~a', '-a']);
    await world.informer.stop();
  });
});

test('ten thousand objects: every page is trimmed before the next is asked for', async () => {
  const server = new FakeServer();
  const filler = 'x'.repeat(10_000);
  let trimmed = 0;
  server.before = (request) => {
    if (isWatch(request)) return undefined;
    const from = Number(/continue=(\d+)/.exec(request.path)?.[1] ?? '0');
    assert.equal(trimmed, from);
    const items = Array.from({ length: 500 }, (_, i) => {
      const name = `t${from + i}`;
      return thing(name, { metadata: { namespace: 'ns', name, uid: name }, spec: { filler } });
    });
    const token = from + 500 < 10_000 ? String(from + 500) : '';
    return jsonResponse(200, { metadata: { resourceVersion: '9', continue: token }, items });
  };
  const trim = ({ spec: _spec, ...object }: Thing): Thing => {
    trimmed++;
    return object;
  };
  const { time, informer } = startWorld(server, { trim });
  await time.finish(informer.synced);
  assert.equal(informer.count(), 10_000);
  // Whole, the list would be 100 MB of text; what is kept must not hold on to it.
  const kept = [...informer.list()].reduce((sum, one) => sum + JSON.stringify(one).length, 0);
  assert.ok(kept < 3_000_000, `${kept} bytes kept`);
  assert.equal(
    new Set(
      [...informer.list()].map((one) =>
        keyText({ namespace: 'ns', name: one.metadata.name ?? '' }),
      ),
    ).size,
    10_000,
  );
  await informer.stop();
});

function errorEvent(code: number, reason: string): KubeResponse {
  return streamOf(Buffer.from(eventLine('ERROR', statusObject(code, reason))).toString());
}

function streamOf(text: string): KubeResponse {
  return { status: 200, headers: {}, body: piecesOf([Buffer.from(text)]) };
}

async function* thenNothing(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
  await new Promise(() => undefined);
}

async function* bookmarksThenNothing(count: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < count; i++) {
    yield eventLine('BOOKMARK', { kind: 'Thing', metadata: { resourceVersion: '777' } });
  }
  await new Promise(() => undefined);
}

/** Says nothing until it is cut. */
async function* until(streams: Set<() => void>): AsyncGenerator<Uint8Array> {
  await new Promise<void>((resolve) => streams.add(resolve));
  yield* piecesOf([new Error('reset')]);
}
