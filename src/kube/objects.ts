/** What every object of the Kubernetes API looks like (Kubernetes API conventions, "Objects"). */

import type { ObjectMeta, OwnerReference } from '../api/object-meta.ts';

export type { ObjectMeta, OwnerReference };

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** A condition as all kinds have them (`metav1.Condition`). */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word of `src/base/reasons.ts`, where the kind is ours. */
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration?: number;
}

/** Where objects of one kind are found. `T` is what they are, in types only. */
export interface ResourceType<T extends KubeObject = KubeObject> {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly is?: T;
}

/** Names one object of a type. `namespace` is empty for what has none. */
export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

/** `metav1.Status`: what servers answer instead of an object. */
export interface StatusObject {
  readonly kind: 'Status';
  readonly apiVersion: 'v1';
  readonly status: 'Success' | 'Failure';
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly retryAfterSeconds?: number;
    readonly causes?: readonly {
      readonly reason?: string;
      readonly message?: string;
      readonly field?: string;
    }[];
  };
}

export function apiVersionOf(type: Pick<ResourceType, 'group' | 'version'>): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

/** `namespace/name`, or the name alone; also the key of queues and caches. */
export function keyText(key: ObjectKey): string {
  return key.namespace === '' ? key.name : `${key.namespace}/${key.name}`;
}

export function keyOf(object: KubeObject): ObjectKey {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name ?? '' };
}

export function parseKey(text: string): ObjectKey {
  const at = text.indexOf('/');
  if (at < 0) return { namespace: '', name: text };
  return { namespace: text.slice(0, at), name: text.slice(at + 1) };
}
