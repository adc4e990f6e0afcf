/** The one thing that goes wrong in a schedule of a migration, at the door of its controllers. */
import { TransshipError } from '../../src/base/errors.ts';
import type { Reason } from '../../src/base/reasons.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import type { Rng } from './rng.ts';

export type Trouble =
  | { readonly kind: 'none' }
  /** SIGKILL as the answer to that effect arrives, and after as many again. */
  | { readonly kind: 'kill'; readonly after: number; readonly times: number; readonly ms: number }
  /** SIGKILL after single effects, each the first time that it comes about. */
  | { readonly kind: 'kills'; readonly effects: readonly EffectSite[]; readonly ms: number }
  | { readonly kind: 'lostAnswer'; readonly after: number }
  /** Requests of a kind are refused, from the given one on. */
  | {
      readonly kind: 'refused';
      readonly what: string;
      readonly from: number;
      readonly times: number;
      readonly how: Refusal;
    }
  /** So are single calls, each from the first time that it is asked for at its place. */
  | {
      readonly kind: 'calls';
      readonly calls: readonly CallSite[];
      readonly times: number;
      readonly how: Refusal | 'lost';
    }
  /** No API server can be reached. */
  | { readonly kind: 'cut'; readonly after: number; readonly ms: number }
  /** A person sets the number of replicas at the source. */
  | { readonly kind: 'scale'; readonly after: number; readonly replicas: number };

/** As a `Survey` has them. */
export interface CallSite {
  readonly place: string;
  readonly call: string;
}

/** The first effect at a place is number 1. */
export interface EffectSite {
  readonly place: string;
  readonly number: number;
}

/** So often that it is for ever; a number that JSON can say. */
export const ever = 1_000_000_000;

const refusals = ['unreachable', 'forbidden', 'failed', 'busy', 'conflict'] as const;
/** `gone`: there is nothing of that name, which is a lie or somebody's doing. */
export type Refusal = (typeof refusals)[number] | 'gone';

/** Everything that controllers ask for in a migration, as verb and resource. */
const asked = [
  'GET migrations',
  'PATCH migrations',
  'PATCH plans',
  'GET secrets',
  'POST secrets',
  'PATCH secrets',
  'DELETE secrets',
  'POST namespaces',
  'GET namespaces',
  'PATCH persistentvolumes',
  'GET persistentvolumes',
  'POST persistentvolumeclaims',
  'PATCH persistentvolumeclaims',
  'GET persistentvolumeclaims',
  'DELETE persistentvolumeclaims',
  'POST volumetransfers',
  'PATCH volumetransfers',
  'DELETE volumetransfers',
  'GET volumetransfers',
  'POST pods',
  'GET pods',
  'DELETE pods',
  'PATCH deployments',
  'GET deployments',
  'POST deployments',
  'PATCH statefulsets',
  'POST statefulsets',
  'DELETE statefulsets',
  'PATCH cronjobs',
  'PATCH daemonsets',
  'POST resourcequotas',
  'GET resourcequotas',
  'PATCH resourcequotas',
  'DELETE resourcequotas',
  'POST configmaps',
  'POST cronjobs',
  'GET log',
  'POST jobs',
  'GET jobs',
  'PATCH configmaps',
  'POST imagetransfers',
  'PATCH imagetransfers',
  'POST teleports',
  'DELETE teleports',
  'GET volumes',
  'DELETE volumes',
  'POST persistentvolumes',
] as const;

export function pickTrouble(rng: Rng, effects: number): Trouble {
  const after = rng.between(1, effects);
  const kind = rng.weighted({ none: 1, kill: 8, lostAnswer: 4, refused: 10, cut: 3, scale: 2 });
  switch (kind) {
    case 'none':
      return { kind };
    case 'kill': {
      const times = rng.pick([1, 1, 1, 3, 10]);
      const every = times === 1 ? after : rng.between(1, 30);
      return { kind, after: every, times, ms: rng.pick([10, 2_000, 30_000]) };
    }
    case 'lostAnswer':
      return { kind, after };
    case 'refused': {
      const times = rng.pick([1, 1, 5, Number.POSITIVE_INFINITY]);
      const from = rng.between(1, 12);
      return { kind, what: rng.pick(asked), from, times, how: rng.pick(refusals) };
    }
    case 'cut':
      return { kind, after, ms: rng.pick([3_000, 40_000, 200_000]) };
    case 'scale':
      return { kind, after, replicas: rng.pick([0, 1, 3]) };
  }
}

export interface TroubleHands {
  readonly nowMs: () => number;
  /** Ends the process that just had its answer. */
  kill(afterMs: number, side: string): void;
  cut(): void;
  scale(replicas: number): void;
  /** Where the migration is, as `placeOf` says it. */
  place(): string;
}

/** What was asked for and done while things could go wrong, in order. */
export interface Survey {
  /** Number of effects at each place. */
  readonly effects: Map<string, number>;
  /** `east GET pods`: at every place each call once. */
  readonly calls: Map<string, Set<string>>;
}

/** Counts effects over all lives of the controllers, and makes the trouble. */
export class Troublemaker {
  readonly trouble: Trouble;
  readonly #hands: TroubleHands;
  effects = 0;
  /** It took place. */
  happened = false;
  readonly survey: Survey = { effects: new Map(), calls: new Map() };
  readonly #met = new Set<EffectSite>();
  readonly #failed = new Map<CallSite, number>();
  #isCalm = false;
  #asked = 0;
  #kills = 0;
  #cutUntilMs = 0;

  constructor(trouble: Trouble, hands: TroubleHands) {
    this.trouble = trouble;
    this.#hands = hands;
  }

  /** Another migration begins: what did not happen in the one before can happen in this. */
  resume(): void {
    this.#isCalm = this.happened;
  }

  /** Nothing goes wrong from now on. */
  end(): void {
    this.#isCalm = true;
    this.#cutUntilMs = 0;
  }

  /** What the controllers of `side` send to a cluster. */
  wrap(send: KubeTransport, cluster: string, side = 'east'): KubeTransport {
    return async (request) => {
      if (this.#hands.nowMs() < this.#cutUntilMs) throw unreachable(cluster);
      const how = this.#refusal(request) ?? this.#fault(callOf(request, cluster));
      if (how !== undefined && how !== 'lost') return refuse(how, cluster);
      const response = await send(request);
      const isLost = request.method !== 'GET' && this.effect(side);
      if (isLost || how === 'lost') throw unreachable(cluster);
      return response;
    };
  }

  /** Of something that is no API server: throws where that fails. */
  async ask<T>(call: string, reason: Reason, act: () => Promise<T>): Promise<T> {
    const how = this.#fault(call);
    if (how !== undefined && how !== 'lost') throw new TransshipError(reason, `${call} failed`);
    const answer = await act();
    if (how === 'lost') throw new TransshipError(reason, `the answer to ${call} was lost`);
    return answer;
  }

  /** What becomes of it: undefined for nothing. */
  #fault(call: string | undefined): Refusal | 'lost' | undefined {
    const { trouble, survey } = this;
    if (this.#isCalm || call === undefined) return undefined;
    const place = this.#hands.place();
    survey.calls.set(place, (survey.calls.get(place) ?? new Set()).add(call));
    if (trouble.kind !== 'calls') return undefined;
    for (const site of trouble.calls) {
      if (site.call !== call) continue;
      const asked = this.#failed.get(site) ?? 0;
      if (asked >= trouble.times || (asked === 0 && site.place !== place)) continue;
      this.#failed.set(site, asked + 1);
      this.happened = true;
      return trouble.how;
    }
    return undefined;
  }

  /** What was to be disturbed and did not come about. */
  get missed(): readonly (CallSite | EffectSite)[] {
    const { trouble } = this;
    if (trouble.kind === 'kills') return trouble.effects.filter((site) => !this.#met.has(site));
    if (trouble.kind !== 'calls') return [];
    return trouble.calls.filter((site) => !this.#failed.has(site));
  }

  /** Something durable was done by controllers. True: nobody is to hear of it. */
  effect(side = 'east'): boolean {
    this.effects += 1;
    const { trouble } = this;
    if (this.#isCalm) return false;
    if (this.#isKilledHere()) this.#hands.kill(trouble.kind === 'kills' ? trouble.ms : 0, side);
    if (!('after' in trouble)) return false;
    if (trouble.kind === 'kill') return this.#kill(trouble, side);
    if (this.effects !== trouble.after) return false;
    this.happened = true;
    if (trouble.kind === 'cut') {
      this.#cutUntilMs = this.#hands.nowMs() + trouble.ms;
      this.#hands.cut();
    }
    if (trouble.kind === 'scale') this.#hands.scale(trouble.replicas);
    return trouble.kind === 'lostAnswer';
  }

  /** Counts it at its place. */
  #isKilledHere(): boolean {
    const place = this.#hands.place();
    const { effects } = this.survey;
    const number = (effects.get(place) ?? 0) + 1;
    effects.set(place, number);
    if (this.trouble.kind !== 'kills') return false;
    const site = this.trouble.effects.find((one) => one.place === place && one.number === number);
    if (site === undefined) return false;
    this.#met.add(site);
    this.happened = true;
    return true;
  }

  #kill({ after, times, ms }: Extract<Trouble, { kind: 'kill' }>, side: string): boolean {
    if (this.#kills >= times || this.effects < after * (this.#kills + 1)) return false;
    this.#kills += 1;
    this.happened = true;
    this.#hands.kill(ms, side);
    return true;
  }

  #refusal(request: KubeRequest): Refusal | undefined {
    const { trouble } = this;
    if (this.#isCalm || trouble.kind !== 'refused' || nameOf(request) !== trouble.what) {
      return undefined;
    }
    this.#asked += 1;
    const { from, times, how } = trouble;
    if (this.#asked < from || this.#asked >= from + times) return undefined;
    this.happened = true;
    return how;
  }
}

/**
 * `west PATCH deployments`, `east GET pods/`, which is of one and not of all, `east GET pods/log`.
 * Watches are another matter.
 */
export function callOf({ method, path }: KubeRequest, cluster: string): string | undefined {
  if (path.includes('watch=true')) return undefined;
  const parts = path.replace(/\?.*$/, '').split('/').filter(Boolean);
  const rest = parts[0] === 'apis' ? parts.slice(3) : parts.slice(2);
  const own = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
  const [plural = path, name, sub = ''] = own;
  return `${cluster} ${method} ${plural}${name === undefined ? '' : `/${sub}`}`;
}

/** `PATCH deployments`, `GET log`; watches are another matter. */
export function nameOf({ method, path }: KubeRequest): string | undefined {
  if (path.includes('watch=true')) return undefined;
  const parts = path.replace(/\?.*$/, '').split('/').filter(Boolean);
  const rest = parts[0] === 'api' ? parts.slice(2) : parts.slice(3);
  const own = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
  const [plural = '', , sub] = own;
  return `${method} ${sub === 'log' ? 'log' : plural}`;
}

function unreachable(cluster: string): Error {
  return new TransshipError('ApiUnreachable', `the connection to ${cluster} broke`);
}

function refuse(how: Refusal, cluster: string): KubeResponse {
  if (how === 'unreachable') throw unreachable(cluster);
  const [code, reason] = {
    forbidden: [403, 'Forbidden'],
    failed: [500, 'InternalError'],
    busy: [429, 'TooManyRequests'],
    conflict: [409, 'Conflict'],
    gone: [404, 'NotFound'],
  }[how] as [number, string];
  const message = `this is ${how} for a test`;
  const status = { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message };
  return {
    status: code,
    headers: { 'content-type': 'application/json' },
    body: once(Buffer.from(JSON.stringify(status))),
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
