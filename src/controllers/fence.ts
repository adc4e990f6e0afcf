/**
 * Work that outlives its leadership must do no harm: a process that was suspended, or could not
 * renew its lease, goes on in the middle of whatever it did. Every effect asks first.
 */
import type { OperationName } from '../api/control.ts';
import type { ControlClient } from '../api/control-client.ts';
import { TransshipError } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { createKubeClient } from '../kube/client.ts';
import type { KubeTransport } from '../kube/transport.ts';
import type { ControllerPorts } from './ports.ts';

/** Who writes, for server-side apply and for `managedFields`. */
const fieldManager = 'transship-controller';

/** Looking does no harm; what agents do for everything else must be asked for by the leader. */
const lookingPattern = /\.(list|show|status|watch|history|volumes|check|metrics)$/;

function mustLead(isLeader: () => boolean): void {
  if (!isLeader()) throw new TransshipError('Stopping', 'this controller leads no longer');
}

/** The ports with which nothing is changed anywhere unless `isLeader` says so at that moment. */
export function fenced(ports: ControllerPorts, isLeader: () => boolean): ControllerPorts {
  const transportOf = (transport: KubeTransport): KubeTransport => {
    return async (request) => {
      if (request.method !== 'GET') mustLead(isLeader);
      return transport(request);
    };
  };
  return {
    ...ports,
    client: fencedClient(ports.client, transportOf),
    openCluster: async (name, kubeconfig) => transportOf(await ports.openCluster(name, kubeconfig)),
    openAgent: (place) => fencedAgent(ports.openAgent(place), isLeader),
    registries: {
      open: (trust) => {
        const { transport, close } = ports.registries.open(trust);
        const checked: typeof transport = async (request) => {
          if (request.method !== 'GET' && request.method !== 'HEAD') mustLead(isLeader);
          return transport(request);
        };
        return { transport: checked, close };
      },
    },
  };
}

/** A client of its own, so that also the repeats of one request are asked for. */
function fencedClient(
  { connection }: KubeClient,
  transportOf: (transport: KubeTransport) => KubeTransport,
): KubeClient {
  const transport = transportOf(connection.transport);
  return createKubeClient({ ...connection, transport, fieldManager });
}

function fencedAgent(client: ControlClient, isLeader: () => boolean): ControlClient {
  const check = (operation: OperationName) => {
    if (!lookingPattern.test(operation)) mustLead(isLeader);
  };
  return {
    cluster: client.cluster,
    call: async (name, request) => {
      check(name);
      return client.call(name, request);
    },
    stream: async (name, request, watch) => {
      check(name);
      return client.stream(name, request, watch);
    },
  };
}
