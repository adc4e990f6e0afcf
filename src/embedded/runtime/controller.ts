/**
 * The form of every controller here: a pure decision. It sees a view of the cluster at one moment
 * and answers with what is to be done; `run-controller.ts` observes, asks and acts. Deciding twice
 * on the same view gives the same answer, and on a view where it was done gives nothing more.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DeleteOptions, Draft } from '../../kube/api.ts';
import {
  type KubeObject,
  type ObjectKey,
  type OwnerReference,
  type ResourceType,
  apiVersionOf,
  keyOf,
} from '../../kube/objects.ts';

export interface View {
  readonly nowMs: number;
  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey): T | undefined;
  /** Of one namespace, or of all. */
  list<T extends KubeObject>(type: ResourceType<T>, namespace?: string): readonly T[];
}

export type Action =
  | { readonly act: 'create'; readonly type: ResourceType; readonly object: Draft<KubeObject> }
  | {
      readonly act: 'delete';
      readonly type: ResourceType;
      readonly key: ObjectKey;
      readonly options: DeleteOptions;
    }
  | {
      readonly act: 'patch';
      readonly type: ResourceType;
      readonly key: ObjectKey;
      readonly patch: Readonly<Record<string, unknown>>;
    }
  | {
      readonly act: 'status';
      readonly type: ResourceType;
      readonly key: ObjectKey;
      readonly patch: { readonly metadata?: object; readonly status: object };
    }
  /** Puts a pod on a node. */
  | { readonly act: 'bind'; readonly key: ObjectKey; readonly uid: string; readonly node: string }
  | {
      readonly act: 'event';
      readonly regarding: KubeObject;
      readonly type: 'Normal' | 'Warning';
      readonly reason: string;
      readonly note: string;
    };

/** Carried out in order; the first that fails ends the round, and the key comes again. */
export interface Decision {
  readonly actions: readonly Action[];
  readonly againAfterMs?: number;
}

export const nothing: Decision = { actions: [] };

/** Something that changed, and the keys for which it may matter. */
export interface Source {
  readonly type: ResourceType;
  keysOf(object: KubeObject, view: View): readonly ObjectKey[];
}

export interface Controller {
  readonly name: string;
  readonly sources: readonly Source[];
  /** What the decision reads; the sources' types are included. */
  readonly reads: readonly ResourceType[];
  /**
   * Before acting, decide again on objects just read from the server: those asked for by key, and
   * all of these types. For decisions that an old view would get wrong for good: pods made twice
   * under generated names, a volume released because its claim was not seen yet. Absent where every
   * action names the version it was decided on.
   */
  readonly confirms?: readonly ResourceType[];
  decide(view: View, key: ObjectKey): Decision;
}

export function create<T extends KubeObject>(type: ResourceType<T>, object: Draft<T>): Action {
  const draft = { apiVersion: apiVersionOf(type), kind: type.kind, ...object };
  return { act: 'create', type: plain(type), object: draft };
}

/** Deletes this incarnation. */
export function remove<T extends KubeObject>(
  type: ResourceType<T>,
  object: T,
  options: DeleteOptions = {},
): Action {
  const { uid } = object.metadata;
  const precise = uid === undefined ? options : { uid, ...options };
  return { act: 'delete', type: plain(type), key: keyOf(object), options: precise };
}

/** A merge patch of the version that was seen: a `Conflict` when it is no longer the newest. */
export function patch<T extends KubeObject>(
  type: ResourceType<T>,
  object: T,
  change: Readonly<Record<string, unknown>> & { readonly metadata?: object },
): Action {
  const { resourceVersion } = object.metadata;
  const metadata = { ...change.metadata, resourceVersion };
  return { act: 'patch', type: plain(type), key: keyOf(object), patch: { ...change, metadata } };
}

/** Nothing when the status already says so. Fields given as undefined are taken away. */
export function setStatus<T extends KubeObject>(
  type: ResourceType<T>,
  object: T & { readonly status?: object },
  status: Readonly<Record<string, unknown>>,
): readonly Action[] {
  const change: Record<string, unknown> = {};
  const before: Readonly<Record<string, unknown>> = { ...object.status };
  for (const [name, value] of Object.entries(status)) {
    const part = mergeChange(plainJson(before[name]), plainJson(value));
    if (part !== undefined) change[name] = part;
  }
  if (Object.keys(change).length === 0) return [];
  const { resourceVersion } = object.metadata;
  const versioned = { metadata: { resourceVersion }, status: change };
  return [{ act: 'status', type: plain(type), key: keyOf(object), patch: versioned }];
}

function plainJson(value: unknown): unknown {
  return value === undefined || value === null ? undefined : JSON.parse(JSON.stringify(value));
}

/** The merge patch (RFC 7386) from one value to the other; undefined when they are equal. */
export function mergeChange(before: unknown, after: unknown): unknown {
  if (isDeepStrictEqual(before, after)) return undefined;
  if (after === undefined) return null;
  if (!isRecord(before) || !isRecord(after)) return after;
  const change: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const part = mergeChange(before[name], after[name]);
    if (part !== undefined) change[name] = part;
  }
  return change;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The type without its objects' type, which is in the types only. */
export function plain(type: ResourceType): ResourceType {
  return type;
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

export function isOwnedBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

/** The key of an object's controller when it is of that kind. */
export function controllerKey(object: KubeObject, kind: string): readonly ObjectKey[] {
  const owner = controllerOf(object);
  if (owner?.kind !== kind) return [];
  return [{ namespace: object.metadata.namespace ?? '', name: owner.name }];
}

export function isDeleted(object: KubeObject): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}

/** Milliseconds since 1970, NaN for what is no time. */
export function timeMs(text: string | null | undefined): number {
  return text === undefined || text === null ? Number.NaN : Date.parse(text);
}

export function bornMs(object: KubeObject): number {
  return timeMs(object.metadata.creationTimestamp) || 0;
}

/** The sooner of two waits. */
export function sooner(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}

export function decision(actions: readonly Action[], againAfterMs?: number): Decision {
  return againAfterMs === undefined ? { actions } : { actions, againAfterMs };
}
