/** Reading and building the small messages of the handshake. Numbers are big-endian. */

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let total = 0;
  for (const part of parts) total += part.length;
  const joined = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}

/** A 64-bit number; above 2^53 it is inexact but stays larger than any size we have. */
export function getUint64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

export type Field = { readonly bits: 16 | 32 | 64; readonly value: number } | Uint8Array;

export function u16(value: number): Field {
  return { bits: 16, value };
}

export function u32(value: number): Field {
  return { bits: 32, value };
}

export function u64(value: number): Field {
  return { bits: 64, value };
}

/** One message of the fields one after another. */
export function packFields(fields: readonly Field[]): Uint8Array {
  const parts = fields.map((field) => {
    if (field instanceof Uint8Array) return field;
    const bytes = new Uint8Array(field.bits / 8);
    const view = viewOf(bytes);
    if (field.bits === 16) view.setUint16(0, field.value);
    else if (field.bits === 32) view.setUint32(0, field.value);
    else setUint64(view, 0, field.value);
    return bytes;
  });
  return joinBytes(parts);
}

/** Reads fields one after another; `undefined` when they run out, so that callers refuse. */
export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u16(): number | undefined {
    if (this.remaining < 2) return undefined;
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2);
  }

  u32(): number | undefined {
    if (this.remaining < 4) return undefined;
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }

  /** Text after its 32-bit length; `undefined` also when not UTF-8, with NUL, or too long. */
  text(bytesMax: number): string | undefined {
    const length = this.u32();
    if (length === undefined || length > bytesMax || length > this.remaining) return undefined;
    this.#at += length;
    return textOf(this.#bytes.subarray(this.#at - length, this.#at));
  }
}

export function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
