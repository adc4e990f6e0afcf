/** Finalizers, changed without ever undoing what somebody else did to the list meanwhile. */
import { fail, TransshipError } from '../base/errors.ts';
import type { EnsureFinalizer, KubeClient } from './api.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from './objects.ts';

/** Others write too; more conflicts in a row than this are left to the caller's next attempt. */
const conflictsMax = 5;

/**
 * `Conflict` when the object is being deleted: no finalizer may come then. `NotFound` when it is
 * gone, or another one of the same name has come.
 */
export const ensureFinalizer: EnsureFinalizer = async (client, type, object, finalizer) => {
  const changed = await editFinalizers(client, type, object, (finalizers, newest) => {
    if (finalizers.includes(finalizer)) return finalizers;
    if (newest.metadata.deletionTimestamp !== undefined) {
      const message = `${type.kind} ${keyText(keyOf(object))} is being deleted`;
      return fail('Conflict', `${message}: it gets no finalizer`);
    }
    return [...finalizers, finalizer];
  });
  if (changed !== undefined) return changed;
  return fail('NotFound', `${type.kind} ${keyText(keyOf(object))} is gone`);
};

/** Takes a finalizer away. Undefined when the object is gone, which may be because of that. */
export function removeFinalizer<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  object: T,
  finalizer: string,
): Promise<T | undefined> {
  return editFinalizers(client, type, object, (finalizers) =>
    finalizers.includes(finalizer) ? finalizers.filter((one) => one !== finalizer) : finalizers,
  );
}

/** The list is replaced whole, under the version it was read at; again after a conflict. */
async function editFinalizers<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  object: T,
  edit: (finalizers: readonly string[], newest: T) => readonly string[],
): Promise<T | undefined> {
  let newest: T | undefined = object;
  for (let conflicts = 0; ; conflicts++) {
    if (newest === undefined || newest.metadata.uid !== object.metadata.uid) return undefined;
    const before: readonly string[] = newest.metadata.finalizers ?? [];
    const finalizers = edit(before, newest);
    if (finalizers === before) return newest;
    const { uid, resourceVersion } = newest.metadata;
    try {
      return await client.patch(type, keyOf(object), {
        metadata: { uid, resourceVersion, finalizers },
      });
    } catch (error) {
      const reason = error instanceof TransshipError ? error.reason : undefined;
      if (reason === 'NotFound') return undefined;
      if (reason !== 'Conflict' || conflicts >= conflictsMax) throw error;
      newest = await client.get(type, keyOf(object));
    }
  }
}
