/** What controllers work with beside the API of their own cluster. */
import type { RepositoryPlace } from '../api/repository-place.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { Clock, Log, Metrics, Random } from '../base/ports.ts';
import type { RegistryTransport } from '../images/images.ts';
import type { MoverCertificates } from '../files/pods.ts';
import type { EventRecorder, KubeClient } from '../kube/api.ts';
import type { KubeTransport } from '../kube/transport.ts';

/** A kubeconfig's content: turned into a transport by `src/host`, by nothing in the simulator. */
export interface Kubeconfig {
  readonly text: string;
  /** The context to use; its current one when absent. */
  readonly context?: string;
}

/** An agent as a `Cluster` object's `spec.agents[]` names it. */
export interface AgentPlace {
  readonly name: string;
  /** `unix:///path/control.sock`. */
  readonly address: string;
}

/** What a repository's place looks like, tried with real bytes. Rejects with the reason. */
export interface RepositoryProbe {
  probe(place: RepositoryPlace): Promise<{ readonly bytes: number; readonly objects: number }>;
}

export interface OpenRegistries {
  readonly transport: RegistryTransport;
  /** Ends connections that are kept. */
  close(): void;
}

/** Image registries, over TLS that is always verified. */
export interface RegistryDoor {
  /** `ca`: PEM, trusted beside what the host trusts. `BadArgument` when it is none. */
  open(trust: { readonly ca?: string }): OpenRegistries;
}

/** What pods that move data are made of. */
export interface MoverSupply {
  /** The image of this program; embedded clusters run the program itself. */
  readonly image: string;
  /** Of one transfer and nobody else; the server's is for this name. */
  certificates(serverName: string): MoverCertificates;
}

export interface ControllerPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The cluster whose objects are reconciled. */
  readonly client: KubeClient;
  readonly events: EventRecorder;
  /** Opens another cluster. Rejects with `Unauthorized` or `BadArgument` for a bad kubeconfig. */
  openCluster(name: string, kubeconfig: Kubeconfig): Promise<KubeTransport>;
  /** The control API of an agent of this cluster. */
  openAgent(place: AgentPlace): ControlClient;
  readonly repositories: RepositoryProbe;
  readonly registries: RegistryDoor;
  readonly movers: MoverSupply;
}
