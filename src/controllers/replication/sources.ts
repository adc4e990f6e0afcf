/** What wakes replications: themselves, their copies, and clusters that come and go. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import { type Replication, replicationKind } from '../../api/kinds/replication.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import type { Change } from '../../kube/api.ts';
import { keyOf, keyText } from '../../kube/objects.ts';
import { type Source, watching } from '../../kube/reconciler.ts';
import type { Context } from '../context.ts';
import { isOver, isSamePair } from './decide.ts';

type Transfer = VolumeTransfer | ImageTransfer;
const states = ['InProgress', 'Success', 'Error'] as const;

export function sourcesOf({ informers, ports, remotes }: Context): readonly Source[] {
  const all = () => [...informers.replications.list()];
  const keysOf = (some: readonly Replication[]) => some.map((one) => keyText(keyOf(one)));
  return [
    watching(informers.replications, (change) => {
      for (const state of states) {
        const count = all().filter(({ status }) => status?.state === state).length;
        ports.metrics.set('transship_replications', count, { state });
      }
      const one = change.now ?? change.before;
      // Who has ended, or is gone, lets the next one of its clusters begin.
      const isEnd = change.now === undefined || isOver(change.now.status?.phase);
      const waiting = all().filter((other) => {
        return other.status?.phase === 'Queued' && one !== undefined && isSamePair(other, one);
      });
      return [...(isAsked(change) ? [keyText(change.key)] : []), ...(isEnd ? keysOf(waiting) : [])];
    }),
    watching(informers.volumeTransfers, replicationOf),
    watching(informers.imageTransfers, replicationOf),
    remotes.source(({ cluster, object }) => {
      if (object !== undefined) return [];
      const concerned = all().filter(({ spec, status }) => {
        return [spec.source, spec.destination].includes(cluster) && !isOver(status?.phase);
      });
      return keysOf(concerned);
    }),
  ];
}

/** What a person asked for: our own words about it wake nobody. */
function isAsked({ before, now }: Change<Replication>): boolean {
  if (before === undefined || now === undefined) return true;
  const { generation, deletionTimestamp } = now.metadata;
  return (
    before.metadata.generation !== generation ||
    before.metadata.deletionTimestamp !== deletionTimestamp
  );
}

/** When one comes, goes, ends or is cleaned up; how far it is can wait for the next look. */
function replicationOf({ key, before, now }: Change<Transfer>): readonly string[] {
  if (factsOf(before) === factsOf(now)) return [];
  const owners = (now ?? before)?.metadata.ownerReferences ?? [];
  const owner = owners.find(({ kind }) => kind === replicationKind.kind);
  return owner === undefined ? [] : [keyText({ namespace: key.namespace, name: owner.name })];
}

function factsOf(one: Transfer | undefined): string {
  if (one === undefined) return '';
  const conditions = (one.status?.conditions ?? []).map(({ type, status }) => `${type}${status}`);
  return JSON.stringify([one.metadata.deletionTimestamp, conditions, one.metadata.uid]);
}
