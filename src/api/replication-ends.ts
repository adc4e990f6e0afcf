/** Where a Replication leads from and to: two clusters, or a cluster and a repository. Pure. */
import type { ReplicationSpec } from './kinds/replication.ts';

type Ends = Pick<ReplicationSpec, 'source' | 'destination' | 'repository'>;

/** Backup: from a cluster into the repository. Restore: from the repository into a cluster. */
export type Shape = 'Copy' | 'Backup' | 'Restore';

export function shapeOf({ source, destination }: Ends): Shape {
  if (source === undefined) return 'Restore';
  return destination === undefined ? 'Backup' : 'Copy';
}

/** The clusters that are asked: of a backup or what is restored it is one, twice. */
export function clustersOf({ source, destination }: Ends): {
  readonly source: string;
  readonly destination: string;
} {
  return {
    source: source ?? destination ?? '',
    destination: destination ?? source ?? '',
  };
}

/** Both ends for people. */
export function endsText({ source, destination, repository = '' }: Ends): {
  readonly from: string;
  readonly to: string;
} {
  const place = `repository ${repository}`;
  return { from: source ?? place, to: destination ?? place };
}
