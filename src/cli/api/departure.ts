/** What a teleport needs before there is an object for it: both sides known, nothing in the way. */
import type { Cluster } from '../../api/kinds/cluster.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { Teleport } from '../../api/kinds/teleport.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { printable } from '../../base/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import { persistentVolumeClaims } from '../../kube/resources.ts';
import type { Cli } from '../context.ts';
import { needObject } from './printing.ts';

const { clusters, volumes } = resources;

type Side = Pick<Teleport['spec']['source'], 'cluster' | 'namespace' | 'claim' | 'volume'>;

/** The clusters that a hub knows; people get them as choices. */
export async function clustersOf(client: KubeClient): Promise<readonly Cluster[]> {
  const found: Cluster[] = [];
  for await (const one of client.list(clusters)) found.push(one);
  return found;
}

export function isLocal({ spec }: Cluster): boolean {
  return spec.local === true;
}

/** `NotFound` when the hub has not been introduced to it. */
export function checkKnown(hub: string, known: readonly Cluster[], name: string): Cluster {
  const found = known.find(({ metadata }) => metadata.name === name);
  if (found !== undefined) return found;
  const names = known.map(({ metadata }) => metadata.name).join(', ');
  const what = `cluster ${hub} knows no cluster ${printable(name)} (known: ${names})`;
  return fail('NotFound', `${what}; see: transship cluster add --help`);
}

/**
 * The API of one side, where it can be had from here: that of the hub itself, or of this machine.
 * The hub's controllers may reach others, with credentials of their own.
 */
export async function apiOfSide(
  cli: Cli,
  hub: KubeClient,
  cluster: Cluster,
): Promise<KubeClient | undefined> {
  if (isLocal(cluster)) return hub;
  const name = cluster.metadata.name ?? '';
  if (!cli.ports.agents.known().includes(name)) return undefined;
  try {
    return (await cli.apiOf(name)).client;
  } catch (error) {
    if (asTransshipError(error).reason === 'ApiUnreachable') return undefined;
    throw error;
  }
}

/** A misspelt name is said at once, not after minutes of waiting for it. */
export async function checkSource(client: KubeClient | undefined, side: Side): Promise<void> {
  if (client === undefined) return;
  const { namespace = '', claim, volume } = side;
  try {
    if (volume !== undefined) await needObject(client, volumes, { namespace: '', name: volume });
    if (claim !== undefined) {
      await needObject(client, persistentVolumeClaims, { namespace, name: claim });
    }
  } catch (error) {
    // The hub waits for a cluster that is down just now.
    if (asTransshipError(error).reason !== 'ApiUnreachable') throw error;
  }
}

/** Whether the place is free at the destination; unknown counts as taken. */
export async function isFree(client: KubeClient | undefined, side: Side): Promise<boolean> {
  if (client === undefined) return false;
  const { namespace = '', claim, volume } = side;
  if (claim !== undefined) {
    const key = { namespace, name: claim };
    return (await client.get(persistentVolumeClaims, key)) === undefined;
  }
  return (await client.get(volumes, { namespace: '', name: volume ?? '' })) === undefined;
}

/** `AlreadyExists` before anything happens. */
export async function checkFree(client: KubeClient | undefined, side: Side): Promise<void> {
  if (client === undefined || (await isFree(client, side))) return;
  const what = side.claim === undefined ? `volume ${side.volume}` : `claim ${side.claim}`;
  fail('AlreadyExists', `${what} exists at ${side.cluster} already; choose another --name`);
}
