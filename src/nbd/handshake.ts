/** The server's side of fixed newstyle negotiation (proto.md, "Fixed newstyle negotiation"). */
import { asTransshipError } from '../base/errors.ts';
import { type BlockDevice } from '../base/ports.ts';
import {
  type Field,
  FieldReader,
  bytesOf,
  joinBytes,
  packFields,
  textOf,
  u16,
  u32,
  u64,
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
  optionHeaderBytes,
  optionReply,
  transmissionFlags,
} from './protocol.ts';

/** What a server offers. `open` is called once per connection; its result is called at the end. */
export interface NbdExports {
  find(name: string): BlockDevice | undefined;
  list(): readonly string[];
  /** May refuse with a `TransshipError`; the client is told the message. */
  open?(name: string): () => void;
}

/** `refused`: no TLS here. `required`: nothing else is answered before it. `active`: it is on. */
export type TlsMode = 'refused' | 'required' | 'active';

export interface Agreement {
  readonly exportName: string;
  readonly device: BlockDevice;
  readonly structuredReplies: boolean;
  readonly allocationContext: boolean;
  readonly release: () => void;
}

export type HandshakeOutcome =
  | { readonly kind: 'transmit'; readonly agreement: Agreement; readonly rest: Uint8Array }
  | { readonly kind: 'startTls'; readonly clientFlags: number }
  | { readonly kind: 'close' };

interface ExportRequest {
  readonly name: string;
  readonly informations: readonly number[];
}

const closeOutcome: HandshakeOutcome = { kind: 'close' };

/** The transmission flags of a device. */
export function flagsOf(device: BlockDevice): number {
  const flags = transmissionFlags;
  let sum = flags.hasFlags | flags.sendFlush | flags.sendFua | flags.sendDf | flags.sendCache;
  // One device serves all connections, so a flush on one covers what was acknowledged on any.
  sum |= flags.canMultiConn;
  if (device.readOnly) return sum | flags.readOnly;
  return sum | flags.sendTrim | flags.sendWriteZeroes | flags.sendFastZero;
}

export class Handshake {
  readonly #exports: NbdExports;
  readonly #connection: Connection;
  readonly #tls: TlsMode;
  #pending: Uint8Array = new Uint8Array(0);
  #skipBytes = 0;
  #optionsSeen = 0;
  #clientFlags: number | undefined;
  #structuredReplies = false;
  /** The export whose `base:allocation` the client asked for. */
  #allocationOf: string | undefined;
  #stopping = false;

  constructor(options: {
    readonly exports: NbdExports;
    readonly connection: Connection;
    readonly tls: TlsMode;
    /** From the negotiation before TLS. */
    readonly clientFlags?: number;
  }) {
    this.#clientFlags = options.clientFlags;
    this.#exports = options.exports;
    this.#connection = options.connection;
    this.#tls = options.tls;
  }

  /** The greeting. After an upgrade to TLS the negotiation goes on without one. */
  start(): void {
    if (this.#tls === 'active') return;
    this.#send([
      u32(magic.serverHigh),
      u32(magic.serverLow),
      u32(magic.optionHigh),
      u32(magic.optionLow),
      u16(handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes),
    ]);
  }

  /** From now on only answers that the server stops. */
  stop(): void {
    this.#stopping = true;
  }

  /** Takes received bytes; they are copied where needed. Returns how the handshake ended, if so. */
  receive(bytes: Uint8Array): HandshakeOutcome | undefined {
    let taken = bytes;
    if (this.#skipBytes > 0) {
      const skipped = Math.min(this.#skipBytes, taken.length);
      this.#skipBytes -= skipped;
      taken = taken.subarray(skipped);
    }
    this.#pending = joinBytes([this.#pending, taken]);
    for (;;) {
      const outcome = this.#step();
      if (outcome === 'more') return undefined;
      if (outcome !== undefined) return outcome;
    }
  }

  #step(): HandshakeOutcome | 'more' | undefined {
    if (this.#clientFlags === undefined) {
      if (this.#pending.length < 4) return 'more';
      const flags = viewOf(this.#take(4)).getUint32(0);
      // proto.md: the server must close the connection at flags it does not know.
      if ((flags & ~(handshakeFlags.fixedNewstyle | handshakeFlags.noZeroes)) !== 0) {
        return closeOutcome;
      }
      this.#clientFlags = flags;
      return undefined;
    }
    if (this.#pending.length < optionHeaderBytes) return 'more';
    const header = viewOf(this.#pending);
    if (header.getUint32(0) !== magic.optionHigh || header.getUint32(4) !== magic.optionLow) {
      return closeOutcome;
    }
    const code = header.getUint32(8);
    const length = header.getUint32(12);
    if (length > nbdLimits.optionBytesMax) return this.#refuseHuge(code, length);
    if (this.#pending.length < optionHeaderBytes + length) return 'more';
    this.#optionsSeen += 1;
    if (this.#optionsSeen > nbdLimits.optionsMax) return closeOutcome;
    const data = this.#take(optionHeaderBytes + length).subarray(optionHeaderBytes);
    return this.#answer(code, data);
  }

  #refuseHuge(code: number, length: number): HandshakeOutcome | undefined {
    if (length > nbdLimits.optionSkipBytesMax || code === option.exportName) return closeOutcome;
    this.#optionsSeen += 1;
    const skipped = Math.min(length, this.#pending.length - optionHeaderBytes);
    this.#take(optionHeaderBytes + skipped);
    this.#skipBytes = length - skipped;
    this.#refuse(code, optionReply.errorTooBig, 'the option is too long');
    return undefined;
  }

  #take(count: number): Uint8Array {
    const taken = this.#pending.subarray(0, count);
    this.#pending = this.#pending.subarray(count);
    return taken;
  }

  #answer(code: number, data: Uint8Array): HandshakeOutcome | undefined {
    if (code === option.abort) {
      this.#reply(code, optionReply.ack);
      return closeOutcome;
    }
    if (this.#stopping) {
      if (code === option.exportName) return closeOutcome;
      return this.#refuse(code, optionReply.errorShutdown, 'the server is stopping');
    }
    if (this.#tls === 'required' && code !== option.startTls) {
      if (code === option.exportName) return closeOutcome;
      return this.#refuse(code, optionReply.errorTlsRequired, 'use TLS with a client certificate');
    }
    switch (code) {
      case option.exportName:
        return this.#exportName(data);
      case option.list:
        return this.#list(code, data);
      case option.startTls:
        return this.#startTls(code, data);
      case option.info:
      case option.go:
        return this.#infoOrGo(code, data);
      case option.structuredReply:
        if (data.length > 0) return this.#refuseInvalid(code);
        this.#structuredReplies = true;
        return this.#reply(code, optionReply.ack);
      case option.listMetaContext:
      case option.setMetaContext:
        return this.#metaContext(code, data);
      default:
        return this.#refuse(code, optionReply.errorUnsupported, `option ${code} is not supported`);
    }
  }

  #exportName(data: Uint8Array): HandshakeOutcome {
    const name = textOf(data);
    if (name === undefined || data.length > nbdLimits.stringBytesMax) return closeOutcome;
    const device = this.#exports.find(name);
    if (device === undefined) return closeOutcome;
    let agreement: Agreement;
    try {
      agreement = this.#agree(name, device);
    } catch (error) {
      // This option has no error reply: proto.md has the server end the session.
      asTransshipError(error);
      return closeOutcome;
    }
    const noZeroes = ((this.#clientFlags ?? 0) & handshakeFlags.noZeroes) !== 0;
    this.#send([u64(device.sizeBytes), u16(flagsOf(device)), new Uint8Array(noZeroes ? 0 : 124)]);
    return { kind: 'transmit', agreement, rest: this.#pending };
  }

  #agree(name: string, device: BlockDevice): Agreement {
    return {
      exportName: name,
      device,
      structuredReplies: this.#structuredReplies,
      allocationContext: this.#allocationOf === name,
      release: this.#exports.open?.(name) ?? (() => undefined),
    };
  }

  #list(code: number, data: Uint8Array): undefined {
    if (data.length > 0) return this.#refuseInvalid(code);
    for (const name of this.#exports.list()) {
      const bytes = bytesOf(name);
      this.#reply(code, optionReply.server, [u32(bytes.length), bytes]);
    }
    return this.#reply(code, optionReply.ack);
  }

  #startTls(code: number, data: Uint8Array): HandshakeOutcome | undefined {
    if (this.#tls === 'refused') {
      return this.#refuse(code, optionReply.errorUnsupported, 'there is no TLS on this socket');
    }
    if (this.#tls === 'active' || data.length > 0) return this.#refuseInvalid(code);
    // Bytes sent before our answer would be taken for bytes under TLS: somebody injected them.
    if (this.#pending.length > 0) return closeOutcome;
    this.#reply(code, optionReply.ack);
    return { kind: 'startTls', clientFlags: this.#clientFlags ?? 0 };
  }

  #infoOrGo(code: number, data: Uint8Array): HandshakeOutcome | undefined {
    const request = parseExportRequest(data);
    if (request === undefined) return this.#refuseInvalid(code);
    const device = this.#exports.find(request.name);
    if (device === undefined) return this.#refuseUnknown(code, request.name);
    if (code === option.info) {
      this.#describe(code, device, request);
      return this.#reply(code, optionReply.ack);
    }
    let agreement: Agreement;
    try {
      agreement = this.#agree(request.name, device);
    } catch (error) {
      return this.#refuse(code, optionReply.errorPolicy, asTransshipError(error).message);
    }
    this.#describe(code, device, request);
    this.#reply(code, optionReply.ack);
    return { kind: 'transmit', agreement, rest: this.#pending };
  }

  #describe(code: number, device: BlockDevice, request: ExportRequest): void {
    const exportFields = [u16(info.export), u64(device.sizeBytes), u16(flagsOf(device))];
    this.#reply(code, optionReply.info, exportFields);
    const preferred = Math.max(device.blockSizeBytes, nbdLimits.preferredBlockBytesMin);
    this.#reply(code, optionReply.info, [
      u16(info.blockSize),
      u32(1),
      u32(preferred),
      u32(nbdLimits.requestBytesMax),
    ]);
    if (request.informations.includes(info.name)) {
      this.#reply(code, optionReply.info, [u16(info.name), bytesOf(request.name)]);
    }
  }

  #metaContext(code: number, data: Uint8Array): undefined {
    const reader = new FieldReader(data);
    const name = reader.text(nbdLimits.stringBytesMax);
    const count = reader.u32();
    if (name === undefined || count === undefined) return this.#refuseInvalid(code);
    const queries: string[] = [];
    // Bounded by the option's length: each query takes four bytes at least.
    for (let index = 0; index < count; index += 1) {
      const query = reader.text(nbdLimits.stringBytesMax);
      if (query === undefined) return this.#refuseInvalid(code);
      queries.push(query);
    }
    if (reader.remaining > 0 || !this.#structuredReplies) return this.#refuseInvalid(code);
    if (this.#exports.find(name) === undefined) return this.#refuseUnknown(code, name);
    const setting = code === option.setMetaContext;
    const listed = !setting && (queries.length === 0 || queries.includes('base:'));
    const chosen = listed || queries.includes(allocationContext.name);
    if (setting) this.#allocationOf = chosen ? name : undefined;
    if (chosen) {
      const id = setting ? allocationContext.id : 0;
      this.#reply(code, optionReply.metaContext, [u32(id), bytesOf(allocationContext.name)]);
    }
    return this.#reply(code, optionReply.ack);
  }

  #refuseInvalid(code: number): undefined {
    return this.#refuse(code, optionReply.errorInvalid, 'the option is malformed or out of order');
  }

  #refuseUnknown(code: number, name: string): undefined {
    const shown = name.length > 200 ? `${name.slice(0, 200)}...` : name;
    return this.#refuse(code, optionReply.errorUnknown, `there is no export "${shown}"`);
  }

  #refuse(code: number, kind: number, message: string): undefined {
    return this.#reply(code, kind, [bytesOf(message)]);
  }

  #reply(code: number, kind: number, data: readonly Field[] = []): undefined {
    const payload = packFields(data);
    this.#send([
      u32(magic.optionReplyHigh),
      u32(magic.optionReplyLow),
      u32(code),
      u32(kind),
      u32(payload.length),
      payload,
    ]);
    return undefined;
  }

  #send(fields: readonly Field[]): void {
    this.#connection.write([packFields(fields)]);
  }
}

/** The data of `INFO` and `GO`. */
function parseExportRequest(data: Uint8Array): ExportRequest | undefined {
  const reader = new FieldReader(data);
  const name = reader.text(nbdLimits.stringBytesMax);
  const count = reader.u16();
  if (name === undefined || count === undefined || reader.remaining !== 2 * count) return undefined;
  const informations: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const kind = reader.u16();
    if (kind !== undefined) informations.push(kind);
  }
  return { name, informations };
}
