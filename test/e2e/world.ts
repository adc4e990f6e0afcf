/** Two clusters that know each other, with Transship installed in both as users install it. */
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { systemNamespace } from '../../src/controllers/installation/names.ts';
import { type Available, controlPlanePrograms } from '../../tools/kubernetes/binaries.ts';
import type { Program } from '../../tools/kubernetes/pins.ts';
import { startWatchdog } from '../kubernetes/control-plane/watchdog.ts';
import { startCluster } from './cluster/cluster.ts';
import { connectMachines } from './cluster/machine.ts';
import { buildImages } from './images.ts';
import { must, transship } from './kubectl.ts';
import { Member } from './member.ts';
import type { Report } from './report.ts';

export const programs: readonly Program[] = [
  ...controlPlanePrograms,
  'kube-scheduler',
  'kubelet',
  'kubectl',
];

export interface World {
  readonly east: Member;
  readonly west: Member;
}

/** What to undo, newest first; can be run at any time, also while more is being started. */
export class Undo {
  readonly #steps: (() => Promise<unknown>)[] = [];
  #running: Promise<void> = Promise.resolve();

  push(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  /** Resolves when all is undone, also what another call undoes. */
  run(): Promise<void> {
    this.#running = this.#running.then(async () => {
      for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
    });
    return this.#running;
  }
}

/** This machine runs no clusters: nothing that Transship could do about. */
export class NoClusters extends Error {}

export interface WorldOptions {
  readonly directory: string;
  readonly binaries: Available;
  readonly report: Report;
  /** Ends what was started, also after a failure. */
  readonly undo: Undo;
}

/** Rejects with `NoClusters` before anything of ours is in them. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { directory, binaries, report, undo } = options;
  const watchdog = startWatchdog();
  undo.push(() => watchdog.stop());
  const images = await report.time('building the images', () => {
    return buildImages(join(directory, 'images'));
  });
  const home = join(directory, 'home');
  const start = async (name: string, number: number): Promise<Member> => {
    const place = { name, number, directory, binaries, watchdog, images };
    const cluster = await startCluster(place);
    undo.push(() => cluster.stop());
    return new Member(cluster, binaries.path('kubectl'), home);
  };
  const [east, west] = await report.time('starting two clusters', async () => {
    try {
      // One after the other: the second would only be waited for by the first.
      const both = [await start('east', 1), await start('west', 2)] as const;
      await connectMachines(both[0].cluster.machine, both[1].cluster.machine);
      return both;
    } catch (cause) {
      throw new NoClusters('the clusters did not start', { cause });
    }
  });
  await report.time('installing Transship in both', async () => {
    for (const member of [east, west]) await member.install();
  });
  await report.time('joining them', () => introduceBoth(east, west, options));
  return { east, west };
}

/** As docs/guides/install.md has it: one token for the agents, and the API of each to the other. */
async function introduceBoth(east: Member, west: Member, options: WorldOptions): Promise<void> {
  const kubectl = options.binaries.path('kubectl');
  const both = join(options.directory, 'both.kubeconfig');
  await mergeKubeconfigs(kubectl, [east, west], both);
  const exec = ['-n', systemNamespace, 'exec', 'ds/transship-agent', '-c', 'agent', '--'];
  const own = ['--kubeconfig', both, '--context', 'west'];
  const token = await must(kubectl, [...own, ...exec, 'transship', 'cluster', 'token']);
  const introduce = async (one: Member, other: Member, ...more: readonly string[]) => {
    const contexts = ['--context', one.name, '--to-context', other.name];
    const words = ['cluster', 'introduce', '--kubeconfig', both, ...contexts, '--migrations'];
    await transship(join(options.directory, 'home'), [...words, ...more]);
  };
  await introduce(west, east, '--token', token.trim());
  await introduce(east, west);
  for (const member of [east, west]) {
    for (const name of ['east', 'west']) {
      await member.condition(`clusters.transship.dev/${name}`, 'Ready');
    }
  }
}

/** One file with the contexts of all, as somebody has who works with several clusters. */
async function mergeKubeconfigs(
  kubectl: string,
  members: readonly Member[],
  path: string,
): Promise<void> {
  const KUBECONFIG = members.map(({ cluster }) => cluster.installerKubeconfigPath).join(delimiter);
  const words = ['config', 'view', '--flatten'];
  const text = await must(kubectl, words, { environment: { KUBECONFIG } });
  writeFileSync(path, text, { mode: 0o600 });
}
