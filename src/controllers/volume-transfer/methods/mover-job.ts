/** One copy by a pod at each side: its names, its marks, and what the two methods differ in. */
import { createHash } from 'node:crypto';
import type { MoverCertificates, MoverIdentity, MoverPodOptions } from '../../../files/pods.ts';
import type { ObjectKey } from '../../../kube/objects.ts';
import type { NodeSelector } from '../../../kube/resources.ts';
import type { Pod } from '../../../kube/workloads.ts';
import { labels } from '../../labels.ts';
import { ownNameOf, uidOf } from '../marks.ts';
import type { TransferNumbers, Transfer } from '../method.ts';

export type SideName = 'server' | 'client';

/** The server is at the destination: a pod, a Secret and a Service of one name; so the client. */
export function keyAt({ object }: Transfer, side: SideName): ObjectKey {
  const { source, destination } = object.spec;
  const { namespace } = side === 'server' ? destination : source;
  return { namespace, name: `${ownNameOf(object)}-${side}` };
}

export function clientAt({ source, destination }: Transfer, side: SideName) {
  return side === 'server' ? destination.client : source.client;
}

export function claimAt({ object }: Transfer, side: SideName): ObjectKey {
  const { namespace, claim } = side === 'server' ? object.spec.destination : object.spec.source;
  return { namespace, name: claim };
}

/** Also what the Service of a server selects. */
export function labelsOf({ object }: Transfer, side: SideName) {
  return { [labels.transfer]: uidOf(object), [labels.moverSide]: side };
}

/** In the server's certificate, whatever its address is. */
export function serverNameOf({ object }: Transfer): string {
  return ownNameOf(object);
}

/** Names the authority of a pair of certificates. */
export function authorityOf(certificates: MoverCertificates): string {
  return fingerprintOf(certificates.server['ca.crt']);
}

export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Ways to the server, the cheapest first. */
export const routes = ['Pod', 'LoadBalancer', 'NodePort'] as const;
export type Route = (typeof routes)[number];

/** Where the server is for the client. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface PodPlace {
  readonly image: string;
  readonly identity: MoverIdentity;
  readonly nodes?: NodeSelector;
  readonly tolerations?: readonly object[];
}

export function podOptionsOf(transfer: Transfer, side: SideName, place: PodPlace): MoverPodOptions {
  const key = keyAt(transfer, side);
  return { ...key, secret: key.name, labels: labelsOf(transfer, side), ...place };
}

/** What a client has told so far in its log; of one pod. */
export interface ClientNews {
  /** Attempts inside of this pod. */
  readonly attempts: number;
  /** It has spoken with the server at least once. */
  readonly reached: boolean;
  /** The last that it said is that the server cannot be reached. */
  readonly unreachable: string | undefined;
  /** Of the attempt that runs, or ran last. */
  readonly message: string;
  readonly numbers: TransferNumbers;
  readonly end: ClientEnd | undefined;
}

export type ClientEnd =
  | { readonly kind: 'done'; readonly verified: boolean; readonly warnings: readonly string[] }
  | {
      readonly kind: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly remedy: string;
    };

/** The part that Filesystem and Block do not have in common. */
export interface MoverWork {
  readonly volumeMode: 'Filesystem' | 'Block';
  /** Why a pod wants to be root, where it may. */
  readonly rootBecause: string;
  serverPod(transfer: Transfer, place: PodPlace): Pod;
  /** Beside the certificates; by names of files. */
  serverFiles(transfer: Transfer): Readonly<Record<string, string>>;
  clientPod(transfer: Transfer, place: PodPlace, endpoint: Endpoint): Pod;
  clientFiles(
    transfer: Transfer,
    endpoint: Endpoint,
    ownership: 'Preserve' | 'Mover',
  ): Readonly<Record<string, string>>;
  /** From the log of a server: where it listens. */
  portFrom(log: string): number | undefined;
  newsFrom(log: string, pod: Pod): ClientNews;
}
