// What is there, in words that are the same for histories that ended alike: no uids, no times.
import { historyPolicies } from '../../src/api/kinds/history-policy.ts';
import { migrations } from '../../src/api/kinds/migration.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { replications } from '../../src/api/kinds/replication.ts';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import type { Reported } from '../../src/controllers/status.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import {
  configMaps,
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../src/kube/resources.ts';
import { names, type World } from './world.ts';

const uidPattern = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export async function leftIn(world: World): Promise<string> {
  const lines: string[] = [];
  for (const cluster of names) {
    const say = (text: string) =>
      void lines.push(`${cluster} ${text}`.replaceAll(uidPattern, 'UID'));
    for (const one of await world.list(cluster, volumes)) say(lineOf(one));
    for (const one of await world.list(cluster, teleports)) say(lineOf(one));
    for (const one of await world.list(cluster, historyPolicies)) say(lineOf(one));
    for (const one of await world.list(cluster, volumeTransfers)) say(lineOf(one));
    for (const one of await world.list(cluster, plans)) say(`plan ${metadataOf(one)}`);
    for (const one of await world.list(cluster, migrations)) {
      const states = (one.status?.itinerary ?? []).map(({ name, state }) => `${name}=${state}`);
      say(`${lineOf(one)} ${states.join(' ')}`);
    }
    for (const one of await world.list(cluster, replications)) {
      const { phase, resources, itinerary = [] } = one.status ?? {};
      const states = itinerary.map(({ name, state }) => `${name}=${state}`);
      say(`${lineOf(one)} ${phase} ${JSON.stringify(resources)} ${states.join(' ')}`);
    }
    for (const type of [namespaces, secrets, configMaps]) {
      for (const one of await world.list<KubeObject>(cluster, type)) {
        say(`${type.kind} ${metadataOf(one)}`);
      }
    }
    for (const { metadata, spec, status, kind } of await world.list(cluster, persistentVolumes)) {
      const { claimRef, capacity } = spec ?? {};
      const facts = [claimRef?.namespace, claimRef?.name, capacity?.storage, status?.phase];
      say(`${kind} ${metadata.name} ${facts.join(' ')} ${JSON.stringify(metadata.finalizers)}`);
    }
    for (const one of await world.list(cluster, persistentVolumeClaims)) {
      const { name, labels, finalizers } = one.metadata;
      const facts = [one.spec?.volumeName, one.status?.phase, one.status?.capacity?.storage];
      say(`claim ${name} ${facts.join(' ')} ${JSON.stringify([labels, finalizers])}`);
    }
    const { state } = world.cloud.find(cluster);
    for (const { name, sizeBytes, policy, missingBytes } of state.volumes.values()) {
      say(`agent has ${name} ${sizeBytes} ${policy} ${missingBytes}`);
    }
    for (const { volume, holder } of state.leases.values()) say(`agent leases ${volume} ${holder}`);
    for (const policy of state.policies.keys()) say(`agent keeps ${policy}`);
  }
  return lines.toSorted().join('\n');
}

function metadataOf({ metadata }: KubeObject): string {
  const { namespace, name, labels, finalizers, deletionTimestamp } = metadata;
  const isGoing = deletionTimestamp !== undefined;
  return `${namespace}/${name} ${JSON.stringify([labels, finalizers, isGoing])}`;
}

function lineOf(object: Reported & { readonly spec?: object }): string {
  const { kind, metadata, spec, status } = object;
  const { name, labels, finalizers } = metadata;
  const conditions = (status?.conditions ?? [])
    // When the link was last heard of depends on the moment of the last look.
    .filter(({ type }) => type !== 'SourceConnected')
    .map(({ type, status: is, reason }) => `${type}=${is}/${reason}`);
  const more = JSON.stringify([labels, finalizers, spec]);
  return `${kind} ${name} ${conditions.toSorted().join(' ')} ${more}`;
}
