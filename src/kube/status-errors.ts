/** `metav1.Status` and bare HTTP statuses as errors with a reason of our catalogue. */
import { TransshipError } from '../base/errors.ts';
import type { Reason } from '../base/reasons.ts';
import type { StatusObject } from './objects.ts';

/** Causes of a 422 that a message names; more say nothing new. */
const causesMax = 10;
/** A message longer than this is cut: servers may quote whole objects. */
const messageLengthMax = 2000;

/** What was asked, for messages. */
export interface Asked {
  readonly cluster: string;
  /** `get`, `list`, `create`, … as RBAC has them. */
  readonly verb: string;
  /** `pods`, `deployments.apps/status`, or a path. */
  readonly resource: string;
  readonly name: string;
  readonly namespace: string;
}

/** An error that a server answered with. */
export class ApiError extends TransshipError {
  readonly httpStatus: number;
  /** What the server said; undefined when its answer was no `Status`. */
  readonly status: StatusObject | undefined;
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: Reason,
    message: string,
    answer: Pick<ApiError, 'httpStatus' | 'status' | 'retryAfterMs'>,
  ) {
    super(reason, message);
    this.httpStatus = answer.httpStatus;
    this.status = answer.status;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/** The version asked for is no longer there: list again. */
export function isExpired(error: unknown): boolean {
  return (
    error instanceof ApiError && (error.httpStatus === 410 || error.status?.reason === 'Expired')
  );
}

export function isStatus(value: unknown): value is StatusObject {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'Status';
}

export function parseStatus(text: string): StatusObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isStatus(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const reasonsByStatus: Readonly<Record<number, Reason>> = {
  400: 'Invalid',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'Unsupported',
  406: 'Unsupported',
  408: 'ApiFailed',
  409: 'Conflict',
  410: 'Conflict',
  413: 'LimitExceeded',
  415: 'Unsupported',
  422: 'Invalid',
  429: 'TooManyRequests',
};

function reasonOf(httpStatus: number, status: StatusObject | undefined): Reason {
  if (httpStatus === 409 && status?.reason === 'AlreadyExists') return 'AlreadyExists';
  const known = reasonsByStatus[httpStatus];
  if (known !== undefined) return known;
  return httpStatus >= 400 && httpStatus < 500 ? 'Invalid' : 'ApiFailed';
}

/** Seconds, as Kubernetes sends them; dates are not used there. */
function retryAfterOf(
  header: string | undefined,
  status: StatusObject | undefined,
): number | undefined {
  const seconds =
    header !== undefined && /^\d{1,6}$/.test(header)
      ? Number(header)
      : status?.details?.retryAfterSeconds;
  return typeof seconds === 'number' && seconds >= 0 ? seconds * 1000 : undefined;
}

const rightPattern = new RegExp(
  'User "([^"]*)" cannot (\\S+) resource "([^"]*)" in API group "([^"]*)"' +
    '(?: in the namespace "([^"]*)")?',
);
const pathPattern = /User "([^"]*)" cannot (\S+) path "([^"]*)"/;
const namePattern = /^\S+ "([^"]*)" is forbidden/;

/** The rule that is missing, as a person would grant it. */
function missingRight(
  message: string,
  status: StatusObject | undefined,
  asked: Asked,
): string | undefined {
  const path = pathPattern.exec(message);
  if (path !== null) {
    const [, user, verb, place] = path;
    return `needs the right to ${verb} path ${place} (cluster ${asked.cluster}, user ${user})`;
  }
  const [, user, verb, resource, group, namespace] = rightPattern.exec(message) ?? [];
  if (resource === undefined) return undefined;
  const [plural, subresource] = resource.split('/', 2);
  const ofGroup = group === '' ? plural : `${plural}.${group}`;
  const what = subresource === undefined ? ofGroup : `${ofGroup}/${subresource}`;
  const name = status?.details?.name ?? namePattern.exec(message)?.[1];
  return [
    `needs the right to ${verb} ${what}`,
    name === undefined || name === '' ? '' : ` named ${name}`,
    namespace === undefined || namespace === '' ? '' : ` in namespace ${namespace}`,
    ` (cluster ${asked.cluster}, user ${user})`,
  ].join('');
}

function withCauses(message: string, status: StatusObject | undefined): string {
  const causes = (status?.details?.causes ?? []).map(({ field, message: why = '' }) =>
    field === undefined || field === '' ? why : `${field}: ${why}`,
  );
  const missing = causes.filter((cause) => cause !== '' && !message.includes(cause));
  const shown = missing.slice(0, causesMax);
  if (shown.length === 0) return message;
  const more = missing.length > shown.length ? `, and ${missing.length - shown.length} more` : '';
  return `${message}: ${shown.join('; ')}${more}`;
}

export function askedText({ verb, resource, name, namespace }: Asked): string {
  const key = namespace === '' ? name : `${namespace}/${name}`;
  if (name !== '') return `${verb} ${resource} ${key}`;
  return namespace === '' ? `${verb} ${resource}` : `${verb} ${resource} in ${namespace}`;
}

/** The error for an answer with an error status, whatever its body is. */
export function errorOfAnswer(
  asked: Asked,
  answer: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
  body: string,
): ApiError {
  return errorOfStatus(
    asked,
    answer.status,
    parseStatus(body) ?? body,
    answer.headers['retry-after'],
  );
}

/** The same for the `Status` of an `ERROR` event, whose code stands for the HTTP status. */
export function errorOfStatus(
  asked: Asked,
  httpStatus: number,
  said: StatusObject | string,
  retryAfter?: string,
): ApiError {
  const status = typeof said === 'string' ? undefined : said;
  const words = (typeof said === 'string' ? said : (said.message ?? said.reason ?? '')).trim();
  const reason = reasonOf(httpStatus, status);
  const right = httpStatus === 403 ? missingRight(words, status, asked) : undefined;
  const told = words === '' ? `the server answered ${httpStatus}` : words;
  const message =
    right ?? `cluster ${asked.cluster}: ${askedText(asked)}: ${withCauses(told, status)}`;
  const cut =
    message.length > messageLengthMax ? `${message.slice(0, messageLengthMax)}…` : message;
  return new ApiError(reason, cut, {
    httpStatus,
    status,
    retryAfterMs: retryAfterOf(retryAfter, status),
  });
}
