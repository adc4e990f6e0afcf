/** Endpoints and EndpointSlices of services: where their pods answer. */
import { ownerReference } from '../../../kube/api.ts';
import { type KubeObject, type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { isDeepStrictEqual } from 'node:util';
import {
  type EndpointAddress,
  endpointSlices,
  endpoints,
  type Service,
  services,
} from '../../../kube/resources.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  create,
  decision,
  isDeleted,
  nothing,
  patch,
  remove,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { isFinished, isReady } from '../workload/pods.ts';

export function createEndpointsController(): Controller {
  return {
    name: 'endpoints',
    sources: [
      { type: services, keysOf: (object) => [keyOf(object)] },
      { type: pods, keysOf: servicesOfPod },
      { type: endpoints, keysOf: (object) => [keyOf(object)] },
    ],
    reads: [services, pods, endpoints, endpointSlices],
    decide: decideEndpoints,
  };
}

function servicesOfPod(pod: KubeObject, view: View): readonly ObjectKey[] {
  const all = view.list(services, pod.metadata.namespace ?? '');
  return all.filter((service) => selects(service, pod)).map(keyOf);
}

function selects({ spec }: Service, pod: KubeObject): boolean {
  const selector = Object.entries(spec?.selector ?? {});
  const { labels = {} } = pod.metadata;
  return selector.length > 0 && selector.every(([name, value]) => labels[name] === value);
}

export function decideEndpoints(view: View, key: ObjectKey): Decision {
  const service = view.get(services, key);
  if (service === undefined) return decision(leftover(view, key));
  if (isDeleted(service)) return nothing;
  // Without a selector somebody else says where it is.
  if (Object.keys(service.spec?.selector ?? {}).length === 0) return nothing;
  if (service.spec?.type === 'ExternalName') return nothing;
  const mine = view
    .list(pods, key.namespace)
    .filter((pod) => selects(service, pod) && pod.status?.podIP !== undefined && !isFinished(pod))
    .toSorted((a, b) => (a.metadata.name ?? '').localeCompare(b.metadata.name ?? ''));
  return decision([...endpointsOf(view, service, mine), ...sliceOf(view, service, mine)]);
}

const managedLabel = 'endpoints.kubernetes.io/managed-by';

/** Endpoints have no owner reference: what we made for a service goes with it. */
function leftover(view: View, key: ObjectKey): readonly Action[] {
  const left = view.get(endpoints, key);
  if (left?.metadata.labels?.[managedLabel] === undefined || isDeleted(left)) return [];
  return [remove(endpoints, left)];
}

interface Port {
  readonly name?: string;
  readonly port: number;
  readonly protocol: string;
}

/** The service's ports as this pod has them: a named target may differ from pod to pod. */
function portsOf(service: Service, pod: Pod): readonly Port[] {
  return (service.spec?.ports ?? []).flatMap((one) => {
    const { name, port, targetPort = port, protocol = 'TCP' } = one;
    const number = typeof targetPort === 'number' ? targetPort : namedPort(pod, targetPort);
    if (number === undefined) return [];
    return [{ ...(name === undefined ? {} : { name }), port: number, protocol }];
  });
}

export function namedPort(pod: Pod, name: string): number | undefined {
  const all = pod.spec.containers.flatMap((container) => container.ports ?? []);
  const found = all.find((one) => one.name === name)?.containerPort;
  return found ?? (/^\d+$/.test(name) ? Number(name) : undefined);
}

function serves(service: Service, pod: Pod): boolean {
  return (isReady(pod) && !isDeleted(pod)) || service.spec?.publishNotReadyAddresses === true;
}

/** Where it runs, and which one it is. */
function whichOf({ metadata, spec: { nodeName } }: Pod) {
  const { name = '', namespace = '', uid = '' } = metadata;
  const targetRef = { kind: 'Pod', name, namespace, uid };
  return nodeName === undefined ? { targetRef } : { nodeName, targetRef };
}

interface Group {
  readonly ports: readonly Port[];
  readonly ready: EndpointAddress[];
  readonly other: EndpointAddress[];
}

function endpointsOf(view: View, service: Service, mine: readonly Pod[]): readonly Action[] {
  const groups = new Map<string, Group>();
  // Whoever is on its way out is only in the slices, which can say so.
  const isKept = (pod: Pod) => !isDeleted(pod) || serves(service, pod);
  for (const pod of mine.filter(isKept)) {
    const ports = portsOf(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, ready: [], other: [] };
    groups.set(key, group);
    const { hostname } = pod.spec;
    const address = {
      ip: pod.status?.podIP ?? '',
      ...(hostname === undefined ? {} : { hostname }),
      ...whichOf(pod),
    };
    (serves(service, pod) ? group.ready : group.other).push(address);
  }
  const subsets = [...groups.values()].map(({ ports, ready, other }) => ({
    ...(ready.length > 0 ? { addresses: ready } : {}),
    ...(other.length > 0 ? { notReadyAddresses: other } : {}),
    ports,
  }));
  const { name = '', namespace = '', labels } = service.metadata;
  const before = view.get(endpoints, { namespace, name });
  if (before === undefined) {
    // As Kubernetes does: named like the service, without a reference to it.
    return [
      create(endpoints, {
        metadata: { name, namespace, labels: { ...labels, [managedLabel]: 'endpoint-controller' } },
        subsets,
      }),
    ];
  }
  const isSame = isDeepStrictEqual(before.subsets ?? [], JSON.parse(JSON.stringify(subsets)));
  return isSame ? [] : [patch(endpoints, before, { subsets })];
}

function sliceOf(view: View, service: Service, mine: readonly Pod[]): readonly Action[] {
  const { name = '', namespace = '' } = service.metadata;
  const first = mine[0];
  const ports = first === undefined ? [] : portsOf(service, first);
  const list = mine.map((pod) => ({
    addresses: [pod.status?.podIP ?? ''],
    conditions: {
      ready: serves(service, pod),
      serving: isReady(pod),
      terminating: isDeleted(pod),
    },
    ...whichOf(pod),
  }));
  const sliceName = `${name}-embedded`;
  const before = view.get(endpointSlices, { namespace, name: sliceName });
  const labels = {
    'kubernetes.io/service-name': name,
    'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
  };
  if (before === undefined) {
    const metadata = {
      name: sliceName,
      namespace,
      labels,
      ownerReferences: [ownerReference(service)],
    };
    return [create(endpointSlices, { metadata, addressType: 'IPv4', endpoints: list, ports })];
  }
  const plainList: unknown = JSON.parse(JSON.stringify(list));
  const isSame =
    isDeepStrictEqual(before.endpoints ?? [], plainList) &&
    isDeepStrictEqual(before.ports ?? [], JSON.parse(JSON.stringify(ports)));
  return isSame ? [] : [patch(endpointSlices, before, { endpoints: list, ports })];
}
