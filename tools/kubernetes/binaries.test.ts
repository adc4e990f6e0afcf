import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { ensureBinaries, findBinaries, type Surroundings } from './binaries.ts';
import { linkerFlags } from './compile.ts';
import { publishedAt, sumOf } from './download.ts';
import { cacheDirectory, type Program, readPins } from './pins.ts';

const platform = { os: 'linux', arch: 'amd64' };
const pins = readPins();

function scratch(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'ts-tools-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A machine without Go, and servers that have these files. */
function worldWith(t: TestContext, served: ReadonlyMap<string, Uint8Array | string>) {
  const asked: string[] = [];
  const said: string[] = [];
  const env: NodeJS.ProcessEnv = { XDG_CACHE_HOME: scratch(t) };
  const world: Surroundings = {
    env,
    platform,
    hasGo: () => false,
    say: (line) => said.push(line),
    fetch: (url) => {
      asked.push(url);
      const content = served.get(url);
      if (content === undefined) return Promise.resolve(new Response('', { status: 404 }));
      return Promise.resolve(new Response(Buffer.from(content)));
    },
  };
  return { world, asked, said, env, cache: cacheDirectory(pins, platform, env) };
}

const sha256 = (content: Uint8Array | string): string =>
  createHash('sha256').update(content).digest('hex');

/** A published program and its sum. */
function publish(program: Program, content: string, sum = sha256(content)): [string, string][] {
  const { url, sumUrl } = publishedAt(program, pins, platform);
  return [
    [url, content],
    [sumUrl, `${sum}\n`],
  ];
}

test('versions come from go.mod', () => {
  assert.match(pins.kubernetes, /^v1\.\d+\.\d+$/);
  assert.match(pins.etcd, /^v3\.\d+\.\d+$/);
  assert.throws(() => readPins('module x\n'), /requires no k8s.io\/kubernetes/);
  assert.match(linkerFlags({ kubernetes: 'v1.2.3', etcd: 'v3.0.0' }), /gitMinor=2 /);
});

test('KUBEBUILDER_ASSETS serves only if it has all that is asked for', (t) => {
  const { world, env } = worldWith(t, new Map());
  const assets = scratch(t);
  env['KUBEBUILDER_ASSETS'] = assets;
  writeFileSync(join(assets, 'etcd'), '', { mode: 0o755 });
  const etcd = findBinaries(['etcd'], world);
  assert.ok(etcd.available);
  assert.equal(etcd.source, 'KUBEBUILDER_ASSETS');
  assert.equal(etcd.path('etcd'), join(assets, 'etcd'));
  const both = findBinaries(['etcd', 'kubelet'], world);
  assert.ok(!both.available);
  assert.match(both.reason, /KUBEBUILDER_ASSETS has no kubelet/);
  assert.match(both.reason, /build\.ts etcd kubelet/);
});

test('without Go a program is downloaded, once, by two that want it at once', async (t) => {
  const { world, asked, cache } = worldWith(t, new Map(publish('kubelet', 'a program')));
  mkdirSync(join(cache, '.new-abandoned'), { recursive: true });
  const found = await Promise.all([
    ensureBinaries(['kubelet'], world),
    ensureBinaries(['kubelet'], world),
  ]);
  for (const one of found) {
    assert.ok(one.available);
    assert.equal(readFileSync(one.path('kubelet'), 'utf8'), 'a program');
  }
  assert.equal(asked.length, 2, 'one sum and one file');
  assert.deepEqual(
    readdirSync(cache).filter((name) => name.startsWith('.new-')),
    [],
  );
});

test('etcd comes out of its archive', async (t) => {
  const { url, sumUrl, member = '' } = publishedAt('etcd', pins, platform);
  const from = scratch(t);
  mkdirSync(join(from, member, '..'), { recursive: true });
  writeFileSync(join(from, member), 'a database');
  const packed = spawnSync('tar', ['-czf', '-', '-C', from, member]).stdout;
  const sums = `${sha256('other')}  other.tar.gz\n${sha256(packed)}  ${url.split('/').at(-1)}\n`;
  const served = new Map<string, Uint8Array | string>([
    [url, packed],
    [sumUrl, sums],
  ]);
  const found = await ensureBinaries(['etcd'], worldWith(t, served).world);
  assert.ok(found.available);
  assert.equal(readFileSync(found.path('etcd'), 'utf8'), 'a database');
});

test('a program with another SHA-256 is not taken', async (t) => {
  const served = new Map(publish('kubectl', 'tampered', sha256('original')));
  const { world, cache } = worldWith(t, served);
  const found = await ensureBinaries(['kubectl'], world);
  assert.ok(!found.available);
  assert.match(found.reason, /^kubectl: Go is not installed; .*SHA-256 is .*, should be /);
  assert.deepEqual(
    readdirSync(cache).filter((name) => !name.startsWith('.lock')),
    [],
  );
});

test('what nothing serves is not available, and the reason says why', async (t) => {
  const { world } = worldWith(t, new Map());
  const found = await ensureBinaries(['kube-scheduler'], world);
  assert.ok(!found.available);
  assert.match(found.reason, /^kube-scheduler: Go is not installed; https:.* answers 404$/);
});

test('sums are found in both forms they are published in', () => {
  const sum = 'a'.repeat(64);
  assert.equal(sumOf(`${sum}\n`, 'x'), sum);
  assert.equal(sumOf(`${'b'.repeat(64)}  y\n${sum} *x\n`, 'x'), sum);
  assert.equal(sumOf(`${sum}  y\n`, 'x'), undefined);
  assert.equal(sumOf('<html>', 'x'), undefined);
});
