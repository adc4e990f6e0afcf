/** Bearer tokens of a registry, fetched where its challenge says and kept until they end. */
import { fail } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import { drain, readWhole } from './bodies.ts';
import type { Challenge } from './challenge.ts';
import type { RegistryCredentials } from './credentials.ts';

import type { RegistryRequest, RegistryResponse } from './transport.ts';

const answerBytesMax = 256 * 1024;
/** What the protocol assumes where the answer says nothing. */
const defaultLifeS = 60;
const lifeSMax = 24 * 3600;
/** Ends before its time, so that a request on its way still arrives. */
const marginMs = 5_000;

export interface TokenSource {
  readonly send: (request: RegistryRequest) => Promise<RegistryResponse>;
  readonly clock: Clock;
  readonly credentials: RegistryCredentials | undefined;
  readonly scopes: readonly string[];
  /** Of the registry, for messages. */
  readonly name: string;
}

export interface BearerTokens {
  current(): string | undefined;
  /** False when the registry did not admit a token that was just made. */
  fetch(challenge: Extract<Challenge, { kind: 'bearer' }>): Promise<boolean>;
}

export function createTokens(source: TokenSource): BearerTokens {
  const { clock, name } = source;
  let token: string | undefined;
  let endsMs = 0;
  let pending: Promise<boolean> | undefined;
  const fetchOnce = async (challenge: Extract<Challenge, { kind: 'bearer' }>) => {
    const response = await source.send(requestOf(challenge, source));
    if (response.status !== 200) {
      await drain(response.body);
      const status = `HTTP ${response.status}`;
      if (response.status === 429 || response.status >= 500) {
        fail('RegistryUnreachable', `${name}: its token service answers ${status}`);
      }
      return fail('RegistryRefused', `${name}: its token service answers ${status}`);
    }
    const bytes = await readWhole(response.body, answerBytesMax);
    const { text, lifeMs } = readToken(bytes, name);
    token = text;
    endsMs = clock.monotonicMs() + lifeMs - marginMs;
    return true;
  };
  return {
    current: () => (clock.monotonicMs() < endsMs ? token : undefined),
    fetch(challenge) {
      // Many requests are refused at once when a token ends; one asks for all.
      pending ??= fetchOnce(challenge).finally(() => {
        pending = undefined;
      });
      return pending;
    },
  };
}

function requestOf(
  { realm, service, scope }: Extract<Challenge, { kind: 'bearer' }>,
  { credentials, scopes, name }: TokenSource,
): RegistryRequest {
  const url = URL.canParse(realm) ? new URL(realm) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '') {
    return fail('RegistryRefused', `${name}: its token service is not reached by https`);
  }
  const all = [...new Set([...scopes, ...(scope === undefined ? [] : [scope])])];
  if (credentials?.identityToken !== undefined) {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: credentials.identityToken,
      client_id: 'transship',
      scope: all.join(' '),
      ...(service !== undefined && { service }),
    });
    const body = Buffer.from(form.toString(), 'utf8');
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length),
    };
    return { method: 'POST', url: url.href, headers, body };
  }
  if (service !== undefined) url.searchParams.set('service', service);
  for (const one of all) url.searchParams.append('scope', one);
  const { username, password } = credentials ?? {};
  const pair = Buffer.from(`${username ?? ''}:${password ?? ''}`, 'utf8').toString('base64');
  const headers = username === undefined ? {} : { authorization: `Basic ${pair}` };
  return { method: 'GET', url: url.href, headers };
}

function readToken(bytes: Uint8Array, name: string): { text: string; lifeMs: number } {
  let fields: Record<string, unknown> | null = null;
  try {
    fields = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown> | null;
  } catch {
    // The parser's message would show a piece of the token.
  }
  const text = fields?.['token'] ?? fields?.['access_token'];
  if (typeof text !== 'string' || !/^[\x21-\x7e]+$/.test(text)) {
    return fail('RegistryRefused', `${name}: its token service gives no token`);
  }
  const told = Number(fields?.['expires_in'] ?? defaultLifeS);
  const lifeS = told >= defaultLifeS ? Math.min(told, lifeSMax) : defaultLifeS;
  return { text, lifeMs: lifeS * 1000 };
}
