/** The image registry of a simulated cluster: stores what is whole, and knows what it names. */
import { createHash } from 'node:crypto';
import { TransshipError } from '../../src/base/errors.ts';
import type { RegistryDoor } from '../../src/controllers/ports.ts';
import type {
  RegistryRequest,
  RegistryResponse,
  RegistryTransport,
} from '../../src/images/images.ts';
import type { Life } from './control-life.ts';
import type { Troublemaker } from './move-trouble.ts';
import type { Rng } from './rng.ts';
import type { Scheduler } from './scheduler.ts';

const manifestType = 'application/vnd.oci.image.manifest.v1+json';

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly bytes?: Uint8Array;
}

interface Manifest {
  readonly type: string;
  readonly bytes: Uint8Array;
}

interface Listed {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string }[];
}

export class SimRegistry {
  /** Of all repositories: which may see which is no matter here. */
  readonly #blobs = new Map<string, Uint8Array>();
  /** By repository and tag or digest. */
  readonly #manifests = new Map<string, Manifest>();
  #uploads = 0;

  /** An image of one layer, as a person would push it. */
  push(repository: string, tag: string, content: string): void {
    const layer = this.#keep(Buffer.from(content));
    const config = this.#keep(Buffer.from(JSON.stringify({ made: content })));
    const document = { schemaVersion: 2, mediaType: manifestType, config, layers: [layer] };
    this.#name(repository, tag, manifestType, Buffer.from(JSON.stringify(document)));
  }

  /** Of the image with that tag; undefined: there is none, or something of it is missing. */
  digestOf(repository: string, tag: string): string | undefined {
    const found = this.#manifests.get(`${repository} ${tag}`);
    return found === undefined || !this.#isWhole(found.bytes) ? undefined : digestOf(found.bytes);
  }

  async answer(request: RegistryRequest): Promise<RegistryResponse> {
    const sent = await bytesOf(request.body);
    const { status, headers = {}, bytes = new Uint8Array() } = this.#handle(request, sent);
    return { status, headers, body: once(bytes) };
  }

  #handle({ method, url, headers }: RegistryRequest, sent: Uint8Array): Answer {
    const { pathname, searchParams } = new URL(url);
    const [, repository = '', what, name = ''] =
      /^\/v2\/(.+)\/(manifests|blobs\/uploads|blobs|referrers)\/(.*)$/.exec(pathname) ?? [];
    if (pathname === '/v2/') return { status: 200 };
    if (what === 'manifests' && method === 'PUT') {
      if (!this.#isWhole(sent)) return { status: 400 };
      const type = headers['content-type'] ?? manifestType;
      const digest = this.#name(repository, name, type, sent);
      return { status: 201, headers: { 'docker-content-digest': digest } };
    }
    if (what === 'blobs/uploads') return this.#upload(method, pathname, searchParams, sent);
    if (method !== 'GET' && method !== 'HEAD') return { status: 405 };
    const found = what === 'manifests' ? this.#manifests.get(`${repository} ${name}`) : undefined;
    if (found !== undefined) return shown(method, found.type, found.bytes);
    const blob = what === 'blobs' ? this.#blobs.get(name) : undefined;
    return blob === undefined ? { status: 404 } : shown(method, 'application/octet-stream', blob);
  }

  #upload(method: string, path: string, query: URLSearchParams, sent: Uint8Array): Answer {
    if (method === 'POST') {
      this.#uploads += 1;
      return { status: 202, headers: { location: `${path}${this.#uploads}` } };
    }
    if (method !== 'PUT') return { status: method === 'DELETE' ? 204 : 405 };
    if (query.get('digest') !== digestOf(sent)) return { status: 400 };
    this.#keep(sent);
    return { status: 201 };
  }

  #keep(bytes: Uint8Array) {
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType: 'application/octet-stream', digest, size: bytes.length };
  }

  #name(repository: string, name: string, type: string, bytes: Uint8Array): string {
    const digest = digestOf(bytes);
    for (const one of [name, digest]) this.#manifests.set(`${repository} ${one}`, { type, bytes });
    return digest;
  }

  #isWhole(manifest: Uint8Array): boolean {
    const { config, layers } = JSON.parse(Buffer.from(manifest).toString('utf8')) as Listed;
    return [config, ...layers].every(({ digest }) => this.#blobs.has(digest));
  }
}

function shown(method: string, type: string, bytes: Uint8Array): Answer {
  const headers = {
    'content-type': type,
    'content-length': String(bytes.length),
    'docker-content-digest': digestOf(bytes),
  };
  return { status: 200, headers, ...(method === 'HEAD' ? {} : { bytes }) };
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function bytesOf(body: RegistryRequest['body']): Promise<Uint8Array> {
  if (body === undefined || body instanceof Uint8Array) return body ?? new Uint8Array();
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export interface DoorOptions {
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  /** Of who asks. */
  readonly life: Life;
  readonly trouble: Troublemaker;
  readonly find: (host: string) => { readonly name: string; readonly registry: SimRegistry };
}

const slowestMs = 20;

/** The way of one process to all registries. */
export function registryDoor({ scheduler, rng, life, trouble, find }: DoorOptions): RegistryDoor {
  const transport: RegistryTransport = (request) =>
    new Promise((resolve, reject) => {
      if (!life.isAlive) return;
      const { name, registry } = find(new URL(request.url).host);
      const isChange = request.method !== 'GET' && request.method !== 'HEAD';
      const call = `${name} ${request.method} ${partOf(request.url)} of a registry`;
      const act = async () => {
        const answer = await registry.answer(request);
        if (isChange && trouble.effect()) throw new Error('its answer is lost');
        return answer;
      };
      const broken = (cause: unknown) => {
        const error = new TransshipError('RegistryUnreachable', `${call} broke`, { cause });
        life.enter(() => reject(error));
      };
      scheduler.at(slowestMs * rng.fraction(), call, () => {
        trouble
          .ask(call, 'RegistryUnreachable', act)
          .then((answer) => life.enter(() => resolve(answer)), broken);
      });
    });
  return { open: () => ({ transport, close: () => undefined }) };
}

function partOf(url: string): string {
  return /\/(manifests|blobs\/uploads|blobs|referrers)\//.exec(url)?.[1] ?? 'v2';
}
