/** Addresses and node ports of services: nobody forwards to them, but they are unique. */
import type { Json, JsonObject } from '../schema/api.ts';
import { objectAt, objectsAt, textAt, textsAt, withKeys } from './json.ts';
import type { Call } from './kernel.ts';
import { failure } from './status.ts';

/** 10.96.0.0/16, as kubeadm has it. The first address is that of the API server. */
const network = [10, 96] as const;
const firstHost = 10;
const lastHost = 65_000;
const nodePortMin = 30_000;
const nodePortMax = 32_767;
/** Random tries before the range counts as full. */
const triesMax = 200;

export function admitService(
  call: Call,
  service: JsonObject,
  live: JsonObject | undefined,
): JsonObject {
  const spec = objectAt(service, 'spec');
  const type = textAt(spec, 'type') || 'ClusterIP';
  if (type === 'ExternalName') return service;
  const before = objectAt(live, 'spec');
  const others = takenBy(call);
  const given = textAt(spec, 'clusterIP') || textAt(before, 'clusterIP');
  const clusterIP = given === '' ? freeAddress(call, others.addresses) : given;
  const clusterIPs = textsAt(spec, 'clusterIPs');
  const addressed = withKeys(spec, {
    clusterIP,
    clusterIPs: clusterIPs.length === 0 ? [clusterIP] : clusterIPs,
    ipFamilies: spec['ipFamilies'] ?? ['IPv4'],
    ipFamilyPolicy: spec['ipFamilyPolicy'] ?? 'SingleStack',
    internalTrafficPolicy: spec['internalTrafficPolicy'] ?? 'Cluster',
  });
  if (type === 'ClusterIP') return { ...service, spec: addressed };
  const ports = withNodePorts(call, addressed, others.ports);
  const externalTrafficPolicy = spec['externalTrafficPolicy'] ?? 'Cluster';
  return { ...service, spec: { ...addressed, externalTrafficPolicy, ports } };
}

interface Taken {
  readonly addresses: ReadonlySet<string>;
  readonly ports: ReadonlySet<number>;
}

function takenBy({ kernel }: Call): Taken {
  const specs = [...kernel.store.list({ prefix: '//services/' })].map((entry) =>
    objectAt(kernel.store.read(entry), 'spec'),
  );
  const ports = specs.flatMap((spec) => objectsAt(spec, 'ports').map((port) => port['nodePort']));
  return {
    addresses: new Set(specs.flatMap((spec) => textsAt(spec, 'clusterIPs'))),
    ports: new Set(ports.filter((port) => typeof port === 'number')),
  };
}

function freeAddress({ kernel }: Call, taken: ReadonlySet<string>): string {
  for (let i = 0; i < triesMax; i++) {
    const host = firstHost + Math.floor(kernel.random.fraction() * (lastHost - firstHost));
    const address = [...network, host >> 8, host & 255].join('.');
    if (!taken.has(address)) return address;
  }
  throw full('range is full');
}

function withNodePorts(call: Call, spec: JsonObject, taken: ReadonlySet<number>): readonly Json[] {
  const used = new Set(taken);
  return objectsAt(spec, 'ports').map((port) => {
    if (typeof port['nodePort'] === 'number') return port;
    const nodePort = freePort(call, used);
    used.add(nodePort);
    return { ...port, nodePort };
  });
}

function freePort({ kernel }: Call, taken: ReadonlySet<number>): number {
  for (let i = 0; i < triesMax; i++) {
    const size = nodePortMax - nodePortMin + 1;
    const port = nodePortMin + Math.floor(kernel.random.fraction() * size);
    if (!taken.has(port)) return port;
  }
  throw full('provided port range is full');
}

function full(why: string): Error {
  return failure({ code: 500, reason: 'InternalError', message: `failed to allocate: ${why}` });
}
