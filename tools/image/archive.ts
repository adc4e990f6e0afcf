/** A directory as an image archive: an OCI image layout in a tar, as ctr and skopeo take it. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

export interface ImageOptions {
  /** As manifests name it: `NAME:TAG`, or with a registry in front. */
  readonly name: string;
  /** What becomes its only layer. Owners and modes are kept, times are not. */
  readonly rootDirectory: string;
  /** The archive to write; replaced whole. */
  readonly output: string;
  readonly entrypoint: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** `UID:GID`; root if absent. */
  readonly user?: string;
}

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
} as const;

/** Go's names. */
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** The same files give the same archive. */
export async function writeImage(options: ImageOptions): Promise<void> {
  mkdirSync(dirname(options.output), { recursive: true });
  const layout = mkdtempSync(`${options.output}.`);
  try {
    const blobs = join(layout, 'blobs/sha256');
    mkdirSync(blobs, { recursive: true });
    const layer = await addLayer(blobs, options.rootDirectory);
    const config = addJson(blobs, types.config, configOf(options, layer.digest));
    const manifest = addJson(blobs, types.manifest, {
      schemaVersion: 2,
      mediaType: types.manifest,
      config,
      layers: [layer],
    });
    const full = fullName(options.name);
    const annotations = {
      'io.containerd.image.name': full,
      'org.opencontainers.image.ref.name': full,
    };
    const index = {
      schemaVersion: 2,
      mediaType: types.index,
      manifests: [{ ...manifest, annotations }],
    };
    writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
    writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    tar(layout, `${layout}.tar`);
    renameSync(`${layout}.tar`, options.output);
  } finally {
    rmSync(layout, { recursive: true, force: true });
    rmSync(`${layout}.tar`, { force: true });
  }
}

function configOf(options: ImageOptions, layerDigest: string): object {
  const { entrypoint, command, environment = {}, user } = options;
  return {
    architecture: architectures[process.arch] ?? process.arch,
    os: 'linux',
    config: {
      Entrypoint: entrypoint,
      ...(command === undefined ? {} : { Cmd: command }),
      ...(user === undefined ? {} : { User: user }),
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      WorkingDir: '/',
    },
    rootfs: { type: 'layers', diff_ids: [layerDigest] },
    history: [{ created_by: 'tools/image' }],
  };
}

async function addLayer(blobs: string, rootDirectory: string): Promise<Descriptor> {
  const file = join(blobs, 'layer');
  tar(rootDirectory, file);
  const hash = createHash('sha256');
  for await (const part of createReadStream(file)) hash.update(part as Buffer);
  const hex = hash.digest('hex');
  const { size } = statSync(file);
  renameSync(file, join(blobs, hex));
  return { mediaType: types.layer, digest: `sha256:${hex}`, size };
}

function addJson(blobs: string, mediaType: string, value: object): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value));
  const hex = createHash('sha256').update(bytes).digest('hex');
  writeFileSync(join(blobs, hex), bytes);
  return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
}

function tar(directory: string, output: string): void {
  const order = ['--sort=name', '--mtime=@0', '--numeric-owner', '--format=posix'];
  // Times of access and change would make every archive another one.
  const times = '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime';
  execFileSync('tar', [...order, times, '--create', '--file', output, '-C', directory, '.']);
}

/** As container runtimes store names that have no registry. */
function fullName(name: string): string {
  const first = name.split('/')[0] ?? '';
  if (name.includes('/') && /[.:]|^localhost$/.test(first)) return name;
  return name.includes('/') ? `docker.io/${name}` : `docker.io/library/${name}`;
}
