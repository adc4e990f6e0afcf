/** Undo records of any kind, kept where they outlive a crash. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import type { ObjectKey } from '../kube/objects.ts';
import { type Secret, secrets } from '../kube/resources.ts';

export interface RecordStore<R> {
  load(): Promise<readonly R[]>;
  /**
   * Takes the place of what was last loaded. `LimitExceeded` when they are too many for one place;
   * `Conflict` when somebody else saved meanwhile: load, and decide again.
   */
  save(records: readonly R[]): Promise<void>;
}

/** A Secret takes 1 MiB with everything; base64 costs a third of it. */
const recordsBytesMax = 700 * 1024;
/** Unpacked: what a reader has in memory. */
const textBytesMax = 64 * 1024 * 1024;

/**
 * In the cluster that is changed, so that it can be put back by hand if all else is gone:
 * `kubectl get secret NAME -o jsonpath={.data.records} | base64 -d | gunzip`. A Secret, because
 * pods that are made again may carry passwords in their variables.
 */
export function secretRecordStore<R>(client: KubeClient, key: ObjectKey): RecordStore<R> {
  /** Undefined: not looked yet. Empty: there was none. */
  let seen: string | undefined;
  const read = async (): Promise<Secret | undefined> => {
    const secret = await client.get(secrets, key);
    seen = secret?.metadata.resourceVersion ?? '';
    return secret;
  };
  return {
    load: async () => {
      const text = (await read())?.data?.['records'];
      if (text === undefined) return [];
      const bytes = gunzipSync(Buffer.from(text, 'base64'), { maxOutputLength: textBytesMax });
      return JSON.parse(bytes.toString()) as readonly R[];
    },
    save: async (records) => {
      const data = { records: packed(records) };
      if (seen === undefined) await read();
      const saved =
        seen === ''
          ? await created(client, { metadata: { ...key }, data })
          : await client.patch(secrets, key, { metadata: { resourceVersion: seen }, data });
      seen = saved.metadata.resourceVersion ?? '';
    },
  };
}

function packed(records: readonly unknown[]): string {
  const text = Buffer.from(JSON.stringify(records));
  const bytes = gzipSync(text);
  if (bytes.length > recordsBytesMax || text.length > textBytesMax) {
    fail(
      'LimitExceeded',
      `undo records need ${bytes.length} bytes, at most ${recordsBytesMax}: move fewer objects, ` +
        'or fewer namespaces, at once',
    );
  }
  return bytes.toString('base64');
}

async function created(client: KubeClient, secret: Pick<Secret, 'metadata' | 'data'>) {
  try {
    return await client.create<Secret>(secrets, secret);
  } catch (error) {
    if (!(error instanceof TransshipError) || error.reason !== 'AlreadyExists') throw error;
    return fail('Conflict', `${secret.metadata.name} was made by somebody else meanwhile`);
  }
}

/** Takes the place away when nothing is in it. False: there are records. */
export async function removeEmptyRecords(client: KubeClient, key: ObjectKey): Promise<boolean> {
  const secret = await client.get(secrets, key);
  if (secret === undefined) return true;
  if ((await secretRecordStore<unknown>(client, key).load()).length > 0) return false;
  const { uid = '', resourceVersion = '' } = secret.metadata;
  await client.delete(secrets, key, { uid, resourceVersion });
  return true;
}
