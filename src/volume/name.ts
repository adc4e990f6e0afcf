/** Names of chunks as bytes, map keys and text (docs/formats/tree.md). */
import { type Name, nameBytes } from './types.ts';

export const zeroName: Name = new Uint8Array(nameBytes);

export function isZeroName(name: Name): boolean {
  for (let i = 0; i < nameBytes; i++) if (name[i] !== 0) return false;
  return true;
}

export function sameName(a: Name, b: Name): boolean {
  for (let i = 0; i < nameBytes; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A map key: one character per byte, cheaper to make than hex. */
export function nameKey(name: Name): string {
  return Buffer.from(name.buffer, name.byteOffset, nameBytes).toString('latin1');
}

export function nameHex(name: Name): string {
  return Buffer.from(name.buffer, name.byteOffset, nameBytes).toString('hex');
}

/** Throws nothing: returns undefined for anything but 64 hex digits. */
export function nameOfHex(hex: string): Name | undefined {
  return /^[0-9a-f]{64}$/.test(hex) ? Buffer.from(hex, 'hex') : undefined;
}

/** Entry `at` of a page or of names lying one after another; shares the memory. */
export function nameAt(names: Uint8Array, at: number): Name {
  return names.subarray(at * nameBytes, at * nameBytes + nameBytes);
}
