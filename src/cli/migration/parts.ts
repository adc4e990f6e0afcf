/** What belongs to one migration, asked of its hub. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Migration } from '../../api/kinds/migration.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import type { KubeClient } from '../../kube/api.ts';
import type { KubeObject, ResourceType } from '../../kube/objects.ts';
import type { Parts } from './text.ts';

const { imageTransfers, volumeTransfers } = resources;

/** The migration with its transfers, those of one claim beside each other. */
export async function partsOf(client: KubeClient, migration: Migration): Promise<Parts> {
  const [volumes, images] = await Promise.all([
    transfersOf<VolumeTransfer>(client, volumeTransfers, migration),
    transfersOf<ImageTransfer>(client, imageTransfers, migration),
  ]);
  return {
    migration,
    volumes: volumes.toSorted((a, b) => order(volumeKey(a), volumeKey(b))),
    images: images.toSorted((a, b) => order(a.spec.source.reference, b.spec.source.reference)),
  };
}

/** Ahead is before Last by chance of the alphabet. */
function volumeKey({ spec }: VolumeTransfer): string {
  const { source, pass = 'Ahead' } = spec;
  return `${source.namespace}/${source.claim} ${pass}`;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

async function transfersOf<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  { metadata }: Migration,
): Promise<readonly T[]> {
  const { namespace = '', name = '', uid } = metadata;
  const found: T[] = [];
  const selectors = { namespace, fields: `spec.migration=${name}` };
  for await (const one of client.list(type, selectors)) {
    const owners = one.metadata.ownerReferences ?? [];
    // Those of an older migration of the same name wait to be collected.
    if (owners.length === 0 || owners.some((owner) => owner.uid === uid)) found.push(one);
  }
  return found;
}
