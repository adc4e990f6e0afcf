/**
 * Builds deploy/Containerfile where no registry can be reached: on base images made here, of
 * Debian's packages (debootstrap) and the Node.js of this checkout.
 *   node tools/image/containerfile.ts [NAME...]    NAME: transship, transship-mover
 * As root, with Debian's buildah and debootstrap. Some minutes, most of them downloads. Images go
 * to buildah's own store, as localhost/NAME:VERSION; each is run once before it counts as built.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { user, versionOf } from './build.ts';

const root = join(import.meta.dirname, '../..');
const release = 'bookworm';
const bases = { debian: 'localhost/transship-debian', node: 'localhost/transship-node' };
const certificates = '/etc/ssl/certs/ca-certificates.crt';

interface Target {
  readonly stage: string;
  /** Words that must work in it, as its own user. */
  readonly probe: readonly string[];
}

const targets: Readonly<Record<string, Target>> = {
  transship: { stage: 'transship', probe: ['transship', 'version'] },
  'transship-mover': { stage: 'mover', probe: ['rsync', '--version'] },
};

function run(tool: string, ...words: readonly string[]): string {
  const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' };
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const ended = spawnSync(tool, words, { cwd: root, env, stdio: [...stdio], encoding: 'utf8' });
  if (ended.error !== undefined) throw new Error(`${tool}: ${ended.error.message}`);
  if (ended.status === 0) return ended.stdout.trim();
  throw new Error(
    `${tool} ${words.join(' ')}: exit ${ended.status}\n${ended.stdout.slice(-2_000)}`,
  );
}

/** Where apt of this machine gets Debian from. */
function mirror(): string {
  const path = '/etc/apt/sources.list.d/debian.sources';
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return /^URIs:\s*(\S+)/m.exec(text)?.[1] ?? 'http://deb.debian.org/debian';
}

function makeBase(name: string, from: string, fill: (container: string) => void): void {
  const container = run('buildah', 'from', from);
  try {
    fill(container);
    run('buildah', 'commit', '--quiet', container, name);
  } finally {
    run('buildah', 'rm', container);
  }
}

/** What this machine needs to reach its packages, a build needs, too. */
function makeBases(scratch: string): void {
  const directory = join(scratch, 'debian');
  run('debootstrap', '--variant=minbase', release, directory, mirror());
  const empty = join(scratch, 'empty');
  writeFileSync(empty, '');
  makeBase(bases.debian, 'scratch', (container) => {
    run('buildah', 'copy', '--quiet', container, directory, '/');
    const settings = '/etc/apt/apt.conf.d';
    run('buildah', 'copy', '--quiet', container, settings, settings);
    const sources = '/etc/apt/sources.list.d/debian.sources';
    if (!existsSync(sources)) return;
    run('buildah', 'copy', '--quiet', container, sources, sources);
    run('buildah', 'copy', '--quiet', container, empty, '/etc/apt/sources.list');
  });
  makeBase(bases.node, bases.debian, (container) => {
    run('buildah', 'copy', '--quiet', container, process.execPath, '/usr/local/bin/node');
    const npm = join(run('npm', 'root', '--global'), 'npm');
    run('buildah', 'copy', '--quiet', container, npm, '/usr/local/lib/node_modules/npm');
    const link = ['ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', '/usr/local/bin/npm'];
    run('buildah', 'run', container, '--', ...link);
    const settings = join(homedir(), '.npmrc');
    if (existsSync(settings)) {
      run('buildah', 'copy', '--quiet', container, settings, '/usr/local/etc/npmrc');
    }
    if (!existsSync(certificates)) return;
    run('buildah', 'copy', '--quiet', container, certificates, certificates);
    run('buildah', 'config', '--env', `NODE_EXTRA_CA_CERTS=${certificates}`, container);
  });
}

/** Fails unless the image runs, as the user that it is for. */
function build(name: string, { stage, probe }: Target): void {
  const full = `localhost/${name}:${versionOf()}`;
  const file = ['-f', 'deploy/Containerfile', '--target', stage, '--network', 'host'];
  const args = ['--build-arg', `NODE=${bases.node}`, '--build-arg', `DEBIAN=${bases.debian}`];
  run('buildah', 'build', ...file, ...args, '--tag', full, '.');
  const container = run('buildah', 'from', full);
  try {
    const [said = ''] = run('buildah', 'run', container, '--', ...probe).split('\n');
    const who = run('buildah', 'run', container, '--', 'sh', '-c', 'echo "$(id -u):$(id -g)"');
    if (who !== user) throw new Error(`${full} runs as ${who}, not as ${user}`);
    console.log(`${full}: ${said}`);
  } finally {
    run('buildah', 'rm', container);
  }
}

function main(words: readonly string[]): void {
  const names = words.length === 0 ? Object.keys(targets) : words;
  const unknown = names.find((name) => targets[name] === undefined);
  if (unknown !== undefined) {
    throw new Error(`there is no image ${unknown}, only ${Object.keys(targets).join(', ')}`);
  }
  const scratch = mkdtempSync(join(tmpdir(), 'transship-base-'));
  try {
    makeBases(scratch);
    for (const name of names) build(name, targets[name]!);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
