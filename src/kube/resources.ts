/**
 * The kinds of Kubernetes that we read or write: where they are, and the fields we use. What
 * servers may leave out is optional. Workloads are in `workloads.ts`, rights in `rights.ts`.
 */
import type { Condition, KubeObject } from './objects.ts';
import { clusterWide, namespaced } from './type-of.ts';

export interface Namespace extends KubeObject {
  readonly spec?: { readonly finalizers?: readonly string[] };
  readonly status?: { readonly phase?: 'Active' | 'Terminating' };
}

export interface ConfigMap extends KubeObject {
  readonly immutable?: boolean;
  readonly data?: Readonly<Record<string, string>>;
  /** Base64. */
  readonly binaryData?: Readonly<Record<string, string>>;
}

export interface Secret extends KubeObject {
  readonly type?: string;
  readonly immutable?: boolean;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
  /** Plain; for writing only. */
  readonly stringData?: Readonly<Record<string, string>>;
}

export interface ServiceAccount extends KubeObject {
  readonly automountServiceAccountToken?: boolean;
  readonly secrets?: readonly { readonly name?: string }[];
  readonly imagePullSecrets?: readonly { readonly name?: string }[];
}

export interface ServicePort {
  readonly name?: string;
  readonly protocol?: string;
  readonly port: number;
  /** A number, or the name of a container's port. */
  readonly targetPort?: number | string;
  readonly nodePort?: number;
}

export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly ServicePort[];
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly externalName?: string;
    readonly publishNotReadyAddresses?: boolean;
  };
  readonly status?: {
    readonly loadBalancer?: {
      readonly ingress?: readonly { readonly ip?: string; readonly hostname?: string }[];
    };
  };
}

export interface TargetReference {
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
}

export interface EndpointAddress {
  readonly ip: string;
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly targetRef?: TargetReference;
}

export interface Endpoints extends KubeObject {
  readonly subsets?: readonly {
    readonly addresses?: readonly EndpointAddress[];
    readonly notReadyAddresses?: readonly EndpointAddress[];
    readonly ports?: readonly {
      readonly name?: string;
      readonly port: number;
      readonly protocol?: string;
    }[];
  }[];
}

export interface EndpointSlice extends KubeObject {
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints?: readonly {
    readonly addresses: readonly string[];
    readonly conditions?: {
      readonly ready?: boolean;
      readonly serving?: boolean;
      readonly terminating?: boolean;
    };
    readonly nodeName?: string;
    readonly targetRef?: TargetReference;
  }[];
  readonly ports?: readonly {
    readonly name?: string;
    readonly port?: number;
    readonly protocol?: string;
  }[];
}

export type AccessMode = 'ReadWriteOnce' | 'ReadOnlyMany' | 'ReadWriteMany' | 'ReadWriteOncePod';

export interface ObjectReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface PersistentVolume extends KubeObject {
  readonly spec?: {
    readonly capacity?: { readonly storage?: string };
    readonly accessModes?: readonly AccessMode[];
    readonly persistentVolumeReclaimPolicy?: 'Retain' | 'Delete' | 'Recycle';
    readonly volumeAttributesClassName?: string;
    readonly storageClassName?: string;
    readonly volumeMode?: 'Filesystem' | 'Block';
    readonly mountOptions?: readonly string[];
    readonly claimRef?: ObjectReference;
    readonly csi?: {
      readonly driver: string;
      readonly volumeHandle: string;
      readonly fsType?: string;
      readonly readOnly?: boolean;
      readonly volumeAttributes?: Readonly<Record<string, string>>;
    };
    readonly hostPath?: { readonly path: string; readonly type?: string };
    readonly local?: { readonly path: string };
    readonly nfs?: { readonly server: string; readonly path: string; readonly readOnly?: boolean };
    readonly nodeAffinity?: { readonly required?: NodeSelector };
  };
  readonly status?: {
    readonly phase?: 'Pending' | 'Available' | 'Bound' | 'Released' | 'Failed';
    readonly message?: string;
    readonly reason?: string;
  };
}

export interface PersistentVolumeClaim extends KubeObject {
  readonly spec?: {
    readonly accessModes?: readonly AccessMode[];
    readonly resources?: {
      readonly requests?: { readonly storage?: string };
      readonly limits?: { readonly storage?: string };
    };
    /** Empty: no class, and none is wanted. Absent: the default class. */
    readonly storageClassName?: string;
    readonly volumeAttributesClassName?: string;
    readonly volumeName?: string;
    readonly volumeMode?: 'Filesystem' | 'Block';
    readonly selector?: object;
    readonly dataSource?: {
      readonly apiGroup?: string;
      readonly kind: string;
      readonly name: string;
    };
    readonly dataSourceRef?: {
      readonly apiGroup?: string;
      readonly kind: string;
      readonly name: string;
      readonly namespace?: string;
    };
  };
  readonly status?: {
    readonly phase?: 'Pending' | 'Bound' | 'Lost';
    readonly accessModes?: readonly AccessMode[];
    readonly capacity?: { readonly storage?: string };
    readonly currentVolumeAttributesClassName?: string;
    readonly modifyVolumeStatus?: {
      readonly targetVolumeAttributesClassName?: string;
      readonly status: string;
    };
    readonly allocatedResources?: { readonly storage?: string };
    /** Of what grows, how far it is: `NodeResizePending` is the kubelet's to do. */
    readonly allocatedResourceStatuses?: { readonly storage?: string };
    readonly conditions?: readonly Partial<Condition>[];
  };
}

export interface StorageClass extends KubeObject {
  readonly provisioner: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly reclaimPolicy?: 'Retain' | 'Delete';
  readonly volumeBindingMode?: 'Immediate' | 'WaitForFirstConsumer';
  readonly allowVolumeExpansion?: boolean;
  readonly mountOptions?: readonly string[];
}

/** What of a volume may be changed while it is used, by a name that claims choose. */
export interface VolumeAttributesClass extends KubeObject {
  readonly driverName: string;
  readonly parameters?: Readonly<Record<string, string>>;
}

/** What asks that a volume can be used on a node, and tells when it can. */
export interface VolumeAttachment extends KubeObject {
  readonly spec: {
    readonly attacher: string;
    readonly nodeName: string;
    readonly source: { readonly persistentVolumeName?: string };
  };
  readonly status?: {
    readonly attached: boolean;
    readonly attachError?: { readonly message?: string; readonly time?: string };
  };
}

export interface NodeRequirement {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

export interface NodeSelector {
  readonly nodeSelectorTerms: readonly {
    readonly matchExpressions?: readonly NodeRequirement[];
    readonly matchFields?: readonly NodeRequirement[];
  }[];
}

export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: 'NoSchedule' | 'PreferNoSchedule' | 'NoExecute';
  /** Of `NoExecute`: since when. */
  readonly timeAdded?: string;
}

export interface NodeCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastHeartbeatTime?: string;
  readonly lastTransitionTime?: string;
}

export interface Node extends KubeObject {
  readonly spec?: {
    readonly unschedulable?: boolean;
    readonly podCIDR?: string;
    readonly providerID?: string;
    readonly taints?: readonly Taint[];
  };
  readonly status?: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly allocatable?: Readonly<Record<string, string>>;
    readonly addresses?: readonly { readonly type: string; readonly address: string }[];
    readonly conditions?: readonly NodeCondition[];
    readonly daemonEndpoints?: { readonly kubeletEndpoint?: { readonly Port?: number } };
    readonly nodeInfo?: Readonly<Record<string, string>>;
  };
}

export interface ResourceQuota extends KubeObject {
  readonly spec?: { readonly hard?: Readonly<Record<string, string>> };
  /** What is in force: a controller of the cluster copies it from `spec`. */
  readonly status?: { readonly hard?: Readonly<Record<string, string>> };
}

/** `events.k8s.io/v1`. */
export interface Event extends KubeObject {
  readonly eventTime: string;
  readonly reportingController?: string;
  readonly reportingInstance?: string;
  readonly action?: string;
  readonly reason?: string;
  readonly type?: string;
  readonly note?: string;
  readonly regarding?: ObjectReference;
  readonly series?: { readonly count: number; readonly lastObservedTime: string };
}

export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface CustomResourceDefinition extends KubeObject {
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly names: {
      readonly plural: string;
      readonly singular?: string;
      readonly kind: string;
      readonly listKind?: string;
      readonly shortNames?: readonly string[];
      readonly categories?: readonly string[];
    };
    readonly versions: readonly {
      readonly name: string;
      readonly served: boolean;
      readonly storage: boolean;
      readonly schema?: { readonly openAPIV3Schema?: object };
      readonly subresources?: { readonly status?: object; readonly scale?: object };
      readonly additionalPrinterColumns?: readonly object[];
    }[];
  };
  readonly status?: {
    readonly conditions?: readonly Partial<Condition>[];
    readonly storedVersions?: readonly string[];
  };
}

export const namespaces = clusterWide<Namespace>('v1', 'namespaces', 'Namespace');
export const configMaps = namespaced<ConfigMap>('v1', 'configmaps', 'ConfigMap');
export const secrets = namespaced<Secret>('v1', 'secrets', 'Secret');
export const serviceAccounts = namespaced<ServiceAccount>(
  'v1',
  'serviceaccounts',
  'ServiceAccount',
);
export const services = namespaced<Service>('v1', 'services', 'Service');
export const endpoints = namespaced<Endpoints>('v1', 'endpoints', 'Endpoints');
export const endpointSlices = namespaced<EndpointSlice>(
  'discovery.k8s.io/v1',
  'endpointslices',
  'EndpointSlice',
);
export const persistentVolumes = clusterWide<PersistentVolume>(
  'v1',
  'persistentvolumes',
  'PersistentVolume',
);
export const persistentVolumeClaims = namespaced<PersistentVolumeClaim>(
  'v1',
  'persistentvolumeclaims',
  'PersistentVolumeClaim',
);
export const storageClasses = clusterWide<StorageClass>(
  'storage.k8s.io/v1',
  'storageclasses',
  'StorageClass',
);
export const volumeAttributesClasses = clusterWide<VolumeAttributesClass>(
  'storage.k8s.io/v1',
  'volumeattributesclasses',
  'VolumeAttributesClass',
);
export const volumeAttachments = clusterWide<VolumeAttachment>(
  'storage.k8s.io/v1',
  'volumeattachments',
  'VolumeAttachment',
);
export const nodes = clusterWide<Node>('v1', 'nodes', 'Node');
export const resourceQuotas = namespaced<ResourceQuota>('v1', 'resourcequotas', 'ResourceQuota');
export const events = namespaced<Event>('events.k8s.io/v1', 'events', 'Event');
export const leases = namespaced<Lease>('coordination.k8s.io/v1', 'leases', 'Lease');
export const customResourceDefinitions = clusterWide<CustomResourceDefinition>(
  'apiextensions.k8s.io/v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
);
