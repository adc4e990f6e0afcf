/** Volumes that an agent has and no object names get one, so that `kubectl get volumes` is true. */
import { type Volume, volumes } from '../../api/kinds/volume.ts';
import type { VolumeObject } from '../../api/objects.ts';
import { asTransshipError, unlessThere } from '../../base/errors.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import type { Context } from '../context.ts';
import { MemberNames } from './members.ts';
import { annotations, finalizers, labels } from '../labels.ts';

/** What an agent makes for the time of an export and takes away by itself. */
const passingPattern = /-export-[0-9a-f]{8}$/;

type Spec = Volume['spec'];

/** Nothing happens unless both sides, asked now, say that there is a volume and no object. */
export async function adopt(context: Context, name: string): Promise<void> {
  const { agents, client, informers } = context;
  const mirror = agents.holding(name);
  if (mirror === undefined || !mirror.usable || passingPattern.test(name)) return;
  // A replica without its leader is no volume: whoever leads it tells what it belongs to.
  const set = mirror.sets.get(name);
  if (set !== undefined && set.role !== 'Leader') return;
  if (!informers.volumes.isSynced) return;
  const view = await stillThere(mirror, name);
  if (view === undefined) return;
  const names = new MemberNames(informers.pools.list());
  const one = names.findText(`${mirror.place.name}/${view.spec.pool}`);
  const kept = set === undefined ? [one] : set.wanted.map((text) => names.findText(text));
  const pools = kept.filter(({ pool }) => hasPool(context, pool));
  const { size, historyPolicy } = view.spec;
  const blockSize = view.spec.blockSize as NonNullable<Spec['blockSize']>;
  await unlessThere(
    client.create<Volume>(volumes, {
      metadata: {
        name,
        labels: { [labels.adopted]: 'true' },
        annotations: { [annotations.agent]: mirror.place.name },
        finalizers: [finalizers.volume],
      },
      spec: {
        size,
        blockSize,
        ...(historyPolicy === 'custom' ? {} : { historyPolicy }),
        ...(pools.length === 0 ? {} : { replicas: pools.map(({ pool }) => ({ pool })) }),
      },
    }),
  );
}

async function stillThere(mirror: AgentMirror, name: string): Promise<VolumeObject | undefined> {
  try {
    return await mirror.call('volume.show', { name });
  } catch (error) {
    if (asTransshipError(error).reason === 'NotFound') return undefined;
    throw error;
  }
}

function hasPool({ informers }: Context, pool: string): boolean {
  return informers.pools.get({ namespace: '', name: pool }) !== undefined;
}
