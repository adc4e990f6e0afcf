/**
 * What plans and migrations ask of this folder: the objects of the method Filesystem, one Secret
 * and one pod at each side. What the pods say is read with `parseMoverMessage`.
 */
import type { Secret } from '../kube/resources.ts';
import type { Pod } from '../kube/workloads.ts';
import type { MoverClientConfig } from './mover-config.ts';
import {
  type MoverCertificates,
  type MoverClientPodOptions,
  moverClientPod,
  moverSecret,
  type MoverServerPodOptions,
  moverServerPod,
  type WithoutPlaces,
} from './pods.ts';

/** Tells a server to listen at its pod's address where it knows one. */
const anyAddress = '0.0.0.0';

export interface MoverObjects {
  readonly secret: Secret;
  readonly pod: Pod;
}

export type ServerOptions = MoverServerPodOptions & {
  /** Where it listens. Default: the address of its pod. */
  readonly host?: string;
  readonly certificates: MoverCertificates;
};

/** At the destination, one per namespace; each module is named as its claim. */
export function moverServerObjects(options: ServerOptions): MoverObjects {
  const { host = anyAddress, port, volumes, certificates } = options;
  const modules = volumes.map(({ claim, path }) => ({ name: claim, path }));
  const config = { host, port, modules };
  const secret = moverSecret(metadataOf(options), options.name, config, certificates.server);
  return { secret, pod: moverServerPod(options) };
}

export type ClientOptions = MoverClientPodOptions & {
  /** Its `module` is the name of the destination claim. */
  readonly config: Omit<WithoutPlaces<MoverClientConfig>, 'source'>;
  readonly certificates: MoverCertificates;
};

/** At the source, one per volume. A changed Secret takes effect at the next attempt. */
export function moverClientObjects(options: ClientOptions): MoverObjects {
  const config = { ...options.config, source: options.path };
  const secret = moverSecret(
    metadataOf(options),
    options.name,
    config,
    options.certificates.client,
  );
  return { secret, pod: moverClientPod(options) };
}

function metadataOf({ secret, namespace, labels = {} }: ServerOptions | ClientOptions) {
  return { name: secret, namespace, labels };
}
