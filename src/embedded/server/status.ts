/**
 * Failures as `metav1.Status`, worded as Kubernetes words them (apimachinery, `api/errors`): people
 * see these texts through kubectl, and clients decide by `reason` and `details`.
 */
import type { StatusObject } from '../../kube/objects.ts';
import type { FieldError } from '../schema/api.ts';

type Details = NonNullable<StatusObject['details']>;

/** An answer that is no object. Thrown anywhere below `handle`, which sends it. */
export class StatusError extends Error {
  readonly status: StatusObject;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: StatusObject, headers: Readonly<Record<string, string>> = {}) {
    super(status.message ?? '');
    this.name = 'StatusError';
    this.status = status;
    this.headers = headers;
  }

  get code(): number {
    return this.status.code ?? 500;
  }
}

/** What a failure is about. `plural` and `kind` may be those of a resource of the registry. */
export interface Subject {
  readonly group: string;
  readonly plural: string;
  readonly kind: string;
}

interface FailureOptions {
  readonly code: number;
  readonly reason?: string;
  readonly message: string;
  readonly details?: Details;
  readonly headers?: Readonly<Record<string, string>>;
  /** Put into `metadata`, as lists do it. */
  readonly continueAt?: string;
}

export function failure(options: FailureOptions): StatusError {
  const { code, reason, message, details, continueAt } = options;
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: continueAt === undefined ? {} : { continue: continueAt },
    status: 'Failure',
    message,
    ...(reason === undefined ? {} : { reason }),
    ...(details === undefined ? {} : { details }),
    code,
  } as const;
  return new StatusError(status, options.headers);
}

export function qualified(subject: Pick<Subject, 'group' | 'plural'>): string {
  return subject.group === '' ? subject.plural : `${subject.plural}.${subject.group}`;
}

function detailsOf(subject: Pick<Subject, 'group' | 'plural'>, name: string): Details {
  return {
    ...(name === '' ? {} : { name }),
    ...(subject.group === '' ? {} : { group: subject.group }),
    kind: subject.plural,
  };
}

function called(subject: Pick<Subject, 'group' | 'plural'>, name: string): string {
  return name === '' ? qualified(subject) : `${qualified(subject)} "${name}"`;
}

export function notFound(subject: Pick<Subject, 'group' | 'plural'>, name: string): StatusError {
  return failure({
    code: 404,
    reason: 'NotFound',
    message: `${qualified(subject)} "${name}" not found`,
    details: detailsOf(subject, name),
  });
}

/** A path that nobody serves. */
export function noSuchResource(): StatusError {
  return failure({
    code: 404,
    reason: 'NotFound',
    message: 'the server could not find the requested resource',
    details: {},
  });
}

export function alreadyExists(subject: Subject, name: string): StatusError {
  return failure({
    code: 409,
    reason: 'AlreadyExists',
    message: `${called(subject, name)} already exists`,
    details: detailsOf(subject, name),
  });
}

/** `kind`: what details say it is about, where that is not the resource. */
export function conflict(subject: Subject, name: string, why?: string, kind?: string): StatusError {
  const text =
    why ??
    'the object has been modified; please apply your changes to the latest version and try again';
  return failure({
    code: 409,
    reason: 'Conflict',
    message: `Operation cannot be fulfilled on ${called(subject, name)}: ${text}`,
    details: { ...detailsOf(subject, name), ...(kind === undefined ? {} : { kind }) },
  });
}

export function invalid(
  subject: Subject,
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const texts = [...new Set(errors.map((error) => `${error.field}: ${error.message}`))];
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const kind = subject.group === '' ? subject.kind : `${subject.kind}.${subject.group}`;
  return failure({
    code: 422,
    reason: 'Invalid',
    message: `${kind} "${name}" is invalid: ${list}`,
    details: {
      ...(name === '' ? {} : { name }),
      ...(subject.group === '' ? {} : { group: subject.group }),
      ...(subject.kind === '' ? {} : { kind: subject.kind }),
      causes: errors.map(({ reason, message, field }) => ({ reason, message, field })),
    },
  });
}

/** Parameters that cannot be, as the options object of the verb they belong to. */
export function invalidOptions(kind: string, errors: readonly FieldError[]): StatusError {
  return invalid({ group: 'meta.k8s.io', plural: '', kind }, '', errors);
}

/** What Kubernetes reports as a failure of its own, though it is one of the request. */
export function plainFailure(message: string): StatusError {
  return failure({ code: 500, message });
}

/** A number that cannot be read, in the words of Go's parser. */
export function unparsable(text: string): string {
  return `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`;
}

export function forbidden(
  subject: Pick<Subject, 'group' | 'plural'>,
  name: string,
  why: string,
): StatusError {
  return failure({
    code: 403,
    reason: 'Forbidden',
    message: `${called(subject, name)} is forbidden: ${why}`,
    details: detailsOf(subject, name),
  });
}

export function badRequest(message: string): StatusError {
  return failure({ code: 400, reason: 'BadRequest', message });
}

export function methodNotAllowed(message?: string): StatusError {
  return failure({
    code: 405,
    reason: 'MethodNotAllowed',
    message: message ?? 'the server does not allow this method on the requested resource',
    details: {},
  });
}

export function unauthorized(): StatusError {
  return failure({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

export function tooOldVersion(asked: number, oldest: number): StatusError {
  return failure({
    code: 410,
    reason: 'Expired',
    message: `too old resource version: ${asked} (${oldest})`,
  });
}

/** A version from the future: the client talks to a server whose state was put back. */
export function tooLargeVersion(asked: number, current: number): StatusError {
  return failure({
    code: 504,
    reason: 'Timeout',
    message: `Too large resource version: ${asked}, current: ${current}`,
    details: {
      retryAfterSeconds: 1,
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    },
    headers: { 'retry-after': '1' },
  });
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const types = accepted.join(', ');
  return failure({
    code: 415,
    reason: 'UnsupportedMediaType',
    message:
      'the body of the request was in an unknown format - accepted media types include: ' + types,
  });
}

/** A patch of a type that nobody knows. */
export function unknownPatchType(): StatusError {
  return failure({
    code: 415,
    reason: 'UnsupportedMediaType',
    message: '415: Unsupported Media Type',
    details: {},
  });
}

export function notAcceptable(accepted: readonly string[]): StatusError {
  return failure({
    code: 406,
    reason: 'NotAcceptable',
    message: `406: Not Acceptable\n\nAvailable representations: ${accepted.join(', ')}`,
  });
}

export function tooLarge(message: string): StatusError {
  return failure({ code: 413, reason: 'RequestEntityTooLarge', message });
}

export function tooManyRequests(): StatusError {
  return failure({
    code: 429,
    reason: 'TooManyRequests',
    message: 'Too many requests, please try again later.',
    details: { retryAfterSeconds: 1 },
    headers: { 'retry-after': '1' },
  });
}

export function closing(): StatusError {
  return failure({
    code: 503,
    reason: 'ServiceUnavailable',
    message: 'apiserver is shutting down',
    details: { retryAfterSeconds: 1 },
    headers: { 'retry-after': '1' },
  });
}

export function internalError(message: string): StatusError {
  return failure({
    code: 500,
    reason: 'InternalError',
    message: `Internal error occurred: ${message}`,
    details: { causes: [{ message }] },
  });
}
