/** Two clusters that know each other, with Transship installed in both as users install it. */
import { join } from 'node:path';
import { introduce } from '../../src/cli/api/peering.ts';
import { createClock } from '../../src/host/clock.ts';
import { openApi } from '../../src/host/kube-access.ts';
import { type Available, controlPlanePrograms } from '../../tools/kubernetes/binaries.ts';
import type { Program } from '../../tools/kubernetes/pins.ts';
import { startWatchdog } from '../kubernetes/control-plane/watchdog.ts';
import { startCluster } from './cluster/cluster.ts';
import { connectMachines } from './cluster/machine.ts';
import { buildImages } from './images.ts';
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

  push(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }
}

export interface WorldOptions {
  readonly directory: string;
  readonly binaries: Available;
  readonly report: Report;
  /** Ends what was started, also after a failure. */
  readonly undo: Undo;
}

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
    // One after the other: the second would only be waited for by the first.
    return [await start('east', 1), await start('west', 2)] as const;
  });
  await connectMachines(east.cluster.machine, west.cluster.machine);
  await report.time('installing Transship in both', async () => {
    for (const member of [east, west]) await member.install();
  });
  await report.time('joining them', () => introduceBoth(east, west, home));
  return { east, west };
}

/** Agents trust each other by a token; each hub gets the other's API. */
async function introduceBoth(east: Member, west: Member, home: string): Promise<void> {
  const { token } = await east.agent().call('cluster.token', {});
  await west.agent().call('cluster.join', { token });
  const clock = createClock();
  const open = (member: Member) => {
    const kubeconfig = member.cluster.kubeconfigPath;
    return openApi(home, { kubeconfig, context: member.name });
  };
  for (const [one, other] of [
    [east, west],
    [west, east],
  ] as const) {
    const hub = await open(one);
    const cluster = await open(other);
    const names = { hubName: one.name, clusterName: other.name };
    await introduce({ hub, cluster, ...names, clock, migrations: true });
  }
  for (const member of [east, west]) {
    for (const name of ['east', 'west']) {
      await member.condition(`clusters.transship.dev/${name}`, 'Ready');
    }
  }
}
