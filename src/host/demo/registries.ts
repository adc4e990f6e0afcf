/** The image registry of a cluster of the demo: Debian's docker-registry with TLS on loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  createAuthority,
  issueCertificate,
  type KeyAndCertificate,
} from '../control-plane/certificates.ts';
import { findTool, mustRunTool } from '../run-tool.ts';
import { freePort } from './relay.ts';

const dayMs = 24 * 3600 * 1000;
const address = '127.0.0.1';

export interface DemoRegistry {
  /** Host and port, as pods name it. */
  readonly host: string;
  readonly authorityPem: string;
  /** Copies an image in: its digest. */
  push(name: string): Promise<string>;
  /** The digest that a name has there. */
  digestOf(name: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startRegistry(directory: string): Promise<DemoRegistry> {
  fs.mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const nowMs = Date.now();
  const authority = createAuthority('registry', nowMs);
  const identity = issueCertificate(
    { ...authority, commonName: 'registry' },
    {
      commonName: address,
      use: 'server',
      hosts: [address],
      nowMs,
      validMs: dayMs,
    },
  );
  const child = spawn(
    findTool('docker-registry'),
    ['serve', configured(directory, port, identity)],
    {
      stdio: 'ignore',
    },
  );
  const trust = path.join(directory, 'trust');
  fs.mkdirSync(trust);
  fs.writeFileSync(path.join(trust, 'ca.crt'), authority.certificate);
  const host = `${address}:${port}`;
  const inspect = async (name: string): Promise<string> => {
    const args = ['inspect', '--format', '{{.Digest}}', '--cert-dir', trust];
    return (await mustRunTool('skopeo', ...args, `docker://${host}/${name}`)).trim();
  };
  return {
    host,
    authorityPem: authority.certificate,
    push: async (name) => {
      const layout = writeLayout(path.join(directory, 'layout'));
      const args = ['--insecure-policy', 'copy', '--preserve-digests', '--dest-cert-dir', trust];
      // The registry may still be starting.
      const to = `docker://${host}/${name}`;
      await mustRunTool('skopeo', ...args, '--retry-times', '5', layout, to);
      return inspect(name);
    },
    digestOf: inspect,
    stop: () => stopped(child),
  };
}

function configured(directory: string, port: number, identity: KeyAndCertificate): string {
  const file = (name: string, text: string) => {
    const at = path.join(directory, name);
    fs.writeFileSync(at, text, { mode: 0o600 });
    return at;
  };
  const tls = {
    certificate: file('tls.crt', identity.certificate),
    key: file('tls.key', identity.key),
  };
  const config = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: path.join(directory, 'data') } },
    http: { addr: `${address}:${port}`, secret: 'of this demo', tls },
  };
  // JSON is YAML.
  return file('config.yml', JSON.stringify(config));
}

/** An image of one layer with one file, as an OCI layout (image-spec 1.1, image-layout.md). */
function writeLayout(directory: string): string {
  const blobs = path.join(directory, 'blobs/sha256');
  fs.mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer, mediaType: string) => {
    const digest = createHash('sha256').update(bytes).digest('hex');
    fs.writeFileSync(path.join(blobs, digest), bytes);
    return { mediaType, digest: `sha256:${digest}`, size: bytes.length };
  };
  const json = (value: object, mediaType: string) =>
    put(Buffer.from(JSON.stringify(value)), mediaType);
  const oci = 'application/vnd.oci.image';
  // Two empty blocks are an empty archive; the noise behind gives the copy something to carry.
  const tar = Buffer.concat([Buffer.alloc(1024), Buffer.alloc(4 * 2 ** 20, 'transship')]);
  const layer = put(gzipSync(tar), `${oci}.layer.v1.tar+gzip`);
  const diff = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
  const platform = { architecture: 'amd64', os: 'linux' };
  const rootfs = { type: 'layers', diff_ids: [diff] };
  const config = json({ ...platform, rootfs }, `${oci}.config.v1+json`);
  const manifest = json(
    { schemaVersion: 2, mediaType: `${oci}.manifest.v1+json`, config, layers: [layer] },
    `${oci}.manifest.v1+json`,
  );
  const index = { schemaVersion: 2, mediaType: `${oci}.index.v1+json`, manifests: [manifest] };
  fs.writeFileSync(path.join(directory, 'index.json'), JSON.stringify(index));
  fs.writeFileSync(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return `oci:${directory}`;
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
}
