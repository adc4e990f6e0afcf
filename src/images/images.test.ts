import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { copyImage, readDockerConfig } from './images.ts';
import { instantPorts } from './testing.ts';
import type { RegistryRequest, RegistryTransport } from './transport.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const layer = Buffer.from('a layer of an image');
const sha = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const entry = { mediaType: 'application/octet-stream', digest: sha(layer), size: layer.length };
const manifest = { schemaVersion: 2, mediaType: manifestType, config: entry, layers: [entry] };

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
}

/** Answers by method and path; undefined is 404. */
function port(answer: (request: RegistryRequest, url: URL) => Reply | undefined) {
  const seen: RegistryRequest[] = [];
  const transport: RegistryTransport = async (request) => {
    seen.push(request);
    const reply = answer(request, new URL(request.url)) ?? { status: 404 };
    const { body = new Uint8Array() } = reply;
    const pieces = body instanceof Uint8Array ? ReadableStream.from([body]) : body;
    return { status: reply.status, headers: reply.headers ?? {}, body: pieces };
  };
  return { seen, transport };
}

function source(document: unknown, blob: (request: RegistryRequest) => Reply | undefined) {
  return port((request, { pathname, host }) => {
    if (pathname.endsWith('/manifests/1')) {
      const body = Buffer.from(JSON.stringify(document));
      return { status: 200, headers: { 'content-type': manifestType }, body };
    }
    return pathname.includes('/blobs/') || host !== 'from.example' ? blob(request) : undefined;
  });
}

/** Takes what comes and stores nothing. */
function destination() {
  return port(({ method, body }, { pathname }) => {
    if (method === 'POST') return { status: 202, headers: { location: '/v2/b/blobs/uploads/1' } };
    if (method !== 'PUT' && method !== 'DELETE') return undefined;
    const isManifest = pathname.includes('/manifests/') && body instanceof Uint8Array;
    const digest = isManifest ? { 'docker-content-digest': sha(body) } : undefined;
    return { status: method === 'PUT' ? 201 : 204, ...(digest && { headers: digest }) };
  });
}

function copy(from: RegistryTransport, to: RegistryTransport, image = 'from.example/a:1') {
  const auth = Buffer.from('me:secret word').toString('base64');
  const credentials = readDockerConfig(JSON.stringify({ auths: { 'from.example': { auth } } }));
  return copyImage(instantPorts, {
    from: { image, transport: from, credentials },
    to: { image: 'to.example/b:1', transport: to },
    referrers: false,
  });
}

const puts = (seen: readonly RegistryRequest[]): number =>
  seen.filter(({ method, url }) => method === 'PUT' && url.includes('/manifests/')).length;

test('a blob that is not what its digest says is neither stored nor tagged', async () => {
  const wrong = Buffer.from(layer);
  wrong[0] = 0;
  const from = source(manifest, () => ({ status: 200, body: wrong }));
  const to = destination();
  await assert.rejects(copy(from.transport, to.transport), { reason: 'ImageInvalid' });
  assert.equal(puts(to.seen), 0);
  const stored = to.seen.filter(({ method }) => method === 'PUT');
  assert.equal(stored.length, 0);
});

test('a body that ends early is continued, one that never ends is left', async () => {
  let asked = 0;
  const short = source(manifest, ({ headers }) => {
    asked += 1;
    if (asked === 1) return { status: 200, body: layer.subarray(0, 5) };
    assert.equal(headers['range'], 'bytes=5-');
    const range = { 'content-range': `bytes 5-${layer.length - 1}/${layer.length}` };
    return { status: 206, headers: range, body: layer.subarray(5) };
  });
  const copied = await copy(short.transport, destination().transport);
  assert.equal(copied.copiedBytes, layer.length);
  assert.equal(asked, 2);
  const endless = source(manifest, () => ({ status: 200, body: forever() }));
  await assert.rejects(copy(endless.transport, destination().transport), {
    reason: 'ImageInvalid',
  });
});

async function* forever(): AsyncGenerator<Uint8Array> {
  for (;;) yield new Uint8Array(64 * 1024);
}

test('an endless manifest is refused', async () => {
  const from = port((_, { pathname }) =>
    pathname.includes('/manifests/') ? { status: 200, body: forever() } : undefined,
  );
  const refused = copy(from.transport, destination().transport);
  await assert.rejects(refused, { reason: 'LimitExceeded' });
});

test('credentials do not follow a redirect, and are in no error', async () => {
  const from = source(manifest, ({ url, headers }) => {
    if (new URL(url).host === 'cdn.example') return { status: 200, body: layer };
    if (headers['authorization'] === undefined) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    }
    return { status: 307, headers: { location: 'https://cdn.example/layer?signature=1' } };
  });
  await copy(from.transport, destination().transport);
  const sent = from.seen.filter(({ url }) => url.includes('cdn.example'));
  assert.equal(sent.length, 1);
  assert.equal(sent[0]?.headers['authorization'], undefined);
  const bare = source(manifest, ({ url, headers }) => {
    if (headers['authorization'] === undefined && url.includes('/blobs/')) {
      return { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } };
    }
    return { status: 307, headers: { location: 'http://cdn.example/layer?signature=1' } };
  });
  await assert.rejects(copy(bare.transport, destination().transport), (error) => {
    assert.ok(error instanceof TransshipError && error.reason === 'RegistryRefused');
    assert.doesNotMatch(error.message, /signature|secret|bWU6/);
    return true;
  });
});

test('other algorithms, two sizes and schema 1 are refused', async () => {
  const md5 = { ...entry, digest: `md5:${'0'.repeat(32)}` };
  const cases: readonly (readonly [unknown, string])[] = [
    [{ ...manifest, layers: [md5] }, 'ImageInvalid'],
    [{ ...manifest, layers: [{ ...entry, size: 1 }] }, 'ImageInvalid'],
    [{ ...manifest, manifests: [] }, 'ImageInvalid'],
    [{ schemaVersion: 1, fsLayers: [] }, 'Unsupported'],
  ];
  for (const [document, reason] of cases) {
    const from = source(document, () => ({ status: 200, body: layer }));
    await assert.rejects(copy(from.transport, destination().transport), { reason });
  }
  const from = port(() => ({ status: 200, body: Buffer.from(JSON.stringify(manifest)) }));
  const image = `from.example/a@sha256:${'0'.repeat(64)}`;
  const other = copy(from.transport, destination().transport, image);
  await assert.rejects(other, { reason: 'ImageInvalid' });
});

test('a busy registry is asked again; a token is fetched once for its scope', async () => {
  let refusals = 0;
  const from = port((request, url) => {
    if (url.host === 'tokens.example') {
      assert.equal(url.searchParams.get('scope'), 'repository:a:pull');
      return { status: 200, body: Buffer.from('{"token":"abc","expires_in":300}') };
    }
    if (request.headers['authorization'] !== 'Bearer abc') {
      const bearer = 'Bearer realm="https://tokens.example/t",service="s"';
      return { status: 401, headers: { 'www-authenticate': bearer } };
    }
    if ((refusals += 1) <= 2) return { status: 429, headers: { 'retry-after': '1' } };
    if (url.pathname.includes('/blobs/')) return { status: 200, body: layer };
    const body = Buffer.from(JSON.stringify(manifest));
    return { status: 200, headers: { 'content-type': manifestType }, body };
  });
  await copy(from.transport, destination().transport);
  assert.equal(from.seen.filter(({ url }) => url.includes('tokens.example')).length, 1);
});
