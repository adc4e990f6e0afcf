/** Undo records of any kind, kept where they outlive a crash. */
import { fail } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import type { ObjectKey } from '../kube/objects.ts';
import { type Secret, secrets } from '../kube/resources.ts';

export interface RecordStore<R> {
  load(): Promise<readonly R[]>;
  /** `LimitExceeded` when they are too many for one place. */
  save(records: readonly R[]): Promise<void>;
}

/** A Secret takes 1 MiB with everything; base64 costs a third of it. */
const recordsBytesMax = 700 * 1024;

/**
 * In the cluster that is changed, so that it can be put back by hand if all else is gone. A Secret:
 * pods that are made again may carry passwords in their variables.
 */
export function secretRecordStore<R>(client: KubeClient, key: ObjectKey): RecordStore<R> {
  return {
    load: async () => {
      const text = (await client.get(secrets, key))?.data?.['records'];
      if (text === undefined) return [];
      return JSON.parse(Buffer.from(text, 'base64').toString()) as readonly R[];
    },
    save: async (records) => {
      const bytes = Buffer.from(JSON.stringify(records));
      if (bytes.length > recordsBytesMax) {
        fail(
          'LimitExceeded',
          `undo records need ${bytes.length} bytes, at most ${recordsBytesMax}`,
        );
      }
      await client.apply<Secret>(secrets, {
        metadata: { ...key },
        data: { records: bytes.toString('base64') },
      });
    },
  };
}
