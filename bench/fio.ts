/** Loads made by fio, and what it says about them. */
import type { Programs } from './programs.ts';

export interface Load {
  /** An NBD address, or the path of a file. */
  readonly target: { readonly uri: string } | { readonly file: string };
  readonly pattern: 'read' | 'write' | 'randread' | 'randwrite';
  readonly blockBytes: number;
  /** The part of the target that is touched. */
  readonly sizeBytes: number;
  readonly depth: number;
  /** For so long; else until `sizeBytes` or `amountBytes` are done. */
  readonly seconds?: number;
  readonly amountBytes?: number;
  readonly connections?: number;
  /** What is written must differ from what was written before, or it deduplicates. */
  readonly seed?: number;
  readonly more?: readonly string[];
}

export interface LoadResult {
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Of the whole process, start included. */
  readonly processSeconds: number;
}

interface Direction {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly clat_ns: { readonly percentile?: Readonly<Record<string, number>> };
}

interface Report {
  readonly jobs: readonly { readonly read: Direction; readonly write: Direction }[];
}

export async function fio(programs: Programs, load: Load): Promise<LoadResult> {
  const { seconds, output } = await programs.run('fio', argumentsOf(load));
  // Its NBD engine says hello on stdout, before the report.
  const report = JSON.parse(output.slice(output.indexOf('{'))) as Report;
  const job = report.jobs[0];
  if (job === undefined) throw new Error('fio reported no job');
  const side = load.pattern.endsWith('read') ? job.read : job.write;
  const percentile = side.clat_ns.percentile ?? {};
  return {
    iops: side.iops,
    bytesPerSecond: side.bw_bytes,
    p50: (percentile['50.000000'] ?? Number.NaN) / 1e6,
    p99: (percentile['99.000000'] ?? Number.NaN) / 1e6,
    processSeconds: seconds,
  };
}

function argumentsOf(load: Load): string[] {
  const { target, seconds, amountBytes, connections = 1, seed = 1, more = [] } = load;
  const where =
    'uri' in target
      ? ['--ioengine=nbd', `--uri=${target.uri}`]
      : ['--ioengine=psync', `--filename=${target.file}`];
  return [
    '--name=bench',
    ...where,
    `--rw=${load.pattern}`,
    `--bs=${load.blockBytes}`,
    `--size=${load.sizeBytes}`,
    `--iodepth=${load.depth}`,
    `--numjobs=${connections}`,
    '--group_reporting',
    '--allrandrepeat=1',
    `--randseed=${seed}`,
    ...(seconds === undefined ? [] : ['--time_based', `--runtime=${seconds}`]),
    ...(amountBytes === undefined ? [] : [`--io_size=${amountBytes}`]),
    '--output-format=json',
    ...more,
  ];
}

/**
 * Seconds of a load and the sync at its end. fio leaves that sync out of its figures, so the whole
 * process is timed, less what it takes to start (`idleSeconds`).
 */
export async function timeDurable(
  programs: Programs,
  load: Load,
  idleSeconds: number,
): Promise<number> {
  const more = [...(load.more ?? []), '--end_fsync=1'];
  const { processSeconds } = await fio(programs, { ...load, more });
  return Math.max(0.001, processSeconds - idleSeconds);
}

/** How long fio takes to do next to nothing with a target. */
export async function idleSeconds(programs: Programs, target: Load['target']): Promise<number> {
  const blockBytes = 4096;
  const load = { target, pattern: 'read', blockBytes, sizeBytes: blockBytes, depth: 1 } as const;
  const times: number[] = [];
  for (let i = 0; i < 3; i++) times.push((await fio(programs, load)).processSeconds);
  return Math.min(...times);
}

/** Data of which half can be compressed away, never the same twice. */
export const halfCompressible: readonly string[] = [
  '--refill_buffers',
  '--buffer_compress_percentage=50',
  '--buffer_compress_chunk=4096',
];
