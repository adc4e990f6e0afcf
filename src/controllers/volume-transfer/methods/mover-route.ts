/**
 * By which way the client reaches the server. Clusters seldom share a network of pods, so each way
 * is tried with a real connection, the cheapest first; what led nowhere is remembered and told.
 */
import { asTransshipError } from '../../../base/errors.ts';
import { nodes, type Service, services } from '../../../kube/resources.ts';
import type { Pod } from '../../../kube/workloads.ts';
import type { Transfer } from '../method.ts';
import { type Endpoint, keyAt, labelsOf, type Route, routes } from './mover-job.ts';
import type { MoverMemory } from './mover-secrets.ts';
import { runsHostProcesses } from './mover-users.ts';

/** Every way is tried so often before the transfer fails. */
const roundsMax = 3;
/** A cluster without load balancers leaves such a Service as it is. */
const balancerMs = 120_000;

export const routeWords: Readonly<Record<Route, string>> = {
  Pod: 'address of the pod',
  LoadBalancer: 'Service of type LoadBalancer',
  NodePort: 'Service of type NodePort',
};

export async function waysTo({ destination }: Transfer): Promise<readonly Route[]> {
  return (await runsHostProcesses(destination.client)) ? ['Pod'] : routes;
}

/** Where a repository is given, no time is lost with ways that led nowhere. */
export function roundsOf({ object }: Transfer): number {
  const { repository } = object.spec;
  return repository !== undefined && object.status?.method === 'Filesystem' ? 1 : roundsMax;
}

/** The way whose turn it is; undefined: all were tried often enough. */
export function routeNow(
  { tried }: Pick<MoverMemory, 'tried'>,
  ways: readonly Route[],
  rounds: number,
): Route | undefined {
  if (tried.length >= rounds * ways.length) return undefined;
  return ways[tried.length % ways.length];
}

/** One sentence of all that was tried, each way once, as it ended last. */
export function triedText({ tried }: Pick<MoverMemory, 'tried'>): string {
  const last = new Map(tried.map(({ route, message }) => [route, message]));
  const all = [...last].map(([route, why]) => {
    return `${routeWords[route as Route] ?? route}: ${why}`;
  });
  return `the server at the destination cannot be reached (${all.join('; ')})`;
}

export type Reached =
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint }
  | { readonly kind: 'pending'; readonly message: string }
  | { readonly kind: 'none'; readonly message: string };

/** Where the server is by this way; makes what the way needs. */
export async function endpointBy(
  transfer: Transfer,
  route: Route,
  server: { readonly pod: Pod; readonly port: number },
): Promise<Reached> {
  const { port, pod } = server;
  const { podIP } = pod.status ?? {};
  if (route === 'Pod') {
    if (podIP === undefined) return { kind: 'pending', message: 'its pod has no address yet' };
    return { kind: 'endpoint', endpoint: { host: podIP, port } };
  }
  const service = await ensureService(transfer, route, port);
  return route === 'LoadBalancer'
    ? behindBalancer(service, port, transfer.context.ports.clock.wallMs())
    : behindNode(transfer, service, pod);
}

async function ensureService(
  transfer: Transfer,
  type: Exclude<Route, 'Pod'>,
  port: number,
): Promise<Service> {
  const { client } = transfer.destination;
  const key = keyAt(transfer, 'server');
  const marks = labelsOf(transfer, 'server');
  const spec = { type, selector: marks, ports: [{ port, targetPort: port, protocol: 'TCP' }] };
  const found = await client.get(services, key);
  const isSame = found?.spec?.type === type && found.spec.ports?.[0]?.targetPort === port;
  if (found !== undefined && isSame) return found;
  // Of another way, or of a server before this one: nothing of it is of use.
  if (found !== undefined) await client.delete(services, key);
  try {
    return await client.create<Service>(services, { metadata: { ...key, labels: marks }, spec });
  } catch (error) {
    const again = await client.get(services, key);
    if (asTransshipError(error).reason === 'AlreadyExists' && again !== undefined) return again;
    throw error;
  }
}

export function behindBalancer(service: Service, port: number, nowMs: number): Reached {
  const [first] = service.status?.loadBalancer?.ingress ?? [];
  const host = first?.ip ?? first?.hostname;
  if (host !== undefined) return { kind: 'endpoint', endpoint: { host, port } };
  const madeMs = Date.parse(service.metadata.creationTimestamp ?? '');
  const message = 'no address has been given to it';
  return { kind: nowMs - madeMs > balancerMs ? 'none' : 'pending', message };
}

async function behindNode({ destination }: Transfer, service: Service, pod: Pod): Promise<Reached> {
  const port = service.spec?.ports?.[0]?.nodePort;
  const name = pod.spec?.nodeName;
  if (port === undefined) return { kind: 'none', message: 'no port of nodes was given to it' };
  const node =
    name === undefined ? undefined : await destination.client.get(nodes, { namespace: '', name });
  const addresses = node?.status?.addresses ?? [];
  const at = (wanted: string) => addresses.find(({ type }) => type === wanted)?.address;
  const host = at('ExternalIP') ?? at('InternalIP') ?? pod.status?.hostIP;
  if (host === undefined) return { kind: 'none', message: 'its node has no address' };
  return { kind: 'endpoint', endpoint: { host, port } };
}

export async function removeService(transfer: Transfer): Promise<void> {
  await transfer.destination.client.delete(services, keyAt(transfer, 'server'));
}
