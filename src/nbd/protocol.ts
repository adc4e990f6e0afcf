/** Numbers of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md) and our own bounds on it. */
import { type Reason } from '../base/reasons.ts';
import { limits } from '../base/limits.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const magic = {
  /** `NBDMAGIC` and `IHAVEOPT`, as pairs of 32 bits. */
  serverHigh: 0x4e42444d,
  serverLow: 0x41474943,
  optionHigh: 0x49484156,
  optionLow: 0x454f5054,
  optionReplyHigh: 0x0003e889,
  optionReplyLow: 0x045565a9,
  request: 0x25609513,
  simpleReply: 0x67446698,
  structuredReply: 0x668e33ef,
} as const;

export const handshakeFlags = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

export const optionReply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  errorUnsupported: 0x80000001,
  errorPolicy: 0x80000002,
  errorInvalid: 0x80000003,
  errorTlsRequired: 0x80000005,
  errorUnknown: 0x80000006,
  errorShutdown: 0x80000007,
  errorTooBig: 0x80000009,
} as const;

/** Every error reply has this bit. */
export const optionReplyError = 0x80000000;

export const info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const transmissionFlags = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

export const command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

export const commandNames = [
  'read',
  'write',
  'disconnect',
  'flush',
  'trim',
  'cache',
  'write-zeroes',
  'block-status',
] as const;

export const commandFlags = {
  fua: 1 << 0,
  noHole: 1 << 1,
  dontFragment: 1 << 2,
  requestOne: 1 << 3,
  fastZero: 1 << 4,
} as const;

export const chunkKind = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;

/** Every error chunk has this bit. */
export const chunkKindError = 0x8000;

export const chunkFlagDone = 1;

export const errno = {
  ok: 0,
  permission: 1,
  io: 5,
  memory: 12,
  invalid: 22,
  noSpace: 28,
  overflow: 75,
  unsupported: 95,
  shutdown: 108,
} as const;

export const allocationContext = {
  name: 'base:allocation',
  id: 1,
  hole: 1,
  zero: 2,
} as const;

export const requestHeaderBytes = 28;
export const simpleReplyBytes = 16;
export const structuredReplyBytes = 20;
export const optionHeaderBytes = 16;
export const optionReplyBytes = 20;

export const nbdLimits = {
  requestBytesMax: limits.requestBytesMax,
  /** Larger writes than `requestBytesMax` are read and refused up to here, then cut off. */
  discardBytesMax: 2 * limits.requestBytesMax,
  /** Of an export name or any other string (proto.md, "Conventions"). */
  stringBytesMax: 4096,
  /** An option with all its data; 4096-byte name and queries for some contexts fit. */
  optionBytesMax: 64 * KiB,
  /** Longer options are skipped and refused up to here, then cut off. */
  optionSkipBytesMax: 1 * MiB,
  /** Options before transmission; a client that haggles longer than this is hostile. */
  optionsMax: 256,
  /** Reply memory of one connection: one request of the largest size and as much again. */
  replyBytesMax: 2 * limits.requestBytesMax,
  /** Requests of one connection that wait for the device. */
  requestsInFlightMax: 1024,
  /** Room for four replies to 256 KiB reads; allocation of larger ones is not what costs. */
  replyChunkBytes: 1 * MiB + 4 * KiB,
  /** Free reply chunks kept for all connections of a server. */
  replyChunksKept: 8,
  /** Replies are sent when so much waits, so that the client works while we read on. */
  batchBytesMax: 256 * KiB,
  /** Payload buffers up to here stay with their connection between writes. */
  payloadBytesKept: 1 * MiB,
  /** Descriptors in one block status reply (32 KiB); the client asks again for the rest. */
  extentsMax: 4 * KiB,
  /** Room kept for any reply without data; error messages are cut to fit. */
  plainReplyBytes: 256,
  /** The customary block of file systems; smaller writes make the engine read first. */
  preferredBlockBytesMin: 4 * KiB,
} as const;

/** The errno of a failed request on a device; what has no better word is an I/O error. */
export function errnoOf(reason: Reason): number {
  switch (reason) {
    case 'ReadOnly':
    case 'NotAllowed':
      return errno.permission;
    case 'PoolFull':
      return errno.noSpace;
    case 'Stopping':
      return errno.shutdown;
    case 'Unsupported':
      return errno.unsupported;
    case 'LimitExceeded':
      return errno.memory;
    case 'BadArgument':
      return errno.invalid;
    default:
      return errno.io;
  }
}
