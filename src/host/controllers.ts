/** The ports of controllers, and a process that is nothing but controllers. */
import { hostname } from 'node:os';
import { fail } from '../base/errors.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { AgentPlace, ControllerPorts } from '../controllers/ports.ts';
import type { KubeClient } from '../kube/api.ts';
import { createEventRecorder } from '../kube/events.ts';
import { createControlClient } from './control-client.ts';
import { type ControlTls, readControlTls } from './control-tls.ts';
import { openKubeTransport } from './kube-transport.ts';
import type { HostMetrics } from './metrics.ts';
import { makeMoverCertificates } from './mover/certificates.ts';
import { openRegistryTransport } from './registry-transport.ts';
import { createRepositoryProbe } from './repository-probe.ts';

/** Whose fields in `managedFields` are the controllers'. */
export const controllerManager = 'transship-controller';

/** Unique among processes that may ever control one cluster. */
export function controllerIdentity(): string {
  return `${hostname()}-${process.pid}-${Date.now().toString(36)}`;
}

const unixPrefix = 'unix://';

export interface ControllerProcess {
  readonly metrics: HostMetrics;
  /** See `controllerIdentity`. */
  readonly identity: string;
  /** For agents of other hosts: as they are now. From TRANSSHIP_AGENT_CERTIFICATES if absent. */
  readonly agentTls?: () => ControlTls;
}

export function controllerPorts(
  client: KubeClient,
  { metrics, identity, agentTls }: ControllerProcess,
): ControllerPorts & { close(): Promise<void> } {
  const { clock, random, log } = client.connection;
  const events = createEventRecorder({
    client,
    reporter: 'transship.dev/controller',
    instance: identity,
  });
  return {
    clock,
    random,
    log,
    metrics,
    client,
    events,
    openCluster: async (_name, { text, context }) =>
      openKubeTransport({ kubeconfigText: text, context }),
    openAgent: (place) => agentAt(place, agentTls),
    repositories: createRepositoryProbe(clock, random),
    registries: { open: openRegistryTransport },
    movers: {
      image: process.env['TRANSSHIP_IMAGE'] ?? 'transship',
      certificates: (serverName) => makeMoverCertificates(serverName, clock.wallMs()),
    },
    close: () => events.stop(),
  };
}

/** The control API of an agent that a `Cluster` object names. */
export function agentAt(
  { name, address }: AgentPlace,
  agentTls: () => ControlTls = () => ownTls(name, address),
): ControlClient {
  if (address.startsWith(unixPrefix)) {
    return createControlClient(name, address.slice(unixPrefix.length));
  }
  if (!address.startsWith('https://') || !URL.canParse(address)) {
    const forms = 'unix:///PATH or https://HOST:PORT';
    return fail('BadArgument', `agent ${name}: its address is ${forms}, not ${address}`);
  }
  const { hostname: host, port } = new URL(address);
  // What is missing is said now, not at the first request.
  agentTls();
  return createControlClient(name, {
    host: host.replace(/^\[|\]$/g, ''),
    port: Number(port || 443),
    // Asked for at each request: certificates are renewed while this process runs.
    get tls() {
      return agentTls();
    },
  });
}

function ownTls(name: string, address: string): ControlTls {
  const directory = process.env['TRANSSHIP_AGENT_CERTIFICATES'];
  if (directory !== undefined) return readControlTls(directory);
  const where = 'TRANSSHIP_AGENT_CERTIFICATES names their directory (ca.crt, tls.crt, tls.key)';
  return fail('CredentialsMissing', `agent ${name} at ${address} wants certificates: ${where}`);
}
