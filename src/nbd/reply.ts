/** Layout of replies in the transmission phase (proto.md, "Simple" and "Structured reply"). */
import { AssertionFailure, asTransshipError } from '../base/errors.ts';
import { type Extent } from '../base/ports.ts';
import { bytesOf, setUint64, viewOf } from './bytes.ts';
import {
  allocationContext,
  chunkFlagDone,
  chunkKind,
  errnoOf,
  magic,
  nbdLimits,
  simpleReplyBytes,
  structuredReplyBytes,
} from './protocol.ts';

/** The client's name of a request, returned with its reply. */
export interface Cookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
  /** The command, for counting. */
  readonly type: number;
}

const errorChunkFixedBytes = structuredReplyBytes + 6;
const errorMessageBytesMax = nbdLimits.plainReplyBytes - errorChunkFixedBytes;

export function putSimpleReply(view: DataView, at: number, cookie: Cookie, error: number): void {
  view.setUint32(at, magic.simpleReply);
  view.setUint32(at + 4, error);
  view.setUint32(at + 8, cookie.cookieHigh);
  view.setUint32(at + 12, cookie.cookieLow);
}

/** Every reply of ours is one chunk, so each is its request's last. */
function putChunkHeader(view: DataView, at: number, kind: number, cookie: Cookie): void {
  view.setUint32(at, magic.structuredReply);
  view.setUint16(at + 4, chunkFlagDone);
  view.setUint16(at + 6, kind);
  view.setUint32(at + 8, cookie.cookieHigh);
  view.setUint32(at + 12, cookie.cookieLow);
}

/** What precedes the data of a read; its size is `dataHeaderBytes`. */
export function putDataHeader(
  view: DataView,
  at: number,
  request: Cookie & { readonly offset: number; readonly length: number },
): void {
  const empty = request.length === 0;
  putChunkHeader(view, at, empty ? chunkKind.none : chunkKind.offsetData, request);
  view.setUint32(at + 16, empty ? 0 : 8 + request.length);
  if (!empty) setUint64(view, at + structuredReplyBytes, request.offset);
}

export function dataHeaderBytes(structured: boolean, length: number): number {
  if (!structured) return simpleReplyBytes;
  return length === 0 ? structuredReplyBytes : structuredReplyBytes + 8;
}

export function simpleReplies(cookies: readonly Cookie[], error: number): Uint8Array {
  const bytes = new Uint8Array(cookies.length * simpleReplyBytes);
  const view = viewOf(bytes);
  let at = 0;
  for (const cookie of cookies) {
    putSimpleReply(view, at, cookie, error);
    at += simpleReplyBytes;
  }
  return bytes;
}

/** An error with its message; at most `plainReplyBytes` long. */
function errorChunk(cookie: Cookie, error: number, message: string): Uint8Array {
  const text = cutText(message);
  const bytes = new Uint8Array(errorChunkFixedBytes + text.length);
  const view = viewOf(bytes);
  putChunkHeader(view, 0, chunkKind.error, cookie);
  view.setUint32(16, 6 + text.length);
  view.setUint32(20, error);
  view.setUint16(24, text.length);
  bytes.set(text, errorChunkFixedBytes);
  return bytes;
}

export interface Failure {
  readonly code: number;
  readonly message: string;
}

/** What to tell a client about an error of the device. */
export function failureOf(error: unknown): Failure {
  // A broken promise of our own code stops the process; it is not an answer to a client.
  if (error instanceof AssertionFailure) throw error;
  const known = asTransshipError(error);
  return { code: errnoOf(known.reason), message: known.message };
}

/** Only structured replies carry the message. */
export function errorReply(structured: boolean, cookie: Cookie, failure: Failure): Uint8Array {
  if (structured) return errorChunk(cookie, failure.code, failure.message);
  return simpleReplies([cookie], failure.code);
}

/** UTF-8 without half a character at the end. */
function cutText(message: string): Uint8Array {
  const bytes = bytesOf(message);
  if (bytes.length <= errorMessageBytesMax) return bytes;
  let end = errorMessageBytesMax;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}

/**
 * The allocation of a range, from extents that start with it. Cut to the range, to one descriptor
 * when only one was asked for, and to `extentsMax`.
 */
export function blockStatusChunk(
  request: Cookie & { readonly length: number; readonly requestOne: boolean },
  extents: readonly Extent[],
): Uint8Array {
  const countMax = request.requestOne ? 1 : nbdLimits.extentsMax;
  const descriptors: { length: number; hole: boolean }[] = [];
  let left = request.length;
  for (const extent of extents) {
    const length = Math.min(extent.lengthBytes, left);
    if (length <= 0) continue;
    const last = descriptors.at(-1);
    if (last?.hole === extent.hole) last.length += length;
    else if (descriptors.length < countMax) descriptors.push({ length, hole: extent.hole });
    else break;
    left -= length;
  }
  // A device that says nothing has data: that is always safe.
  if (descriptors.length === 0) descriptors.push({ length: request.length, hole: false });
  const bytes = new Uint8Array(structuredReplyBytes + 4 + 8 * descriptors.length);
  const view = viewOf(bytes);
  putChunkHeader(view, 0, chunkKind.blockStatus, request);
  view.setUint32(16, 4 + 8 * descriptors.length);
  view.setUint32(20, allocationContext.id);
  let at = 24;
  for (const descriptor of descriptors) {
    view.setUint32(at, descriptor.length);
    view.setUint32(at + 4, descriptor.hole ? allocationContext.hole | allocationContext.zero : 0);
    at += 8;
  }
  return bytes;
}
