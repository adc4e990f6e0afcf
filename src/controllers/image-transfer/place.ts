/** Where the registry of a cluster is, as its `Cluster` object says. Pure. */
import type { Cluster } from '../../api/kinds/cluster.ts';

export interface RegistryPlace {
  readonly cluster: string;
  /** As pods of the cluster name it. */
  readonly host: string;
  /** All names under which images of it are known, `host` first. */
  readonly hosts: readonly string[];
  /** `host:port` where it is reached from here. */
  readonly address: string;
  /** PEM. */
  readonly ca?: string;
  readonly credentials?: { readonly namespace: string; readonly name: string };
}

type Described = Pick<Cluster, 'metadata' | 'spec' | 'status'>;

/** Undefined: nobody has said where it is. */
export function registryOf({ metadata, spec, status }: Described): RegistryPlace | undefined {
  const { caBundle, credentialsSecretRef, ...said } = spec.registry ?? {};
  const { host, exposedHost } = { ...status?.registry, ...said };
  const inside = host ?? exposedHost;
  const outside = exposedHost ?? host;
  if (inside === undefined || outside === undefined) return undefined;
  return {
    cluster: metadata.name ?? '',
    host: inside,
    hosts: [...new Set([inside, outside])],
    address: outside,
    ...(caBundle === undefined ? {} : { ca: caBundle }),
    ...(credentialsSecretRef === undefined ? {} : { credentials: credentialsSecretRef }),
  };
}
