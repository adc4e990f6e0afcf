/**
 * `npm run bench [-- [--quick] [-o json|markdown] [SECTION...]]`: measures us beside others, prints
 * the table of goals, and after a whole run writes bench/RESULTS.md.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import { dirname, join } from 'node:path';
import { Fleet } from './fleet.ts';
import { Images } from './image.ts';
import { machineFacts } from './machine.ts';
import { Programs } from './programs.ts';
import { printTable, resultsDocument, sectionsDocument } from './report.ts';
import type { Bench, Outcome, Section } from './row.ts';
import { constantSections } from './rows/constant.ts';
import { controlSection } from './rows/control.ts';
import { convertSection } from './rows/convert.ts';
import { deviceSection } from './rows/devices.ts';
import { farSections } from './rows/far.ts';
import { ingestSection } from './rows/ingest.ts';
import { moverSection } from './rows/movers.ts';
import { nbdSections } from './rows/nbd.ts';
import { replicaSection } from './rows/replicas.ts';
import { teleportSection } from './rows/teleport.ts';

const root = dirname(import.meta.dirname);
const imageBytes = 1024 * 1024 * 1024;
const quickImageBytes = 256 * 1024 * 1024;

const sections: readonly Section[] = [
  farSections[0]!,
  ...nbdSections,
  convertSection,
  ingestSection,
  teleportSection,
  ...farSections.slice(1),
  ...constantSections,
  deviceSection,
  moverSection,
  replicaSection,
  controlSection,
];

interface Options {
  readonly quick: boolean;
  readonly format: string;
  /** This process has a network of its own. */
  readonly inside: boolean;
  readonly chosen: readonly Section[];
}

function parse(args: readonly string[]): Options {
  const names = args.filter((arg, i) => !arg.startsWith('-') && args[i - 1] !== '-o');
  const unknown = names.filter((name) => !sections.some((section) => section.name === name));
  if (unknown.length > 0) {
    const known = sections.map(({ name }) => name).join(', ');
    throw new Error(`there is no section ${unknown.join(', ')}; there are ${known}`);
  }
  return {
    quick: args.includes('--quick'),
    format: args.find((_, i) => args[i - 1] === '-o') ?? 'table',
    inside: args.includes('--own-network'),
    chosen: names.length === 0 ? sections : sections.filter(({ name }) => names.includes(name)),
  };
}

/**
 * In a network namespace of its own nobody else's bytes are on loopback, so the kernel's counters
 * are ours alone. Where that is not allowed the run goes on without.
 */
function runInside(args: readonly string[]): number | undefined {
  const can = spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']);
  if (can.status !== 0) return undefined;
  const script = 'ip link set lo up && exec "$@"';
  const node = [process.execPath, ...process.execArgv, import.meta.filename, ...args];
  const inner = ['--net', 'sh', '-c', script, 'sh', ...node, '--own-network'];
  return spawnSync('unshare', inner, { stdio: 'inherit' }).status ?? 1;
}

function loopbackBytes(): number {
  const line = fs
    .readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .find((one) => /^\s*lo:/.test(one));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[0] ?? Number.NaN);
}

function createBench(options: Options, directory: string): Bench {
  const programs = new Programs();
  const size = options.quick ? quickImageBytes : imageBytes;
  return {
    quick: options.quick,
    directory,
    programs,
    fleet: new Fleet(directory, join(root, 'src', 'main.ts')),
    images: new Images(programs, directory, size),
    rounds: (cost) => (options.quick ? 3 : cost === 'cheap' ? 5 : 3),
    wireBytes: loopbackBytes,
    say: (text) => void process.stderr.write(`${text}\n`),
  };
}

async function runSection(bench: Bench, section: Section): Promise<readonly Outcome[]> {
  const missing = section.needs.filter((program) => !bench.programs.has(program));
  if (missing.length > 0) {
    const why = `${missing.join(', ')} not installed`;
    bench.say(`${section.name}: skipped, ${why}`);
    return section.rows.map((row) => ({ row, why, failed: false }));
  }
  const started = performance.now();
  try {
    const outcomes = await section.run(bench);
    bench.say(`${section.name}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return outcomes;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    bench.say(`${section.name}: failed, ${error instanceof Error ? error.stack : why}`);
    return section.rows.map((row) => ({ row, why: why.split('\n')[0] ?? '', failed: true }));
  } finally {
    await bench.fleet.removeAll();
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  if (!options.inside) {
    const status = runInside(args);
    if (status !== undefined) return status;
    process.stderr.write('no network namespace: bytes on the wire include those of others\n');
  }
  const state = join(root, '.state');
  fs.mkdirSync(state, { recursive: true });
  const directory = fs.mkdtempSync(join(state, 'b-'));
  const bench = createBench(options, directory);
  const load = os.loadavg()[0]?.toFixed(1) ?? '';
  const clean = () => {
    bench.programs.killAll();
    fs.rmSync(directory, { recursive: true, force: true });
  };
  const interrupted = () => void bench.fleet.removeAll().finally(() => process.exit(130));
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted).once('exit', clean);
  const started = performance.now();
  const outcomes: Outcome[] = [];
  for (const section of options.chosen) outcomes.push(...(await runSection(bench, section)));
  const minutes = (performance.now() - started) / 60_000;
  const whole = options.chosen.length === sections.length;
  const facts = machineFacts(bench.programs);
  const machine = { ...facts, load, minutes, quick: options.quick };
  const formats: Readonly<Record<string, () => string>> = {
    json: () => JSON.stringify({ machine, outcomes }, null, 2),
    markdown: () => sectionsDocument(machine, outcomes),
  };
  const text = (formats[options.format] ?? (() => printTable(outcomes)))();
  process.stdout.write(`${text}\n`);
  if (whole && !options.quick) {
    fs.writeFileSync(join(root, 'bench', 'RESULTS.md'), resultsDocument(machine, outcomes));
    bench.say('written: bench/RESULTS.md');
  }
  return outcomes.some((outcome) => 'failed' in outcome && outcome.failed) ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return 2;
});
