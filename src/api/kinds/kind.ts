/** What a kind is: schema, names, columns and rules in one value; types follow from the schemas. */
import type { Static, TSchema } from 'typebox';
import type { ObjectMeta } from '../object-meta.ts';

export const group = 'transship.dev';
export const version = 'v1alpha1';
export const groupVersion = 'transship.dev/v1alpha1';

/** An object of one of our kinds; fits wherever an object of the Kubernetes API fits. */
export interface KindObject<Kind extends string, Spec, Status> {
  readonly apiVersion: string;
  readonly kind: Kind;
  readonly metadata: ObjectMeta;
  readonly spec: Spec;
  readonly status?: Status;
}

/** What a schema describes, with nothing in it to be changed in place. */
export type Frozen<T> = T extends readonly (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T;

export type FrozenStatic<Schema extends TSchema> = Frozen<Static<Schema>>;

/** A column of `kubectl get` (apiextensions.k8s.io/v1 `CustomResourceColumnDefinition`). */
export interface Column {
  /** Upper case, no spaces. */
  readonly name: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** Shown with `-o wide` only. */
  readonly wide?: boolean;
}

/** A rule of the Common Expression Language over `self`, and `oldSelf` on updates. */
export interface Rule {
  readonly rule: string;
  /** What a user reads when the object is refused. */
  readonly message: string;
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired';
}

/** A condition that objects of a kind may carry, for the reference. */
export interface ConditionMeaning {
  readonly type: string;
  readonly meaning: string;
}

/** Where objects of a kind are found; `T` is what they are, in types only. */
export interface KindResource<T> {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly is?: T;
}

export interface KindDefinition<Spec extends TSchema = TSchema, Status extends TSchema = TSchema> {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** One sentence: what an object of it stands for. */
  readonly about: string;
  readonly spec: Spec;
  readonly status: Status;
  /** NAME comes before them and AGE after them, by themselves. */
  readonly columns: readonly Column[];
  /** Fields that field selectors accept, as paths such as `.spec.plan`. */
  readonly selectable?: readonly string[];
  readonly conditions: readonly ConditionMeaning[];
  /** Rules over the whole object, for what needs more than its spec. */
  readonly rules?: readonly Rule[];
}

/** The definition itself; the compiler checks it and keeps its schemas' types. */
export function defineKind<Spec extends TSchema, Status extends TSchema>(
  definition: KindDefinition<Spec, Status>,
): KindDefinition<Spec, Status> {
  return definition;
}

/** Agents, pools and volumes keep names in files and frames, which have no more room. */
export const nameRule: Rule = {
  rule: 'self.metadata.name.size() <= 63',
  message: 'a name has at most 63 characters',
};

/** The place of a kind's objects, as clients of an API server need it. */
export function resourceOf<T>(definition: KindDefinition): KindResource<T> {
  const { plural, kind, namespaced } = definition;
  return { group, version, plural, kind, namespaced };
}
