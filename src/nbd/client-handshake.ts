/** The client's side of fixed newstyle negotiation. */
import { TransshipError, fail } from '../base/errors.ts';
import {
  type Field,
  FieldReader,
  bytesOf,
  getUint64,
  joinBytes,
  packFields,
  u16,
  u32,
  viewOf,
} from './bytes.ts';
import { type Connection } from './connection.ts';
import {
  allocationContext,
  handshakeFlags,
  info,
  magic,
  nbdLimits,
  option,
  optionReply,
  optionReplyBytes,
  optionReplyError,
} from './protocol.ts';

/** What the server said about the export. */
export interface ExportDescription {
  readonly sizeBytes: number;
  readonly flags: number;
  readonly preferredBlockBytes: number;
  readonly requestBytesMax: number;
  readonly structuredReplies: boolean;
  /** The server's number for `base:allocation`, when it has it. */
  readonly allocationId: number | undefined;
}

export type ClientOutcome =
  | { readonly kind: 'startTls' }
  | { readonly kind: 'ready'; readonly description: ExportDescription; readonly rest: Uint8Array };

const greetingBytes = 18;
/** Servers list nothing here that is longer than a few strings. */
const replyBytesMax = nbdLimits.optionBytesMax;

interface Reply {
  readonly kind: number;
  readonly data: Uint8Array;
}

/**
 * Asks for TLS (when `tls`), structured replies, `base:allocation` and the export, in that order.
 * `receive` throws `ProtocolError` at nonsense, `NotFound` when there is no such export, else a
 * reason for the server's refusal.
 */
export class ClientHandshake {
  readonly #connection: Connection;
  readonly #exportName: string;
  readonly #tls: boolean;
  #pending: Uint8Array = new Uint8Array(0);
  #asked: number | undefined;
  #structuredReplies = false;
  #allocationId: number | undefined;
  #sizeBytes: number | undefined;
  #flags = 0;
  #preferredBlockBytes: number = nbdLimits.preferredBlockBytesMin;
  #requestBytesMax: number = nbdLimits.requestBytesMax;

  constructor(options: {
    readonly connection: Connection;
    readonly exportName: string;
    readonly tls: boolean;
  }) {
    this.#connection = options.connection;
    this.#exportName = options.exportName;
    this.#tls = options.tls;
  }

  /** Goes on under TLS, over a new connection that this one's handshake asked for. */
  static underTls(connection: Connection, exportName: string): ClientHandshake {
    const handshake = new ClientHandshake({ connection, exportName, tls: false });
    handshake.#ask(option.structuredReply);
    return handshake;
  }

  receive(bytes: Uint8Array): ClientOutcome | undefined {
    this.#pending = joinBytes([this.#pending, bytes]);
    if (this.#asked === undefined) {
      if (this.#pending.length < greetingBytes) return undefined;
      this.#greet(viewOf(this.#take(greetingBytes)));
    }
    for (;;) {
      const reply = this.#nextReply();
      if (reply === undefined) return undefined;
      const outcome = this.#handle(reply);
      if (outcome !== undefined) return outcome;
    }
  }

  #greet(view: DataView): void {
    const isNbd = view.getUint32(0) === magic.serverHigh && view.getUint32(4) === magic.serverLow;
    const isNewstyle =
      view.getUint32(8) === magic.optionHigh && view.getUint32(12) === magic.optionLow;
    if (!isNbd) fail('ProtocolError', 'the other side is no NBD server');
    const flags = view.getUint16(16);
    if (!isNewstyle || (flags & handshakeFlags.fixedNewstyle) === 0) {
      fail('Unsupported', 'the NBD server is too old: it lacks fixed newstyle negotiation');
    }
    this.#connection.write([packFields([u32(flags & 3)])]);
    this.#ask(this.#tls ? option.startTls : option.structuredReply);
  }

  #ask(code: number, data: readonly Field[] = []): void {
    this.#asked = code;
    const payload = packFields(data);
    const header = [u32(magic.optionHigh), u32(magic.optionLow), u32(code), u32(payload.length)];
    this.#connection.write([packFields([...header, payload])]);
  }

  #nextReply(): Reply | undefined {
    if (this.#pending.length < optionReplyBytes) return undefined;
    const view = viewOf(this.#pending);
    const isReply =
      view.getUint32(0) === magic.optionReplyHigh && view.getUint32(4) === magic.optionReplyLow;
    if (!isReply || view.getUint32(8) !== this.#asked) {
      fail('ProtocolError', 'the NBD server answered something that was not asked');
    }
    const length = view.getUint32(16);
    if (length > replyBytesMax)
      fail('ProtocolError', `the NBD server sent ${length} bytes at once`);
    if (this.#pending.length < optionReplyBytes + length) return undefined;
    const kind = view.getUint32(12);
    const data = this.#take(optionReplyBytes + length).subarray(optionReplyBytes);
    return { kind, data };
  }

  #take(count: number): Uint8Array {
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    return taken;
  }

  #handle(reply: Reply): ClientOutcome | undefined {
    const refused = reply.kind >= optionReplyError;
    switch (this.#asked) {
      case option.startTls:
        if (refused) throw refusal(reply, 'refused TLS');
        if (this.#pending.length > 0) fail('ProtocolError', 'the NBD server sent data before TLS');
        return { kind: 'startTls' };
      case option.structuredReply:
        this.#afterStructured(reply, refused);
        return undefined;
      case option.setMetaContext:
        this.#afterContext(reply, refused);
        return undefined;
      default:
        return this.#afterGo(reply, refused);
    }
  }

  #afterStructured(reply: Reply, refused: boolean): void {
    if (reply.kind === optionReply.errorTlsRequired) throw refusal(reply, 'requires TLS');
    this.#structuredReplies = !refused;
    const name = bytesOf(this.#exportName);
    if (refused) {
      this.#go();
      return;
    }
    const context = bytesOf(allocationContext.name);
    this.#ask(option.setMetaContext, [
      u32(name.length),
      name,
      u32(1),
      u32(context.length),
      context,
    ]);
  }

  #afterContext(reply: Reply, refused: boolean): void {
    if (reply.kind === optionReply.metaContext) {
      this.#allocationId = new FieldReader(reply.data).u32();
    } else if (refused || reply.kind === optionReply.ack) {
      this.#go();
    }
  }

  #go(): void {
    const name = bytesOf(this.#exportName);
    this.#ask(option.go, [u32(name.length), name, u16(0)]);
  }

  #afterGo(reply: Reply, refused: boolean): ClientOutcome | undefined {
    if (refused) throw refusal(reply, `refused the export "${this.#exportName}"`);
    if (reply.kind === optionReply.info) {
      this.#note(reply.data);
      return undefined;
    }
    if (reply.kind !== optionReply.ack) return undefined;
    const sizeBytes = this.#sizeBytes;
    if (sizeBytes === undefined || !Number.isSafeInteger(sizeBytes)) {
      fail('ProtocolError', 'the NBD server did not say how large the export is');
    }
    const description: ExportDescription = {
      sizeBytes,
      flags: this.#flags,
      preferredBlockBytes: this.#preferredBlockBytes,
      requestBytesMax: this.#requestBytesMax,
      structuredReplies: this.#structuredReplies,
      allocationId: this.#allocationId,
    };
    return { kind: 'ready', description, rest: this.#pending };
  }

  #note(data: Uint8Array): void {
    if (data.length < 2) fail('ProtocolError', 'the NBD server sent an empty information');
    const view = viewOf(data);
    const kind = view.getUint16(0);
    if (kind === info.export && data.length === 12) {
      this.#sizeBytes = getUint64(view, 2);
      this.#flags = view.getUint16(10);
    } else if (kind === info.blockSize && data.length === 14) {
      this.#preferredBlockBytes = view.getUint32(6);
      const maximum = view.getUint32(10);
      if (maximum < nbdLimits.preferredBlockBytesMin) {
        fail('ProtocolError', `the NBD server takes at most ${maximum} bytes at once`);
      }
      this.#requestBytesMax = Math.min(maximum, nbdLimits.requestBytesMax);
    }
  }
}

function refusal(reply: Reply, what: string): TransshipError {
  const text = new TextDecoder().decode(reply.data.subarray(0, nbdLimits.stringBytesMax));
  const message = `the NBD server ${what}${text === '' ? '' : `: ${text}`}`;
  switch (reply.kind) {
    case optionReply.errorUnknown:
      return new TransshipError('NotFound', message);
    case optionReply.errorTlsRequired:
    case optionReply.errorPolicy:
      return new TransshipError('NotAllowed', message);
    case optionReply.errorShutdown:
      return new TransshipError('Stopping', message);
    case optionReply.errorUnsupported:
      return new TransshipError('Unsupported', message);
    default:
      return new TransshipError('ProtocolError', message);
  }
}
