/** Runs cases on one cluster, several at a time, and prints what failed and what was skipped. */
import { inspect } from 'node:util';
import { join } from 'node:path';
import type { Case, Cluster } from './case.ts';
import { makeContext } from './context.ts';
import { openDoor, readKubeconfig } from './kubeconfig.ts';
import type { Recording } from './recording.ts';
import { makeRest, type Rest } from './rest.ts';

export interface RunOptions {
  readonly cluster: Cluster;
  readonly cases: readonly Case[];
  readonly scratch: string;
  readonly recording: Recording;
  readonly kubectlProgram: string | undefined;
}

export interface Ran {
  readonly passed: readonly Case[];
  readonly failed: readonly Case[];
  readonly skipped: readonly Case[];
}

const atOnce = 6;
const caseMs = 90_000;

function shown(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : inspect(error);
  return text
    .split('\n')
    .filter((line) => !/^\s+at .*(node:internal|node_modules|runner\.ts|main\.ts)/.test(line))
    .join('\n')
    .replace(/^/gm, '    ');
}

async function withDeadline(run: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`did not end within ${caseMs / 1000} s`));
  }, caseMs);
  try {
    await Promise.race([run, promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Bench extends RunOptions {
  readonly adminRest: Rest;
  readonly admin: ReturnType<typeof readKubeconfig>;
}

async function runOne(one: Case, number: number, bench: Bench): Promise<unknown> {
  const namespace = `case-${String(number).padStart(3, '0')}`;
  const ended = new AbortController();
  const { adminRest } = bench;
  try {
    const metadata = { name: namespace };
    await adminRest.post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata });
    const context = makeContext({
      ...bench,
      namespace,
      directory: join(bench.scratch, namespace),
      record: bench.recording.of(one.group, one.name),
      ended: ended.signal,
    });
    await withDeadline(one.run(context));
    return undefined;
  } catch (error) {
    return error ?? new Error('failed with nothing');
  } finally {
    ended.abort();
  }
}

/** Reason why a case does not run on this cluster. */
function skipReason(one: Case, { cluster, kubectlProgram }: RunOptions): string | undefined {
  if (one.group.startsWith('kubectl') && kubectlProgram === undefined) {
    return 'there is no kubectl on this machine';
  }
  return cluster.isReal ? one.skip.real : one.skip.embedded;
}

export async function runCases(options: RunOptions): Promise<Ran> {
  const side = options.cluster.isReal ? 'real' : 'embedded';
  const admin = readKubeconfig(options.cluster.kubeconfigPath);
  const door = openDoor(admin);
  const over = new AbortController();
  const bench = { ...options, admin, adminRest: makeRest(door.transport, over.signal) };
  const passed: Case[] = [];
  const failed: Case[] = [];
  const skipped: Case[] = [];
  const todo: Case[] = [];
  for (const one of options.cases) {
    const reason = skipReason(one, options);
    if (reason === undefined) todo.push(one);
    else {
      skipped.push(one);
      console.log(`skipped ${side} ${one.group}: ${one.name}: ${reason}`);
    }
  }
  const base = Math.floor(performance.timeOrigin / 1000) % 1000;
  let number = base * 1000;
  const run = async (one: Case): Promise<void> => {
    const error = await runOne(one, ++number, bench);
    (error === undefined ? passed : failed).push(one);
    if (error === undefined) return;
    const again = `npm run kubernetes -- --${side} -t '${one.name}'`;
    console.log(`FAILED ${side} ${one.group}: ${one.name}\n${shown(error)}\n    again: ${again}`);
  };
  const together = todo.filter((one) => !one.alone).values();
  const worker = async (): Promise<void> => {
    for (const one of together) await run(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  for (const one of todo.filter((each) => each.alone)) await run(one);
  over.abort();
  door.close();
  return { passed, failed, skipped };
}
