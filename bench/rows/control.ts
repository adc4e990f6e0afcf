/** The control plane: many volumes, many teleports at once, and what each of them costs. */
import { readFileSync } from 'node:fs';
import { resources } from '../../src/api/kinds/resources.ts';
import type { Teleport } from '../../src/api/kinds/teleport.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { recordedProcess } from '../../src/host/background.ts';
import { planePaths } from '../../src/host/control-plane/paths.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { type Fleet, startFleet } from '../../test/kubernetes/fleet/fleet.ts';
import type { Member } from '../../test/kubernetes/fleet/member.ts';
import type { Bench, Measured, Section, Series } from '../row.ts';

const MiB = 2 ** 20;
const counts = { whole: { volumes: 1000, teleports: 200 }, quick: { volumes: 100, teleports: 20 } };
/** Makers of objects at once: as a busy user, not as an attack. */
const hands = 16;

export const controlSection: Section = {
  name: 'control',
  rows: ['control-many'],
  needs: [],
  run: async (bench) => {
    await using fleet = await startFleet('embedded', { inOneProcess: true });
    return [await many(bench, fleet)];
  },
};

async function many(bench: Bench, fleet: Fleet): Promise<Measured> {
  const wanted = bench.quick ? counts.quick : counts.whole;
  const { east } = fleet;
  const names = Array.from({ length: wanted.volumes }, (_, index) => `v-${index}`);
  const before = memories(fleet);
  bench.say(`makes ${names.length} volumes through the API`);
  const makingMs = await timed(async () => {
    await inParallel(names, async (name) => makeVolume(east, name));
    await allReady(east, names);
  });
  const filled = memories(fleet);
  const one = await teleportAll(fleet, names.slice(-1));
  bench.say(`teleports ${wanted.teleports} of them at once`);
  const asked = await requests(fleet);
  const all = await teleportAll(fleet, names.slice(0, wanted.teleports));
  const after = await requests(fleet);
  const peak = memories(fleet);
  const perTeleport = (after - asked) / wanted.teleports;
  const planeMiB = (peak.east + peak.west) / MiB;
  const grownBytes = filled.east - before.east;
  const series = (name: string, unit: Series['unit'], value: number): Series => {
    return { name, unit, values: [value] };
  };
  return {
    row: 'control-many',
    ours: series(`${wanted.teleports} teleports at once, all Available`, 's', all / 1000),
    peers: [series('one teleport, Available', 's', one / 1000)],
    checks: [
      {
        what: 'of both API servers per teleport',
        values: [perTeleport],
        unit: 'requests',
      },
      { what: 'time of all : time of one', values: [all / one] },
      {
        what: 'of a control plane per volume',
        values: [grownBytes / names.length / 1024],
        unit: 'KiB',
      },
    ],
    beside: [
      series(`${names.length} volumes made and Ready`, 's', makingMs / 1000),
      series('control planes before, both', 'MiB', (before.east + before.west) / MiB),
      series('control planes at the end, both', 'MiB', planeMiB),
      series('agents at the end, both', 'MiB', (peak.agents ?? 0) / MiB),
    ],
  };
}

async function makeVolume({ client }: Member, name: string): Promise<void> {
  await client.create<Volume>(resources.volumes, { metadata: { name }, spec: { size: '16Mi' } });
}

async function inParallel<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const left = all.values();
  const hand = async (): Promise<void> => {
    for (const one of left) await run(one);
  };
  await Promise.all(Array.from({ length: hands }, hand));
}

async function timed(run: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await run();
  return performance.now() - began;
}

/** One watch for all of them: the waiting must not be what is measured. */
async function allReady({ client }: Member, names: readonly string[]): Promise<void> {
  const informer = createInformer(client, resources.volumes);
  await waitFor(informer, () => {
    return names.every((name) => isSo(informer.get({ namespace: '', name }), 'Ready'));
  });
}

async function teleportAll({ east }: Fleet, names: readonly string[]): Promise<number> {
  const { client } = east;
  return timed(async () => {
    await inParallel(names, async (name) => {
      await client.create<Teleport>(resources.teleports, {
        metadata: { name, namespace: 'default' },
        spec: { source: { cluster: 'east', volume: name }, destination: { cluster: 'west' } },
      });
    });
    const informer = createInformer(client, resources.teleports);
    await waitFor(informer, () => {
      return names.every((name) => {
        return isSo(informer.get({ namespace: 'default', name }), 'Succeeded');
      });
    });
  });
}

interface Conditioned {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

function isSo(object: Conditioned | undefined, type: string): boolean {
  const found = object?.status?.conditions?.find((one) => one.type === type);
  return found?.status === 'True';
}

interface Watched {
  readonly synced: Promise<void>;
  onChange(listener: () => void): () => void;
  stop(): Promise<void>;
}

async function waitFor(informer: Watched, test: () => boolean): Promise<void> {
  await informer.synced;
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (test()) resolve();
    };
    informer.onChange(look);
    look();
  });
  await informer.stop();
}

/** Resident bytes: of the control planes, which have the controllers in them, and of the agents. */
function memories({ cloud, east, west }: Fleet) {
  const plane = (name: string) => residentBytes(recordedProcess(planePaths(cloud.home, name).pid));
  const agents = east.agent.memoryBytes + west.agent.memoryBytes;
  return { east: plane('east'), west: plane('west'), agents };
}

function residentBytes(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

/** That both API servers have answered, watches not counted, this program's own not either. */
async function requests({ cloud }: Fleet): Promise<number> {
  let sum = 0;
  for (const name of ['east', 'west']) {
    const saved = JSON.parse(readFileSync(planePaths(cloud.home, name).settings, 'utf8')) as {
      readonly metricsPort: number;
    };
    const answer = await fetch(`http://127.0.0.1:${saved.metricsPort}/metrics`);
    for (const line of (await answer.text()).split('\n')) {
      const match = /^transship_api_requests_total\{(.*)\} (\d+)$/.exec(line);
      if (match !== null && !match[1]!.includes('verb="watch"')) sum += Number(match[2]);
    }
  }
  return sum;
}
