// Our image, built from this checkout and run by a container runtime as a pod would run it.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage, entrypoint, obstacleTo, user, versionOf } from '../../../tools/image/build.ts';
import { makeRoot, recipes } from '../../../tools/image/root.ts';
import { missing, must, run, scratch } from '../tools.ts';

const reason =
  process.getuid?.() === 0
    ? missing('runc', 'tar', 'ldd') || (obstacleTo(['transship', 'transship-mover']) ?? false)
    : 'containers need root';

interface Unpacked {
  readonly root: string;
  readonly entrypoint: readonly string[];
  readonly environment: readonly string[];
  readonly user: string;
}

interface ImageConfig {
  readonly config: {
    readonly Entrypoint: readonly string[];
    readonly Env: readonly string[];
    readonly User: string;
  };
}

/** As a runtime does it: by the digests in the archive, from its index on. */
async function unpack(archive: string, directory: string): Promise<Unpacked> {
  const layout = join(directory, 'layout');
  const root = join(directory, 'root');
  for (const one of [layout, root]) mkdirSync(one, { recursive: true });
  await must('tar', '-xf', archive, '-C', layout);
  const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
  const json = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as never;
  const index: { manifests: { digest: string }[] } = json(join(layout, 'index.json'));
  const manifest: { config: { digest: string }; layers: { digest: string }[] } = json(
    blob(index.manifests[0]!.digest),
  );
  for (const { digest } of manifest.layers) await must('tar', '-xf', blob(digest), '-C', root);
  const { config }: ImageConfig = json(blob(manifest.config.digest));
  return { root, entrypoint: config.Entrypoint, environment: config.Env, user: config.User };
}

/** A container as restricted pods are: no rights, nothing to write but /tmp. */
async function runIn(image: Unpacked, directory: string, words: readonly string[]) {
  const bundle = join(directory, 'bundle');
  rmSync(bundle, { recursive: true, force: true });
  mkdirSync(bundle, { recursive: true });
  await must('runc', 'spec', '--bundle', bundle);
  const path = join(bundle, 'config.json');
  const spec = JSON.parse(readFileSync(path, 'utf8')) as {
    process: object;
    root: object;
    mounts: object[];
    linux: { resources?: object };
  };
  const [uid, gid] = image.user.split(':').map(Number);
  const capabilities = { bounding: [], effective: [], permitted: [] };
  const args = words[0] === 'transship' ? [...image.entrypoint, ...words.slice(1)] : words;
  const process = { cwd: '/', env: image.environment, args, capabilities, noNewPrivileges: true };
  spec.process = { ...process, user: { uid, gid }, terminal: false };
  spec.root = { path: image.root, readonly: true };
  spec.mounts.push({ destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['mode=1777'] });
  // Control groups are not what is tried here, and not everybody may make them.
  delete spec.linux.resources;
  writeFileSync(path, JSON.stringify(spec));
  const name = `transship-image-${globalThis.process.pid}`;
  return run('runc', '--root', join(directory, 'runc'), 'run', '--bundle', bundle, name);
}

test('the image runs as nobody, with a root that it cannot write', { skip: reason }, async () => {
  using directory = scratch();
  const built = await buildImage(directory.path, 'transship');
  const image = await unpack(built.archive, directory.path);
  const version = await runIn(image, directory.path, ['transship', 'version']);
  assert.equal(version.stderr, '');
  assert.ok(version.stdout.includes(versionOf()), version.stdout);
  const byName = await runIn(image, directory.path, ['/usr/local/bin/transship', 'version']);
  assert.equal(byName.stderr, '');
  assert.equal(byName.stdout, version.stdout);
  assert.equal(image.user, '65532:65532');
  const written = await runIn(image, directory.path, ['sh', '-c', 'echo >/opt/x']);
  assert.notEqual(written.code, 0);
  assert.match(written.stderr, /Read-only file system/);
  for (const tool of ['nbdfuse', 'mkfs.ext4', 'mkfs.xfs', 'losetup', 'blkid', 'resize2fs']) {
    const said = await runIn(image, directory.path, [tool, '--version']);
    assert.doesNotMatch(said.stderr, /not found|cannot open shared object/, tool);
  }
});

test('the image of movers has what moves files', { skip: reason }, async () => {
  using directory = scratch();
  const root = join(directory.path, 'root');
  mkdirSync(root);
  // Without the archive, which the other one has shown.
  makeRoot(root, recipes['transship-mover']!);
  const image = { root, entrypoint, environment: ['PATH=/usr/local/bin:/usr/bin'], user };
  for (const words of [
    ['rsync', '--version'],
    ['stunnel4', '-version'],
    ['restic', 'version'],
  ]) {
    const said = await runIn(image, directory.path, words);
    assert.equal(said.code, 0, `${words[0]}: ${said.stderr}`);
  }
  const mover = await runIn(image, directory.path, ['transship', 'mover', '--help']);
  assert.equal(mover.code, 0, mover.stderr);
});
