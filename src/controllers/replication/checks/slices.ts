/** KubeSlice, where one is installed: what its own documentation asks to be so (K-6, K-7). Pure. */
import type { Check } from './check.ts';

export const sliceChecks: readonly Check[] = [
  {
    name: 'SliceOnboarding',
    remedy:
      'Take the namespace off the slice for that cluster, in applicationNamespaces of its ' +
      'SliceConfig; afterwards it can be onboarded again.',
    find: ({ slices, replication }) => ({
      problems: slices.atDestination.map(({ namespace, slice }) => {
        return `namespace ${namespace} is on slice ${slice} from ${replication.spec.destination}`;
      }),
      fixes: [],
      unread: slices.unread,
    }),
  },
  {
    name: 'NamespaceSameness',
    remedy:
      'Name the clusters instead of `*` in applicationNamespaces of the SliceConfig: with ' +
      'sameness KubeSlice itself makes the namespace in all clusters of the slice.',
    find: ({ slices }) => ({
      problems: slices.everywhere.map(({ namespace, slice }) => {
        return `slice ${slice} has namespace sameness on for ${namespace}`;
      }),
      fixes: [],
      unread: slices.unread,
    }),
  },
];
