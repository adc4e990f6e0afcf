/** What every part of the server works with, and one request on its way through it. */
import { formatSecond } from '../../base/units.ts';
import type { Clock, Log, Random } from '../../base/ports.ts';
import type { JsonObject, SchemaLibrary } from '../schema/api.ts';
import type { PodLogRequest, UserInfo } from './api.ts';
import type { Authorizer } from './authorizer.ts';
import type { Registry, Resource } from './registry.ts';
import type { RequestInfo, Target } from './request.ts';
import type { Store } from './store.ts';
import type { TokenIdentity, TokenIssuer } from './tokens.ts';

export interface Kernel {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly library: SchemaLibrary;
  readonly store: Store;
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly tokens: TokenIssuer;
  /** Whom a bearer token stands for, if anybody. */
  readonly identify: (token: string) => TokenIdentity | undefined;
  /** Of pods on nodes that are not heard of. */
  readonly tolerationSeconds: number;
  readonly readLog: ((request: PodLogRequest) => Promise<AsyncIterable<Uint8Array>>) | undefined;
  /** Everything that streams ends when this is aborted. */
  readonly stopping: AbortSignal;
}

/** A request about a resource that is served. */
export interface Call {
  readonly kernel: Kernel;
  readonly info: RequestInfo;
  readonly target: Target;
  readonly resource: Resource;
  readonly user: UserInfo;
  /** Texts for `Warning` headers. */
  readonly warnings: string[];
}

/** RFC 3339 without fractions, as in metadata: now, or some seconds later. */
export function timeText(clock: Clock, laterSeconds = 0): string {
  return formatSecond(clock.wallMs() + laterSeconds * 1000);
}

/** A random version 4 UUID (RFC 9562). */
export function uuid(random: Random): string {
  const bytes = Buffer.from(random.bytes(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  const cuts = [0, 8, 12, 16, 20, 32];
  return cuts
    .slice(1)
    .map((end, i) => hex.slice(cuts[i], end))
    .join('-');
}

/** Resolves a moment later, so that other work of the thread gets its turn. */
export async function breathe(clock: Clock): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.after(0, resolve);
  });
}

/** Where the store keeps the object that the request names. */
export function keyOfCall({ resource, target }: Call): string {
  return `${resource.collection}${target.namespace}/${target.name}`;
}

export interface Written {
  readonly status: number;
  readonly object: JsonObject;
}
