/** The CSI driver as a process: identity, and the services it was asked to have. */
import path from 'node:path';
import { type Cluster, clusters } from '../../api/kinds/cluster.ts';
import { fail } from '../../base/errors.ts';
import type { CsiRun } from '../../cli/ports.ts';
import { agentPlaces } from '../../controllers/agents/agent-pods.ts';
import { driver } from '../../controllers/labels.ts';
import { controllerServer } from '../../csi/controller-server.ts';
import { groupServer } from '../../csi/group-server.ts';
import { identityServer } from '../../csi/identity-server.ts';
import { nodeServer } from '../../csi/node-server.ts';
import { metadataServer } from '../../csi/metadata-server.ts';
import type { AgentDoor } from '../../csi/ports.ts';
import {
  controller,
  groupController,
  identity,
  node,
  registration,
  snapshotMetadata,
} from '../../csi/wire/services.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createControlClient } from '../control-client.ts';
import { agentAt } from '../controllers.ts';
import { openApi } from '../kube-access.ts';
import { runService, type Undo } from '../service-process.ts';
import { GrpcServer, socketPath } from './grpc-server.ts';
import { createMounts } from './mounts.ts';

const csiManager = 'transship-csi';

export interface CsiOptions extends CsiRun {
  readonly version: string;
}

/** Runs until it is told to stop; resolves with the exit code. */
export async function runCsi(home: string, options: CsiOptions): Promise<number> {
  if (options.node === undefined && !options.controller) {
    fail('BadArgument', 'name this node with --node, or ask for --controller, or both');
  }
  const { version, controller: hasController, endpoint, plugins } = options;
  const needsApi = hasController || options.agentSocket === undefined;
  const client = needsApi ? (await openApi(home, options.place, csiManager)).client : undefined;
  return runService({
    what: 'CSI driver',
    cluster: client?.cluster ?? options.node ?? '',
    onReady: () => undefined,
    wire: async ({ log, undo }) => {
      const server = new GrpcServer(log);
      const own = options.node === undefined ? undefined : await agentOf(client, options);
      const probe = async () =>
        void (client === undefined
          ? await own?.control.call('agent.status', {})
          : await agentsOf(client));
      server.add(identity, identityServer({ version, hasController, probe }));
      if (hasController && client !== undefined) {
        const { clock } = client.connection;
        const ports = { client, clock, agents: () => agentsOf(client) };
        server.add(controller, controllerServer(ports));
        server.add(groupController, groupServer(ports));
        server.add(snapshotMetadata, metadataServer(ports));
      }
      if (own !== undefined) {
        const mounts = createMounts();
        server.add(node, nodeServer({ node: options.node ?? '', agent: own, mounts }));
      }
      await server.listen(endpoint);
      undo.push(() => server.stop());
      if (plugins !== undefined) {
        undo.push(await register(new GrpcServer(log), plugins, endpoint));
      }
    },
  });
}

/** That of this node: by its socket, or as the cluster's API tells where it is. */
async function agentOf(
  client: KubeClient | undefined,
  { node: name = '', agent: wanted = name, agentSocket }: CsiOptions,
): Promise<AgentDoor> {
  if (agentSocket !== undefined) {
    return { name: wanted, control: createControlClient(wanted, agentSocket) };
  }
  const agents = client === undefined ? [] : await agentsOf(client);
  const agent = agents.find((one) => one.name === wanted);
  if (agent !== undefined) return agent;
  const known = agents.map((one) => one.name).join(', ') || 'none';
  return fail('NotFound', `there is no agent ${wanted} (there are: ${known})`);
}

/** Those that the local Cluster object names, as it is now. */
async function agentsOf(client: KubeClient): Promise<readonly AgentDoor[]> {
  const local = await localCluster(client);
  return (await agentPlaces(client, local)).map((place) => ({
    name: place.name,
    control: agentAt(place),
  }));
}

async function localCluster(client: KubeClient): Promise<Cluster | undefined> {
  for await (const one of client.list(clusters)) if (one.spec.local === true) return one;
  return undefined;
}

/** Tells the kubelet, which finds sockets in a directory of its own and asks them. */
async function register(server: GrpcServer, plugins: string, endpoint: string): Promise<Undo> {
  const supportedVersions = ['1.0.0'];
  server.add(registration, {
    GetInfo: async () => ({
      type: 'CSIPlugin',
      name: driver,
      endpoint: socketPath(endpoint),
      supportedVersions,
    }),
    NotifyRegistrationStatus: async ({ pluginRegistered, error }) => {
      if (!pluginRegistered) fail('NotAllowed', `the kubelet refused the driver: ${error}`);
      return {};
    },
  });
  await server.listen(path.join(plugins, `${driver}-reg.sock`));
  return () => server.stop();
}
