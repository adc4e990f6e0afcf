/** The methods for foreign storage beside rsync through stunnel, and images beside skopeo. */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { copyImage } from '../../src/images/images.ts';
import { makeAuthority, ports, putImage, Registry } from '../../test/interop/images/registries.ts';
import {
  copyBlocks,
  packProgram,
  startFileMover,
  startPlainTunnel,
  writeCertificates,
} from '../movers.ts';
import type { Bench, Measured, Section } from '../row.ts';
import { interleave, ratios } from '../stats.ts';

const MiB = 2 ** 20;
const asOurs = ['-a', '-H', '-A', '-X', '-S', '--numeric-ids', '--delete', '--partial'];

/** Files of this machine, about as many bytes as asked for. */
async function makeTree(bench: Bench, directory: string): Promise<void> {
  const image = await bench.images.first();
  const mount = join(directory, 'mount');
  fs.mkdirSync(mount);
  const { programs } = bench;
  await programs.run('mount', ['-o', 'loop,ro,noload', image.path, mount]);
  try {
    await programs.run('cp', ['-a', `${mount}/.`, join(directory, 'source')]);
  } finally {
    await programs.run('umount', [mount]);
  }
}

/** Never through a link: the recursive listing of Node 24 goes round one that leads upwards. */
function* filesBelow(directory: string): Generator<string> {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}

/** Every hundredth file gets another end, some are new: what a day may do. */
function change(source: string, round: number): void {
  let seen = 0;
  for (const path of filesBelow(source)) {
    seen += 1;
    if (seen % 100 === round % 100) fs.appendFileSync(path, randomBytes(4096));
  }
  fs.writeFileSync(join(source, `new-${round}`), randomBytes(MiB));
}

async function files(bench: Bench, program: string): Promise<readonly Measured[]> {
  const { programs } = bench;
  const directory = join(bench.directory, 'movers-files');
  fs.mkdirSync(directory);
  writeCertificates(directory);
  await makeTree(bench, directory);
  const source = join(directory, 'source');
  const at = { ours: join(directory, 'ours'), plain: join(directory, 'plain') };
  for (const path of Object.values(at)) fs.mkdirSync(path);
  await using mover = await startFileMover(programs, { program, directory }, at.ours);
  await using plain = await startPlainTunnel(programs, directory, at.plain);
  const first = await interleave(bench.rounds('dear'), {
    ours: async () => {
      empty(at.ours);
      await settle(bench, directory);
      return mover.copy(source, 'Stage');
    },
    plain: async () => {
      empty(at.plain);
      await settle(bench, directory);
      return plain.rsync(asOurs, `${source}/`);
    },
  });
  const changed = oncePerRound((round) => change(source, round));
  const again = await interleave(bench.rounds('dear'), {
    ours: async (round) => {
      changed(round);
      return mover.copy(source, 'Stage');
    },
    plain: async (round) => {
      changed(round);
      return plain.rsync(asOurs, `${source}/`);
    },
  });
  const audited = await interleave(bench.rounds('dear'), {
    ours: async () => mover.copy(source, 'Final'),
    plain: async () => plain.rsync([...asOurs, '--checksum'], `${source}/`),
  });
  for (const copy of Object.values(at)) {
    await programs.run('diff', [
      '--recursive',
      '--no-dereference',
      '--exclude=lost+found',
      source,
      copy,
    ]);
  }
  return [row('files-first', first), row('files-again', again), row('files-audited', audited)];
}

function empty(path: string): void {
  for (const name of fs.readdirSync(path)) {
    fs.rmSync(join(path, name), { recursive: true, force: true });
  }
}

/** Neither makes files durable; what is left of one turn is not to weigh on the next. */
async function settle({ programs }: Bench, directory: string): Promise<void> {
  await programs.run('sync', ['--file-system', directory]);
}

/** Whoever comes first in a round changes the source: both copy the same difference. */
function oncePerRound(change: (round: number) => void): (round: number) => void {
  let last = -1;
  return (round) => {
    if (round !== last) change(round);
    last = round;
  };
}

interface Times {
  readonly ours: readonly number[];
  readonly plain: readonly number[];
}

function row(name: string, { ours, plain }: Times, peer = 'rsync in stunnel'): Measured {
  return {
    row: name,
    ours: { name: 'transship', unit: 's', values: ours },
    peers: [{ name: peer, unit: 's', values: plain }],
    checks: [{ what: 'time to the other', values: ratios(ours, plain) }],
  };
}

async function blocks(bench: Bench, program: string): Promise<readonly Measured[]> {
  const { programs } = bench;
  const directory = join(bench.directory, 'movers-blocks');
  fs.mkdirSync(directory);
  writeCertificates(directory);
  const bytes = (bench.quick ? 128 : 512) * MiB;
  const from = join(directory, 'disk.raw');
  for (let left = bytes; left > 0; left -= 16 * MiB) {
    fs.appendFileSync(from, randomBytes(16 * MiB));
  }
  const to = join(directory, 'ours.raw');
  const plainTo = join(directory, 'plain');
  fs.mkdirSync(plainTo);
  await using plain = await startPlainTunnel(programs, directory, plainTo);
  const fresh = (path: string) => {
    fs.writeFileSync(path, '');
    fs.truncateSync(path, bytes);
  };
  const proven = async (copy: string, seconds: number) => {
    await programs.run('cmp', [from, copy]);
    return seconds;
  };
  const place = { program, directory };
  const ourCopy = async () => proven(to, await copyBlocks(programs, place, { from, to }));
  // Else the same size alone would be enough for it to copy nothing.
  const plainFlags = ['--inplace', '--ignore-times', '--fsync'];
  const plainCopy = async (how: string) => {
    const seconds = await plain.rsync([...plainFlags, how], from);
    return proven(join(plainTo, 'disk.raw'), seconds);
  };
  const first = await interleave(bench.rounds('dear'), {
    ours: async () => {
      fresh(to);
      await settle(bench, directory);
      return ourCopy();
    },
    plain: async () => {
      fs.rmSync(join(plainTo, 'disk.raw'), { force: true });
      await settle(bench, directory);
      return plainCopy('--whole-file');
    },
  });
  const changed = oncePerRound(() => {
    const file = fs.openSync(from, 'r+');
    for (let at = 0; at < bytes; at += 100 * 64 * 1024) {
      fs.writeSync(file, randomBytes(4096), 0, 4096, at);
    }
    fs.closeSync(file);
  });
  const again = await interleave(bench.rounds('dear'), {
    ours: async (round) => {
      changed(round);
      return ourCopy();
    },
    plain: async (round) => {
      changed(round);
      return plainCopy('--no-whole-file');
    },
  });
  return [row('blocks-first', first), row('blocks-again', again)];
}

async function images(bench: Bench): Promise<readonly Measured[]> {
  const directory = join(bench.directory, 'movers-images');
  fs.mkdirSync(directory);
  const authority = await makeAuthority(directory);
  const trust = join(directory, 'trust');
  fs.mkdirSync(trust);
  fs.copyFileSync(authority.file, join(trust, 'ca.crt'));
  await using from = await Registry.start(join(directory, 'from'), authority);
  await putImage(from, 'bench/app', randomBytes((bench.quick ? 64 : 256) * MiB));
  const times = await interleave(bench.rounds('dear'), {
    ours: async (round) => {
      await using to = await Registry.start(join(directory, `ours-${round}`), authority);
      const started = performance.now();
      await copyImage(ports, {
        from: from.end('bench/app:1.0'),
        to: to.end('bench/app:1.0'),
        referrers: false,
      });
      return (performance.now() - started) / 1000;
    },
    plain: async (round) => {
      await using to = await Registry.start(join(directory, `plain-${round}`), authority);
      const url = (port: number) => `docker://127.0.0.1:${port}/bench/app:1.0`;
      const certificates = ['--src-cert-dir', trust, '--dest-cert-dir', trust];
      const args = ['copy', '--all', '--preserve-digests', ...certificates];
      const policy = ['--insecure-policy'];
      const all = [...policy, ...args, url(from.port), url(to.port)];
      return (await bench.programs.run('skopeo', all)).seconds;
    },
  });
  fs.rmSync(directory, { recursive: true, force: true });
  return [row('images', times, 'skopeo copy')];
}

export const moverSection: Section = {
  name: 'movers',
  rows: ['files-first', 'files-again', 'files-audited', 'blocks-first', 'blocks-again', 'images'],
  needs: ['rsync', 'stunnel', 'skopeo', 'docker-registry', 'openssl', 'mkfs.ext4'],
  run: async (bench) => {
    const program = packProgram(bench.directory);
    return [
      ...(await files(bench, program)),
      ...(await blocks(bench, program)),
      ...(await images(bench)),
    ];
  },
};
