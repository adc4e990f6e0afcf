/**
 * Clients and informers of other clusters: opened by the `Cluster` controller, shared by all, and
 * closed when the object goes. The local cluster is one of them, over the informers that are there.
 */
import { createKubeClient } from '../../kube/client.ts';
import type { KubeObject } from '../../kube/objects.ts';
import type { Source } from '../../kube/reconciler.ts';
import type { KubeTransport } from '../../kube/transport.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { Clock, Log, Random } from '../../base/ports.ts';
import type { ClusterAccess } from './access.ts';
import { informersOf, openAccess, watchedParts } from './access.ts';

export interface RemotesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly client: KubeClient;
  readonly local: Omit<ClusterAccess, 'name' | 'client'>;
  /** Name of the `Cluster` object of this cluster. */
  readonly localName: () => string;
  /** From then on it is known which clusters there are: one that is not listed yet is not gone. */
  readonly clustersListed: Promise<void>;
}

export interface RemoteChange {
  readonly cluster: string;
  /** What changed, after or before; undefined: the way to the cluster did. */
  readonly object: KubeObject | undefined;
}

interface Open {
  readonly access: ClusterAccess;
  /** Of what it was opened with. */
  readonly fingerprint: string;
  readonly ends: readonly (() => void)[];
}

const fieldManager = 'transship-hub';

export class Remotes {
  readonly #o: RemotesOptions;
  readonly #open = new Map<string, Open>();
  readonly #listeners = new Set<(change: RemoteChange) => void>();
  readonly #localEnds: readonly (() => void)[];

  constructor(options: RemotesOptions) {
    this.#o = options;
    const local = { ...options.local, name: '', client: options.client };
    this.#localEnds = this.#follow(local, () => options.localName());
  }

  /** Undefined: no such cluster, or it has not been opened. */
  find(name: string): ClusterAccess | undefined {
    if (name === this.#o.localName()) {
      return { ...this.#o.local, name, client: this.#o.client };
    }
    return this.#open.get(name)?.access;
  }

  /** The fingerprint of what a cluster was opened with. */
  fingerprintOf(name: string): string | undefined {
    return this.#open.get(name)?.fingerprint;
  }

  /** Takes the place of what was open under the name. */
  open(name: string, fingerprint: string, transport: KubeTransport): ClusterAccess {
    this.close(name);
    const { clock, random, log } = this.#o;
    const client = createKubeClient({
      cluster: name,
      transport,
      clock,
      random,
      log,
      fieldManager,
    });
    const access = openAccess(name, client);
    const ends = this.#follow(access, () => name);
    this.#open.set(name, { access, fingerprint, ends });
    this.#tell({ cluster: name, object: undefined });
    return access;
  }

  close(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    this.#open.delete(name);
    end(open);
    this.#tell({ cluster: name, object: undefined });
  }

  /** Keys of what teleports made in any cluster, and of clusters that come and go. */
  source(keysOf: (change: RemoteChange) => Iterable<string>): Source {
    return {
      synced: this.#o.clustersListed,
      subscribe: (add) => {
        const listen = (change: RemoteChange) => {
          for (const key of keysOf(change)) add(key);
        };
        this.#listeners.add(listen);
        return () => void this.#listeners.delete(listen);
      },
    };
  }

  stop(): void {
    for (const stop of this.#localEnds) stop();
    for (const open of this.#open.values()) end(open);
    this.#open.clear();
  }

  #follow(access: ClusterAccess, name: () => string): readonly (() => void)[] {
    const ends = watchedParts.map((part) =>
      access[part].onChange(({ before, now }) => {
        this.#tell({ cluster: name(), object: now ?? before });
      }),
    );
    const told = () => this.#tell({ cluster: name(), object: undefined });
    for (const informer of informersOf(access)) {
      ends.push(informer.onTrouble(told));
      void informer.synced.then(told, () => undefined);
    }
    return ends;
  }

  #tell(change: RemoteChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

function end({ access, ends }: Open): void {
  for (const stop of ends) stop();
  for (const informer of informersOf(access)) void informer.stop();
}
