/** What a case of API behaviour is, and what it gets. */
import type { Doc } from './document.ts';
import type { KubectlResult } from './kubectl/command.ts';
import type { Rest } from './rest.ts';

/** A running API server with its controllers. */
export interface Cluster {
  readonly isReal: boolean;
  /** Of an administrator. */
  readonly kubeconfigPath: string;
  /** Kills the API server and starts it again on the same state. */
  restart(): Promise<void>;
  /** Drops all versions but the newest, as time does, and restarts. */
  forgetHistory(): Promise<void>;
  stop(): Promise<void>;
}

/** Somebody with few rights. */
export interface OtherUser {
  /** As the server calls them. */
  readonly name: string;
  readonly rest: Rest;
  readonly token: string;
  readonly kubeconfigPath: string;
}

export interface PolicyRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

export interface KubectlOptions {
  readonly stdin?: string;
  readonly as?: OtherUser;
  readonly env?: Readonly<Record<string, string>>;
}

export interface CaseContext {
  readonly isReal: boolean;
  /** An administrator. */
  readonly rest: Rest;
  /** A namespace of this case alone; also a word that no other case uses. */
  readonly namespace: string;
  /** A directory of this case alone. */
  readonly directory: string;
  /** Path of a namespaced resource: `configmaps`, `apps/v1/deployments`, `configmaps/a`. */
  path(resource: string): string;
  /** Rights in the case's namespace, or with `everywhere` in the whole cluster. */
  user(
    rules: readonly PolicyRule[],
    options?: { readonly everywhere?: boolean },
  ): Promise<OtherUser>;
  /** Asks again and again until there is an answer. */
  until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T>;
  /**
   * The value is what a real API server once answered: `golden/GROUP.json`, written by
   * `npm run kubernetes -- --record`.
   */
  recorded(label: string, value: unknown): void;
  /** The same with another user or none: for what a kubeconfig cannot say. */
  restOf(credentials: { readonly token?: string }): Rest;
  restart(): Promise<void>;
  forgetHistory(): Promise<void>;
  /** Of the administrator. */
  readonly kubeconfigPath: string;
  kubectl(args: readonly string[], options?: KubectlOptions): Promise<KubectlResult>;
  /** Standard output of a kubectl that must succeed. */
  k(line: string, options?: KubectlOptions): Promise<string>;
  /** Makes a CRD in a group of this case and waits until it is served. */
  define(definition: Doc): Promise<Defined>;
}

export interface Defined {
  readonly group: string;
  readonly plural: string;
  readonly apiVersion: string;
  readonly crd: Doc;
  /** Path of its objects in the case's namespace. */
  readonly path: string;
  readonly crdPath: string;
}

export interface Case {
  readonly group: string;
  readonly name: string;
  /** Needs the server for itself. */
  readonly alone: boolean;
  /** Needs a node that runs pods. */
  readonly onNode: boolean;
  /** Why it does not hold there. */
  readonly skip: { readonly embedded?: string; readonly real?: string };
  readonly run: (t: CaseContext) => Promise<void>;
}

type Written =
  | ((t: CaseContext) => Promise<void>)
  | (Partial<Pick<Case, 'alone' | 'skip' | 'onNode'>> & Pick<Case, 'run'>);

export function cases(group: string, table: Readonly<Record<string, Written>>): readonly Case[] {
  return Object.entries(table).map(([name, written]) => {
    const given = typeof written === 'function' ? { run: written } : written;
    return { group, name, alone: false, onNode: false, skip: {}, ...given };
  });
}
