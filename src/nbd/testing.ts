/** For tests of this folder: a transport in memory, client frames by hand, and hostile devices. */
import { type TransshipError } from '../base/errors.ts';
import { type BlockDevice, type Extent } from '../base/ports.ts';
import { type Field, bytesOf, joinBytes, packFields, u16, u32, u64, viewOf } from './bytes.ts';
import { NbdClient } from './client.ts';
import { ClientHandshake } from './client-handshake.ts';
import { type Connection } from './connection.ts';
import { newCounters } from './counters.ts';
import { type NbdExports } from './handshake.ts';
import { MemoryDevice } from './memory-device.ts';
import { magic, option } from './protocol.ts';
import { ReplyChunkPool } from './reply-chunks.ts';
import { Session, type SessionOptions } from './session.ts';

/** Collects what is sent, copied at the time of sending. */
export class RecordingConnection implements Connection {
  #sent: Uint8Array[] = [];
  #waiting: (() => void)[] = [];
  paused = false;
  closed = false;
  writes = 0;
  /** When false, nothing counts as flushed until `flush`. */
  flushing = true;

  write(parts: readonly Uint8Array[], flushed?: () => void): void {
    if (this.closed) throw new Error('written after close');
    this.writes += 1;
    this.#sent.push(joinBytes(parts));
    if (flushed === undefined) return;
    this.#waiting.push(flushed);
    if (this.flushing) queueMicrotask(() => this.flush());
  }

  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) call();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  close(): void {
    this.closed = true;
  }

  /** All bytes since the last call. */
  taken(): Uint8Array {
    const all = joinBytes(this.#sent);
    this.#sent = [];
    return all;
  }
}

export function exportsOf(devices: Readonly<Record<string, BlockDevice>>): NbdExports {
  return {
    find: (name) => (Object.hasOwn(devices, name) ? devices[name] : undefined),
    list: () => Object.keys(devices),
  };
}

export function sessionOn(
  connection: Connection,
  exports: NbdExports,
  options: Partial<SessionOptions> = {},
): Session {
  return new Session({
    connection,
    exports,
    tls: 'refused',
    pool: new ReplyChunkPool({ chunkBytes: 65536, kept: 2 }),
    counters: newCounters(),
    ...options,
  });
}

/** Lets every promise that can go on do so. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

export const clientFlags = packFields([u32(3)]);

export function optionFrame(code: number, data: readonly Field[] = []): Uint8Array {
  const payload = packFields(data);
  const header = [u32(magic.optionHigh), u32(magic.optionLow), u32(code), u32(payload.length)];
  return packFields([...header, payload]);
}

export function nameField(name: string): Field[] {
  const bytes = bytesOf(name);
  return [u32(bytes.length), bytes];
}

export function goFrame(name: string): Uint8Array {
  return optionFrame(option.go, [...nameField(name), u16(0)]);
}

export interface FrameFields {
  readonly type: number;
  readonly cookie?: number;
  readonly flags?: number;
  readonly offset?: number;
  readonly length?: number;
  readonly payload?: Uint8Array;
}

export function requestFrame(fields: FrameFields): Uint8Array {
  const payload = fields.payload ?? new Uint8Array(0);
  return packFields([
    u32(magic.request),
    u16(fields.flags ?? 0),
    u16(fields.type),
    u64(fields.cookie ?? 0),
    u64(fields.offset ?? 0),
    u32(fields.length ?? payload.length),
    payload,
  ]);
}

export interface OptionAnswer {
  readonly code: number;
  readonly kind: number;
  readonly data: Uint8Array;
}

export function optionAnswers(bytes: Uint8Array): OptionAnswer[] {
  const answers: OptionAnswer[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at < bytes.length; ) {
    const length = view.getUint32(at + 16);
    const data = bytes.subarray(at + 20, at + 20 + length);
    answers.push({ code: view.getUint32(at + 8), kind: view.getUint32(at + 12), data });
    at += 20 + length;
  }
  return answers;
}

/** A session past negotiation, with simple replies, and its connection. */
export function transmitting(
  device: BlockDevice,
  options: Partial<SessionOptions> & { readonly structured?: boolean } = {},
): { readonly session: Session; readonly connection: RecordingConnection } {
  const connection = new RecordingConnection();
  const session = sessionOn(connection, exportsOf({ vol: device }), options);
  session.receive(clientFlags);
  if (options.structured === true) {
    session.receive(optionFrame(option.structuredReply));
    const context = nameField('base:allocation');
    session.receive(optionFrame(option.setMetaContext, [...nameField('vol'), u32(1), ...context]));
  }
  session.receive(goFrame('vol'));
  connection.taken();
  return { session, connection };
}

/** One end of a pipe: what it writes arrives at the other in pieces of `pieceBytes()`. */
class PipeEnd implements Connection {
  receiver: ((bytes: Uint8Array) => void) | undefined;
  readonly #pieceBytes: () => number;
  other: PipeEnd | undefined;
  closed = false;
  #paused = false;
  #incoming: Uint8Array[] = [];

  constructor(pieceBytes: () => number) {
    this.#pieceBytes = pieceBytes;
  }

  write(parts: readonly Uint8Array[], flushed?: () => void): void {
    const bytes = joinBytes(parts);
    queueMicrotask(() => {
      const other = this.other;
      if (other !== undefined) other.#arrive(bytes);
      flushed?.();
    });
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
  }

  close(): void {
    this.closed = true;
  }

  #arrive(bytes: Uint8Array): void {
    this.#incoming.push(bytes);
    this.#deliver();
  }

  #deliver(): void {
    while (!this.#paused) {
      const next = this.#incoming.shift();
      if (next === undefined) return;
      const count = Math.min(next.length, Math.max(1, this.#pieceBytes()));
      if (count < next.length) this.#incoming.unshift(next.subarray(count));
      // A copy that is overwritten afterwards: nobody may keep what they were given.
      const piece = next.slice(0, count);
      this.receiver?.(piece);
      piece.fill(0xee);
    }
  }
}

/** A client of our own server over a pipe that cuts everything in pieces. */
export function loopback(
  device: BlockDevice,
  pieceBytes: () => number = () => 1 << 20,
): Promise<{ readonly client: NbdClient; readonly session: Session }> {
  const clientEnd = new PipeEnd(pieceBytes);
  const serverEnd = new PipeEnd(pieceBytes);
  clientEnd.other = serverEnd;
  serverEnd.other = clientEnd;
  const session = sessionOn(serverEnd, exportsOf({ vol: device }));
  serverEnd.receiver = (bytes) => void session.receive(bytes);
  const handshake = new ClientHandshake({ connection: clientEnd, exportName: 'vol', tls: false });
  return new Promise((resolve, reject) => {
    clientEnd.receiver = (bytes) => {
      try {
        const outcome = handshake.receive(bytes);
        if (outcome?.kind !== 'ready') return;
        const client = new NbdClient(clientEnd, outcome.description);
        clientEnd.receiver = (later) => client.receive(later);
        if (outcome.rest.length > 0) client.receive(outcome.rest);
        resolve({ client, session });
      } catch (error) {
        reject(error as Error);
      }
    };
  });
}

/** Answers reads and writes later, in the order that `choose` picks, and can be told to fail. */
export class LateDevice extends MemoryDevice {
  readonly #waiting: (() => void)[] = [];
  failure: TransshipError | undefined;

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Answers one of the calls that wait. */
  answer(index = 0): void {
    this.#waiting.splice(index, 1)[0]?.();
  }

  answerAll(): void {
    while (this.#waiting.length > 0) this.answer();
  }

  override read(into: Uint8Array, offset: number): Promise<void> {
    return this.#later(() => void super.read(into, offset));
  }

  override write(from: Uint8Array, offset: number): Promise<void> {
    const copy = from.slice();
    return this.#later(() => void super.write(copy, offset));
  }

  override flush(): Promise<void> {
    return this.#later(() => {
      this.flushes += 1;
    });
  }

  override extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    return this.#later(() => undefined).then(() => super.extents(offset, lengthBytes));
  }

  #later(run: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        if (this.failure !== undefined) {
          reject(this.failure);
          return;
        }
        run();
        resolve();
      });
    });
  }
}
