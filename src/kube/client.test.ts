import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import type { Reason } from '../base/reasons.ts';
import { createKubeClient } from './client.ts';
import { ApiError } from './status-errors.ts';
import {
  jsonResponse,
  piecesOf,
  RecordingLog,
  scripted,
  statusObject,
  testClient,
  testRandom,
  TestTime,
  textResponse,
  type Thing,
  thing,
  things,
} from './testing.ts';
import { FakeServer } from './testing-server.ts';
import { type KubeResponse, type KubeTransport, NotSent } from './transport.ts';

const key = { namespace: 'ns', name: 'a' };
const ok = (): KubeResponse => jsonResponse(200, thing('a'));

async function failureOf(transport: KubeTransport, run = 'get'): Promise<TransshipError> {
  const time = new TestTime();
  const client = testClient(time, transport);
  const call = run === 'get' ? client.get(things, key) : client.create(things, thing('a'));
  const error = await time.finish(call).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof TransshipError, `no error of ours: ${String(error)}`);
  return error;
}

suite('requests', () => {
  test('go where the API has the object, and come back typed', async () => {
    const transport = scripted(() => jsonResponse(200, { metadata: { name: 'a' } }));
    const client = testClient(new TestTime(), transport);
    const found = await client.get(things, key);
    assert.deepEqual(found, { apiVersion: 'test.dev/v1', kind: 'Thing', metadata: { name: 'a' } });
    await client.patchStatus(things, key, { status: { ready: true } });
    await client.apply(things, thing('a b/c'));
    await client.delete(things, key, { uid: 'u', propagation: 'Foreground', graceSeconds: 0 });
    const sent = transport.requests.map(({ method, path, headers, body }) => ({
      line: `${method} ${path}`,
      type: headers['content-type'],
      body: body === undefined ? undefined : (JSON.parse(Buffer.from(body).toString()) as object),
    }));
    const root = '/apis/test.dev/v1/namespaces/ns/things';
    assert.deepEqual(
      sent.map(({ line }) => line),
      [
        `GET ${root}/a`,
        `PATCH ${root}/a/status?fieldManager=test`,
        `PATCH ${root}/a%20b%2Fc?fieldManager=test&force=true`,
        `DELETE ${root}/a`,
      ],
    );
    assert.equal(sent[1]?.type, 'application/merge-patch+json');
    assert.equal(sent[2]?.type, 'application/apply-patch+yaml');
    assert.deepEqual(sent[3]?.body, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: 'u' },
      propagationPolicy: 'Foreground',
      gracePeriodSeconds: 0,
    });
    assert.deepEqual(
      [...client.counts],
      [
        ['get', 1],
        ['patch', 1],
        ['apply', 1],
        ['delete', 1],
      ],
    );
  });

  test("an object without a namespace goes to the client's, or nowhere", async () => {
    const server = new FakeServer();
    const { transport } = server;
    const time = new TestTime();
    const [clock, random, log] = [time.clock(), testRandom(), new RecordingLog()];
    const base = { cluster: 'east', transport, clock, random, log, fieldManager: 'test' };
    const draft = { metadata: { name: 'a' } };
    const made = await createKubeClient({ ...base, namespace: 'mine' }).create(things, draft);
    assert.equal(made.metadata.namespace, 'mine');
    const without = createKubeClient(base);
    assert.throws(() => without.create(things, draft), { reason: 'BadArgument' });
    assert.equal(server.requests.length, 1);
  });

  test('lists come page by page, and only as far as they are wanted', async () => {
    const server = new FakeServer();
    const root = '/apis/test.dev/v1/namespaces/ns/things';
    for (let i = 0; i < 1200; i++) server.put(`${root}/t${i}`, thing(`t${i}`));
    const client = testClient(new TestTime(), server.transport);
    const names = new Set<string>();
    for await (const item of client.list(things)) {
      assert.equal(item.kind, 'Thing');
      names.add(item.metadata.name ?? '');
    }
    assert.equal(names.size, 1200);
    assert.equal(server.requests.length, 3);
    for await (const _one of client.list(things)) break;
    assert.equal(server.requests.length, 4);
  });

  test('a list that grows old before its end says so', async () => {
    const server = new FakeServer();
    const root = '/apis/test.dev/v1/namespaces/ns/things';
    for (let i = 0; i < 600; i++) server.put(`${root}/t${i}`, thing(`t${i}`));
    const client = testClient(new TestTime(), server.transport);
    await assert.rejects(
      async () => {
        for await (const item of client.list(things)) {
          if (item.metadata.name === 't0') {
            server.put(`${root}/new`, thing('new'));
            server.forget();
          }
        }
      },
      { reason: 'Conflict', httpStatus: 410 },
    );
  });

  test('a page that is too large is asked for in smaller ones', async () => {
    const huge = { metadata: { name: 'x' }, spec: { text: 'x'.repeat(1024 * 1024) } };
    const server = scripted((request) => {
      const limit = Number(/limit=(\d+)/.exec(request.path)?.[1]);
      const items = Array.from({ length: Math.min(limit, 70) }, () => huge);
      return jsonResponse(200, { metadata: { resourceVersion: '1' }, items });
    });
    let count = 0;
    for await (const _item of testClient(new TestTime(), server).list(things)) count++;
    assert.equal(count, 63);
    assert.equal(server.requests.length, 2);
  });
});

suite('what servers refuse', () => {
  const cases: readonly [number, string, Reason][] = [
    [400, 'BadRequest', 'Invalid'],
    [401, 'Unauthorized', 'Unauthorized'],
    [403, 'Forbidden', 'Forbidden'],
    [405, 'MethodNotAllowed', 'Unsupported'],
    [406, 'NotAcceptable', 'Unsupported'],
    [409, 'Conflict', 'Conflict'],
    [409, 'AlreadyExists', 'AlreadyExists'],
    [410, 'Expired', 'Conflict'],
    [413, 'RequestEntityTooLarge', 'LimitExceeded'],
    [415, 'UnsupportedMediaType', 'Unsupported'],
    [418, '', 'Invalid'],
    [422, 'Invalid', 'Invalid'],
    [429, 'TooManyRequests', 'TooManyRequests'],
    [500, 'InternalError', 'ApiFailed'],
    [503, 'ServiceUnavailable', 'ApiFailed'],
    [504, 'Timeout', 'ApiFailed'],
    [302, '', 'ApiFailed'],
  ];
  for (const [code, said, reason] of cases) {
    test(`${code} ${said} is ${reason}`, async () => {
      const error = await failureOf(scripted(() => jsonResponse(code, statusObject(code, said))));
      assert.equal(error.reason, reason);
      assert.ok(error instanceof ApiError);
      assert.equal(error.httpStatus, code);
      assert.match(error.message, /east/);
    });
  }

  test('a page of HTML from a gateway is an error like others', async () => {
    const error = await failureOf(scripted(() => textResponse(502, '<html>Bad Gateway</html>')));
    assert.equal(error.reason, 'ApiFailed');
    assert.match(error.message, /get things\.test\.dev ns\/a: <html>/);
  });

  test('nothing there is undefined; a kind that is not served is an error', async () => {
    const status = statusObject(404, 'NotFound', { details: { name: 'a', kind: 'things' } });
    const absent = testClient(
      new TestTime(),
      scripted(() => jsonResponse(404, status)),
    );
    assert.equal(await absent.get(things, key), undefined);
    assert.equal(await absent.delete(things, key), false);
    const message = 'the server could not find the requested resource';
    for (const answer of [
      () => textResponse(404, '404 page not found\n'),
      () => jsonResponse(404, statusObject(404, 'NotFound', { message, details: {} })),
    ]) {
      assert.equal((await failureOf(scripted(answer))).reason, 'NotFound');
    }
  });

  test('a missing right is named as a person would grant it', async () => {
    const messages: readonly [string, object, string][] = [
      [
        'things.test.dev "a" is forbidden: User "eve" cannot get resource "things" in API group ' +
          '"test.dev" in the namespace "ns"',
        { name: 'a' },
        'needs the right to get things.test.dev named a in namespace ns (cluster east, user eve)',
      ],
      [
        'nodes is forbidden: User "system:serviceaccount:a:b" cannot list resource "nodes" in ' +
          'API group "" at the cluster scope: RBAC: role "x" not found',
        {},
        'needs the right to list nodes (cluster east, user system:serviceaccount:a:b)',
      ],
      [
        'pods "p" is forbidden: User "eve" cannot get resource "pods/log" in API group "" in the ' +
          'namespace "ns"',
        {},
        'needs the right to get pods/log named p in namespace ns (cluster east, user eve)',
      ],
      [
        'deployments.apps "p" is forbidden: User "eve" cannot patch resource ' +
          '"deployments/scale" in API group "apps" in the namespace "ns"',
        {},
        'needs the right to patch deployments.apps/scale named p in namespace ns ' +
          '(cluster east, user eve)',
      ],
      [
        'forbidden: User "eve" cannot get path "/metrics"',
        {},
        'needs the right to get path /metrics (cluster east, user eve)',
      ],
      [
        'pods "p" is forbidden: exceeded quota: compute',
        {},
        'cluster east: get things.test.dev ns/a: pods "p" is forbidden: exceeded quota: compute',
      ],
    ];
    for (const [message, details, expected] of messages) {
      const status = statusObject(403, 'Forbidden', { message, details });
      const error = await failureOf(scripted(() => jsonResponse(403, status)));
      assert.equal(error.reason, 'Forbidden');
      assert.equal(error.message, expected);
    }
  });

  test('422 names the fields, once each, and not without end', async () => {
    const causes = Array.from({ length: 30 }, (_, i) => ({
      field: `spec.f${i}`,
      message: 'is bad',
    }));
    const message = 'Thing "a" is invalid: spec.f0: is bad';
    const status = statusObject(422, 'Invalid', { message, details: { causes } });
    const error = await failureOf(
      scripted(() => jsonResponse(422, status)),
      'create',
    );
    assert.match(
      error.message,
      /spec\.f0: is bad: spec\.f1: is bad; .*spec\.f10: is bad, and 19 more/,
    );
    const long = statusObject(422, 'Invalid', { message: 'x'.repeat(100_000) });
    const other = await failureOf(
      scripted(() => jsonResponse(422, long)),
      'create',
    );
    assert.ok(other.message.length < 2100);
  });
});

suite('repeats', () => {
  const busy = (): KubeResponse => jsonResponse(429, statusObject(429, 'TooManyRequests'));
  const failing = (): KubeResponse => jsonResponse(500, statusObject(500, 'InternalError'));
  const leaving = (): KubeResponse =>
    jsonResponse(503, statusObject(503, 'ServiceUnavailable'), { 'retry-after': '1' });
  const cut = (): KubeResponse => ({
    status: 200,
    headers: {},
    body: piecesOf([Buffer.from('{"metadata":{"na'), new Error('reset')]),
  });
  const refused = (): KubeResponse => {
    throw new NotSent('connection refused');
  };
  const lost = (): KubeResponse => {
    throw new TransshipError('ApiUnreachable', 'connection reset');
  };
  const half = (): KubeResponse => textResponse(200, '{"metadata":{"name":"a"', {});

  for (const trouble of [busy, failing, leaving, cut, refused, lost, half]) {
    test(`a read is sent again after ${trouble.name}`, async () => {
      const time = new TestTime();
      const transport = scripted(trouble, trouble, ok);
      const found = await time.finish(testClient(time, transport).get(things, key));
      assert.equal(found?.metadata.name, 'a');
      assert.equal(transport.requests.length, 3);
    });

    test(`a read gives up when ${trouble.name} does not end`, async () => {
      const transport = scripted(trouble);
      const error = await failureOf(transport);
      assert.ok(error.retryable);
      assert.equal(transport.requests.length, 4);
    });
  }

  for (const trouble of [busy, leaving, refused]) {
    test(`a write is sent again after ${trouble.name}: it was not done`, async () => {
      const time = new TestTime();
      const transport = scripted(trouble, ok);
      await time.finish(testClient(time, transport).create(things, thing('a')));
      assert.equal(transport.requests.length, 2);
    });
  }

  const silent503 = (): KubeResponse => jsonResponse(503, statusObject(503, 'ServiceUnavailable'));
  for (const trouble of [failing, cut, lost, half, silent503]) {
    test(`no write is sent again after ${trouble.name}: it may have been done`, async () => {
      const transport = scripted(trouble, ok);
      const error = await failureOf(transport, 'create');
      assert.ok(error.retryable);
      assert.equal(transport.requests.length, 1);
    });
  }

  test("the server's wish to wait is heeded, but not for ever", async () => {
    const time = new TestTime();
    const patient = scripted(leaving, ok);
    await time.finish(testClient(time, patient).get(things, key));
    assert.ok(time.nowMs >= 1000);
    const hour = statusObject(429, 'TooManyRequests', { details: { retryAfterSeconds: 3600 } });
    const transport = scripted(() => jsonResponse(429, hour));
    const error = await failureOf(transport);
    assert.equal(transport.requests.length, 1);
    assert.ok(error instanceof ApiError && error.retryAfterMs === 3_600_000);
  });

  test('no answer in time is no answer; the exchange is ended', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const error = await failureOf((request) => {
      signals.push(request.signal);
      return new Promise(() => undefined);
    }, 'create');
    assert.equal(error.reason, 'ApiUnreachable');
    assert.match(error.message, /no answer in 30 s/);
    assert.deepEqual(
      signals.map((signal) => signal?.aborted),
      [true],
    );
  });

  test('a body that stops coming is no answer either', async () => {
    const error = await failureOf(async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        yield Buffer.from('{"metadata":');
        await new Promise(() => undefined);
      })(),
    }));
    assert.equal(error.reason, 'ApiUnreachable');
  });

  test('an answer without end is left', async () => {
    let wasLeft = false;
    const error = await failureOf(async () => ({
      status: 200,
      headers: {},
      body: (async function* () {
        try {
          for (;;) yield Buffer.alloc(1024 * 1024, 0x20);
        } finally {
          wasLeft = true;
        }
      })(),
    }));
    assert.equal(error.reason, 'LimitExceeded');
    assert.ok(wasLeft);
  });
});

test('other requests give JSON, or text where it is none', async () => {
  const client = testClient(
    new TestTime(),
    scripted(
      () => jsonResponse(200, { gitVersion: 'v1.36.3' }),
      () => textResponse(200, 'ok', { 'content-type': 'text/plain' }),
      () => jsonResponse(201, { status: { allowed: true } } satisfies Partial<Thing>),
    ),
  );
  assert.deepEqual(await client.request('GET', '/version'), { gitVersion: 'v1.36.3' });
  assert.equal(await client.request('GET', '/healthz'), 'ok');
  const review = await client.request('POST', '/apis/x/v1/reviews', { spec: {} });
  assert.deepEqual(review, { status: { allowed: true } });
});
