/** Which resources are served, under which versions, and where the store keeps them. */
import type { JsonObject, ServedResource } from '../schema/api.ts';
import { isObject, metaOf, textAt } from './json.ts';

/** One version of a resource, and the version the store keeps. */
export interface Resource {
  readonly served: ServedResource;
  readonly storage: ServedResource;
  /** `/group/plural/`: where the store keeps it. */
  readonly collection: string;
  /**
   * What was stored at this version or before was written under another schema: it is pruned and
   * defaulted again when read. 0: never.
   */
  readonly reshapedAt: number;
}

interface Family {
  readonly versions: ReadonlyMap<string, ServedResource>;
  readonly storage: ServedResource;
  readonly reshapedAt: number;
}

/** Events are one resource in two groups; the core group keeps it. */
const storedElsewhere: Readonly<Record<string, string>> = { 'events.k8s.io/events': '' };

const familyOf = (group: string, plural: string): string => `${group}/${plural}`;

export class Registry {
  readonly #families = new Map<string, Family>();
  #revision = 0;

  constructor(builtIns: readonly ServedResource[]) {
    const groups = Map.groupBy(builtIns, ({ group, plural }) => familyOf(group, plural));
    for (const versions of groups.values()) this.set(versions, 0);
  }

  /** Grows with every change: for what is made of all resources, such as discovery. */
  get revision(): number {
    return this.#revision;
  }

  /** All served versions of one resource; they replace what was there. */
  set(versions: readonly ServedResource[], reshapedAt: number): void {
    const [first] = versions;
    if (first === undefined) return;
    this.#families.set(familyOf(first.group, first.plural), {
      versions: new Map(versions.map((served) => [served.version, served])),
      storage: versions.find((served) => served.storage) ?? first,
      reshapedAt,
    });
    this.#revision += 1;
  }

  remove(group: string, plural: string): void {
    if (this.#families.delete(familyOf(group, plural))) this.#revision += 1;
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    const family = this.#families.get(familyOf(group, plural));
    const served = family?.versions.get(version);
    if (family === undefined || served === undefined) return undefined;
    const { storage, reshapedAt } = family;
    return { served, storage, collection: collectionFor(group, plural), reshapedAt };
  }

  /** In the version that the store keeps. */
  stored(group: string, plural: string): Resource | undefined {
    const family = this.#families.get(familyOf(group, plural));
    return family === undefined ? undefined : this.find(group, family.storage.version, plural);
  }

  /** Every served version of every resource. */
  all(): readonly ServedResource[] {
    return [...this.#families.values()].flatMap((family) => [...family.versions.values()]);
  }

  findKind(group: string, version: string, kind: string): Resource | undefined {
    const served = this.all().find(
      (candidate) =>
        candidate.group === group && candidate.version === version && candidate.kind === kind,
    );
    return served === undefined ? undefined : this.find(group, version, served.plural);
  }
}

function collectionFor(group: string, plural: string): string {
  const kept = storedElsewhere[familyOf(group, plural)] ?? group;
  return `/${kept}/${plural}/`;
}

export function storeKey(resource: Pick<Resource, 'collection'>, at: ObjectPlace): string {
  return `${resource.collection}${at.namespace}/${at.name}`;
}

export interface ObjectPlace {
  readonly namespace: string;
  readonly name: string;
}

export function apiVersionText(resource: ServedResource): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/** An object in the version of the store, as the version that was asked for has it. */
export function fromStorage(resource: Resource, object: JsonObject): JsonObject {
  const { served } = resource;
  if (isEventOfNewGroup(served)) return renamed(object, newEventNames, served);
  if (isSameVersion(resource)) return object;
  const named = { ...object, apiVersion: apiVersionText(served), kind: served.kind };
  return served.builtIn ? named : served.schema.prepare(named).object;
}

/** The reverse: what the store keeps of an object of the served version. */
export function toStorage(resource: Resource, object: JsonObject): JsonObject {
  const { served, storage } = resource;
  if (isEventOfNewGroup(served)) {
    const back = Object.fromEntries(Object.entries(newEventNames).map(([old, now]) => [now, old]));
    return renamed(object, back, { group: '', version: 'v1', kind: 'Event' });
  }
  if (isSameVersion(resource)) return object;
  return { ...object, apiVersion: apiVersionText(storage), kind: storage.kind };
}

export function isSameVersion({ served, storage }: Resource): boolean {
  return served.version === storage.version && !isEventOfNewGroup(served);
}

function isEventOfNewGroup({ group, plural }: ServedResource): boolean {
  return group === 'events.k8s.io' && plural === 'events';
}

/** Fields of core/v1 events, and their names in events.k8s.io/v1. */
const newEventNames: Readonly<Record<string, string>> = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
};

function renamed(
  object: JsonObject,
  names: Readonly<Record<string, string>>,
  to: Pick<ServedResource, 'group' | 'version' | 'kind'>,
): JsonObject {
  const apiVersion = to.group === '' ? to.version : `${to.group}/${to.version}`;
  const entries = Object.entries(object).map(([key, value]) => [names[key] ?? key, value] as const);
  return { ...Object.fromEntries(entries), apiVersion, kind: to.kind };
}

/** True for an object that is on its way out. */
export function isDeleting(object: JsonObject | undefined): boolean {
  return isObject(object) && textAt(metaOf(object), 'deletionTimestamp') !== '';
}
