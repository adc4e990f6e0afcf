/** Errors of ours as the status codes that the CSI specification gives a meaning. */
import { asTransshipError, TransshipError } from '../base/errors.ts';
import type { Reason } from '../base/reasons.ts';

/** Status codes of gRPC, as far as they are used. */
export const codes = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const;

const codeOfReason: Partial<Readonly<Record<Reason, number>>> = {
  BadArgument: codes.invalidArgument,
  BadName: codes.invalidArgument,
  BadSize: codes.outOfRange,
  BadTime: codes.invalidArgument,
  BadPolicy: codes.invalidArgument,
  Invalid: codes.invalidArgument,
  NotFound: codes.notFound,
  AlreadyExists: codes.alreadyExists,
  InUse: codes.failedPrecondition,
  Leased: codes.failedPrecondition,
  Fenced: codes.failedPrecondition,
  ReadOnly: codes.resourceExhausted,
  PoolFull: codes.resourceExhausted,
  LimitExceeded: codes.resourceExhausted,
  // Somebody works on the same volume: the caller asks again.
  Conflict: codes.aborted,
  TimedOut: codes.deadlineExceeded,
  Unsupported: codes.invalidArgument,
  Forbidden: codes.permissionDenied,
  NotAllowed: codes.permissionDenied,
  Unauthorized: codes.unauthenticated,
  AgentUnreachable: codes.unavailable,
  ApiUnreachable: codes.unavailable,
  SourceUnreachable: codes.unavailable,
  QuorumLost: codes.unavailable,
  NotAccessible: codes.unavailable,
  Stopping: codes.unavailable,
};

/** An error that needs a code its reason does not say. */
export class CsiError extends TransshipError {
  readonly code: number;

  constructor(code: number, reason: Reason, message: string) {
    super(reason, message);
    this.code = code;
  }
}

/** The code and the words for the caller: the reason, what is wrong, and what to do. */
export function statusOf(error: unknown): { readonly code: number; readonly details: string } {
  const ours = asTransshipError(error);
  const code = ours instanceof CsiError ? ours.code : (codeOfReason[ours.reason] ?? codes.internal);
  return { code, details: `${ours.reason}: ${ours.message} (${ours.remedy})` };
}

export function missing(field: string): never {
  throw new CsiError(codes.invalidArgument, 'BadArgument', `the request has no ${field}`);
}

/** The value of a field that a request must have. */
export function required<T>(value: T | undefined, field: string): T {
  if (value === undefined || value === '') missing(field);
  return value;
}
