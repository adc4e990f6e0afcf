/** The door to image registries. `src/host/registry-transport.ts` opens it with verified TLS. */

export interface RegistryRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Always https. */
  readonly url: string;
  /** Lower-case names; `content-length` is the caller's to give. */
  readonly headers: Readonly<Record<string, string>>;
  /** A stream is sent as it comes, and can be sent only once. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

export interface RegistryResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Read it to the end or leave it early; ends with `RegistryUnreachable` when it was cut. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * One exchange; redirects are not followed. `RegistryUnreachable` when there is no answer,
 * `RegistryRefused` when the other side cannot be trusted.
 */
export type RegistryTransport = (request: RegistryRequest) => Promise<RegistryResponse>;
