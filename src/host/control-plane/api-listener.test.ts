import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import * as https from 'node:https';
import { after, before, suite, test } from 'node:test';
import type { ApiServer, UserInfo } from '../../embedded/server/api.ts';
import type { KubeRequest, KubeResponse } from '../../kube/transport.ts';
import { type ApiListener, listenApi } from './api-listener.ts';
import { createAuthority, issueCertificate, type KeyAndCertificate } from './certificates.ts';

const nowMs = Date.now();
const validMs = 3600 * 1000;
const authority = { commonName: 'ca', ...createAuthority('ca', nowMs) };
const stranger = { commonName: 'ca', ...createAuthority('ca', nowMs) };
const client = {
  commonName: 'bob',
  organizations: ['a', 'b'],
  use: 'client',
  nowMs,
  validMs,
} as const;

interface Asked {
  readonly request: KubeRequest;
  readonly user: UserInfo | undefined;
}

/** Answers what the test says, and remembers what it was asked. */
class Answering implements ApiServer {
  readonly asked: Asked[] = [];
  answer: (request: KubeRequest) => KubeResponse = () => ({
    status: 200,
    headers: {},
    body: pieces(['ok']),
  });

  handle(request: KubeRequest, user: UserInfo | undefined): Promise<KubeResponse> {
    this.asked.push({ request, user });
    return Promise.resolve(this.answer(request));
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}

async function* pieces(texts: readonly string[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const text of texts) yield Buffer.from(text);
}

suite('the TLS listener', () => {
  const server = new Answering();
  let listener: ApiListener;

  before(async () => {
    const own = issueCertificate(authority, {
      commonName: 'kube-apiserver',
      use: 'server',
      hosts: ['127.0.0.1'],
      nowMs,
      validMs,
    });
    const log = { log: () => undefined };
    listener = await listenApi({ server, port: 0, ...own, authority: authority.certificate, log });
  });

  after(async () => {
    await listener.close();
  });

  async function open(
    path: string,
    options: { readonly as?: KeyAndCertificate; readonly body?: Uint8Array } = {},
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { as, body } = options;
    const request = https.request({
      host: '127.0.0.1',
      port: listener.port,
      path,
      method: body === undefined ? 'GET' : 'POST',
      ca: authority.certificate,
      agent: false,
      headers: { authorization: 'Bearer abc' },
      ...(as === undefined ? {} : { key: as.key, cert: as.certificate }),
    });
    request.end(body);
    const [response]: IncomingMessage[] = await once(request, 'response');
    assert(response !== undefined);
    let text = '';
    for await (const part of response) text += String(part);
    return { status: response.statusCode ?? 0, text };
  }

  test('a certificate says who asks; without one a token may', async () => {
    assert.equal((await open('/a?b=c', { as: issueCertificate(authority, client) })).text, 'ok');
    const { request, user } = server.asked.at(-1) ?? {};
    assert.deepEqual(user, { name: 'bob', groups: ['a', 'b'] });
    assert.equal(request?.path, '/a?b=c');
    await open('/');
    assert.equal(server.asked.at(-1)?.user, undefined);
    assert.equal(server.asked.at(-1)?.request.headers['authorization'], 'Bearer abc');
  });

  test('certificates of strangers, and those that have ended, are refused', async () => {
    const asked = server.asked.length;
    const ended = { ...client, nowMs: nowMs - 3 * 3600 * 1000 };
    for (const as of [issueCertificate(stranger, client), issueCertificate(authority, ended)]) {
      assert.equal((await open('/', { as })).status, 401);
    }
    assert.equal(server.asked.length, asked);
  });

  test('a body that is too large never reaches the server', async () => {
    const asked = server.asked.length;
    const small = await open('/', { body: Buffer.alloc(1000) });
    assert.equal(small.status, 200);
    const large = await open('/', { body: Buffer.alloc(4 * 1024 * 1024) }).catch(() => undefined);
    assert(large === undefined || large.status === 413);
    assert.equal(server.asked.length, asked + 1);
  });

  test('a client that leaves ends the stream it was sent', async () => {
    const left = Promise.withResolvers<void>();
    server.answer = ({ signal }) => ({
      status: 200,
      headers: {},
      body: endless(signal, left.resolve),
    });
    const request = https.get({
      host: '127.0.0.1',
      port: listener.port,
      ca: authority.certificate,
      agent: false,
    });
    const [response]: IncomingMessage[] = await once(request, 'response');
    await once(response ?? request, 'data');
    request.on('error', () => undefined);
    request.destroy();
    await left.promise;
  });

  test('a stream that breaks is not taken for complete', async () => {
    server.answer = () => ({ status: 200, headers: {}, body: broken() });
    await assert.rejects(open('/'));
  });
});

async function* endless(
  signal: AbortSignal | undefined,
  ended: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield Buffer.from('first');
    assert(signal !== undefined);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    ended();
  }
}

async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from('first');
  await Promise.resolve();
  throw new Error('it broke');
}
