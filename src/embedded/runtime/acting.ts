/** Carries out what a controller decided, in order. */
import { TransshipError } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/api.ts';
import { type KubeObject, type ResourceType, keyText } from '../../kube/objects.ts';
import type { Action, Decision } from './controller.ts';
import { typeKey } from './informers.ts';

/**
 * Stops at the first failure. Something that is there already was made by an earlier round; of
 * several writes of one object, each names the version that the one before it left.
 */
export async function act(client: KubeClient, { actions }: Decision): Promise<void> {
  const versions = new Versions();
  for (const action of actions) await actOn(client, action, versions);
}

async function actOn(client: KubeClient, action: Action, versions: Versions): Promise<void> {
  switch (action.act) {
    case 'create':
      return create(client, action);
    case 'delete':
      await client.delete(action.type, action.key, action.options);
      return;
    case 'patch': {
      const change = versions.renew(action, action.patch);
      return versions.note(action, await client.patch(action.type, action.key, change));
    }
    case 'status': {
      const change = versions.renew(action, action.patch);
      return versions.note(action, await client.patchStatus(action.type, action.key, change));
    }
    case 'bind': {
      const { namespace, name } = action.key;
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/binding`;
      const target = { apiVersion: 'v1', kind: 'Node', name: action.node };
      const metadata = { name, namespace, uid: action.uid };
      await client.request('POST', path, { apiVersion: 'v1', kind: 'Binding', metadata, target });
      return;
    }
    case 'event':
      return;
  }
}

async function create(
  client: KubeClient,
  action: Extract<Action, { readonly act: 'create' }>,
): Promise<void> {
  try {
    await client.create(action.type, action.object);
  } catch (error) {
    const isThere = error instanceof TransshipError && error.reason === 'AlreadyExists';
    if (!isThere || action.object.metadata.generateName !== undefined) throw error;
  }
}

type Write = Extract<Action, { readonly act: 'patch' | 'status' }>;

/** From the version an object had when it was decided upon to the one we made of it. */
class Versions {
  readonly #ours = new Map<string, { readonly seen: string; readonly now: string }>();

  renew<P extends { readonly metadata?: unknown }>({ type, key }: Write, patch: P): P {
    const ours = this.#ours.get(placeOf(type, key));
    const seen = versionIn(patch);
    if (ours === undefined || seen !== ours.seen) return patch;
    return { ...patch, metadata: { ...(patch.metadata as object), resourceVersion: ours.now } };
  }

  note({ type, key, patch }: Write, now: KubeObject): void {
    const seen = versionIn(patch);
    const { resourceVersion } = now.metadata;
    if (seen === undefined || resourceVersion === undefined) return;
    this.#ours.set(placeOf(type, key), { seen, now: resourceVersion });
  }
}

function placeOf(type: ResourceType, key: Write['key']): string {
  return `${typeKey(type)} ${keyText(key)}`;
}

function versionIn(patch: { readonly metadata?: unknown }): string | undefined {
  return (patch.metadata as { readonly resourceVersion?: string } | undefined)?.resourceVersion;
}
