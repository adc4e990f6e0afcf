/** A real image becomes a stored volume, beside programs that compress or store it on disk. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Image } from '../image.ts';
import { syncAll } from '../programs.ts';
import type { Bench, Measured, Section } from '../row.ts';
import { best, interleave, ratios } from '../stats.ts';

/** What `work` takes, and what the files take that it leaves; they are gone then. */
async function timed(
  directory: string,
  prepare: () => Promise<unknown>,
  work: () => Promise<unknown>,
): Promise<number> {
  fs.mkdirSync(directory);
  await prepare();
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  fs.rmSync(directory, { recursive: true, force: true });
  return seconds;
}

const nothing = async () => undefined;

const passwords = { RESTIC_PASSWORD: 'bench', BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes' };

/** Seconds of the others, each into a place that is new. */
function others(bench: Bench, path: string) {
  const { programs, directory } = bench;
  const env = { ...passwords, HOME: directory };
  const at = (name: string) => join(directory, `ingest-${name}`);
  return {
    zstd: () => {
      const out = join(at('zstd'), 'out.zst');
      return timed(at('zstd'), nothing, async () => {
        await programs.run('zstd', ['-1', '-T2', '-q', path, '-o', out]);
        syncAll(out);
      });
    },
    restic: () => {
      const restic = ['--repo', at('restic'), '--quiet', '--no-cache'];
      const init = [...restic, 'init', '--repository-version', '2'];
      return timed(
        at('restic'),
        () => programs.run('restic', init, { env }),
        () => programs.run('restic', [...restic, 'backup', path], { env }),
      );
    },
    borg: () => {
      const create = ['create', '--compression', 'zstd,1', `${at('borg')}::one`, path];
      return timed(
        at('borg'),
        () => programs.run('borg', ['init', '--encryption', 'none', at('borg')], { env }),
        () => programs.run('borg', create, { env }),
      );
    },
    casync: () => {
      const make = ['make', `--store=${at('casync')}/store`, `${at('casync')}/i.caibx`, path];
      return timed(at('casync'), nothing, async () => {
        await programs.run('casync', make);
        syncAll(at('casync'));
      });
    },
  };
}

interface Ours {
  readonly seconds: number;
  /** Of the same once more, per second. */
  readonly gigabytes: number;
}

async function oursOnce(bench: Bench, image: Image, round: number): Promise<Ours> {
  const agent = await bench.fleet.start(`ingest-${round}`);
  const started = performance.now();
  await agent.import('first', image.path);
  const ended = performance.now();
  const job = await agent.import('second', image.path);
  const milliseconds = performance.now() - ended;
  const bytes = Number(job.status.result?.['dataBytes'] ?? image.dataBytes);
  await agent.remove();
  return { seconds: (ended - started) / 1000, gigabytes: bytes / 1e6 / milliseconds };
}

async function run(bench: Bench): Promise<Measured[]> {
  const image = await bench.images.first();
  const ours: Ours[] = [];
  const results = await interleave(bench.rounds('dear'), {
    transship: async (round) => {
      const one = await oursOnce(bench, image, round);
      ours.push(one);
      return one.seconds;
    },
    ...others(bench, image.path),
  });
  const { transship, ...peers } = results;
  const { zstd, restic, borg, casync } = peers;
  const toZstd = ratios(zstd, transship);
  const toStores = ratios(best([restic, borg, casync], 'least'), transship);
  const again = ours.map(({ gigabytes }) => gigabytes);
  const there = { what: 'of data that is there', values: again, unit: 'GB/s' } as const;
  return [
    {
      row: 'ingest',
      ours: { name: 'transship', unit: 's', values: transship },
      peers: Object.entries(peers).map(([name, values]) => ({ name, unit: 's', values })),
      checks: [
        { what: 'speed to zstd', values: toZstd, goal: { sense: 'least', limit: 0.6 } },
        { what: 'speed to the best store', values: toStores, goal: { sense: 'least', limit: 2 } },
      ],
    },
    {
      row: 'ingest-duplicates',
      ours: { name: 'transship', unit: 'MB/s', values: again.map((rate) => rate * 1000) },
      peers: [],
      checks: [{ ...there, goal: { sense: 'least', limit: 1 } }],
    },
  ];
}

export const ingestSection: Section = {
  name: 'ingest',
  rows: ['ingest', 'ingest-duplicates'],
  needs: ['zstd', 'restic', 'borg', 'casync', 'mkfs.ext4'],
  run,
};
