/** The CSI driver as a process: identity, and the services it was asked to have. */
import path from 'node:path';
import { type Cluster, clusters } from '../../api/kinds/cluster.ts';
import { fail } from '../../base/errors.ts';
import type { CsiRun } from '../../cli/ports.ts';
import { agentPlaces } from '../../controllers/agents/agent-pods.ts';
import { driver } from '../../controllers/labels.ts';
import { controllerServer } from '../../csi/controller-server.ts';
import { identityServer } from '../../csi/identity-server.ts';
import { nodeServer } from '../../csi/node-server.ts';
import type { AgentDoor } from '../../csi/ports.ts';
import { controller, identity, node, registration } from '../../csi/wire/services.ts';
import type { KubeClient } from '../../kube/api.ts';
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
  const { client } = await openApi(home, options.place, csiManager);
  return runService({
    what: 'CSI driver',
    cluster: client.cluster,
    onReady: () => undefined,
    wire: async ({ log, undo }) => {
      const server = new GrpcServer(log);
      const probe = async () => void (await agentsOf(client));
      const { version, controller: hasController } = options;
      server.add(identity, identityServer({ version, hasController, probe }));
      if (hasController) {
        const { clock } = client.connection;
        const agents = () => agentsOf(client);
        server.add(controller, controllerServer({ client, clock, agents }));
      }
      if (options.node !== undefined) await addNode(server, client, options);
      await server.listen(options.endpoint);
      undo.push(() => server.stop());
      if (options.plugins !== undefined) {
        undo.push(await register(new GrpcServer(log), options.plugins, options.endpoint));
      }
    },
  });
}

async function addNode(server: GrpcServer, client: KubeClient, options: CsiOptions): Promise<void> {
  const { node: name = '', agent: wanted = name } = options;
  const agents = await agentsOf(client);
  const agent = agents.find((one) => one.name === wanted);
  if (agent === undefined) {
    const known = agents.map((one) => one.name).join(', ') || 'none';
    fail('NotFound', `there is no agent ${wanted} (there are: ${known})`);
  }
  server.add(node, nodeServer({ node: name, agent, mounts: createMounts() }));
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
