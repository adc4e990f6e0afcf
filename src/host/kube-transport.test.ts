import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import type * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, suite, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { stringify } from 'yaml';
import { createKubeClient } from '../kube/client.ts';
import { createInformer } from '../kube/informer.ts';
import { namespaces } from '../kube/resources.ts';
import { type KubeTransport, NotSent } from '../kube/transport.ts';
import { createClock } from './clock.ts';
import { createAuthority, issueCertificate } from './control-plane/certificates.ts';
import { inClusterTransport, openKubeTransport } from './kube-transport.ts';
import { readKubeconfigFile } from './kube-transport-config.ts';
import { createRandom } from './random.ts';

const nowMs = Date.now();
const validMs = 3_600_000;
const authority = {
  commonName: 'test authority',
  ...createAuthority('test authority', nowMs),
};
const stranger = createAuthority('another authority', nowMs);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'transship-kube-'));
after(() => fs.rmSync(directory, { recursive: true }));

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

async function listen(handler: Handler, options: https.ServerOptions = {}): Promise<string> {
  const subject = { commonName: 'server', hosts: ['127.0.0.1', 'localhost'], nowMs, validMs };
  const { key, certificate } = issueCertificate(authority, { ...subject, use: 'server' });
  const server = https.createServer(
    {
      key,
      cert: certificate,
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: false,
      ...options,
    },
    handler,
  );
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
}

function configText(server: string, { cluster = {}, user = {} }: Parts = {}): string {
  const trust = { 'certificate-authority-data': base64(authority.certificate) };
  return stringify({
    'current-context': 'main',
    contexts: [{ name: 'main', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server, ...trust, ...cluster } }],
    users: [{ name: 'u', user }],
  });
}

async function ask(transport: KubeTransport, place = '/version'): Promise<string> {
  const response = await transport({ method: 'GET', path: place, headers: {} });
  const parts: Uint8Array[] = [];
  for await (const part of response.body) parts.push(part);
  return `${response.status} ${Buffer.concat(parts).toString()}`;
}

/** Answers with who asked. */
const whoAmI: Handler = (request, response) => {
  const { subject } = (request.socket as TLSSocket).getPeerCertificate();
  const { authorization = 'none' } = request.headers;
  response.end(`${String(subject?.CN)} ${authorization}`);
};

suite('a kubeconfig', () => {
  const server = 'https://127.0.0.1:1';
  const refused: readonly [string, string, string, RegExp][] = [
    ['no YAML', 'a: [', 'BadArgument', /no YAML \(line 1\)/],
    ['a token in broken YAML', 'token: s3cret: {', 'BadArgument', /^(?!.*s3cret)/],
    ['nothing', '', 'BadArgument', /empty/],
    ['no current context', 'clusters: []', 'BadArgument', /no current context/],
    [
      'another context',
      configText(server).replace('main', 'x'),
      'BadArgument',
      /no context "x": it has main/,
    ],
    ['plain HTTP far away', configText('http://example.org'), 'BadArgument', /not encrypted/],
    ['no URL', configText('example.org:x'), 'BadArgument', /is/],
    [
      'no verification',
      configText(server, { cluster: { 'insecure-skip-tls-verify': true } }),
      'BadArgument',
      /certificate-authority-data/,
    ],
    [
      'a proxy',
      configText(server, { cluster: { 'proxy-url': 'http://p' } }),
      'Unsupported',
      /proxy-url/,
    ],
    [
      'a broken authority',
      configText(server, { cluster: { 'certificate-authority-data': 'AAAA' } }),
      'BadArgument',
      /certificate-authority-data is no PEM/,
    ],
    [
      'half a certificate',
      configText(server, { user: { 'client-certificate-data': base64(authority.certificate) } }),
      'BadArgument',
      /no client-key/,
    ],
    [
      'a key that is none',
      configText(server, {
        user: {
          'client-certificate-data': base64(authority.certificate),
          'client-key-data': base64(
            '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
          ),
        },
      }),
      'BadArgument',
      /cannot be used/,
    ],
    [
      'a password',
      configText(server, { user: { username: 'a', password: 'b' } }),
      'Unsupported',
      /token/,
    ],
    [
      'a token of two lines',
      configText(server, { user: { token: 'a\nb' } }),
      'BadArgument',
      /token/,
    ],
    [
      'a file',
      configText(server, { user: { tokenFile: '/etc/passwd' } }),
      'BadArgument',
      /--flatten/,
    ],
    [
      'a command',
      configText(server, { user: { exec: { command: 'x' } } }),
      'BadArgument',
      /exec is refused/,
    ],
  ];
  for (const [what, kubeconfigText, reason, message] of refused) {
    test(`with ${what} is refused`, async () => {
      await assert.rejects(openKubeTransport({ kubeconfigText }), { reason, message });
    });
  }

  test('file that cannot be read says why', () => {
    assert.throws(() => readKubeconfigFile(path.join(directory, 'none')), /there is no such file/);
    assert.throws(() => readKubeconfigFile(directory), /it is a directory/);
  });
});

suite('a transport', () => {
  test('proves itself by certificate, and reads a token again when it is refused', async () => {
    const server = await listen(whoAmI);
    const subject = { commonName: 'alice', nowMs, validMs, use: 'client' as const };
    const { key, certificate } = issueCertificate(authority, subject);
    const user = { 'client-certificate-data': base64(certificate), 'client-key-data': base64(key) };
    const byCertificate = await openKubeTransport({ kubeconfigText: configText(server, { user }) });
    assert.equal(await ask(byCertificate), '200 alice none');

    let wanted = 'Bearer one';
    let refusals = 0;
    const picky = await listen((request, response) => {
      response.statusCode = request.headers.authorization === wanted ? 200 : 401;
      if (response.statusCode === 401) refusals++;
      response.end(request.headers.authorization);
    });
    const tokenFile = path.join(directory, 'token');
    fs.writeFileSync(tokenFile, 'one\n');
    const kubeconfigText = configText(picky, { user: { tokenFile: 'token' } });
    const byFile = await openKubeTransport({ kubeconfigText, ownDirectory: directory });
    assert.equal(await ask(byFile), '200 Bearer one');
    wanted = 'Bearer two';
    assert.equal(await ask(byFile), '401 Bearer one');
    fs.writeFileSync(tokenFile, 'two\n');
    assert.equal(await ask(byFile), '200 Bearer two');
    assert.equal(refusals, 2);
  });

  test('trusts the authority of its kubeconfig only, and the name it gives', async () => {
    let asked = 0;
    const server = await listen((_request, response) => {
      asked++;
      response.end();
    });
    const other = { cluster: { 'certificate-authority-data': base64(stranger.certificate) } };
    const wrong = await openKubeTransport({ kubeconfigText: configText(server, other) });
    await assert.rejects(ask(wrong), {
      reason: 'ApiUnreachable',
      message: /not signed by the authority/,
    });
    const named = { cluster: { 'tls-server-name': 'elsewhere.example' } };
    const misnamed = await openKubeTransport({ kubeconfigText: configText(server, named) });
    await assert.rejects(ask(misnamed), NotSent);
    assert.equal(asked, 0);
  });

  test('goes under the path of the server, as another when it is told to', async () => {
    const server = await listen((request, response) => {
      const { headers, url } = request;
      response.end(`${url} ${headers['impersonate-user']} ${headers['impersonate-group']}`);
    });
    const user = { token: 't', as: 'eve', 'as-groups': ['a', 'b'] };
    const kubeconfigText = configText(`${server}/k8s/c-1/`, { user });
    const transport = await openKubeTransport({ kubeconfigText });
    assert.equal(await ask(transport), '200 /k8s/c-1/version eve a, b');
  });

  test('knows whether a request can have been seen', async () => {
    const nobody = await openKubeTransport({ kubeconfigText: configText('https://127.0.0.1:1') });
    await assert.rejects(ask(nobody), NotSent);
    const rude = await listen((request) => request.socket.destroy());
    const transport = await openKubeTransport({ kubeconfigText: configText(rude) });
    await assert.rejects(ask(transport), (error) => {
      assert.ok(!(error instanceof NotSent));
      return (error as { reason?: string }).reason === 'ApiUnreachable';
    });
  });

  test('does not take half an answer for a whole one', async () => {
    const cutLength = await listen((_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.socket?.destroy());
    });
    const cutChunks = await listen((_request, response) => {
      response.write('half', () => response.socket?.destroy());
    });
    for (const server of [cutLength, cutChunks]) {
      const transport = await openKubeTransport({ kubeconfigText: configText(server) });
      await assert.rejects(ask(transport), { reason: 'ApiUnreachable', message: /cut short/ });
    }
  });

  test('uses a connection again, and gives it back when the body is left', async () => {
    const sockets = new Set<unknown>();
    let closed = 0;
    const server = await listen((request, response) => {
      sockets.add(request.socket);
      if (request.url === '/endless') {
        response.on('close', () => closed++);
        response.write('x');
      } else response.end('ok');
    });
    const transport = await openKubeTransport({ kubeconfigText: configText(server) });
    for (let i = 0; i < 5; i++) assert.equal(await ask(transport), '200 ok');
    assert.equal(sockets.size, 1);
    const endless = await transport({ method: 'GET', path: '/endless', headers: {} });
    for await (const _piece of endless.body) break;
    const ending = new AbortController();
    const { signal } = ending;
    const other = await transport({ method: 'GET', path: '/endless', headers: {}, signal });
    const read = (async () => {
      for await (const _piece of other.body) ending.abort();
    })();
    await assert.rejects(read, { reason: 'ApiUnreachable' });
    while (closed < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await ask(transport), '200 ok');
  });
});

/** A credential plugin that prints a new token at every call. */
function writePlugin(name: string): object {
  const script = path.join(directory, `${name}.mjs`);
  const count = path.join(directory, `${name}.count`);
  const program = `
import * as fs from 'node:fs';
const file = ${JSON.stringify(count)};
const n = 1 + Number(fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : 0);
fs.writeFileSync(file, String(n));
console.log(JSON.stringify({ kind: 'ExecCredential', status: { token: '${name}-' + n } }));
`;
  fs.writeFileSync(script, program);
  const apiVersion = 'client.authentication.k8s.io/v1';
  return { exec: { apiVersion, command: process.execPath, args: [script] } };
}

suite('a credential plugin', () => {
  test('is asked again once after a refusal, and not for each request', async () => {
    let wanted = 'Bearer renew-1';
    const server = await listen((request, response) => {
      response.statusCode = request.headers.authorization === wanted ? 200 : 401;
      response.end(request.headers.authorization);
    });
    const kubeconfigText = configText(server, { user: writePlugin('renew') });
    const transport = await openKubeTransport({ kubeconfigText, ownDirectory: directory });
    assert.equal(await ask(transport), '200 Bearer renew-1');
    assert.equal(await ask(transport), '200 Bearer renew-1');
    wanted = 'Bearer renew-2';
    assert.equal(await ask(transport), '200 Bearer renew-2');
    wanted = 'Bearer never';
    assert.equal(await ask(transport), '401 Bearer renew-3');
  });

  test('of one cluster is not taken for that of another whose user has the same name', async () => {
    const server = await listen(whoAmI);
    const transports = await Promise.all(
      ['east', 'west'].map((name) =>
        openKubeTransport({
          kubeconfigText: configText(server, { user: writePlugin(name) }),
          ownDirectory: directory,
        }),
      ),
    );
    const answers = await Promise.all(transports.map((transport) => ask(transport)));
    assert.deepEqual(answers, ['200 undefined Bearer east-1', '200 undefined Bearer west-1']);
  });

  test('that fails says so at once', async () => {
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: '/no/such/plugin' };
    const kubeconfigText = configText('https://127.0.0.1:1', { user: { exec } });
    await assert.rejects(openKubeTransport({ kubeconfigText, ownDirectory: directory }), {
      reason: 'Unauthorized',
      message: /credential plugin \/no\/such\/plugin: .*ENOENT/,
    });
  });
});

test('a pod uses what its service account has, and nothing else is taken for a pod', async () => {
  await assert.rejects(inClusterTransport({ environment: {} }), { reason: 'NotFound' });
  const url = new URL(await listen(whoAmI));
  fs.writeFileSync(path.join(directory, 'ca.crt'), authority.certificate);
  fs.writeFileSync(path.join(directory, 'token'), 'pod');
  const environment = { KUBERNETES_SERVICE_HOST: url.hostname, KUBERNETES_SERVICE_PORT: url.port };
  const transport = await inClusterTransport({ directory, environment });
  assert.equal(await ask(transport), '200 undefined Bearer pod');
});

test('an informer over a real connection sees what comes, and lets the connection go', async () => {
  let watches = 0;
  let closed = 0;
  const server = await listen((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url?.includes('watch=true') !== true) {
      response.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items: [] }));
      return;
    }
    watches++;
    response.on('close', () => closed++);
    const metadata = { name: `n${watches}`, resourceVersion: String(watches + 1) };
    response.write(`${JSON.stringify({ type: 'ADDED', object: { metadata } })}\n`);
    if (watches === 1) response.socket?.destroySoon();
  });
  const transport = await openKubeTransport({ kubeconfigText: configText(server) });
  const client = createKubeClient({
    cluster: 'east',
    transport,
    clock: createClock(),
    random: createRandom(),
    log: { log: () => undefined },
    fieldManager: 'test',
  });
  const informer = createInformer(client, namespaces);
  const both = Promise.withResolvers<void>();
  informer.onChange(() => informer.count() === 2 && both.resolve());
  await both.promise;
  assert.equal(watches, 2);
  await informer.stop();
  while (closed < 2) await new Promise((resolve) => setImmediate(resolve));
});
