/** Looks at what the destination has, and makes what was decided. */
import { fail } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { createDiscovery, type Discovery } from '../kube/discovery.ts';
import { keyOf, type KubeObject, type ResourceType } from '../kube/objects.ts';
import { type Comparison, compareObject, differencesOf, type ExistingRules } from './existing.ts';
import { groupOf, kindText, nameOf, nameText, type ObjectName, versionOf } from './names.ts';

/** `Unsupported` when the cluster does not serve the kind in the version of the object. */
export async function typeOf(discovery: Discovery, object: KubeObject): Promise<ResourceType> {
  const [group, version] = [groupOf(object.apiVersion), versionOf(object.apiVersion)];
  const found = (await discovery.resources()).find(
    (one) => one.group === group && one.version === version && one.kind === object.kind,
  );
  if (found !== undefined) return found;
  return fail('Unsupported', `the cluster does not serve ${object.apiVersion} ${object.kind}`);
}

/** One comparison for each object, in their order; changes nothing. */
export async function* compareExisting(
  client: KubeClient,
  objects: Iterable<KubeObject> | AsyncIterable<KubeObject>,
  rules: ExistingRules,
  discovery: Discovery = createDiscovery(client),
): AsyncGenerator<Comparison> {
  for await (const object of objects) {
    const type = await typeOf(discovery, object);
    yield compareObject(object, await client.get(type, keyOf(object)), rules);
  }
}

export interface Applied {
  readonly name: ObjectName;
  readonly happened: 'Created' | 'Updated' | 'Unchanged' | 'Kept';
  /** In a sentence, for people: what was kept, and what could not be changed. */
  readonly message: string;
  /** Of the object that is there now. */
  readonly uid: string;
}

/**
 * Makes the object as it was decided. Errors: `AlreadyExists` with what differs where the policy is
 * to fail, or when it came to be after the comparison; `Conflict` when it changed after it:
 * compare again. `Invalid` when a field that differs cannot be changed.
 */
export async function applyPrepared(
  client: KubeClient,
  object: KubeObject,
  comparison: Comparison,
  discovery: Discovery = createDiscovery(client),
): Promise<Applied> {
  const name = nameOf(object);
  const { decision, message, resourceVersion, uid } = comparison;
  switch (decision) {
    case 'Fail':
      return fail('AlreadyExists', `${message}. Let ${kindText(name)} be kept or updated`);
    case 'Leave':
      return { name, happened: 'Unchanged', message, uid };
    case 'Keep':
      return { name, happened: 'Kept', message, uid };
    case 'Create': {
      const made = await client.create(await typeOf(discovery, object), object);
      const told = { message: `${nameText(name)} was made`, uid: made.metadata.uid ?? '' };
      return { name, happened: 'Created', ...told };
    }
    case 'Update': {
      const type = await typeOf(discovery, object);
      const metadata = { ...object.metadata, resourceVersion, uid };
      const after = await client.apply(type, { ...object, metadata });
      // What others put there beside ours stays with an apply.
      const left = differencesOf(object, after).map(({ field }) => field);
      const rest = left.length === 0 ? '' : `; still different: ${left.join(', ')}`;
      return { name, happened: 'Updated', message: `${nameText(name)} was updated${rest}`, uid };
    }
  }
}
