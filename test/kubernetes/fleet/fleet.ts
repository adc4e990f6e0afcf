/**
 * Two clusters that know each other, with agents and controllers as processes of their own, over
 * embedded or over real API servers. Everything can be killed; everything ends with the fleet.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { kinds } from '../../../src/api/kinds/all.ts';
import { crdOf } from '../../../src/api/kinds/crd.ts';
import { introduce } from '../../../src/cli/api/peering.ts';
import { applyObjects } from '../../../src/controllers/install.ts';
import { installationObjects } from '../../../src/controllers/installation.ts';
import { recordedProcess } from '../../../src/host/background.ts';
import { createClock } from '../../../src/host/clock.ts';
import { planePaths } from '../../../src/host/control-plane/paths.ts';
import { createPlanes } from '../../../src/host/control-planes.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { controlPlanePrograms, findBinaries } from '../../../tools/kubernetes/binaries.ts';
import { Cloud, type CloudOptions, until } from '../../interop/cloud.ts';
import { startControlPlane } from '../control-plane/control-plane.ts';
import {
  type Api,
  applyLocal,
  clusterReady,
  ControllerProcess,
  type Member,
  openMember,
} from './member.ts';
import { endPods, release } from './leftovers.ts';
import { startNode } from './node.ts';

export type Side = 'embedded' | 'real';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const names = ['east', 'west'] as const;
const stopMs = 30_000;

export class Fleet implements AsyncDisposable {
  readonly side: Side;
  readonly cloud: Cloud;
  readonly east: Member;
  readonly west: Member;

  constructor(side: Side, cloud: Cloud, members: readonly [Member, Member]) {
    this.side = side;
    this.cloud = cloud;
    [this.east, this.west] = members;
  }

  get members(): readonly [Member, Member] {
    return [this.east, this.west];
  }

  /** All that can be ended is, also when something else cannot; rejects with what was wrong. */
  async close(): Promise<void> {
    const troubles: unknown[] = [];
    const attempt = async (step: () => Promise<unknown>): Promise<void> => {
      await step().catch((error: unknown) => troubles.push(error));
    };
    for (const { controller } of this.members) await attempt(() => controller.end('SIGTERM'));
    for (const member of this.members) await attempt(() => endPods(member));
    for (const { api } of this.members) await attempt(() => api.stop());
    for (const { agent } of this.members) await attempt(() => agent.kill());
    const left = await release(this.cloud.home);
    await attempt(() => this.cloud.close());
    if (left.length > 0) troubles.push(new Error(`left on the machine: ${left.join('; ')}`));
    if (troubles.length > 0) throw new AggregateError(troubles, 'the fleet did not end well');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Why there can be none on this machine, or undefined. */
export function obstacle(side: Side): string | undefined {
  if (side === 'embedded') return undefined;
  const binaries = findBinaries(controlPlanePrograms);
  return binaries.available ? undefined : binaries.reason;
}

export interface FleetOptions extends CloudOptions {
  /** Controllers in the control plane, as `transship up` has them; only embedded. */
  readonly inOneProcess?: boolean;
}

export async function startFleet(side: Side, options: FleetOptions = {}): Promise<Fleet> {
  const inOneProcess = options.inOneProcess === true;
  const cloud = new Cloud(options);
  const started: { stop(): Promise<void> }[] = [];
  try {
    for (const name of names) await cloud.start(name);
    await cloud.join('east', 'west');
    const apis = await Promise.all(
      names.map(async (name) => startApi(side, cloud, name, inOneProcess)),
    );
    started.push(...apis);
    const members = await Promise.all(
      names.map(async (name, index) => makeMember(cloud, name, apis[index]!)),
    );
    const fleet = new Fleet(side, cloud, members as unknown as readonly [Member, Member]);
    await introduceAll(fleet);
    if (!inOneProcess) for (const { controller } of members) await controller.start();
    for (const member of members) for (const name of names) await clusterReady(member, name);
    return fleet;
  } catch (error) {
    for (const api of started) await api.stop();
    await cloud.close();
    throw error;
  }
}

async function startApi(
  side: Side,
  cloud: Cloud,
  name: string,
  withController: boolean,
): Promise<Api> {
  if (side === 'embedded') return startEmbedded(cloud.home, name, withController);
  const binaries = findBinaries(controlPlanePrograms);
  if (!binaries.available) throw new Error(binaries.reason);
  const directory = join(cloud.home, `real-${name}`);
  const plane = await startControlPlane({ name, directory, binaries });
  const node = await startNode(cloud.home, name, plane).catch(async (error: unknown) => {
    await plane.stop();
    throw error;
  });
  return {
    kubeconfigPath: plane.adminKubeconfigPath,
    kill9: () => plane.kill9('kube-apiserver'),
    start: () => plane.startComponent('kube-apiserver'),
    stop: async () => {
      await node.stop();
      await plane.stop();
    },
  };
}

/** The whole control plane: its machinery too. */
async function startEmbedded(home: string, name: string, withController: boolean): Promise<Api> {
  const planes = createPlanes({ home, mainPath });
  const start = async (): Promise<void> => {
    await planes.start({ name, withoutController: !withController });
  };
  await start();
  const { pid } = planePaths(home, name);
  return {
    kubeconfigPath: planes.kubeconfig(name),
    start,
    kill9: async () => {
      const id = recordedProcess(pid);
      if (id === undefined) return;
      process.kill(id, 'SIGKILL');
      await until(`control plane ${name} to end`, () => recordedProcess(pid) === undefined);
    },
    stop: async () => {
      if (existsSync(pid)) await planes.stop(name, stopMs);
    },
  };
}

async function makeMember(cloud: Cloud, name: string, api: Api): Promise<Member> {
  const open = await openMember(cloud.home, api.kubeconfigPath);
  const directory = join(cloud.home, 'controllers');
  mkdirSync(directory, { recursive: true });
  await applyObjects(open.client, kinds.map(crdOf) as unknown as readonly KubeObject[]);
  await until(`the kinds of ${name} to be served`, async () => {
    const served = await open.client
      .request('GET', '/apis/transship.dev/v1alpha1/teleports')
      .catch(() => undefined);
    return served !== undefined;
  });
  await applyObjects(open.client, installationObjects({ defaultClass: true, migrations: true }));
  const agent = cloud.agent(name);
  await applyLocal(open.client, name, agent.paths.controlSocket);
  const controller = new ControllerProcess({ name, home: cloud.home, directory, open });
  return { name, agent, api, open, client: open.client, controller };
}

async function introduceAll({ east, west }: Fleet): Promise<void> {
  const clock = createClock();
  for (const [hub, cluster] of [
    [east, west],
    [west, east],
  ] as const) {
    await introduce({
      hub: hub.open,
      hubName: hub.name,
      cluster: cluster.open,
      clusterName: cluster.name,
      clock,
      migrations: true,
    });
  }
}
