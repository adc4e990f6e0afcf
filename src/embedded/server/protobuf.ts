/**
 * Protobuf bodies of built-in kinds as JSON. kubectl's `create`, `auth` and `drain` commands send
 * nothing else; answers may stay JSON (Kubernetes API concepts, "Protobuf encoding"). Field numbers
 * are in protobuf-fields.json, which `tools/gen/protobuf-fields.ts` writes.
 */
import type { Json, JsonObject } from '../schema/api.ts';
import { isObject } from './json.ts';
import table from './protobuf-fields.json' with { type: 'json' };
import { badRequest, unsupportedMediaType } from './status.ts';

export const protobufType = 'application/vnd.kubernetes.protobuf';

const magic = [0x6b, 0x38, 0x73, 0x00] as const;
const depthMax = 60;

interface Field {
  /** In JSON; `-`: the content belongs to the outer object. */
  readonly name: string;
  readonly code: string;
  readonly shape: 'one' | 'list' | 'map';
  /** A zero is as good as absent. */
  readonly omitsZero: boolean;
}

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** One field as it is on the wire: a number, or bytes. */
interface Raw {
  readonly number: number;
  readonly value: bigint | Uint8Array;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Throws 400 for what is no protobuf, 415 for kinds that have none here. */
export function protobufObject(body: Uint8Array): JsonObject {
  if (magic.some((byte, i) => body[i] !== byte)) throw malformed('it does not begin with k8s');
  const envelope = new Map(readFields(body.subarray(magic.length)).map((raw) => [raw.number, raw]));
  const typeMeta = readFields(bytesOf(envelope.get(1)?.value));
  const apiVersion = textOf(typeMeta.find(({ number }) => number === 1)?.value);
  const kind = textOf(typeMeta.find(({ number }) => number === 2)?.value);
  const message = messageOf(apiVersion, kind);
  const object = readMessage(message, bytesOf(envelope.get(2)?.value), 0);
  return { apiVersion, kind, ...object };
}

function messageOf(apiVersion: string, kind: string): string {
  const packages: Readonly<Record<string, string>> = table.packages;
  const isOptions = kind === 'DeleteOptions';
  const message = isOptions ? 'meta.DeleteOptions' : `${packages[apiVersion]}.${kind}`;
  if (Object.hasOwn(table.messages, message)) return message;
  throw unsupportedMediaType(['application/json', 'application/yaml']);
}

function malformed(why: string): Error {
  return badRequest(`error decoding the body of the request as protobuf: ${why}`);
}

function readFields(bytes: Uint8Array): readonly Raw[] {
  const found: Raw[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) throw malformed('it ends early');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw malformed('a number is too long');
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw malformed('it ends early');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    const type = tag & 7;
    if (type === wire.varint) found.push({ number, value: varint() });
    else if (type === wire.bytes) found.push({ number, value: take(Number(varint())) });
    else if (type === wire.fixed64) found.push({ number, value: take(8) });
    else if (type === wire.fixed32) found.push({ number, value: take(4) });
    else throw malformed(`wire type ${type}`);
  }
  return found;
}

function fieldsOf(message: string): ReadonlyMap<number, Field> {
  const messages: Readonly<Record<string, readonly string[]>> = table.messages;
  const lines = messages[message] ?? [];
  return new Map(
    lines.map((line): [number, Field] => {
      const [number = '', name = '', type = ''] = line.split(' ');
      const omitsZero = type.endsWith('?');
      const code = omitsZero ? type.slice(0, -1) : type;
      const shape = code.startsWith('[]') ? 'list' : code.startsWith('{}') ? 'map' : 'one';
      const inner = shape === 'one' ? code : code.slice(2);
      return [Number(number), { name, code: inner, shape, omitsZero }];
    }),
  );
}

function readMessage(message: string, bytes: Uint8Array, depth: number): JsonObject {
  if (depth > depthMax) throw malformed(`it is nested deeper than ${depthMax} levels`);
  const fields = fieldsOf(message);
  const object = new Map<string, Json>();
  for (const { number, value } of readFields(bytes)) {
    const field = fields.get(number);
    // A field of a newer version: JSON clients would be told, but its name is not known here.
    if (field === undefined) continue;
    addField(object, field, { value, depth: depth + 1 });
  }
  return Object.fromEntries(object);
}

interface Placed {
  readonly value: Raw['value'];
  readonly depth: number;
}

function addField(object: Map<string, Json>, field: Field, { value, depth }: Placed): void {
  const { name, code, shape } = field;
  if (shape === 'map') {
    const known = object.get(name);
    object.set(name, { ...(isObject(known) ? known : {}), ...mapEntry(code, value, depth) });
    return;
  }
  const item = readValue(code, value, depth);
  if (shape === 'list') {
    const known = object.get(name);
    object.set(name, [...(Array.isArray(known) ? known : []), item ?? null]);
    return;
  }
  if (item === undefined) return;
  if (name === '-') {
    if (isObject(item)) for (const [key, inner] of Object.entries(item)) object.set(key, inner);
    return;
  }
  if (field.omitsZero && (item === '' || item === 0 || item === false)) return;
  object.set(name, item);
}

function mapEntry(code: string, value: Raw['value'], depth: number): JsonObject {
  let key = '';
  let content: Json = code === 's' || code === 'y' || code === 'Quantity' ? '' : {};
  for (const part of readFields(bytesOf(value))) {
    if (part.number === 1) key = textOf(part.value);
    if (part.number === 2) content = readValue(code, part.value, depth) ?? content;
  }
  return { [key]: content };
}

function readValue(code: string, value: Raw['value'], depth: number): Json | undefined {
  switch (code) {
    case 's':
      return textOf(value);
    case 'b':
      return value === 1n;
    case 'i':
      return typeof value === 'bigint' ? Number(BigInt.asIntN(64, value)) : 0;
    case 'f':
      return Buffer.from(bytesOf(value)).readDoubleLE(0);
    case 'y':
      return Buffer.from(bytesOf(value)).toString('base64');
    case 'Quantity':
      return textOf(firstOf(value, 1));
    case 'Items':
      return readFields(bytesOf(value)).map((item) => textOf(item.value));
    case 'Raw':
      return readJson(firstOf(value, 1));
    case 'IntOrString':
      return intOrString(value);
    case 'Time':
    case 'MicroTime':
      return readTime(value, code === 'MicroTime');
    case 'Duration':
      return `${Number(firstOf(value, 1) ?? 0n) / 1e9}s`;
    default:
      return readMessage(code, bytesOf(value), depth);
  }
}

function firstOf(value: Raw['value'], number: number): Raw['value'] | undefined {
  return readFields(bytesOf(value)).find((field) => field.number === number)?.value;
}

function readJson(value: Raw['value'] | undefined): Json {
  const text = textOf(value);
  try {
    const parsed: Json = text === '' ? null : JSON.parse(text);
    return parsed;
  } catch {
    throw malformed('it carries broken JSON');
  }
}

function intOrString(value: Raw['value']): Json {
  const isText = firstOf(value, 1) === 1n;
  if (isText) return textOf(firstOf(value, 3));
  const number = firstOf(value, 2);
  return typeof number === 'bigint' ? Number(BigInt.asIntN(64, number)) : 0;
}

/** Undefined for the zero time, which stands for none. */
function readTime(value: Raw['value'], isMicro: boolean): string | undefined {
  const seconds = firstOf(value, 1);
  const nanos = firstOf(value, 2);
  if (typeof seconds !== 'bigint') return undefined;
  const signed = Number(BigInt.asIntN(64, seconds));
  if (signed === 0 && nanos === undefined) return undefined;
  if (Math.abs(signed) > 8.64e12) throw malformed('a time is out of range');
  const text = new Date(signed * 1000).toISOString().slice(0, 19);
  const micros = Math.floor(Number(nanos ?? 0n) / 1000);
  return isMicro ? `${text}.${String(micros).padStart(6, '0')}Z` : `${text}Z`;
}

function bytesOf(value: Raw['value'] | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (value === undefined) return new Uint8Array(0);
  throw malformed('a number is where a message should be');
}

function textOf(value: Raw['value'] | undefined): string {
  try {
    return decoder.decode(bytesOf(value));
  } catch {
    throw malformed('a text is not UTF-8');
  }
}
