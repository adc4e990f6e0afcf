import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { copyImage } from './images.ts';
import { instantPorts } from './testing.ts';
import type { RegistryRequest, RegistryTransport } from './transport.ts';

const layer = Buffer.alloc(9 * 1024 * 1024 + 3, 'layers ');
const digest = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
const type = 'application/vnd.oci.image.manifest.v1+json';
const entry = { mediaType: 'application/octet-stream', digest, size: layer.length };
const document = { schemaVersion: 2, mediaType: type, config: entry, layers: [entry] };

interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const source: RegistryTransport = async ({ url }) => {
  const isManifest = url.includes('/manifests/');
  const body = isManifest ? Buffer.from(JSON.stringify(document)) : layer;
  const headers: Record<string, string> = isManifest ? { 'content-type': type } : {};
  return { status: 200, headers, body: ReadableStream.from([body]) };
};

async function bytesOf({ body = new Uint8Array() }: RegistryRequest): Promise<Buffer> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

/** Keeps what it is sent; `patch` decides how much of a chunk arrives. */
function registry(patch: (chunk: Buffer) => { kept: number; reply: Reply | undefined }) {
  let stored = Buffer.alloc(0);
  const methods: string[] = [];
  const place = () => {
    const range = { range: `0-${Math.max(0, stored.length - 1)}` };
    return { location: '/v2/b/blobs/uploads/1', ...range };
  };
  const answer = async (request: RegistryRequest): Promise<Reply> => {
    if (request.url.includes('/manifests/')) {
      return { status: request.method === 'PUT' ? 201 : 404 };
    }
    if (request.method === 'HEAD') return { status: 404 };
    methods.push(request.method);
    if (request.method === 'POST') {
      stored = Buffer.alloc(0);
      return { status: 202, headers: place() };
    }
    if (request.method === 'GET') return { status: 204, headers: place() };
    if (request.method === 'DELETE') return { status: 204 };
    const bytes = await bytesOf(request);
    if (request.method === 'PUT') {
      stored = Buffer.concat([stored, bytes]);
      return { status: 201 };
    }
    assert.ok(request.headers['content-range']?.startsWith(`${stored.length}-`));
    const { kept, reply } = patch(bytes);
    stored = Buffer.concat([stored, bytes.subarray(0, kept)]);
    if (reply === undefined) throw new TransshipError('RegistryUnreachable', 'cut');
    return reply.status === 202 ? { ...reply, headers: place() } : reply;
  };
  const transport: RegistryTransport = async (request) => {
    const { status, headers = {} } = await answer(request);
    return { status, headers, body: ReadableStream.from([]) };
  };
  return { transport, methods, stored: () => stored };
}

function copy(to: RegistryTransport) {
  return copyImage(instantPorts, {
    from: { image: 'from.example/a:1', transport: source },
    to: { image: 'to.example/b:1', transport: to },
    referrers: false,
  });
}

test('a cut chunk goes on where the registry stopped', async () => {
  let chunks = 0;
  const to = registry((chunk) => {
    chunks += 1;
    if (chunks === 1) return { kept: 1_000_000, reply: undefined };
    return { kept: chunk.length, reply: { status: 202 } };
  });
  const copied = await copy(to.transport);
  assert.ok(to.stored().equals(layer));
  assert.deepEqual(to.methods, ['POST', 'PATCH', 'GET', 'PATCH', 'PATCH', 'PUT']);
  assert.equal(copied.copiedBytes, layer.length);
});

test('a registry that takes no chunks gets the blob whole', async () => {
  const to = registry(() => ({ kept: 0, reply: { status: 405 } }));
  const copied = await copy(to.transport);
  assert.ok(to.stored().equals(layer));
  assert.equal(to.methods.filter((method) => method === 'PATCH').length, 1);
  assert.equal(copied.layersCopied, 1);
});
