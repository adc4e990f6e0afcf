/**
 * A few links to one cluster, kept up for ever, and the requests that go over them: the one with
 * room takes the next, and what a dying link took along is asked again on another.
 */
import { asTransshipError, AssertionFailure, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Log, Random, Timer } from '../base/ports.ts';
import { greet, type Greeted } from './greeting.ts';
import type { Dialer } from './link.ts';
import type { Hello, LinkUse } from './messages.ts';
import type { PeerRecord, PeerState } from './record.ts';
import {
  type Call,
  type Handler,
  LinkLost,
  openSession,
  type Reply,
  type Session,
} from './session.ts';

export interface LinkPoolOptions {
  readonly record: PeerRecord;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly mine: (use: LinkUse) => Hello;
  /** For one more link: what the other end asks on it. */
  readonly handler: () => Handler;
  readonly onRoundTrip: (ms: number) => void;
  readonly onState: (state: PeerState) => void;
  readonly onReconnect: () => void;
  readonly links?: number;
}

export interface PoolCall extends Call {
  readonly signal: AbortSignal;
  /** The caller handles `LinkLost` itself, because it can use the part of a reply that came. */
  readonly retries?: 'caller';
}

/** A link that lived so long was good: the next failure starts with the shortest pause. */
const goodMs = 10_000;
/** The longest pause while somebody waits for a link. */
const demandPauseMs = 1000;
/** Pings need numbers too. */
const requestsMax = limits.peerRequestsMax - 8;

interface Slot {
  readonly use: LinkUse;
  session: Session | undefined;
  address: number;
  failures: number;
  /** It was up before. */
  isUsed: boolean;
  /** Ends the pause after at most this many milliseconds. */
  hurry: ((ms: number) => void) | undefined;
}

interface Waiter {
  readonly call: PoolCall;
  readonly run: (session: Session) => void;
  readonly fail: (error: Error) => void;
}

export class LinkPool {
  readonly #options: LinkPoolOptions;
  readonly #slots: readonly Slot[];
  /** Links the other end opened; used when none of ours is up. */
  readonly #adopted = new Map<Session, LinkUse>();
  readonly #waiters = new Set<Waiter>();
  #state: PeerState;
  #greeted: Greeted | undefined;
  #closed: TransshipError | undefined;
  #reconnects = 0;

  constructor(options: LinkPoolOptions) {
    this.#options = options;
    const count = options.record.addresses.length === 0 ? 0 : (options.links ?? limits.peerLinks);
    this.#slots = Array.from({ length: count }, (_, i) => ({
      use: i === 0 && count > 1 ? 'demand' : 'shared',
      session: undefined,
      address: 0,
      failures: 0,
      isUsed: false,
      hurry: undefined,
    }));
    const sinceMs = options.clock.wallMs();
    this.#state = { connected: false, sinceMs, lastError: undefined };
  }

  get state(): PeerState {
    return this.#state;
  }

  get greeted(): Greeted | undefined {
    return this.#greeted;
  }

  get reconnects(): number {
    return this.#reconnects;
  }

  get openLinks(): number {
    return this.#slots.filter((slot) => slot.session !== undefined).length + this.#adopted.size;
  }

  start(): void {
    for (const slot of this.#slots) void this.#keep(slot);
  }

  /** Takes a link the other end opened and greeted on. Call `leave` when it has closed. */
  adopt(session: Session, greeted: Greeted): void {
    this.#adopted.set(session, greeted.hello.use);
    this.#greeted = greeted;
    this.#changed(undefined);
  }

  leave(session: Session, error: TransshipError): void {
    if (this.#adopted.delete(session)) this.#changed(error);
  }

  /** Waits for a link until the signal says no. Rejects with what the other end answers. */
  async call(call: PoolCall): Promise<Reply> {
    for (;;) {
      try {
        return await this.#callOnce(call);
      } catch (error) {
        if (!(error instanceof LinkLost) || call.retries === 'caller') throw error;
      } finally {
        this.#serve();
      }
    }
  }

  close(error: TransshipError): void {
    if (this.#closed !== undefined) return;
    this.#closed = error;
    for (const waiter of this.#waiters) waiter.fail(error);
    for (const slot of this.#slots) {
      slot.hurry?.(0);
      slot.session?.close(error);
    }
    for (const session of this.#adopted.keys()) session.close(error);
  }

  #callOnce(call: PoolCall): Promise<Reply> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    call.signal.throwIfAborted();
    const session = this.#pick(call);
    if (session !== undefined) return ask(session, call);
    if (call.lane === 'demand') for (const slot of this.#slots) slot.hurry?.(demandPauseMs);
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#waiters.delete(waiter);
        call.signal.removeEventListener('abort', leave);
      };
      const leave = () => waiter.fail(call.signal.reason as Error);
      const waiter: Waiter = {
        call,
        run: (found) => {
          settle();
          ask(found, call).then(resolve, reject);
        },
        fail: (error) => {
          settle();
          reject(error);
        },
      };
      call.signal.addEventListener('abort', leave, { once: true });
      this.#waiters.add(waiter);
    });
  }

  /** The least loaded link that may carry it; ours before theirs. */
  #pick(call: PoolCall): Session | undefined {
    const ours = this.#slots.flatMap(({ use, session }) =>
      session === undefined ? [] : [{ use, session }],
    );
    const theirs = [...this.#adopted].map(([session, use]) => ({ use, session }));
    const mayCarry = (entry: { readonly use: LinkUse }): boolean =>
      call.lane === 'demand' || entry.use === 'shared';
    const found = [ours, theirs]
      .map((entries) => entries.filter(mayCarry))
      .find((e) => e.length > 0);
    const load = (entry: { readonly use: LinkUse; readonly session: Session }): number =>
      entry.use === 'demand' ? -1 : entry.session.openCredit;
    return found
      ?.toSorted((a, b) => load(a) - load(b))
      .find(({ session }) => hasRoom(session, call))?.session;
  }

  #serve(): void {
    for (const lane of ['demand', 'background'] as const) {
      for (const waiter of this.#waiters) {
        if (waiter.call.lane !== lane) continue;
        const session = this.#pick(waiter.call);
        if (session === undefined) break;
        waiter.run(session);
      }
    }
  }

  async #keep(slot: Slot): Promise<void> {
    while (this.#closed === undefined) {
      const { clock } = this.#options;
      const startMs = clock.monotonicMs();
      const error = await this.#live(slot);
      if (this.#closed !== undefined) return;
      slot.failures = clock.monotonicMs() - startMs > goodMs ? 0 : slot.failures + 1;
      this.#changed(error);
      await this.#pause(slot);
    }
  }

  /** From dialling to the end of the link; resolves with why it ended. */
  async #live(slot: Slot): Promise<TransshipError> {
    const { record, dialer, clock, handler, mine, onRoundTrip } = this.#options;
    const { name, fingerprint } = record;
    const address = record.addresses[slot.address++ % record.addresses.length]!;
    try {
      const link = await dialer.connect({ address, fingerprint });
      let onClose: (error: TransshipError) => void = () => {};
      const closed = new Promise<TransshipError>((resolve) => {
        onClose = resolve;
      });
      const serving = handler();
      const session = openSession({ link, clock, name, handler: serving, onClose, onRoundTrip });
      try {
        const hello = mine(slot.use);
        const greeted = await greet({ session, clock, mine: hello, record, handler: serving });
        this.#use(slot, session, greeted);
      } catch (error) {
        session.close(asTransshipError(error));
        throw error;
      }
      const reason = await closed;
      slot.session = undefined;
      return reason;
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      return asTransshipError(error);
    }
  }

  #use(slot: Slot, session: Session, greeted: Greeted): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (slot.isUsed) {
      this.#reconnects++;
      this.#options.onReconnect();
    }
    slot.isUsed = true;
    slot.session = session.isOpen ? session : undefined;
    this.#greeted = greeted;
    this.#changed(undefined);
    const { name } = this.#options.record;
    const { address } = session.remote;
    this.#options.log.log('debug', 'link up', { peer: name, address, use: slot.use });
  }

  #pause(slot: Slot): Promise<void> {
    const { clock, random } = this.#options;
    const { peerBackoffMsMin, peerBackoffMsMax } = limits;
    const fullMs = Math.min(peerBackoffMsMax, peerBackoffMsMin * 2 ** Math.min(slot.failures, 20));
    const isWanted = [...this.#waiters].some(({ call }) => call.lane === 'demand');
    const ms =
      (isWanted ? Math.min(fullMs, demandPauseMs) : fullMs) * (0.5 + random.fraction() / 2);
    return new Promise((resolve) => {
      let endMs = clock.monotonicMs() + ms;
      const end = () => {
        slot.hurry = undefined;
        resolve();
      };
      let timer: Timer = clock.after(ms, end);
      slot.hurry = (mostMs) => {
        const soonerMs = clock.monotonicMs() + mostMs;
        if (soonerMs >= endMs) return;
        endMs = soonerMs;
        timer.cancel();
        timer = clock.after(mostMs, end);
      };
    });
  }

  #changed(error: TransshipError | undefined): void {
    const connected = this.openLinks > 0;
    const lastError = error ?? this.#state.lastError;
    const isNews = connected !== this.#state.connected;
    const sinceMs = isNews ? this.#options.clock.wallMs() : this.#state.sinceMs;
    // The state of a peer that was never reached is news when the reason becomes known.
    const isReason = !connected && lastError?.message !== this.#state.lastError?.message;
    this.#state = { connected, sinceMs, lastError };
    if (isNews || isReason) this.#options.onState(this.#state);
    this.#serve();
  }
}

function hasRoom(session: Session, call: PoolCall): boolean {
  const bytes = call.payload.reduce((sum, part) => sum + part.length, 0);
  return (
    session.isOpen &&
    session.openRequests < requestsMax &&
    (session.openCredit === 0 || session.openCredit + call.credit <= limits.peerCreditBytesMax) &&
    (session.openBytes === 0 || session.openBytes + bytes <= limits.peerRequestBytesMax)
  );
}

/** An agent that stops answers until its link closes; what it refuses is asked again later. */
async function ask(session: Session, call: PoolCall): Promise<Reply> {
  try {
    return await session.request(call);
  } catch (error) {
    if (error instanceof LinkLost || !(error instanceof TransshipError)) throw error;
    if (error.reason !== 'Stopping' || call.signal.aborted) throw error;
    session.close(error);
    throw new LinkLost(error);
  }
}
