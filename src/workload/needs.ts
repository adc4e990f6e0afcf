/**
 * What the objects of some namespaces need outside them: kinds, classes, rights, volumes, and the
 * names they use that lead nowhere. What is forgotten here fails at the destination (U-57).
 */
import { TransshipError } from '../base/errors.ts';
import type { KubeClient, Selectors } from '../kube/api.ts';
import type { KubeObject, ResourceType } from '../kube/objects.ts';
import {
  customResourceDefinitions,
  persistentVolumes,
  type PersistentVolume,
  storageClasses,
} from '../kube/resources.ts';
import { clusterRoleBindings, type RoleBinding } from '../kube/rights.ts';
import { fieldsAt, textAt } from './fields.ts';
import type { Inventory, Item, Unreadable } from './inventory.ts';
import { compareNames, nameKey, type ObjectName } from './names.ts';
import { rbac, type Reference } from './references.ts';

/** Enough to find the others; `count` tells how many there are. */
const usersMax = 10;

/** One object outside the namespaces. */
export interface Need {
  readonly name: ObjectName;
  /** The first few objects that need it. */
  readonly neededBy: readonly ObjectName[];
  readonly count: number;
}

export interface DefinitionNeed extends Need {
  readonly group: string;
  readonly kind: string;
}

export interface ClassNeed extends Need {
  /** Undefined: the class is not there any more, or may not be read. */
  readonly provisioner: string | undefined;
}

export interface VolumeNeed {
  readonly claim: ObjectName;
  readonly volume: string;
  /** The CSI driver, or the kind of the source: `nfs`, `hostPath`, `local`, … */
  readonly driver: string;
  /** As in the volume: `10Gi`. */
  readonly capacity: string;
  readonly storageClass: string | undefined;
  readonly accessModes: readonly string[];
  readonly volumeMode: 'Filesystem' | 'Block';
}

export interface MissingReference {
  readonly from: ObjectName;
  readonly reference: Reference;
}

export interface Needs {
  readonly definitions: readonly DefinitionNeed[];
  readonly storageClasses: readonly ClassNeed[];
  readonly priorityClasses: readonly Need[];
  readonly ingressClasses: readonly Need[];
  readonly runtimeClasses: readonly Need[];
  readonly attributesClasses: readonly Need[];
  readonly clusterRoles: readonly Need[];
  /** Bindings whose subjects are service accounts of the namespaces, or all of theirs. */
  readonly clusterRoleBindings: readonly Need[];
  readonly volumes: readonly VolumeNeed[];
  /** Other namespaces that are named, and by whom. */
  readonly namespaces: readonly Need[];
  /** Names that lead nowhere at the source either, unless optional. */
  readonly missing: readonly MissingReference[];
  /** Registries of all images, with the objects that use them. */
  readonly registries: readonly (Omit<Need, 'name'> & { readonly host: string })[];
  /** What could not be read: with these rights more would be known. */
  readonly unreadable: readonly Unreadable[];
}

/** Objects by what they need; each user once. */
class Users {
  readonly #byKey = new Map<string, { name: ObjectName; by: Map<string, ObjectName> }>();

  add(name: ObjectName, by: ObjectName): void {
    const key = nameKey(name);
    const entry = this.#byKey.get(key) ?? { name, by: new Map<string, ObjectName>() };
    entry.by.set(nameKey(by), by);
    this.#byKey.set(key, entry);
  }

  needs(): Need[] {
    return [...this.#byKey.values()]
      .map(({ name, by }) => ({
        name,
        neededBy: [...by.values()].toSorted(compareNames).slice(0, usersMax),
        count: by.size,
      }))
      .toSorted((a, b) => compareNames(a.name, b.name));
  }
}

/** Lists all of a kind; a refusal is written down instead. */
export async function visit<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  each: (object: T) => void,
  selectors: Selectors = {},
): Promise<readonly Unreadable[]> {
  try {
    for await (const object of client.list(type, selectors)) each(object);
    return [];
  } catch (error) {
    if (!(error instanceof TransshipError)) throw error;
    if (error.reason !== 'Forbidden' && error.reason !== 'NotFound') throw error;
    const { group, plural } = type;
    const { namespace = '' } = selectors;
    return [{ group, plural, namespace, reason: error.reason, message: error.message }];
  }
}

export async function findNeeds(client: KubeClient, inventory: Inventory): Promise<Needs> {
  const named = new Users();
  for (const { name, references } of inventory.items) {
    for (const { to } of references) named.add(to, name);
  }
  const needs = named.needs();
  const ofKind = (group: string, kind: string): Need[] =>
    needs.filter(({ name }) => name.group === group && name.kind === kind);
  const definitions = await findDefinitions(client, inventory.items);
  const bindings = await findBindings(client, inventory);
  const classes = await findClasses(client, ofKind('storage.k8s.io', 'StorageClass'));
  const volumes = await findVolumes(client, inventory);
  return {
    definitions: definitions.needs,
    storageClasses: classes.needs,
    priorityClasses: ofKind('scheduling.k8s.io', 'PriorityClass'),
    ingressClasses: ofKind('networking.k8s.io', 'IngressClass'),
    runtimeClasses: ofKind('node.k8s.io', 'RuntimeClass'),
    attributesClasses: ofKind('storage.k8s.io', 'VolumeAttributesClass'),
    clusterRoles: joined([...ofKind(rbac, 'ClusterRole'), ...bindings.roles]),
    clusterRoleBindings: bindings.needs,
    volumes: volumes.volumes,
    namespaces: namespacesNamed(inventory),
    missing: missingReferences(inventory),
    registries: registriesOf(inventory.items),
    unreadable: [definitions, bindings, classes, volumes].flatMap((one) => one.unreadable),
  };
}

function joined(needs: readonly Need[]): Need[] {
  const users = new Users();
  for (const { name, neededBy } of needs) for (const by of neededBy) users.add(name, by);
  return users.needs();
}

async function findDefinitions(
  client: KubeClient,
  items: readonly Item[],
): Promise<{ needs: DefinitionNeed[]; unreadable: readonly Unreadable[] }> {
  const byResource = Map.groupBy(
    // Groups without a dot are Kubernetes' own.
    items.filter(({ type }) => type.group.includes('.')),
    ({ type }) => `${type.plural}.${type.group}`,
  );
  if (byResource.size === 0) return { needs: [], unreadable: [] };
  const needs: DefinitionNeed[] = [];
  const unreadable = await visit(client, customResourceDefinitions, (definition) => {
    const name = definition.metadata.name ?? '';
    const users = byResource.get(name) ?? [];
    if (users.length === 0) return;
    const { group, names } = definition.spec;
    needs.push({
      name: { group: customResourceDefinitions.group, kind: definition.kind, namespace: '', name },
      group,
      kind: names.kind,
      neededBy: users.slice(0, usersMax).map((item) => item.name),
      count: users.length,
    });
  });
  return { needs: needs.toSorted((a, b) => compareNames(a.name, b.name)), unreadable };
}

/** The namespaces' service accounts that a binding speaks of. */
function accountsOf({ subjects = [] }: RoleBinding, namespaces: ReadonlySet<string>): string[] {
  return subjects.flatMap(({ kind, name, namespace = '' }) => {
    if (kind === 'ServiceAccount') return namespaces.has(namespace) ? [`${namespace}/${name}`] : [];
    const [, group, text, account] =
      /^system:serviceaccount(s)?:([^:]+)(?::([^:]+))?$/.exec(name) ?? [];
    if (text === undefined || !namespaces.has(text)) return [];
    return [`${text}/${group === undefined ? (account ?? '') : '*'}`];
  });
}

async function findBindings(
  client: KubeClient,
  { namespaces }: Inventory,
): Promise<{ needs: Need[]; roles: Need[]; unreadable: readonly Unreadable[] }> {
  const inside = new Set(namespaces);
  const bindings = new Users();
  const roles = new Users();
  const unreadable = await visit(client, clusterRoleBindings, (binding) => {
    const name = binding.metadata.name ?? '';
    const bindingName = { group: rbac, kind: 'ClusterRoleBinding', namespace: '', name };
    for (const account of accountsOf(binding, inside)) {
      const [namespace = '', accountName = ''] = account.split('/');
      const by = { group: '', kind: 'ServiceAccount', namespace, name: accountName };
      bindings.add(bindingName, by);
      roles.add({ ...bindingName, kind: 'ClusterRole', name: binding.roleRef.name }, by);
    }
  });
  return { needs: bindings.needs(), roles: roles.needs(), unreadable };
}

async function findClasses(
  client: KubeClient,
  needs: readonly Need[],
): Promise<{ needs: ClassNeed[]; unreadable: readonly Unreadable[] }> {
  if (needs.length === 0) return { needs: [], unreadable: [] };
  const provisioners = new Map<string, string>();
  const unreadable = await visit(client, storageClasses, (one) => {
    provisioners.set(one.metadata.name ?? '', one.provisioner);
  });
  return {
    needs: needs.map((need) => ({ ...need, provisioner: provisioners.get(need.name.name) })),
    unreadable,
  };
}

const notSources: ReadonlySet<string> = new Set([
  'capacity',
  'accessModes',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeMode',
  'mountOptions',
  'claimRef',
  'nodeAffinity',
  'volumeAttributesClassName',
]);

/** Who serves a volume: the CSI driver, or the field of its spec that says where it is. */
export function driverOf(volume: PersistentVolume): string {
  const driver =
    textAt(volume, 'spec', 'csi', 'driver') ?? textAt(volume, 'spec', 'flexVolume', 'driver');
  if (driver !== undefined) return driver;
  return Object.keys(fieldsAt(volume, 'spec')).find((name) => !notSources.has(name)) ?? 'unknown';
}

async function findVolumes(
  client: KubeClient,
  { items }: Inventory,
): Promise<{ volumes: VolumeNeed[]; unreadable: readonly Unreadable[] }> {
  const claims = new Map(
    items
      .filter(({ name }) => name.group === '' && name.kind === 'PersistentVolumeClaim')
      .map((item) => [`${item.name.namespace}/${item.name.name}`, item.name]),
  );
  if (claims.size === 0) return { volumes: [], unreadable: [] };
  const volumes: VolumeNeed[] = [];
  const unreadable = await visit(client, persistentVolumes, (volume) => {
    const { spec } = volume;
    const claim = claims.get(`${spec?.claimRef?.namespace}/${spec?.claimRef?.name}`);
    if (spec === undefined || claim === undefined) return;
    volumes.push({
      claim,
      volume: volume.metadata.name ?? '',
      driver: driverOf(volume),
      capacity: spec.capacity?.storage ?? '',
      storageClass: spec.storageClassName,
      accessModes: spec.accessModes ?? [],
      volumeMode: spec.volumeMode ?? 'Filesystem',
    });
  });
  return { volumes: volumes.toSorted((a, b) => compareNames(a.claim, b.claim)), unreadable };
}

function namespacesNamed({ items, namespaces }: Inventory): Need[] {
  const users = new Users();
  for (const { name, references } of items) {
    for (const { to } of references) {
      if (to.namespace === '' || namespaces.includes(to.namespace)) continue;
      users.add({ group: '', kind: 'Namespace', namespace: '', name: to.namespace }, name);
    }
  }
  return users.needs();
}

/** What is named in the namespaces and is neither copied nor made by something that is. */
function missingReferences({ items, leftOut, namespaces }: Inventory): MissingReference[] {
  const there = new Set([...items, ...leftOut].map(({ name }) => nameKey(name)));
  return items.flatMap(({ name, references }) =>
    references
      .filter(({ to, optional }) => !optional && namespaces.includes(to.namespace))
      .filter(({ to }) => !there.has(nameKey(to)))
      .map((reference) => ({ from: name, reference })),
  );
}

function registriesOf(items: readonly Item[]): Needs['registries'] {
  const users = new Users();
  for (const { name, images } of items) {
    for (const { image } of images) {
      const host = image?.host ?? '';
      users.add({ group: '', kind: 'Registry', namespace: '', name: host }, name);
    }
  }
  return users.needs().map(({ name, ...need }) => ({ host: name.name, ...need }));
}
