/**
 * Tokens of service accounts: JSON Web Tokens (RFC 7519) with HMAC-SHA-256 under a key of the
 * store, which nobody else can read. They end with their account, its pod or its secret.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock, Random } from '../../base/ports.ts';
import type { JsonObject } from '../schema/api.ts';
import type { UserInfo } from './api.ts';
import { metaOf, numberAt, objectAt, parseObject, textAt, textsAt } from './json.ts';
import { uuid } from './kernel.ts';
import type { Store } from './store.ts';

export const defaultAudience = 'https://kubernetes.default.svc';
export const serviceAccountPrefix = 'system:serviceaccount';
/** In a group that no path leads to. */
const keyEntry = '/-/keys//service-accounts';
const keyBytes = 32;
/** Longer ones are no tokens of ours. */
const tokenCharsMax = 4096;

export interface BoundObject {
  readonly kind: 'Pod' | 'Secret';
  readonly name: string;
  readonly uid: string;
}

export interface TokenSpec {
  readonly namespace: string;
  readonly account: string;
  readonly uid: string;
  readonly audiences: readonly string[];
  /** Undefined: until its secret is deleted. */
  readonly expiresAtMs: number | undefined;
  readonly bound: BoundObject | undefined;
}

export interface TokenIdentity {
  readonly user: UserInfo;
  readonly audiences: readonly string[];
}

export class TokenIssuer {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #key: Uint8Array;

  constructor(store: Store, clock: Clock, random: Random) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
    const known = textAt(store.getObject(keyEntry), 'key');
    this.#key = known === '' ? random.bytes(keyBytes) : Buffer.from(known, 'base64');
    if (known !== '') return;
    const key = Buffer.from(this.#key).toString('base64');
    store.commit([{ key: keyEntry, object: { key } }]);
  }

  issue(spec: TokenSpec): string {
    const nowSeconds = Math.floor(this.#clock.wallMs() / 1000);
    const { bound, expiresAtMs } = spec;
    const claims = {
      iss: defaultAudience,
      sub: `${serviceAccountPrefix}:${spec.namespace}:${spec.account}`,
      aud: spec.audiences,
      iat: nowSeconds,
      nbf: nowSeconds,
      ...(expiresAtMs === undefined ? {} : { exp: Math.floor(expiresAtMs / 1000) }),
      jti: uuid(this.#random),
      'kubernetes.io': {
        namespace: spec.namespace,
        serviceaccount: { name: spec.account, uid: spec.uid },
        ...(bound === undefined
          ? {}
          : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
      },
    };
    const text = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(claims)}`;
    return `${text}.${this.#sign(text).toString('base64url')}`;
  }

  /** Undefined: not ours, over, or of an account that is gone. */
  verify(token: string): TokenIdentity | undefined {
    const claims = this.#claims(token);
    if (claims === undefined) return undefined;
    const own = objectAt(claims, 'kubernetes.io');
    const namespace = textAt(own, 'namespace');
    const account = objectAt(own, 'serviceaccount');
    const name = textAt(account, 'name');
    if (!this.#isThere('serviceaccounts', namespace, account)) return undefined;
    const pod = objectAt(own, 'pod');
    if ('name' in pod && !this.#isThere('pods', namespace, pod)) return undefined;
    const secret = objectAt(own, 'secret');
    if ('name' in secret && !this.#isThere('secrets', namespace, secret)) return undefined;
    const user: UserInfo = {
      name: `${serviceAccountPrefix}:${namespace}:${name}`,
      uid: textAt(account, 'uid'),
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`],
    };
    return { user, audiences: textsAt(claims, 'aud') };
  }

  #claims(token: string): JsonObject | undefined {
    const parts = token.split('.');
    const [head, body, signature] = parts;
    if (token.length > tokenCharsMax || parts.length !== 3 || signature === undefined) {
      return undefined;
    }
    const given = Buffer.from(signature, 'base64url');
    const right = this.#sign(`${head}.${body}`);
    if (given.length !== right.length || !timingSafeEqual(given, right)) return undefined;
    const claims = parseObject(Buffer.from(body ?? '', 'base64url').toString('utf8'));
    const endsAt = numberAt(claims, 'exp');
    if (endsAt !== undefined && endsAt * 1000 <= this.#clock.wallMs()) return undefined;
    return claims;
  }

  #isThere(plural: string, namespace: string, ref: JsonObject): boolean {
    const object = this.#store.getObject(`//${plural}/${namespace}/${textAt(ref, 'name')}`);
    return object !== undefined && textAt(metaOf(object), 'uid') === textAt(ref, 'uid');
  }

  #sign(text: string): Buffer {
    return createHmac('sha256', this.#key).update(text).digest();
  }
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
