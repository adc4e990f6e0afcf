/** One candidate that runs the controllers of a cluster when it leads. */
import { fail } from '../../src/base/errors.ts';
import { leaseName, startControllers } from '../../src/controllers/manager.ts';
import {
  controllerAccount,
  peerAccount,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import type { UserInfo } from '../../src/embedded/server/api.ts';
import { createEventRecorder } from '../../src/kube/events.ts';
import type { Lease } from '../../src/kube/resources.ts';
import type { KubeRequest } from '../../src/kube/transport.ts';
import type { Life } from './control-life.ts';
import { simLine } from './control-line.ts';
import { silentMetrics, Worker, type WorkerOptions, type WorkerPorts } from './control-worker.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';
import { Mismatch } from './model.ts';

export interface ControllerProcessOptions extends WorkerOptions {
  readonly identity: string;
}

/** A kubeconfig of this world: the name of the cluster, and something that must stay secret. */
export function kubeconfigOf(cluster: string, secret: string): string {
  return `${cluster} ${secret}`;
}

export class ControllerProcess extends Worker {
  readonly identity: string;

  constructor(options: ControllerProcessOptions) {
    super(options);
    this.identity = options.identity;
  }

  override get name(): string {
    return `controller ${this.o.cluster().name}/${this.identity}`;
  }

  protected override begin(ports: WorkerPorts): () => Promise<void> {
    const { clock, random, log, life } = ports;
    const { world } = this.o;
    const cluster = this.o.cluster();
    const client = this.clientAs(account(controllerAccount), 'transship-controller', ports);
    const events = createEventRecorder({
      client,
      reporter: 'transship.dev/controller',
      instance: life.name,
    });
    const controllers = startControllers(
      {
        clock,
        random,
        log,
        client,
        events,
        metrics: silentMetrics,
        openCluster: async (_name, { text }) => {
          const [target = ''] = text.split(' ');
          const other = world.find(target);
          if (other === undefined) fail('BadArgument', 'no kubeconfig of this world');
          return ports.transport(other, account(peerAccount(cluster.name)));
        },
        openAgent: (place) => this.#agent(world, life, place.address),
        repositories: { probe: () => Promise.reject(new Error('there are none here')) },
        registries: { open: () => fail('Unsupported', 'there are none here') },
        movers: { image: '', certificates: () => fail('Unsupported', 'no pods run here') },
      },
      { identity: life.name, leaderElection: true },
    );
    return async () => {
      await controllers.stop();
      await events.stop();
    };
  }

  #agent(world: ControlWorld, life: Life, address: string) {
    const { scheduler, mutation } = world;
    const target = world.clusters.find(({ name }) => address === addressOf(name));
    const { agent, line: weather } = target ?? {};
    if (agent === undefined || weather === undefined) fail('BadArgument', `no agent at ${address}`);
    const rng = this.o.rng.fork('line');
    const client = simLine({
      scheduler,
      rng,
      life,
      agent,
      weather,
      onSend: (operation) => {
        if (changing.has(operation)) this.#mustLead(life, `agent operation ${operation}`);
      },
    });
    return mutation.agent?.(client) ?? client;
  }

  protected override onSend(life: Life, _cluster: SimCluster, request: KubeRequest): void {
    if (request.method === 'GET' || isOfElection(request) || isEvent(request)) return;
    this.#mustLead(life, `${request.method} ${request.path}`);
  }

  /** Whoever changes something holds the lease, whatever its clock and its memory say. */
  #mustLead(life: Life, what: string): void {
    const { world } = this.o;
    const lease = this.o.cluster().api.find<Lease>('Lease', leaseName, systemNamespace);
    const holder = lease?.spec?.holderIdentity;
    if (holder === life.name) return;
    world.fail(new Mismatch(`${life.name} does ${what}, but ${holder ?? 'nobody'} leads`));
  }
}

export function addressOf(cluster: string): string {
  return `unix:///${cluster}/control.sock`;
}

function account(name: string): UserInfo {
  return {
    name: `system:serviceaccount:${systemNamespace}:${name}`,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${systemNamespace}`],
  };
}

function isOfElection({ path }: KubeRequest): boolean {
  return path.includes('/leases');
}

/** What somebody saw may be told by anybody. */
function isEvent({ path }: KubeRequest): boolean {
  return path.includes('/events');
}

/** Operations that change something at an agent. */
const changing: ReadonlySet<string> = new Set([
  'volume.create',
  'volume.clone',
  'volume.resize',
  'volume.delete',
  'volume.set-policy',
  'teleport.start',
  'teleport.cancel',
  'teleport.fill',
  'policy.create',
  'policy.set',
  'policy.delete',
]);
