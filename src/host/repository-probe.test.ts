import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { createRepositoryProbe } from './repository-probe.ts';
import { signedHeadersOf } from './signature-v4.ts';

const key = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
};
const publishedMs = Date.UTC(2013, 4, 24);
const nowMs = Date.UTC(2026, 0, 1);
const clock = {
  wallMs: () => nowMs,
  monotonicMs: () => 0,
  after: () => ({ cancel: () => undefined }),
};
const random = {
  bytes: (count: number) => new Uint8Array(count).map((_, i) => i * 7),
  fraction: () => 0.5,
};
const probe = createRepositoryProbe(clock, random);

test('signatures are those of the published examples', () => {
  const host = 'examplebucket.s3.amazonaws.com';
  const bare = { method: 'GET', host, path: '/', body: new Uint8Array() };
  const lifecycle = signedHeadersOf({ ...bare, query: { lifecycle: '' } }, key, publishedMs);
  assert.match(
    lifecycle['authorization'] ?? '',
    /Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543$/,
  );
  const listing = { ...bare, query: { prefix: 'J', 'max-keys': '2' } };
  assert.match(
    signedHeadersOf(listing, key, publishedMs)['authorization'] ?? '',
    /Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/,
  );
});

test('a directory is written to, read back, counted and left as it was', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'transship-probe-'));
  try {
    await mkdir(join(directory, 'deep'));
    await writeFile(join(directory, 'deep', 'one'), 'x'.repeat(100));
    await writeFile(join(directory, 'two'), 'y'.repeat(11));
    assert.deepEqual(await probe.probe({ directory }), { bytes: 111, objects: 2 });
    assert.deepEqual((await readdir(directory)).toSorted(), ['deep', 'two']);
    const file = { directory: join(directory, 'two') };
    await assert.rejects(() => probe.probe(file), { reason: 'BadArgument' });
    await assert.rejects(() => probe.probe({ directory: 'two' }), { reason: 'BadArgument' });
    await chmod(directory, 0o500);
    if (process.getuid?.() !== 0) {
      await assert.rejects(() => probe.probe({ directory }), { reason: 'Forbidden' });
    }
    await chmod(directory, 0o700);
  } finally {
    await rm(directory, { recursive: true });
  }
});

/** From what came over the wire, as a store does it. */
function isSigned(request: IncomingMessage, body: Buffer): boolean {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const digest = createHash('sha256').update(body).digest('hex');
  const names = ['host', 'x-amz-content-sha256', 'x-amz-date'];
  const lines = names.map((name) => `${name}:${String(request.headers[name])}\n`).join('');
  const sorted = query.split('&').toSorted().join('&');
  const canonical = [request.method, path, sorted, lines, names.join(';'), digest].join('\n');
  const hash = createHash('sha256').update(canonical).digest('hex');
  const date = String(request.headers['x-amz-date']);
  const scope = `${date.slice(0, 8)}/us-east-1/s3/aws4_request`;
  let secret: Buffer = Buffer.from(`AWS4${key.secretAccessKey}`);
  for (const part of scope.split('/')) secret = createHmac('sha256', secret).update(part).digest();
  const toSign = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${hash}`;
  const signature = createHmac('sha256', secret).update(toSign).digest('hex');
  const { authorization = '', 'x-amz-content-sha256': told } = request.headers;
  return told === digest && authorization.endsWith(`Signature=${signature}`);
}

/** Objects by path, behind a check of the signature that shares no code with the one that signs. */
class Store {
  readonly objects = new Map<string, Buffer>();
  readonly asked: string[] = [];
  pageMax = 2;
  refusal: { status: number; code: string } | undefined;

  answer(request: IncomingMessage, body: Buffer): { status: number; text: string | Buffer } {
    const url = new URL(request.url ?? '', 'http://store');
    this.asked.push(`${request.method} ${url.pathname}`);
    if (!isSigned(request, body)) return { status: 403, text: error('SignatureDoesNotMatch') };
    if (this.refusal !== undefined) {
      return { status: this.refusal.status, text: error(this.refusal.code) };
    }
    const name = decodeURIComponent(url.pathname);
    if (url.searchParams.get('list-type') === '2') return this.#list(url);
    if (request.method === 'PUT') this.objects.set(name, body);
    if (request.method === 'DELETE') this.objects.delete(name);
    const found = this.objects.get(name);
    if (request.method !== 'GET') return { status: 200, text: '' };
    return found === undefined ? { status: 404, text: '' } : { status: 200, text: found };
  }

  #list(url: URL): { status: number; text: string } {
    const prefix = `${url.pathname.replace(/\/$/, '')}/${url.searchParams.get('prefix') ?? ''}`;
    const names = [...this.objects.keys()].filter((name) => name.startsWith(prefix)).toSorted();
    const from = Number(url.searchParams.get('continuation-token')?.slice(2) ?? '0');
    const page = names.slice(from, from + this.pageMax);
    const isMore = from + this.pageMax < names.length;
    const items = page.map((name) => {
      const { length } = this.objects.get(name)!;
      return `<Contents><Key>${name}</Key><Size>${length}</Size></Contents>`;
    });
    const token = `&lt;&amp;${from + this.pageMax}`;
    const next = `<NextContinuationToken>${token}</NextContinuationToken>`;
    const end = `<IsTruncated>${isMore}</IsTruncated>${isMore ? next : ''}`;
    return { status: 200, text: `<ListBucketResult>${items.join('')}${end}</ListBucketResult>` };
  }
}

function error(code: string): string {
  return `<Error><Code>${code}</Code><Message>no</Message></Error>`;
}

suite('an object store', () => {
  const store = new Store();
  let server: Server;
  let endpoint = '';
  before(async () => {
    server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const { status, text } = store.answer(request, Buffer.concat(parts));
        response.writeHead(status).end(text);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  const place = () => {
    return { ...key, endpoint, bucket: 'backups', prefix: 'a b/', forcePathStyle: true };
  };

  test('is written to, read back, counted page by page and left as it was', async () => {
    for (const [at, size] of [5, 6, 7, 8, 9].entries()) {
      store.objects.set(`/backups/a b/${at}`, Buffer.alloc(size));
    }
    store.objects.set('/backups/other', Buffer.alloc(1000));
    assert.deepEqual(await probe.probe(place()), { bytes: 35, objects: 5 });
    assert.equal(store.objects.size, 6);
  });

  test('says in one word why it cannot be used, and never shows a key', async () => {
    const cases = [
      [403, 'AccessDenied', 'Forbidden'],
      [403, 'InvalidAccessKeyId', 'Unauthorized'],
      [404, 'NoSuchBucket', 'NotFound'],
      [503, 'SlowDown', 'TooManyRequests'],
      [500, 'InternalError', 'RepositoryUnreachable'],
    ] as const;
    for (const [status, code, reason] of cases) {
      store.refusal = { status, code };
      await assert.rejects(
        () => probe.probe(place()),
        (thrown: Error & { reason: string }) => {
          assert.equal(thrown.reason, reason);
          assert.match(thrown.message, new RegExp(code));
          assert.ok(!thrown.message.includes(key.secretAccessKey));
          return true;
        },
      );
    }
    store.refusal = undefined;
  });

  test('is asked over https only, unless it is on this machine', async () => {
    const far = { ...place(), endpoint: 'http://s3.example.org' };
    await assert.rejects(() => probe.probe(far), { reason: 'BadArgument' });
    const closed = { ...place(), endpoint: 'http://127.0.0.1:1' };
    await assert.rejects(() => probe.probe(closed), { reason: 'RepositoryUnreachable' });
  });
});
