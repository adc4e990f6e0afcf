/** Backups that are being restored, as the clusters that they were made of. */
import type { Replication } from '../../../api/kinds/replication.ts';
import type { Context } from '../../context.ts';
import { uidOf } from '../../migration/run.ts';
import type { ClusterAccess } from '../../remotes/access.ts';
import type { BackupLine } from './content.ts';
import { savedClient } from './saved-cluster.ts';
import { BackupStore } from './store.ts';

type Lines = Promise<readonly BackupLine[]>;

export class BackupSources {
  readonly #c: Context;
  /** By uid of the replication; read when it is first needed, and let go when that rests. */
  readonly #read = new Map<string, Lines>();

  constructor(context: Context) {
    this.#c = context;
  }

  forget(uid: string): void {
    this.#read.delete(uid);
  }

  /** Its client reads what the backup has; the rest is of the cluster that it is restored in. */
  sourceOf(replication: Replication, like: ClusterAccess): ClusterAccess {
    return { ...like, client: savedClient(like.client, () => this.#lines(replication)) };
  }

  #lines(replication: Replication): Lines {
    const uid = uidOf(replication);
    const known = this.#read.get(uid) ?? this.#load(replication);
    this.#read.set(uid, known);
    known.catch(() => this.#read.delete(uid));
    return known;
  }

  async #load({ spec, status }: Replication): Lines {
    const store = await BackupStore.open(this.#c, spec.repository ?? '');
    return store.read(await store.find(status?.restored));
  }
}
