/** AWS Signature Version 4 for S3, as published in "Authenticating Requests (AWS Signature V4)". */
import { createHash, createHmac } from 'node:crypto';

export interface SignedRequest {
  readonly method: string;
  readonly host: string;
  /** Decoded, with a leading `/`. */
  readonly path: string;
  /** Decoded names and values. */
  readonly query: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** SHA-256 of the body in hex, where it is known. */
  readonly sha256?: string;
}

export interface SigningKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
}

const service = 's3';
const algorithm = 'AWS4-HMAC-SHA256';
const signedHeaders = 'host;x-amz-content-sha256;x-amz-date';

/** Headers that prove the request; everything else of it is covered by them. */
export function signedHeadersOf(
  request: SignedRequest,
  key: SigningKey,
  atMs: number,
): Readonly<Record<string, string>> {
  const time = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '');
  const day = time.slice(0, 8);
  const digest = request.sha256 ?? sha256(request.body);
  const canonical = [
    request.method,
    encodePath(request.path),
    encodeQuery(request.query),
    `host:${request.host}`,
    `x-amz-content-sha256:${digest}`,
    `x-amz-date:${time}`,
    '',
    signedHeaders,
    digest,
  ].join('\n');
  const scope = `${day}/${key.region}/${service}/aws4_request`;
  const toSign = [algorithm, time, scope, sha256(canonical)].join('\n');
  const parts = [day, key.region, service, 'aws4_request'];
  const secret: Uint8Array = Buffer.from(`AWS4${key.secretAccessKey}`);
  const signingKey = parts.reduce((last, part) => hmac(last, part), secret);
  const signature = Buffer.from(hmac(signingKey, toSign)).toString('hex');
  const credential = `${key.accessKeyId}/${scope}`;
  return {
    'x-amz-content-sha256': digest,
    'x-amz-date': time,
    authorization:
      `${algorithm} Credential=${credential},SignedHeaders=${signedHeaders},` +
      `Signature=${signature}`,
  };
}

export function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

/** Sorted, as it is signed and as it is sent. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return pairs.toSorted().join('&');
}

/** All but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (character) => {
    return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  });
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

function hmac(key: Uint8Array, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}
