/**
 * The source of a teleport is kept by a finalizer of the teleport's own on the source Volume, from
 * before the destination asks for anything until all data is there. From `Accessible` on the
 * agents' lease keeps the data as well; so when somebody deletes a Teleport that goes on filling,
 * the finalizer is given back at once and the lease alone keeps the source.
 */
import type { Teleport } from '../../api/kinds/teleport.ts';
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import { ensureFinalizer, removeFinalizer } from '../../kube/finalizers.ts';
import { sourceFinalizer } from '../labels.ts';
import { Lanes } from '../lanes.ts';
import type { ClusterAccess } from '../remotes/access.ts';

export class SourceGuard {
  /** Many teleports of one volume change one list of finalizers. */
  readonly #lanes = new Lanes();

  async protect(teleport: Teleport, access: ClusterAccess, volume: Volume): Promise<void> {
    const { name = '', finalizers = [] } = volume.metadata;
    const finalizer = sourceFinalizer(teleport.metadata.uid ?? '');
    if (finalizers.includes(finalizer)) return;
    await this.#lanes.run(`${access.name}/${name}`, async () => {
      const { client } = access;
      // Others may have been here while this one waited: what was read before is old.
      const newest = (await client.get(volumes, { namespace: '', name })) ?? volume;
      await ensureFinalizer(client, volumes, newest, finalizer);
    });
  }

  /** Also when the volume is gone, or was never protected. */
  async release(teleport: Teleport, access: ClusterAccess): Promise<void> {
    const name = teleport.status?.sourceVolume;
    if (name === undefined) return;
    await this.#lanes.run(`${access.name}/${name}`, async () => {
      const { client } = access;
      const volume = await client.get(volumes, { namespace: '', name });
      if (volume === undefined) return;
      await removeFinalizer(client, volumes, volume, sourceFinalizer(teleport.metadata.uid ?? ''));
    });
  }
}
