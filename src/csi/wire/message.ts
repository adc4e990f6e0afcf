/**
 * Messages of protocol buffers as tables: one table gives the TypeScript type and, through
 * protobufjs, the encoding. Only what CSI uses (proto3: scalars, strings, maps, lists, messages).
 */
import protobuf from 'protobufjs/light.js';

type Shape = 'one' | 'many' | 'map';

export interface Field<T> {
  /** The number on the wire. */
  readonly id: number;
  /** A scalar of protocol buffers, or a message. */
  readonly type: string | Message;
  readonly shape: Shape;
  /** Only in types: what the field holds. */
  readonly holds?: T;
}

export type Fields = Readonly<Record<string, Field<unknown>>>;

export interface Message<F extends Fields = Fields> {
  readonly name: string;
  readonly fields: F;
}

type HeldBy<T> = T extends Field<infer Held> ? Held : never;

/** A message as it was received: scalars that were not sent have their default. */
export type MessageOf<M> =
  M extends Message<infer F> ? { readonly [K in keyof F]: HeldBy<F[K]> } : never;

/** A message to be sent: what is left out has its default at the other end. */
export type DraftOf<M> =
  M extends Message<infer F> ? { readonly [K in keyof F]?: DraftField<F[K]> } : never;

type DraftField<T> =
  T extends NestedMany<infer N>
    ? readonly DraftOf<N>[]
    : T extends Nested<infer N>
      ? DraftOf<N> | undefined
      : HeldBy<T>;

export interface Nested<M extends Message> extends Field<MessageOf<M> | undefined> {
  readonly of: M;
}

export interface NestedMany<M extends Message> extends Field<readonly MessageOf<M>[]> {
  readonly ofMany: M;
}

export function message<const F extends Fields>(name: string, fields: F): Message<F> {
  return { name, fields };
}

export const text = (id: number): Field<string> => ({ id, type: 'string', shape: 'one' });
export const flag = (id: number): Field<boolean> => ({ id, type: 'bool', shape: 'one' });
export const int32 = (id: number): Field<number> => ({ id, type: 'int32', shape: 'one' });
/** Exact up to 2^53: sizes of volumes are far below. */
export const int64 = (id: number): Field<number> => ({ id, type: 'int64', shape: 'one' });
export const texts = (id: number): Field<readonly string[]> => ({
  id,
  type: 'string',
  shape: 'many',
});
export const textMap = (id: number): Field<Readonly<Record<string, string>>> => ({
  id,
  type: 'string',
  shape: 'map',
});
export const nested = <M extends Message>(id: number, of: M): Nested<M> => ({
  id,
  type: of,
  shape: 'one',
  of,
});
export const nestedMany = <M extends Message>(id: number, ofMany: M): NestedMany<M> => ({
  id,
  type: ofMany,
  shape: 'many',
  ofMany,
});

/** Encodes and decodes the messages it was asked for once. */
export class Codec {
  readonly #root = new protobuf.Root();

  encode(of: Message, draft: object): Uint8Array {
    const type = this.#typeOf(of);
    return type.encode(type.fromObject(draft)).finish();
  }

  /** Throws protobufjs' error on bytes that are no such message; unknown fields are skipped. */
  decode(of: Message, bytes: Uint8Array): object {
    const type = this.#typeOf(of);
    const all = { longs: Number, defaults: true, arrays: true, objects: true } as const;
    return withoutNull(type.toObject(type.decode(bytes), all));
  }

  #typeOf(of: Message): protobuf.Type {
    const found = this.#root.get(of.name);
    if (found instanceof protobuf.Type) return found;
    const type = new protobuf.Type(of.name);
    this.#root.add(type);
    for (const [name, field] of Object.entries(of.fields)) {
      const typeName = typeof field.type === 'string' ? field.type : this.#typeOf(field.type).name;
      type.add(fieldOf(name, field, typeName));
    }
    return type;
  }
}

function fieldOf(
  name: string,
  { id, shape }: Field<unknown>,
  typeName: string,
): protobuf.ReflectionObject {
  if (shape === 'map') return new protobuf.MapField(name, id, 'string', typeName);
  return new protobuf.Field(name, id, typeName, shape === 'many' ? 'repeated' : undefined);
}

/** Absent messages are null to protobufjs and absent to us. */
function withoutNull(value: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]) => {
      if (inner === null) return [];
      if (Array.isArray(inner)) return [[name, inner.map(cleaned)]];
      return [[name, cleaned(inner)]];
    }),
  );
}

function cleaned(inner: unknown): unknown {
  return typeof inner === 'object' && inner !== null
    ? withoutNull(inner as Readonly<Record<string, unknown>>)
    : inner;
}
