/** Answers as the transport takes them. */
import { createHash } from 'node:crypto';
import type { KubeResponse } from '../../kube/transport.ts';
import type { RequestInfo } from './request.ts';
import type { StatusError } from './status.ts';

const encoder = new TextEncoder();

export function encode(text: string): Uint8Array {
  return encoder.encode(text);
}

async function* whole(text: string): AsyncGenerator<Uint8Array, void, undefined> {
  if (text !== '') yield encoder.encode(text);
}

const jsonType = 'application/json';

/** A complete JSON text. */
export function jsonResponse(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): KubeResponse {
  return {
    status,
    headers: { 'content-type': jsonType, 'cache-control': 'no-cache, private', ...headers },
    body: whole(text),
  };
}

export function objectResponse(
  status: number,
  object: unknown,
  headers: Readonly<Record<string, string>> = {},
): KubeResponse {
  return jsonResponse(status, JSON.stringify(object), headers);
}

export function streamResponse(
  body: AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string>> = {},
): KubeResponse {
  const base = { 'content-type': jsonType, 'cache-control': 'no-cache, private' };
  return { status: 200, headers: { ...base, ...headers }, body };
}

export function textResponse(status: number, text: string): KubeResponse {
  const headers = { 'content-type': 'text/plain; charset=utf-8' };
  return { status, headers, body: whole(text) };
}

export function statusResponse(error: StatusError): KubeResponse {
  return objectResponse(error.code, error.status, error.headers);
}

/** RFC 9111 warning values, as kubectl prints them. At most this many bytes of them. */
const warningsCharsMax = 4096;

export function warningHeader(warnings: readonly string[]): Readonly<Record<string, string>> {
  if (warnings.length === 0) return {};
  let room = warningsCharsMax;
  const texts: string[] = [];
  for (const warning of new Set(warnings)) {
    const clean = warning.replaceAll(/[^\x20-\x7e]/g, '?').replaceAll(/["\\]/g, '\\$&');
    room -= clean.length;
    if (room < 0) break;
    texts.push(`299 - "${clean}"`);
  }
  return { warning: texts.join(', ') };
}

/** With an ETag, so that a client that knows the text already does not get it again. */
export function tagged(info: RequestInfo, text: string, type: string): KubeResponse {
  const hash = createHash('sha512').update(text).digest('hex').toUpperCase();
  const etag = `"${hash}"`;
  const headers = { 'content-type': type, etag, vary: 'Accept' };
  if (info.request.headers['if-none-match'] === etag) return { ...jsonResponse(304, ''), headers };
  return jsonResponse(200, text, headers);
}
