// Columns of nodes, namespaces, services, rights, events and the rest.
import { ageOf } from '../ages.ts';
import type { Json, JsonObject, PrinterColumn } from '../api.ts';
import { at, isObject, listAt, textAt } from '../json.ts';
import {
  age,
  column,
  createdAt,
  flag,
  labelsText,
  name,
  numberAt,
  selectorText,
  text,
  textOr,
  wide,
} from './cells.ts';

function keyCount(...keys: readonly string[]): (object: JsonObject) => number {
  return (object) => keys.reduce((sum, key) => sum + Object.keys(at(object, key) ?? {}).length, 0);
}

const rolePrefix = 'node-role.kubernetes.io/';

function nodeStatus(node: JsonObject): string {
  const ready = listAt(node, 'status', 'conditions').find(
    (condition) => textAt(condition, 'type') === 'Ready',
  );
  const isReady = textAt(ready, 'status') === 'True';
  const words = [ready === undefined ? 'Unknown' : isReady ? 'Ready' : 'NotReady'];
  if (at(node, 'spec', 'unschedulable') === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles(node: JsonObject): string {
  const labels = Object.entries(at(node, 'metadata', 'labels') ?? {});
  const roles = labels.flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix)) return [key.slice(rolePrefix.length)];
    return key === 'kubernetes.io/role' ? [String(value)] : [];
  });
  return roles.length === 0 ? '<none>' : roles.sort().join(',');
}

function nodeAddress(type: string): (node: JsonObject) => string {
  return (node) => {
    const found = listAt(node, 'status', 'addresses').find((one) => textAt(one, 'type') === type);
    return textAt(found, 'address') ?? '<none>';
  };
}

function ports(service: JsonObject): string {
  const list = listAt(service, 'spec', 'ports').map((port) => {
    const nodePort = at(port, 'nodePort');
    const outside = typeof nodePort === 'number' && nodePort > 0 ? `:${nodePort}` : '';
    return `${numberAt(port, 'port')}${outside}/${textAt(port, 'protocol') ?? 'TCP'}`;
  });
  return list.length === 0 ? '<none>' : list.join(',');
}

function externalIps(service: JsonObject): string {
  const type = textAt(service, 'spec', 'type');
  if (type === 'ExternalName') return textAt(service, 'spec', 'externalName') ?? '<none>';
  const given = listAt(service, 'spec', 'externalIPs').map(String);
  const balanced = listAt(service, 'status', 'loadBalancer', 'ingress').map(
    (ingress) => textAt(ingress, 'ip') ?? textAt(ingress, 'hostname') ?? '',
  );
  const all = type === 'LoadBalancer' ? [...balanced, ...given] : given;
  if (all.length > 0) return all.join(',');
  return type === 'LoadBalancer' ? '<pending>' : '<none>';
}

function endpoints(object: JsonObject): string {
  const all = listAt(object, 'subsets').flatMap((subset) =>
    listAt(subset, 'addresses').flatMap((address) => {
      const ip = textAt(address, 'ip') ?? '';
      const open = listAt(subset, 'ports');
      return open.length === 0 ? [ip] : open.map((port) => `${ip}:${numberAt(port, 'port')}`);
    }),
  );
  return few(all);
}

/** Three at most, and how many more. */
function few(all: readonly string[]): string {
  if (all.length === 0) return '<none>';
  const more = all.length > 3 ? ` + ${all.length - 3} more...` : '';
  return `${all.slice(0, 3).join(',')}${more}`;
}

function subjects(kind: string): (object: JsonObject) => string {
  return (object) =>
    listAt(object, 'subjects')
      .filter((subject) => textAt(subject, 'kind') === kind)
      .map((subject) => {
        const namespace = textAt(subject, 'namespace');
        return `${namespace === undefined ? '' : `${namespace}/`}${textAt(subject, 'name') ?? ''}`;
      })
      .join(', ');
}

const bindingColumns: readonly PrinterColumn[] = [
  name,
  column('Role', (object) => {
    return `${textAt(object, 'roleRef', 'kind') ?? ''}/${textAt(object, 'roleRef', 'name') ?? ''}`;
  }),
  age,
  wide('Users', subjects('User')),
  wide('Groups', subjects('Group')),
  wide('ServiceAccounts', subjects('ServiceAccount')),
];

function eventTime(keys: readonly string[]): (event: JsonObject, nowMs: number) => string {
  return (event, nowMs) => {
    const series = textAt(event, 'series', 'lastObservedTime');
    const isLast = keys.includes('lastTimestamp');
    const times = [...(isLast ? [series] : []), ...keys.map((key) => textAt(event, key))];
    return ageOf(
      times.find((time) => time !== undefined),
      nowMs,
    );
  };
}

function eventObject(event: JsonObject): Json {
  const target = at(event, 'involvedObject') ?? at(event, 'regarding');
  const kind = (textAt(target, 'kind') ?? '').toLowerCase();
  return `${kind}/${textAt(target, 'name') ?? ''}`;
}

function eventCount(event: JsonObject): number {
  const count = at(event, 'series', 'count') ?? at(event, 'count') ?? at(event, 'deprecatedCount');
  return typeof count === 'number' && count > 0 ? count : 1;
}

const lastSeen = ['lastTimestamp', 'deprecatedLastTimestamp', 'eventTime'];
const firstSeen = ['firstTimestamp', 'deprecatedFirstTimestamp', 'eventTime'];

const eventColumns: readonly PrinterColumn[] = [
  column('Last Seen', eventTime(lastSeen)),
  column('Type', text('type')),
  column('Reason', text('reason')),
  column('Object', eventObject),
  wide('Subobject', (event) => {
    return textAt(at(event, 'involvedObject') ?? at(event, 'regarding'), 'fieldPath') ?? '';
  }),
  wide('Source', (event) => {
    const source = at(event, 'source') ?? at(event, 'deprecatedSource');
    const parts = [textAt(source, 'component'), textAt(source, 'host')].filter(Boolean);
    if (parts.length > 0) return parts.join(', ');
    const reporter = textAt(event, 'reportingComponent') ?? textAt(event, 'reportingController');
    const instance = textAt(event, 'reportingInstance');
    return [reporter, instance].filter(Boolean).join(', ');
  }),
  column('Message', (event) => (textAt(event, 'message') ?? textAt(event, 'note') ?? '').trim()),
  wide('First Seen', eventTime(firstSeen)),
  wide('Count', eventCount),
  { ...name, priority: 1 },
];

function quota(key: 'requests' | 'limits'): (object: JsonObject) => string {
  return (object) => {
    const hard = at(object, 'status', 'hard');
    const names = isObject(hard) ? Object.keys(hard).sort() : [];
    return names
      .filter((resource) => resource.startsWith('limits.') === (key === 'limits'))
      .map((resource) => {
        const used = textAt(object, 'status', 'used', resource) ?? '0';
        return `${resource}: ${used}/${textAt(hard, resource) ?? ''}`;
      })
      .join(', ');
  };
}

function orNone(...path: readonly string[]): (object: JsonObject) => string {
  return (object) => String(at(object, ...path) ?? 'N/A');
}

/** Of the metrics of pods' resources, which are what is asked for most. */
function targets(object: JsonObject): string {
  const current = listAt(object, 'status', 'currentMetrics');
  const all = listAt(object, 'spec', 'metrics').map((metric, i) => {
    const resource = textAt(metric, 'resource', 'name') ?? textAt(metric, 'type') ?? '';
    const percent = (value: Json | undefined): string =>
      typeof value === 'number' ? `${value}%` : '<unknown>';
    const is = percent(at(current[i], 'resource', 'current', 'averageUtilization'));
    return `${resource}: ${is}/${percent(at(metric, 'resource', 'target', 'averageUtilization'))}`;
  });
  return all.length === 0 ? '<none>' : all.join(', ');
}

export const clusterColumns: Readonly<Record<string, readonly PrinterColumn[]>> = {
  'core.ConfigMap': [name, column('Data', keyCount('data', 'binaryData')), age],
  'core.Secret': [name, column('Type', text('type')), column('Data', keyCount('data')), age],
  'core.ServiceAccount': [name, age],
  'core.Namespace': [name, column('Status', text('status', 'phase')), age],
  'core.LimitRange': [name, createdAt],
  'core.ResourceQuota': [
    name,
    column('Request', quota('requests')),
    column('Limit', quota('limits')),
    age,
  ],
  'core.Endpoints': [name, column('Endpoints', endpoints), age],
  'core.Node': [
    name,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    age,
    column('Version', text('status', 'nodeInfo', 'kubeletVersion')),
    wide('Internal-IP', nodeAddress('InternalIP')),
    wide('External-IP', nodeAddress('ExternalIP')),
    wide('OS-Image', textOr('<unknown>', 'status', 'nodeInfo', 'osImage')),
    wide('Kernel-Version', textOr('<unknown>', 'status', 'nodeInfo', 'kernelVersion')),
    wide('Container-Runtime', textOr('<unknown>', 'status', 'nodeInfo', 'containerRuntimeVersion')),
  ],
  'core.Service': [
    name,
    column('Type', text('spec', 'type')),
    column('Cluster-IP', textOr('<none>', 'spec', 'clusterIP')),
    column('External-IP', externalIps),
    column('Port(s)', ports),
    age,
    wide('Selector', (object) => labelsText(at(object, 'spec', 'selector'))),
  ],
  'core.Event': eventColumns,
  'events.Event': eventColumns,
  'rbac.Role': [name, createdAt],
  'rbac.ClusterRole': [name, createdAt],
  'rbac.RoleBinding': bindingColumns,
  'rbac.ClusterRoleBinding': bindingColumns,
  'coordination.Lease': [name, column('Holder', text('spec', 'holderIdentity')), age],
  'networking.IngressClass': [
    name,
    column('Controller', text('spec', 'controller')),
    column('Parameters', (object) => {
      const kind = textAt(object, 'spec', 'parameters', 'kind');
      if (kind === undefined) return '<none>';
      const group = textAt(object, 'spec', 'parameters', 'apiGroup');
      const where = group === undefined ? kind : `${kind}.${group}`;
      return `${where}/${textAt(object, 'spec', 'parameters', 'name') ?? ''}`;
    }),
    age,
  ],
  'networking.Ingress': [
    name,
    column('Class', textOr('<none>', 'spec', 'ingressClassName')),
    column('Hosts', (object) => {
      const hosts = listAt(object, 'spec', 'rules').flatMap((rule) => textAt(rule, 'host') ?? []);
      return hosts.length === 0 ? '*' : few(hosts);
    }),
    column('Address', (object) =>
      listAt(object, 'status', 'loadBalancer', 'ingress')
        .map((ingress) => textAt(ingress, 'ip') ?? textAt(ingress, 'hostname') ?? '')
        .join(','),
    ),
    column('Ports', (object) => (listAt(object, 'spec', 'tls').length > 0 ? '80, 443' : '80')),
    age,
  ],
  'networking.NetworkPolicy': [
    name,
    column('Pod-Selector', (object) => selectorText(at(object, 'spec', 'podSelector'))),
    age,
  ],
  'policy.PodDisruptionBudget': [
    name,
    column('Min Available', orNone('spec', 'minAvailable')),
    column('Max Unavailable', orNone('spec', 'maxUnavailable')),
    column(
      'Allowed Disruptions',
      (object) => numberAt(object, 'status', 'disruptionsAllowed'),
      'integer',
    ),
    age,
  ],
  'autoscalingv2.HorizontalPodAutoscaler': [
    name,
    column('Reference', (object) => {
      const target = at(object, 'spec', 'scaleTargetRef');
      return `${textAt(target, 'kind') ?? ''}/${textAt(target, 'name') ?? ''}`;
    }),
    column('Targets', targets),
    column('MinPods', text('spec', 'minReplicas')),
    column('MaxPods', (object) => numberAt(object, 'spec', 'maxReplicas')),
    column('Replicas', (object) => numberAt(object, 'status', 'currentReplicas')),
    age,
  ],
  'scheduling.PriorityClass': [
    name,
    column('Value', (object) => numberAt(object, 'value'), 'integer'),
    column('Global-Default', flag('globalDefault'), 'boolean'),
    age,
    column('PreemptionPolicy', text('preemptionPolicy')),
  ],
  'discovery.EndpointSlice': [
    name,
    column('AddressType', text('addressType')),
    column('Ports', (object) => {
      const open = listAt(object, 'ports').map((port) => String(at(port, 'port') ?? '*'));
      return open.length === 0 ? '<unset>' : few(open);
    }),
    column('Endpoints', (object) => {
      const addresses = listAt(object, 'endpoints').flatMap((one) => listAt(one, 'addresses'));
      return addresses.length === 0 ? '<unset>' : few(addresses.map(String));
    }),
    age,
  ],
  'apiextensions.CustomResourceDefinition': [name, createdAt],
};
