/** What a transformation knows about the move, and what it tells about an object. */
import type { KubeObject } from '../kube/objects.ts';
import type { LabelSelector } from '../kube/selectors.ts';
import type { Fields } from './fields.ts';
import type { ImageRule } from './images.ts';

/** What happens to one claim; absent fields stay as they are. */
export interface ClaimChange {
  /** Its name at the destination. */
  readonly name?: string;
  readonly storageClass?: string;
  readonly accessModes?: readonly string[];
  readonly volumeMode?: 'Filesystem' | 'Block';
  /** The volume that waits for it at the destination. */
  readonly volumeName?: string;
}

/** A JSON patch (RFC 6902) of the user for objects that it is meant for. */
export interface PatchRule {
  /** Undefined: any group. */
  readonly group?: string;
  readonly kind: string;
  /** At the source; undefined: any. */
  readonly namespace?: string;
  /** With `*` for any text; undefined: all. */
  readonly name?: string;
  readonly labels?: LabelSelector;
  readonly patch: readonly Fields[];
}

export interface TransformContext {
  /** Names this move, such as the uid of its plan: an object that carries it is left as it is. */
  readonly id: string;
  /** Source to destination; a namespace that is not named keeps its name. */
  readonly namespaces: Readonly<Record<string, string>>;
  readonly storageClasses?: Readonly<Record<string, string>>;
  readonly ingressClasses?: Readonly<Record<string, string>>;
  readonly priorityClasses?: Readonly<Record<string, string>>;
  readonly images?: readonly ImageRule[];
  /** Hosts of the source's registry, whose images are copied. */
  readonly registries?: readonly string[];
  /** DNS names of ingresses and routes: exact ones, or `.suffix` to `.suffix`. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** By `namespace/claim` at the source. */
  readonly claims?: Readonly<Record<string, ClaimChange>>;
  readonly rules?: readonly PatchRule[];
  /** Rewrites names of services of mapped namespaces in variables and arguments of containers. */
  readonly serviceNames?: boolean;
  readonly keep?: { readonly clusterIps?: boolean; readonly nodePorts?: boolean };
  /** Whether the destination serves the kind in this version; undefined where it is not known. */
  readonly serves?: (apiVersion: string, kind: string) => boolean;
}

/**
 * `Stripped`: set by servers, means nothing there. `Mapped`: says the same in the destination's
 * words. `Changed`: by a rule of the user. `Lost`: the destination will not have it. `Warning`:
 * stays, and may not work there. `Refused`: the object is not made.
 */
export type NoteKind = 'Stripped' | 'Mapped' | 'Changed' | 'Lost' | 'Warning' | 'Refused';

export interface Note {
  readonly kind: NoteKind;
  /** `spec.clusterIP`; empty: the object as a whole. */
  readonly field: string;
  readonly message: string;
  /** What a person can do; empty when there is nothing to do. */
  readonly remedy: string;
}

export interface Transformed {
  /** Undefined: it is not made at the destination; a note says why. */
  readonly object: KubeObject | undefined;
  readonly notes: readonly Note[];
}

/** One object on its way, with what was said about it so far. */
export interface Draft {
  readonly object: KubeObject;
  note(kind: NoteKind, field: string, message: string, remedy?: string): void;
}

export type Step = (draft: Draft, context: TransformContext) => KubeObject;

/** Marks what was made for a move; also how a rollback finds it. */
export const preparedFor = 'transship.dev/prepared-for';
