// The same cases of API behaviour against an embedded cluster and a real control plane:
//   npm run kubernetes                      both, where the real one's binaries can be had
//   npm run kubernetes -- --embedded        only this one; --real: only the other
//   npm run kubernetes -- --quick           without what takes minutes (npm test)
//   npm run kubernetes -- --rest            what npm test has left out (.ci/run)
//   npm run kubernetes -- -t 'finalizer'    cases whose group or name has this in it
//   npm run kubernetes -- --record          writes golden/ again, from the real one
//   npm run kubernetes -- --keep            leaves state and logs of the servers, and says where
//   npm run kubernetes -- --kubeconfig F    against a server that runs already, as a real one
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { controlPlanePrograms, ensureBinaries } from '../../tools/kubernetes/binaries.ts';
import { allCases } from './all.ts';
import type { Case, Cluster } from './case.ts';
import { startEmbedded } from './fixtures/embedded.ts';
import { foreign } from './fixtures/foreign.ts';
import { startReal } from './fixtures/real.ts';
import { type FleetTally, runFleets } from './fleet/run.ts';
import { findKubectl } from './kubectl/find.ts';
import { partsOf } from './part.ts';
import { openRecording } from './recording.ts';
import { type Ran, runCases } from './runner.ts';

const { values: flags } = parseArgs({
  options: {
    embedded: { type: 'boolean', default: false },
    real: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    rest: { type: 'boolean', default: false },
    record: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    kubeconfig: { type: 'string' },
    test: { type: 'string', short: 't' },
  },
});

const named = (['embedded', 'real'] as const).filter((side) => flags[side]);
const parts = partsOf({ sides: named, quick: flags.quick, rest: flags.rest });

interface Side {
  readonly name: 'embedded' | 'real';
  /** A cluster, or why there is none. */
  readonly start: (scratch: string, withNode: boolean) => Promise<Cluster | string>;
}

function chosenSides(): readonly Side[] {
  const embedded: Side = { name: 'embedded', start: startEmbedded };
  const { kubeconfig } = flags;
  if (kubeconfig !== undefined) {
    return [
      {
        name: 'real',
        start: async (_, withNode) => (withNode ? 'not known of it' : foreign(kubeconfig)),
      },
    ];
  }
  const real: Side = { name: 'real', start: startReal };
  if (flags.record) return [real];
  const asked = parts.filter(({ api }) => api).map(({ side }) => side);
  return [embedded, real].filter(({ name }) => asked.includes(name));
}

const nothing: Ran = { passed: [], failed: [], skipped: [] };

/** The cases that need a node have a cluster of their own: elsewhere pods stay Pending. */
async function runSide(side: Side, cases: readonly Case[], scratch: string): Promise<Ran> {
  const [withNode = [], without = []] = [true, false].map((wanted) =>
    cases.filter((one) => one.onNode === wanted),
  );
  const first = await runOn(side, without, { scratch, withNode: false });
  const second = await runOn(side, withNode, { scratch: `${scratch}-node`, withNode: true });
  return {
    passed: [...first.passed, ...second.passed],
    failed: [...first.failed, ...second.failed],
    skipped: [...first.skipped, ...second.skipped],
  };
}

interface Place {
  readonly scratch: string;
  readonly withNode: boolean;
}

async function runOn(side: Side, cases: readonly Case[], place: Place): Promise<Ran> {
  if (cases.length === 0) return nothing;
  const { scratch, withNode } = place;
  const started = performance.now();
  const cluster = await side.start(scratch, withNode);
  if (typeof cluster === 'string') {
    const what = withNode ? `${cases.length} cases with a node` : 'everything';
    console.log(`skipped ${what} on ${side.name}: ${cluster}`);
    return { ...nothing, skipped: cases };
  }
  try {
    const ready = performance.now();
    const recording = openRecording(
      flags.record && flags.test === undefined ? 'all' : flags.record,
    );
    const kubectlProgram = findKubectl();
    const ran = await runCases({ cluster, cases, scratch, recording, kubectlProgram });
    if (flags.record) recording.save();
    const seconds = (from: number): string => ((performance.now() - from) / 1000).toFixed(1);
    const start = ((ready - started) / 1000).toFixed(1);
    const name = withNode ? `${side.name} with a node` : side.name;
    console.log(`${name}: started in ${start} s, cases took ${seconds(ready)} s`);
    return ran;
  } finally {
    await cluster.stop();
  }
}

/** What a group of cases asks with. */
const wayOf = (one: Case): string =>
  one.group.startsWith('kubectl') || one.onNode ? 'kubectl' : 'api';

/** Counts of the cases that `keyOf` takes together, one line each. */
function printCounts(results: ReadonlyMap<string, Ran>, keyOf: (one: Case) => string): void {
  const all = [...results.values()].flatMap((ran) => [
    ...ran.passed,
    ...ran.failed,
    ...ran.skipped,
  ]);
  for (const key of new Set(all.map(keyOf))) {
    const counts = [...results].map(([side, ran]) => {
      const count = (cases: readonly Case[]): number =>
        cases.filter((one) => keyOf(one) === key).length;
      const failed = count(ran.failed);
      const done = count(ran.passed) + failed;
      return `${done} on ${side}${failed > 0 ? ` (${failed} failed)` : ''}`;
    });
    console.log(`  ${key}: ${counts.join(', ')}`);
  }
}

/** Builds what is missing, which takes minutes once; without it the real half is skipped. */
async function haveBinaries(): Promise<void> {
  const binaries = await ensureBinaries(controlPlanePrograms);
  if (!binaries.available) console.log(`no real control plane: ${binaries.reason}`);
}

/** Fleets of clusters that this run starts itself, with agents and controllers. */
async function runControllers(word: string | undefined): Promise<FleetTally> {
  if (flags.record || flags.kubeconfig !== undefined) return { passed: 0, failed: 0, skipped: 0 };
  return runFleets(parts, word);
}

async function main(): Promise<void> {
  const word = flags.test;
  const cases = allCases.filter(
    (one) => word === undefined || `${one.group}: ${one.name}`.includes(word),
  );
  const isReal = parts.some(({ side }) => side === 'real');
  if (isReal && flags.kubeconfig === undefined) await haveBinaries();
  const scratch = mkdtempSync(join(tmpdir(), 'transship-kubernetes-'));
  const results = new Map<string, Ran>();
  try {
    for (const side of chosenSides()) {
      results.set(side.name, await runSide(side, cases, join(scratch, side.name)));
    }
  } finally {
    if (flags.keep) console.log(`kept: ${scratch}`);
    else rmSync(scratch, { recursive: true, force: true });
  }
  console.log('cases that ran:');
  printCounts(results, (one) => one.group);
  printCounts(results, wayOf);
  const fleets = await runControllers(word);
  const sum = (key: keyof Ran): number =>
    [...results.values()].reduce((total, ran) => total + ran[key].length, fleets[key]);
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  process.exitCode = sum('failed') === 0 && sum('passed') > 0 ? 0 : 1;
}

await main();
