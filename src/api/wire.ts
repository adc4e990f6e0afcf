/**
 * How operations travel: `POST /v1alpha1/OPERATION` with a JSON object; the answer is JSON with
 * status 200, or a `WireError` with another status. Streams are newline-delimited `StreamLine`s.
 */
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import { isReason, type Reason, reasons } from '../base/reasons.ts';
import { type Fields, type OperationName, operations, type RequestOf } from './control.ts';

export const pathPrefix = '/v1alpha1/';

/** No request of this API is longer; a longer one is refused unread. */
export const requestTextMax = 64 * 1024;

export interface WireError {
  readonly kind: 'Error';
  readonly reason: Reason;
  readonly message: string;
  readonly remedy: string;
}

export type StreamLine<Event, Response> =
  | { readonly type: 'event'; readonly event: Event }
  | { readonly type: 'result'; readonly result: Response }
  | { readonly type: 'error'; readonly error: WireError };

export function toWireError(error: unknown): WireError {
  const ours = asTransshipError(error);
  return { kind: 'Error', reason: ours.reason, message: ours.message, remedy: ours.remedy };
}

/** The error again at the other side; an unknown reason (a newer agent) becomes `Internal`. */
export function fromWireError(value: unknown): TransshipError {
  const { reason, message } = (value ?? {}) as Partial<Record<string, unknown>>;
  const word = typeof reason === 'string' && isReason(reason) ? reason : 'Internal';
  return new TransshipError(word, typeof message === 'string' ? message : 'no message');
}

const statusByExit = {
  done: 200,
  failed: 500,
  usage: 400,
  refused: 409,
  declined: 422,
  timedOut: 504,
  conflict: 409,
  interrupted: 499,
} as const;

/** HTTP's word for a reason, for tools that look no further. */
export function httpStatusOf(reason: Reason): number {
  if (reason === 'NotFound') return 404;
  if (reason === 'NotAllowed') return 403;
  return statusByExit[reasons[reason].exit];
}

/** The request if it is one; `BadArgument` names the field that is not. */
export function checkRequest<N extends OperationName>(name: N, body: unknown): RequestOf<N> {
  const fields: Fields = operations[name].fields;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    fail('BadArgument', `${name} takes a JSON object`);
  }
  const given = body as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(fields, key)) {
      fail('BadArgument', `${name} has no field '${printable(key)}'`);
    }
  }
  for (const [key, type] of Object.entries(fields)) checkField(name, key, type, given[key]);
  return given as RequestOf<N>;
}

function checkField(name: string, key: string, type: string, value: unknown): void {
  const wanted = type.replace('?', '');
  if (value === undefined) {
    if (!type.endsWith('?')) fail('BadArgument', `${name} needs the field '${key}'`);
    return;
  }
  const right =
    (wanted === 'text' && typeof value === 'string') ||
    (wanted === 'flag' && typeof value === 'boolean') ||
    (wanted === 'number' && Number.isSafeInteger(value) && (value as number) >= 0);
  if (!right) fail('BadArgument', `the field '${key}' of ${name} must be a ${wanted}`);
}
