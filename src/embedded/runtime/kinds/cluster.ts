/** Namespaces, nodes and what else the cluster itself keeps (API reference, core/v1). */
import type { KubeObject } from '../../../kube/objects.ts';
import type { Quantities } from './pods.ts';
import { clusterWide, namespaced } from '../../../kube/type-of.ts';

export interface Namespace extends KubeObject {
  readonly spec?: { readonly finalizers?: readonly string[] };
  readonly status?: { readonly phase?: string };
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
  /** Of `NoExecute`: since when. */
  readonly timeAdded?: string;
}

export interface NodeCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface Node extends KubeObject {
  readonly spec?: { readonly taints?: readonly Taint[]; readonly unschedulable?: boolean };
  readonly status?: {
    readonly conditions?: readonly NodeCondition[];
    readonly allocatable?: Quantities;
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port?: number } };
  };
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly renewTime?: string;
  };
}

export interface EventObject extends KubeObject {
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
}

export interface EndpointsObject extends KubeObject {
  readonly subsets?: readonly object[];
}

export interface EndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly endpoints?: readonly object[];
  readonly ports?: readonly object[];
}

export type ServiceAccount = KubeObject;

export const namespaces = clusterWide<Namespace>('v1', 'namespaces', 'Namespace');
export const nodes = clusterWide<Node>('v1', 'nodes', 'Node');
export const serviceAccounts = namespaced<ServiceAccount>(
  'v1',
  'serviceaccounts',
  'ServiceAccount',
);
export const leases = namespaced<Lease>('coordination.k8s.io/v1', 'leases', 'Lease');
export const events = namespaced<EventObject>('v1', 'events', 'Event');
export const endpoints = namespaced<EndpointsObject>('v1', 'endpoints', 'Endpoints');
export const endpointSlices = namespaced<EndpointSlice>(
  'discovery.k8s.io/v1',
  'endpointslices',
  'EndpointSlice',
);
