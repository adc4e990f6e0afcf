/** The two clusters: there, reachable, and alike enough. */
import type { Side } from '../observation.ts';
import type { Check } from './check.ts';

const missing = ({ name, exists }: Side) => (exists ? [] : [`there is no Cluster ${name}`]);

const unready = ({ name, exists, trouble }: Side) =>
  exists && trouble !== undefined ? [`cluster ${name} cannot be asked: ${trouble.message}`] : [];

/** `v1.31.2` to its minor version; undefined where it is not known. */
function minorOf(version: string | undefined): number | undefined {
  const minor = /^v?1\.(\d+)/.exec(version ?? '')?.[1];
  return minor === undefined ? undefined : Number(minor);
}

export const clusterChecks: readonly Check[] = [
  {
    id: 'InvalidSourceCluster',
    category: 'Critical',
    remedy: 'Add the cluster with `transship cluster add`, or correct spec.source.',
    find: ({ seen }) => missing(seen.source),
  },
  {
    id: 'InvalidDestinationCluster',
    category: 'Critical',
    remedy: 'Add the cluster with `transship cluster add`, or make a new plan.',
    find: ({ seen }) => missing(seen.destination),
  },
  {
    id: 'SourceClusterNotReady',
    category: 'Critical',
    remedy: 'See `transship cluster check`; it is tried again.',
    find: ({ seen }) => unready(seen.source),
  },
  {
    id: 'DestinationClusterNotReady',
    category: 'Critical',
    remedy: 'See `transship cluster check`; it is tried again.',
    find: ({ seen }) => unready(seen.destination),
  },
  {
    id: 'ClusterVersionMismatch',
    category: 'Warning',
    remedy: 'Read the list of kinds that are not served there before you move.',
    find: ({ seen: { source, destination } }) => {
      const [from, to] = [minorOf(source.version), minorOf(destination.version)];
      if (from === undefined || to === undefined || from <= to) return [];
      return [
        `the destination runs Kubernetes ${destination.version}, older than ${source.version}`,
      ];
    },
  },
];
