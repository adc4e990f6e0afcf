/** A cluster as a map of objects, on which pure controllers act: for tests. */
import { formatSecond } from '../../base/units.ts';
import {
  type KubeObject,
  type ObjectKey,
  type ResourceType,
  apiVersionOf,
  keyText,
} from '../../kube/objects.ts';
import { type Action, type Controller, type View } from './controller.ts';
import { typeKey } from './informers.ts';

type Plain = Record<string, unknown>;

export class MemoryWorld implements View {
  nowMs = Date.UTC(2026, 0, 1);
  /** Everything done so far, as `create /pods web-1`. */
  readonly done: string[] = [];
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  #count = 0;

  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): T | undefined {
    return this.#of(type).get(keyText(key)) as T | undefined;
  }

  list<T extends KubeObject>(type: ResourceType<T>, namespace = ''): readonly T[] {
    const all = [...this.#of(type).values()] as T[];
    return namespace === '' ? all : all.filter((one) => one.metadata.namespace === namespace);
  }

  put<T extends KubeObject>(type: ResourceType<T>, object: Pick<T, 'metadata'> & Partial<T>): T {
    const number = ++this.#count;
    const { namespace, generateName = '' } = object.metadata;
    const name = object.metadata.name ?? `${generateName}${number}`;
    const metadata = {
      uid: `uid-${number}`,
      creationTimestamp: formatSecond(this.nowMs),
      generation: 1,
      ...object.metadata,
      resourceVersion: String(number),
      name,
      ...(type.namespaced ? { namespace: namespace ?? 'default' } : {}),
    };
    const full = { apiVersion: apiVersionOf(type), kind: type.kind, ...object, metadata };
    const key = { namespace: type.namespaced ? (namespace ?? 'default') : '', name };
    this.#of(type).set(keyText(key), JSON.parse(JSON.stringify(full)) as KubeObject);
    return this.get(type, key) as T;
  }

  /** Merge patch; the generation grows with the specification. */
  change<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, patch: object): T {
    const before = this.#of(type).get(keyText(key));
    if (before === undefined) throw new Error(`no ${type.plural} ${keyText(key)}`);
    const next = merged(before, patch) as KubeObject & Plain;
    const { generation = 1 } = before.metadata;
    const metadata = {
      ...next.metadata,
      resourceVersion: String(++this.#count),
      generation: 'spec' in patch ? generation + 1 : generation,
    };
    this.#of(type).set(keyText(key), { ...next, metadata });
    return this.get(type, key) as T;
  }

  drop(type: ResourceType, key: ObjectKey): void {
    this.#of(type).delete(keyText(key));
  }

  /** Deletes as the server does: pods and what has finalizers wait. */
  delete(type: ResourceType, key: ObjectKey): void {
    const object = this.#of(type).get(keyText(key));
    if (object === undefined) return;
    const waits = type.plural === 'pods' || (object.metadata.finalizers?.length ?? 0) > 0;
    if (!waits) return this.drop(type, key);
    this.change(type, key, { metadata: { deletionTimestamp: formatSecond(this.nowMs) } });
  }

  act(actions: readonly Action[]): void {
    for (const action of actions) {
      switch (action.act) {
        case 'create': {
          const made = this.put(action.type, action.object);
          this.done.push(`create ${typeKey(action.type)} ${made.metadata.name}`);
          break;
        }
        case 'delete':
          this.done.push(`delete ${typeKey(action.type)} ${action.key.name}`);
          this.delete(action.type, action.key);
          break;
        case 'patch':
        case 'status':
          this.change(action.type, action.key, action.patch);
          break;
        case 'bind':
          this.done.push(`bind ${action.key.name} ${action.node}`);
          break;
        case 'event':
          this.done.push(`event ${action.reason}`);
          break;
      }
    }
  }

  /** One round of a controller. True when there was something to do. */
  step(controller: Pick<Controller, 'decide'>, key: ObjectKey): boolean {
    const { actions } = controller.decide(this, key);
    this.act(actions);
    return actions.some((one) => one.act !== 'event');
  }

  /** Until nothing is left to do. A controller that never rests fails here. */
  settle(controller: Pick<Controller, 'decide'>, key: ObjectKey): void {
    const roundsMax = 50;
    for (let round = 0; round < roundsMax; round++) if (!this.step(controller, key)) return;
    throw new Error(`${keyText(key)} never rests`);
  }

  #of(type: ResourceType): Map<string, KubeObject> {
    const found = this.#objects.get(typeKey(type)) ?? new Map<string, KubeObject>();
    this.#objects.set(typeKey(type), found);
    return found;
  }
}

function merged(before: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isMap = typeof before === 'object' && before !== null && !Array.isArray(before);
  const next: Plain = isMap ? { ...before } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete next[name];
    else next[name] = merged(next[name], value);
  }
  return JSON.parse(JSON.stringify(next));
}
