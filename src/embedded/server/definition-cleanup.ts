/** The objects of a custom resource go with its definition, and the definition after the last. */
import type { JsonObject } from '../schema/api.ts';
import { cleanupFinalizer, definitionCollection } from './definitions.ts';
import { type DeleteOptions, planDeletion } from './deleting.ts';
import { metaOf, nameOf, objectAt, textAt, textsAt, withMeta } from './json.ts';
import type { Kernel } from './kernel.ts';
import { isDeleting, type Resource } from './registry.ts';
import type { Draft } from './store.ts';

const plainly: DeleteOptions = {
  dryRun: false,
  graceSeconds: undefined,
  propagation: '',
  uid: '',
  resourceVersion: '',
};

/** From now on, and for the definitions that were being deleted when the server ended. */
export function cleanDefinitions(kernel: Kernel): void {
  const { store } = kernel;
  /** By the name of the definition: what ends the wait for its last object. */
  const waiting = new Map<string, () => void>();

  function check(name: string): void {
    const key = `${definitionCollection}/${name}`;
    const crd = store.getObject(key);
    const resource = crd === undefined ? undefined : resourceOf(kernel, crd);
    if (crd !== undefined && hasToWait(kernel, resource)) return;
    waiting.get(name)?.();
    waiting.delete(name);
    if (crd !== undefined && isDeleting(crd)) store.commit([{ key, object: released(crd) }]);
  }

  function sync(): void {
    for (const { crd } of leaving(kernel)) {
      const name = nameOf(crd);
      if (waiting.has(name)) continue;
      const resource = resourceOf(kernel, crd);
      const stop =
        resource === undefined
          ? () => undefined
          : store.onCommit(resource.collection, () => check(name));
      waiting.set(name, stop);
      if (resource !== undefined) store.commit(deletions(kernel, resource));
      // Without objects no commit has called it.
      check(name);
    }
  }

  store.onCommit(definitionCollection, sync);
  sync();
}

function leaving({ store }: Kernel): readonly { readonly crd: JsonObject }[] {
  return [...store.list({ prefix: definitionCollection })]
    .map((entry) => ({ crd: store.read(entry) }))
    .filter(({ crd }) => isDeleting(crd))
    .filter(({ crd }) => textsAt(metaOf(crd), 'finalizers').includes(cleanupFinalizer));
}

function resourceOf({ registry }: Kernel, crd: JsonObject): Resource | undefined {
  const spec = objectAt(crd, 'spec');
  return registry.stored(textAt(spec, 'group'), textAt(objectAt(spec, 'names'), 'plural'));
}

function hasToWait({ store }: Kernel, resource: Resource | undefined): boolean {
  if (resource === undefined) return false;
  return store.list({ prefix: resource.collection }).next().done !== true;
}

/** Of all objects at once: they go together or not at all. */
function deletions(kernel: Kernel, resource: Resource): readonly Draft[] {
  return [...kernel.store.list({ prefix: resource.collection })].flatMap((entry) => {
    const { draft } = planDeletion({ kernel, resource }, entry, plainly);
    return draft === undefined ? [] : [draft];
  });
}

/** Without our finalizer; undefined when nobody else has one. */
function released(crd: JsonObject): JsonObject | undefined {
  const names = textsAt(metaOf(crd), 'finalizers').filter((name) => name !== cleanupFinalizer);
  return names.length === 0 ? undefined : withMeta(crd, { finalizers: names });
}
