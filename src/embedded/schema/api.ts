/**
 * What the server asks of schemas. Schemas are OpenAPI v3 as Kubernetes uses it: `$ref`s of the
 * form `#/components/schemas/NAME`, and the extensions `x-kubernetes-*`. Objects are plain JSON;
 * no function changes its arguments.
 */

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** OpenAPI v3 schema object, as served in `/openapi/v3` and as CRDs carry it. */
export type OpenApiSchema = { readonly [key: string]: unknown };

/** Compiled once per served version of a resource. */
export interface ObjectSchema {
  /**
   * Prunes unknown fields, fills defaults in. `unknown` are the paths that were pruned, for
   * `fieldValidation` Strict and Warn.
   */
  prepare(object: JsonObject): { readonly object: JsonObject; readonly unknown: readonly string[] };
  /** Types, enums, bounds, patterns, required, CEL rules. `old` for transition rules. */
  validate(object: JsonObject, old: JsonObject | undefined): readonly FieldError[];
  /** Strategic merge patch by the merge keys of the schema (built-in kinds). */
  strategicMerge(current: JsonObject, patch: JsonObject): JsonObject;
  /** Server-side apply (structured merge: sets of owned fields, lists by key). */
  apply(request: ApplyRequest): ApplyResult;
  /**
   * managedFields after a change that was no apply: fields that differ belong to the writer. The
   * entry's time changes only with its fields.
   */
  track(request: TrackRequest): readonly ManagedField[];
}

export interface FieldError {
  /** As Kubernetes words it: FieldValueInvalid, FieldValueRequired, FieldValueNotSupported, … */
  readonly reason: string;
  /** `spec.source.cluster`. */
  readonly field: string;
  /** `Invalid value: "x": …`, as after the field's name in the server's message. */
  readonly message: string;
}

/** An entry of `metadata.managedFields`. */
export interface ManagedField {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: JsonObject;
  readonly subresource?: string;
}

export interface ApplyRequest {
  /** Undefined when the object is made by this apply. */
  readonly live: JsonObject | undefined;
  readonly applied: JsonObject;
  readonly manager: string;
  readonly force: boolean;
  readonly time: string;
  readonly apiVersion: string;
  readonly subresource: string | undefined;
}

export type ApplyResult =
  | { readonly object: JsonObject; readonly managed: readonly ManagedField[] }
  | { readonly conflicts: readonly ApplyConflict[] };

export interface ApplyConflict {
  readonly manager: string;
  /** `.spec.replicas`. */
  readonly field: string;
  /** Of an Update; empty when the other manager applied: messages then name none. */
  readonly apiVersion: string;
  readonly subresource: string | undefined;
}

export interface TrackRequest {
  readonly before: JsonObject | undefined;
  readonly now: JsonObject;
  readonly manager: string;
  readonly time: string;
  readonly apiVersion: string;
  readonly subresource: string | undefined;
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  /** 0: always, 1: with `-o wide`. */
  readonly priority: number;
  /** JSONPath, as in CRDs, or what computes the cell, for built-in kinds. */
  readonly value: string | ((object: JsonObject, nowMs: number) => Json);
}

/** One version of one resource as the server serves it, built in or from a CRD. */
export interface ServedResource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** Is it what the store keeps? One version of a resource is. */
  readonly storage: boolean;
  readonly subresources: { readonly status: boolean; readonly scale?: ScaleSubresource };
  readonly columns: readonly PrinterColumn[];
  readonly schema: ObjectSchema;
  /** For OpenAPI documents. */
  readonly openApi: OpenApiSchema;
  /** Paths that field selectors may name beside metadata.name and metadata.namespace. */
  readonly selectable: readonly string[];
  readonly builtIn: boolean;
}

export interface ScaleSubresource {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

/** The functions of `src/embedded/schema` that the server calls. */
export interface SchemaLibrary {
  /** All built-in kinds, with their schemas, columns and defaults. */
  builtIns(): readonly ServedResource[];
  /** The served versions of a CRD (apiextensions.k8s.io/v1), or why it is not structural. */
  ofDefinition(
    crd: JsonObject,
  ): readonly ServedResource[] | { readonly errors: readonly FieldError[] };
  jsonPatch(current: JsonObject, patch: readonly Json[]): JsonObject;
  mergePatch(current: JsonObject, patch: JsonObject): JsonObject;
  /** `/openapi/v3/apis/GROUP/VERSION` for kubectl explain and validation. */
  openApiV3(resources: readonly ServedResource[]): JsonObject;
  /** `/openapi/v2`, JSON. */
  openApiV2(resources: readonly ServedResource[]): JsonObject;
  /** JSONPath of printer columns and selectable fields. */
  jsonPath(path: string): (object: JsonObject) => Json | undefined;
}
