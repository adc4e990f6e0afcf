// Real registries with TLS on loopback, and images made by hand.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as net from 'node:net';
import { join } from 'node:path';
import { createClock } from '../../../src/host/clock.ts';
import { createRandom } from '../../../src/host/random.ts';
import { openRegistryTransport } from '../../../src/host/registry-transport.ts';
import { readDockerConfig, type ImageEnd } from '../../../src/images/images.ts';
import { must, scratch } from '../tools.ts';

export const ports = { clock: createClock(), random: createRandom() };

export interface Authority {
  readonly file: string;
  readonly text: string;
}

/** One certificate for 127.0.0.1 that is its own authority. */
export async function makeAuthority(directory: string): Promise<Authority> {
  const file = join(directory, 'ca.crt');
  const key = join(directory, 'ca.pem');
  const names = ['-subj', '/CN=registries', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  await must('openssl', 'req', ...kind, '-days', '2', '-keyout', key, '-out', file, ...names);
  return { file, text: readFileSync(file, 'utf8') };
}

export class Registry implements AsyncDisposable {
  readonly port: number;
  readonly secret: { readonly user: string; readonly password: string } | undefined;
  readonly #child: ChildProcess;
  readonly #authority: Authority;
  readonly #closers: (() => void)[] = [];

  private constructor(port: number, child: ChildProcess, authority: Authority, isSecret: boolean) {
    this.port = port;
    this.#child = child;
    this.#authority = authority;
    this.secret = isSecret ? { user: 'mover', password: 'open sesame' } : undefined;
  }

  static async start(
    directory: string,
    authority: Authority,
    options: { readonly isSecret?: boolean } = {},
  ): Promise<Registry> {
    const isSecret = options.isSecret === true;
    mkdirSync(directory, { recursive: true });
    const users = join(directory, 'htpasswd');
    const port = await freePort();
    if (isSecret) writeFileSync(users, await must('htpasswd', '-nbB', 'mover', 'open sesame'));
    const config = {
      version: '0.1',
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: join(directory, 'data') } },
      http: {
        addr: `127.0.0.1:${port}`,
        secret: 'of this test',
        tls: { certificate: authority.file, key: authority.file.replace('.crt', '.pem') },
      },
      validation: { manifests: { urls: { allow: ['^https://'] } } },
      ...(isSecret && { auth: { htpasswd: { realm: 'test', path: users } } }),
    };
    const file = join(directory, 'config.yml');
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(config));
    const child = spawn('docker-registry', ['serve', file], { stdio: 'ignore' });
    const registry = new Registry(port, child, authority, isSecret);
    await registry.#answers();
    return registry;
  }

  end(repository: string, port: number = this.port): ImageEnd {
    const opened = openRegistryTransport({ ca: this.#authority.text });
    this.#closers.push(() => opened.close());
    const host = `127.0.0.1:${port}`;
    const { user = '', password = '' } = this.secret ?? {};
    const auth = Buffer.from(`${user}:${password}`).toString('base64');
    const credentials = readDockerConfig(JSON.stringify({ auths: { [host]: { auth } } }));
    return {
      image: `${host}/${repository}`,
      transport: opened.transport,
      ...(this.secret !== undefined && { credentials }),
    };
  }

  async call(
    method: 'GET' | 'HEAD' | 'POST' | 'PUT',
    path: string,
    body?: Uint8Array,
    type = 'application/octet-stream',
  ): Promise<{ status: number; headers: Readonly<Record<string, string>>; bytes: Buffer }> {
    const { transport } = this.end('any');
    const { user, password } = this.secret ?? {};
    const auth = Buffer.from(`${user}:${password}`).toString('base64');
    const url = path.startsWith('https:') ? path : `https://127.0.0.1:${this.port}/v2/${path}`;
    const {
      status,
      headers,
      body: answer,
    } = await transport({
      method,
      url,
      headers: {
        accept:
          'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json',
        'content-type': type,
        'content-length': String(body?.length ?? 0),
        ...(user !== undefined && { authorization: `Basic ${auth}` }),
      },
      ...(body !== undefined && { body }),
    });
    const parts: Uint8Array[] = [];
    for await (const part of answer) parts.push(part);
    return { status, headers, bytes: Buffer.concat(parts) };
  }

  async #answers(): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        await this.call('GET', '');
        return;
      } catch (error) {
        if (Date.now() > deadline || this.#child.exitCode !== null) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closers) close();
    if (this.#child.exitCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Two empty ones that one authority vouches for, in a directory that goes with them. */
export interface TwoRegistries extends AsyncDisposable {
  readonly path: string;
  readonly authority: Authority;
  readonly a: Registry;
  readonly b: Registry;
}

/** `secret`: those that ask who comes. */
export async function twoRegistries(...secret: readonly ('a' | 'b')[]): Promise<TwoRegistries> {
  const place = scratch();
  const authority = await makeAuthority(place.path);
  const start = (name: 'a' | 'b') => {
    const isSecret = secret.includes(name);
    return Registry.start(join(place.path, name), authority, { isSecret });
  };
  const [a, b] = [await start('a'), await start('b')];
  return {
    path: place.path,
    authority,
    a,
    b,
    [Symbol.asyncDispose]: async () => {
      await b[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
      place[Symbol.dispose]();
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

export interface Entry {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const oci = 'application/vnd.oci.image';

export const sha = (bytes: Uint8Array): string =>
  `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

export async function putBlob(to: Registry, name: string, bytes: Uint8Array): Promise<Entry> {
  const begun = await to.call('POST', `${name}/blobs/uploads/`, new Uint8Array());
  const url = new URL(begun.headers['location'] ?? '');
  const digest = sha(bytes);
  url.searchParams.set('digest', digest);
  const { status } = await to.call('PUT', url.href, bytes);
  if (status !== 201) throw new Error(`blob: HTTP ${status}`);
  return { mediaType: `${oci}.layer.v1.tar`, digest, size: bytes.length };
}

export async function putManifest(
  to: Registry,
  place: { readonly name: string; readonly tag?: string },
  fields: { readonly mediaType: string } & Record<string, unknown>,
): Promise<Entry> {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, ...fields }));
  const digest = sha(bytes);
  const path = `${place.name}/manifests/${place.tag ?? digest}`;
  const { status, bytes: said } = await to.call('PUT', path, bytes, fields.mediaType);
  if (status !== 201) throw new Error(`manifest: HTTP ${status} ${said.toString()}`);
  return { mediaType: fields.mediaType, digest, size: bytes.length };
}

/** Two platforms that share a layer, a referrer, and a signature as cosign stores it. */
export async function putImage(
  to: Registry,
  name: string,
  layer: Uint8Array,
): Promise<{ readonly digest: string; readonly layers: number; readonly bytes: number }> {
  const shared = await putBlob(to, name, layer);
  const children: (Entry & { platform: unknown })[] = [];
  let bytes = layer.length;
  for (const architecture of ['amd64', 'arm64']) {
    const own = await putBlob(to, name, Buffer.from(`layer of ${architecture}`));
    const diffIds = [shared.digest, own.digest];
    const document = { architecture, os: 'linux', rootfs: { type: 'layers', diff_ids: diffIds } };
    const stored = await putBlob(to, name, Buffer.from(JSON.stringify(document)));
    bytes += own.size + stored.size;
    const config = { ...stored, mediaType: `${oci}.config.v1+json` };
    const mediaType = `${oci}.manifest.v1+json`;
    const entry = await putManifest(to, { name }, { mediaType, config, layers: [shared, own] });
    children.push({ ...entry, platform: { architecture, os: 'linux' } });
  }
  const index = { mediaType: `${oci}.index.v1+json`, manifests: children };
  const root = await putManifest(to, { name, tag: '1.0' }, index);
  const empty = await putBlob(to, name, Buffer.from('{}'));
  const note = await putBlob(to, name, Buffer.from('signed, sealed'));
  const attached = {
    mediaType: `${oci}.manifest.v1+json`,
    config: { ...empty, mediaType: 'application/vnd.oci.empty.v1+json' },
    layers: [note],
  };
  const tag = root.digest.replace(':', '-');
  await putManifest(to, { name, tag: `${tag}.sig` }, attached);
  const referrer = { ...attached, artifactType: 'application/x-test', subject: root };
  const kept = await putManifest(to, { name }, referrer);
  const list = { mediaType: `${oci}.index.v1+json`, manifests: [kept] };
  await putManifest(to, { name, tag }, list);
  return { digest: root.digest, layers: 7, bytes: bytes + empty.size + note.size };
}
