/** Changing volumes that live: what a VolumeAttributesClass asks for. */
import { asTransshipError, fail } from '../base/errors.ts';
import {
  type Modification,
  modificationOf,
  stepTowards,
} from '../controllers/claim/modification.ts';
import { Room } from '../controllers/pool/moves.ts';
import { required } from './errors.ts';
import type { VolumeStore } from './volume-store.ts';
import type { Answers, controller } from './wire/services.ts';

export function modifyCalls(
  store: VolumeStore,
): Pick<Answers<typeof controller>, 'ControllerModifyVolume'> {
  return {
    ControllerModifyVolume: async ({ volumeId, mutableParameters }) => {
      const name = required(volumeId, 'volume id');
      await store.get(name);
      await modify(store, name, await checkedModification(store, mutableParameters));
      return {};
    },
  };
}

/** Nothing is changed for parameters of which one cannot be. */
export async function checkedModification(
  store: VolumeStore,
  parameters: Readonly<Record<string, string>>,
): Promise<Modification> {
  const wanted = modificationOf(parameters);
  const { historyPolicy = 'none' } = wanted;
  if (historyPolicy !== 'none' && !(await store.hasPolicy(historyPolicy))) {
    fail('BadArgument', `there is no history policy ${historyPolicy}`);
  }
  return wanted;
}

/** `NotAccessible` while replicas are still being made: who asks again finds it further on. */
async function modify(store: VolumeStore, name: string, wanted: Modification): Promise<void> {
  const [pools, volumes] = await Promise.all([store.pools(), store.list()]);
  const room = () => new Room(pools, volumes);
  for (;;) {
    const volume = await store.waitFor(name, (one) => stepTowards(one, wanted, room).do !== 'wait');
    const step = stepTowards(volume, wanted, room);
    if (step.do !== 'patch') return;
    const { resourceVersion = '' } = volume.metadata;
    try {
      await store.patch(name, { metadata: { resourceVersion }, spec: step.spec });
    } catch (error) {
      // Its status changes all the time: what is to be done is found out again.
      if (asTransshipError(error).reason !== 'Conflict') throw error;
    }
  }
}
