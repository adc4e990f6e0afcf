/** Bodies of requests as JSON, whatever of the accepted encodings they came in. */
import { parse } from 'yaml';
import type { Json, JsonObject } from '../schema/api.ts';
import { duplicateKeys } from './duplicates.ts';
import { isList, isObject } from './json.ts';
import { protobufObject, protobufType } from './protobuf.ts';
import type { RequestInfo } from './request.ts';
import { badRequest, tooLarge, unsupportedMediaType } from './status.ts';

/** As kube-apiserver limits it: 3 MiB. */
export const bodyBytesMax = 3 * 1024 * 1024;
/** Objects deeper than this are attacks, or bugs. */
const depthMax = 200;

const decoder = new TextDecoder('utf-8', { fatal: true });

export function mediaTypeOf(info: RequestInfo): string {
  const [type = ''] = (info.request.headers['content-type'] ?? '').split(';');
  return type.trim().toLowerCase();
}

function bodyText(info: RequestInfo): string {
  const { body } = info.request;
  if (body === undefined) return '';
  requireSize(body);
  try {
    return decoder.decode(body);
  } catch {
    throw badRequest('the body of the request is not UTF-8');
  }
}

/** An object, of JSON or YAML. Undefined when there is no body. */
export function bodyObject(info: RequestInfo): JsonObject | undefined {
  const type = mediaTypeOf(info);
  if (type === protobufType) return protobufBody(info);
  if (!['', 'application/json', 'application/yaml', '*/*'].includes(type)) {
    throw unsupportedMediaType(['application/json', 'application/yaml']);
  }
  const text = bodyText(info);
  if (text.trim() === '') return undefined;
  const value = type === 'application/yaml' ? parseYaml(text) : parseJson(text);
  if (!isObject(value)) throw badRequest('the body of the request must be an object');
  return value;
}

function protobufBody(info: RequestInfo): JsonObject | undefined {
  const { body } = info.request;
  if (body === undefined) return undefined;
  requireSize(body);
  return protobufObject(body);
}

function requireSize(body: Uint8Array): void {
  if (body.length <= bodyBytesMax) return;
  throw tooLarge(`Request entity too large: limit is ${bodyBytesMax}`);
}

/** Keys that the body has twice, by their paths. */
export function repeatedKeys(info: RequestInfo): readonly string[] {
  const isJson = ['', 'application/json', '*/*'].includes(mediaTypeOf(info));
  const text = isJson ? bodyText(info) : '';
  return text === '' ? [] : duplicateKeys(text);
}

/** What a patch says: an object, or the list of a JSON patch. */
export function bodyPatch(info: RequestInfo): JsonObject | readonly Json[] {
  const text = bodyText(info);
  const isYaml = mediaTypeOf(info) === 'application/apply-patch+yaml';
  const value = isYaml ? parseYaml(text) : parseJson(text);
  if (isObject(value) || isList(value)) return value;
  throw badRequest('the body of the request must be an object or a list');
}

function parseJson(text: string): Json {
  try {
    const value: Json = JSON.parse(text);
    requireShallow(value, depthMax);
    return value;
  } catch (error) {
    throw undecodable(error);
  }
}

function parseYaml(text: string): Json {
  try {
    const value: Json = parse(text, { maxAliasCount: 100, uniqueKeys: true });
    requireShallow(value, depthMax);
    // What JSON cannot say (dates, undefined, infinities) does not get further.
    return JSON.parse(JSON.stringify(value ?? null));
  } catch (error) {
    throw undecodable(error);
  }
}

function requireShallow(value: Json, left: number): void {
  if (left === 0) throw new Error(`nested deeper than ${depthMax} levels`);
  if (isList(value)) for (const item of value) requireShallow(item, left - 1);
  else if (isObject(value)) for (const key in value) requireShallow(value[key] ?? null, left - 1);
}

function undecodable(error: unknown): Error {
  const why = error instanceof Error ? error.message : String(error);
  return badRequest(`error decoding the body of the request: ${why}`);
}
