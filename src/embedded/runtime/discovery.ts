/** Every resource the server knows (Kubernetes API concepts, "Discovery API", legacy form). */
import type { KubeClient } from '../../kube/api.ts';
import type { ResourceType } from '../../kube/objects.ts';

export interface Discovered {
  readonly type: ResourceType;
  readonly verbs: ReadonlySet<string>;
}

interface ResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs?: readonly string[];
  }[];
}

interface GroupList {
  readonly groups?: readonly {
    readonly name: string;
    readonly preferredVersion?: { readonly version: string };
    readonly versions?: readonly { readonly version: string }[];
  }[];
}

/** Each resource once, in the version its group prefers; without sub-resources. */
export async function discover(client: KubeClient): Promise<readonly Discovered[]> {
  const found = new Map<string, Discovered>();
  const add = async (group: string, version: string, path: string): Promise<void> => {
    const answer = (await client.request('GET', path)) as ResourceList;
    for (const { name, kind, namespaced, verbs } of answer.resources ?? []) {
      const key = `${group}/${name}`;
      if (name.includes('/') || found.has(key)) continue;
      const type = { group, version, plural: name, kind, namespaced };
      found.set(key, { type, verbs: new Set(verbs) });
    }
  };
  await add('', 'v1', '/api/v1');
  const { groups = [] } = (await client.request('GET', '/apis')) as GroupList;
  for (const { name, preferredVersion, versions = [] } of groups) {
    const preferred = preferredVersion?.version;
    const ordered = versions
      .map((one) => one.version)
      .toSorted((a, b) => Number(b === preferred) - Number(a === preferred));
    for (const version of ordered) await add(name, version, `/apis/${name}/${version}`);
  }
  return [...found.values()];
}
