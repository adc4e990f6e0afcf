/**
 * The embedded API server without a socket: requests in, responses out. State is in memory, made
 * durable change by change through `Persistence` before it is acknowledged.
 */
import type { Clock, Log, Random } from '../../base/ports.ts';
import type { KubeRequest, KubeResponse } from '../../kube/transport.ts';

/** Who asks, as a certificate or a token proved it. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
}

/** One change of the store: the new content of a key, or its end. */
export interface StoredChange {
  /** Unique and growing; also the resourceVersion. */
  readonly version: number;
  /** `/group/plural/namespace/name`. */
  readonly key: string;
  /** JSON; undefined: deleted. */
  readonly body: string | undefined;
}

/**
 * Where the state is kept. `commit` returns when all of them are durable, and is atomic. `load`
 * gives the newest content of every key, and the highest version ever committed.
 */
export interface Persistence {
  load(): { readonly version: number; readonly changes: Iterable<StoredChange> };
  commit(changes: readonly StoredChange[]): void;
  close(): void;
}

export interface ApiServerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly persistence: Persistence;
  /** Resolves a bearer token; undefined: unknown or expired. Service accounts are the server's. */
  readonly authenticate?: (token: string) => UserInfo | undefined;
  /** Log of a pod's container, for `kubectl logs`. */
  readonly readLog?: (request: PodLogRequest) => Promise<AsyncIterable<Uint8Array>>;
  /**
   * How long pods that say nothing of it stay on a node that is not heard of; 300 if absent, as
   * elsewhere.
   */
  readonly tolerationSeconds?: number;
  /** Changes kept for watches that resume; older ones get 410. */
  readonly historyMax?: number;
}

export interface PodLogRequest {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string | undefined;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly tailLines: number | undefined;
  readonly sinceTime: string | undefined;
  readonly timestamps: boolean;
  readonly limitBytes: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface ApiServer {
  /**
   * Answers one request. `user` is what the connection proved (a client certificate); a bearer
   * token in the headers is looked at when it is undefined; with neither the answer is 401.
   */
  handle(request: KubeRequest, user: UserInfo | undefined): Promise<KubeResponse>;
  /** Ends all watches; later requests get 503. */
  close(): Promise<void>;
}
