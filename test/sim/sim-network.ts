/**
 * Agents and links between them on virtual time. A link keeps its order, delivers in pieces, and
 * can be cut (both ends notice) or go silent (half open: nobody notices until they ask).
 */
import { TransshipError } from '../../src/base/errors.ts';
import type { Dialer, Link, LinkEvents, LinkRemote } from '../../src/peer/link.ts';
import type { Rng } from './rng.ts';
import type { Scheduler } from './scheduler.ts';

export interface SimNetworkOptions {
  /** One way. */
  readonly delayMs: number;
  readonly jitterMs: number;
  /** Bytes on the way from which `send` says wait. */
  readonly bufferBytes: number;
  /** How long a connection attempt waits for an answer that does not come. */
  readonly connectTimeoutMs: number;
}

/** Events of one moment happen in any order, so what must stay in order is a moment apart. */
const tickMs = 0.001;

interface Listener {
  readonly fingerprint: string;
  readonly accept: (link: Link) => void;
}

export class SimNetwork {
  options: SimNetworkOptions;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly #listeners = new Map<string, Listener>();
  #wires: Wire[] = [];
  /** `silent` drops everything on the way without telling anybody. */
  state: 'up' | 'refusing' | 'silent' = 'up';
  /** The same for two agents only, by their addresses. */
  readonly #apart = new Map<string, 'refusing' | 'silent'>();

  constructor(scheduler: Scheduler, rng: Rng, options: SimNetworkOptions) {
    this.scheduler = scheduler;
    this.rng = rng;
    this.options = options;
  }

  listen(address: string, fingerprint: string, accept: (link: Link) => void): () => void {
    this.#listeners.set(address, { fingerprint, accept });
    return () => this.#listeners.delete(address);
  }

  /** The dialer of the agent with this identity. */
  dialer(own: { readonly address: string; readonly fingerprint: string }): Dialer {
    return {
      connect: (target) =>
        new Promise((resolve, reject) => {
          const before = this.#between(own.address, target.address);
          const delay = before === 'silent' ? this.options.connectTimeoutMs : this.delay() * 2;
          this.scheduler.at(delay, `connect ${target.address}`, () => {
            const listener = this.#listeners.get(target.address);
            const state = this.#between(own.address, target.address);
            if (state !== 'up' || listener === undefined) {
              reject(new TransshipError('SourceUnreachable', `${target.address} does not answer`));
            } else if (listener.fingerprint === target.fingerprint) {
              resolve(this.#join(own, { ...target, accept: listener.accept }));
            } else {
              reject(new TransshipError('NotTrusted', `${target.address} is somebody else`));
            }
          });
        }),
    };
  }

  /** Two agents cannot reach each other any more; `silent` tells neither of them. */
  part(one: string, other: string, how: 'refusing' | 'silent'): void {
    this.#apart.set(pairOf(one, other), how);
    if (how === 'refusing') this.#cutBetween(one, other);
  }

  /** What was sent into silence is lost, so no link may live on as if it had arrived. */
  mend(one: string, other: string): void {
    if (this.#apart.delete(pairOf(one, other))) this.#cutBetween(one, other);
  }

  isSilent(one: string, other: string): boolean {
    return this.#between(one, other) === 'silent';
  }

  #between(one: string, other: string): 'up' | 'refusing' | 'silent' {
    return this.state === 'up' ? (this.#apart.get(pairOf(one, other)) ?? 'up') : this.state;
  }

  #cutBetween(one: string, other: string): void {
    for (const wire of this.#wires) {
      const [a, b] = wire.ends.map(({ address }) => address);
      if (pairOf(a!, b!) === pairOf(one, other)) wire.cut();
    }
    this.#wires = this.#wires.filter(({ ended }) => !ended);
  }

  /** Every link is lost now, with what is on the way. */
  cut(): void {
    const wires = this.#wires;
    this.#wires = [];
    for (const wire of wires) wire.cut();
  }

  /** Links of an agent that is gone: its own end stays quiet, the others notice. */
  drop(address: string): void {
    for (const wire of this.#wires) wire.drop(address);
    this.#wires = this.#wires.filter((wire) => !wire.ended);
  }

  delay(): number {
    return this.options.delayMs + this.rng.fraction() * this.options.jitterMs;
  }

  #join(
    own: { readonly address: string; readonly fingerprint: string },
    target: { readonly address: string; readonly fingerprint: string; accept: (l: Link) => void },
  ): Link {
    const wire = new Wire(this, this.rng.bytes(32), [own, target]);
    this.#wires = [...this.#wires.filter(({ ended }) => !ended), wire];
    target.accept(wire.ends[1]);
    return wire.ends[0];
  }
}

function pairOf(one: string, other: string): string {
  return [one, other].sort().join(' ');
}

type Identity = { readonly address: string; readonly fingerprint: string };

class Wire {
  readonly network: SimNetwork;
  readonly ends: readonly [End, End];

  constructor(network: SimNetwork, binding: Uint8Array, [first, second]: [Identity, Identity]) {
    this.network = network;
    this.ends = [
      new End(this, first.address, { ...second, binding }),
      new End(this, second.address, { ...first, binding }),
    ];
    this.ends[0].other = this.ends[1];
    this.ends[1].other = this.ends[0];
  }

  get ended(): boolean {
    return this.ends.every((end) => end.isDead);
  }

  cut(): void {
    for (const end of this.ends) end.die(new TransshipError('SourceUnreachable', 'link was cut'));
  }

  drop(address: string): void {
    for (const end of this.ends) {
      if (end.address === address) end.isDead = true;
    }
    if (this.ends.some((end) => end.isDead)) this.cut();
  }
}

class End implements Link {
  readonly remote: LinkRemote;
  readonly address: string;
  readonly #wire: Wire;
  other: End | undefined;
  isDead = false;
  #events: LinkEvents | undefined;
  #early: (Uint8Array | 'end')[] = [];
  #onWay = 0;
  #isStopped = false;
  #isClosing = false;
  #isTold = false;
  #error: TransshipError | undefined;
  #lastArrivalMs = 0;

  constructor(wire: Wire, address: string, remote: LinkRemote) {
    this.#wire = wire;
    this.address = address;
    this.remote = remote;
  }

  start(events: LinkEvents): void {
    this.#wire.network.scheduler.at(0, 'link start', () => {
      this.#events = events;
      for (const item of this.#early) this.receive(item);
      this.#tell();
    });
  }

  send(parts: readonly Uint8Array[]): boolean {
    if (this.isDead || this.#isClosing) return true;
    const bytes = new Uint8Array(Buffer.concat(parts));
    this.#onWay += bytes.length;
    this.#arrive('bytes', () => {
      this.other?.receive(bytes);
      this.#drained(bytes.length);
    });
    this.#isStopped = this.#onWay > this.#wire.network.options.bufferBytes;
    return !this.#isStopped;
  }

  close(): void {
    if (this.isDead || this.#isClosing) return;
    this.#isClosing = true;
    this.#arrive('end', () => {
      this.other?.receive('end');
      this.die(undefined);
    });
  }

  die(error: TransshipError | undefined): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#error = error;
    this.#wire.network.scheduler.at(0, 'link closed', () => this.#tell());
  }

  /** The end of the link, exactly once, whether it came before or after `start`. */
  #tell(): void {
    if (!this.isDead || this.#isTold || this.#events === undefined) return;
    this.#isTold = true;
    this.#events.onClose(this.#error);
  }

  /** In order: nothing overtakes what was sent before it. What is sent into silence is gone. */
  #arrive(label: string, run: () => void): void {
    const { network } = this.#wire;
    const { scheduler } = network;
    const at = Math.max(this.#lastArrivalMs + tickMs, scheduler.nowMs + network.delay());
    this.#lastArrivalMs = at;
    scheduler.at(at - scheduler.nowMs, `${label} to ${this.remote.address}`, () => {
      const isLost = network.isSilent(this.address, this.other?.address ?? '');
      if (!isLost && !this.isDead) run();
    });
  }

  #drained(bytes: number): void {
    this.#onWay -= bytes;
    if (!this.#isStopped || this.#onWay > this.#wire.network.options.bufferBytes / 2) return;
    this.#isStopped = false;
    if (!this.isDead) this.#events?.onDrain();
  }

  receive(item: Uint8Array | 'end'): void {
    if (this.isDead) return;
    if (this.#events === undefined) {
      this.#early.push(item);
    } else if (item === 'end') {
      this.die(undefined);
    } else {
      this.#deliver(item, this.#events);
    }
  }

  #deliver(bytes: Uint8Array, events: LinkEvents): void {
    const { rng } = this.#wire.network;
    for (let at = 0; at < bytes.length && !this.isDead; ) {
      const piece = bytes.slice(at, at + rng.pick([1, 100, 4096, 65_536]));
      at += piece.length;
      events.onBytes(piece);
      // Whoever keeps the piece beyond the call shall notice.
      piece.fill(0xaa);
    }
  }
}
