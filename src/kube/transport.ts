/**
 * The door to one API server: one HTTP exchange, with who asks already settled. `src/host` makes it
 * of a kubeconfig; the embedded API server answers it directly; the simulator puts faults between.
 */

import { TransshipError } from '../base/errors.ts';

export type KubeMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface KubeRequest {
  readonly method: KubeMethod;
  /** From the server's root, with the query: `/api/v1/pods?limit=500`. */
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Ends the exchange, also in the middle of the body: the iteration then throws. */
  readonly signal?: AbortSignal;
}

export interface KubeResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * As it comes, cut anywhere. A connection that breaks ends it with an error, never as if it were
   * complete. Whoever does not read it to its end must leave the loop, which gives the connection
   * back.
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Rejects with `ApiUnreachable` when no answer came. An answer with an error status is an answer.
 * A request may have been carried out even when it rejects.
 */
export type KubeTransport = (request: KubeRequest) => Promise<KubeResponse>;

/** An `ApiUnreachable` after which it is certain that the server has not seen the request. */
export class NotSent extends TransshipError {
  constructor(message: string, cause?: unknown) {
    super('ApiUnreachable', message, { cause });
  }
}
