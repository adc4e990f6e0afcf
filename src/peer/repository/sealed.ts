/** Headers and encrypted parts of a repository's objects (docs/formats/repository.md, "Key"). */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { fail } from '../../base/errors.ts';
import type { Random } from '../../base/ports.ts';
import { formatVersion, type MasterKey, saltBytes } from './keys.ts';

export const headerBytes = 64;
export const tagBytes = 16;

const cipher = 'aes-256-gcm';

export const magics = {
  pack: 'TSPACK01',
  index: 'TSINDX01',
  replaced: 'TSREPL01',
  version: 'TSVERS01',
  lock: 'TSLOCK01',
  backup: 'TSBACK01',
} as const;

export type Magic = (typeof magics)[keyof typeof magics];

export interface Header {
  readonly magic: Magic;
  readonly kind: number;
  readonly salt: Uint8Array;
}

export function encodeHeader(key: MasterKey, { magic, kind, salt }: Header): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.write(magic, 0, 'latin1');
  bytes.writeUInt32LE(formatVersion, 8);
  bytes.writeUInt32LE(kind, 12);
  bytes.set(key.repositoryId, 16);
  bytes.set(salt, 32);
  return bytes;
}

/** `DataCorrupt` for anything but an object of this kind and of this repository. */
export function decodeHeader(key: MasterKey, bytes: Uint8Array, magic: Magic): Header {
  const header = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, headerBytes));
  if (header.length < headerBytes || header.toString('latin1', 0, 8) !== magic) {
    fail('DataCorrupt', `an object that does not begin with ${magic}`);
  }
  const version = header.readUInt32LE(8);
  if (version !== formatVersion) {
    fail('Unsupported', `an object of format ${version}, this program knows ${formatVersion}`);
  }
  if (!header.subarray(16, 32).equals(key.repositoryId)) {
    fail('DataCorrupt', 'an object that belongs to another repository');
  }
  return { magic, kind: header.readUInt32LE(12), salt: new Uint8Array(header.subarray(32, 64)) };
}

/** Encrypts the parts of one object; offsets must not come twice. */
export class Sealer {
  readonly #key: Uint8Array;

  constructor(key: MasterKey, { magic, salt }: Pick<Header, 'magic' | 'salt'>) {
    this.#key = key.keyOf(magic, salt);
  }

  /** With its tag behind it: `tagBytes` longer than the parts. */
  seal(offset: number, parts: readonly Uint8Array[]): Uint8Array {
    const sealing = createCipheriv(cipher, this.#key, nonceOf(offset));
    const sealed = parts.map((part) => sealing.update(part));
    return Buffer.concat([...sealed, sealing.final(), sealing.getAuthTag()]);
  }

  /** Undefined: it is not what was sealed there. */
  open(offset: number, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < tagBytes) return undefined;
    const opening = createDecipheriv(cipher, this.#key, nonceOf(offset), {
      authTagLength: tagBytes,
    });
    opening.setAuthTag(sealed.subarray(sealed.length - tagBytes));
    const content = opening.update(sealed.subarray(0, sealed.length - tagBytes));
    try {
      opening.final();
    } catch {
      return undefined;
    }
    return content;
  }
}

function nonceOf(offset: number): Uint8Array {
  const nonce = Buffer.alloc(12);
  nonce.writeBigUInt64LE(BigInt(offset));
  return nonce;
}

/** A whole object of one sealed part. */
export function sealObject(
  key: MasterKey,
  magic: Magic,
  content: { readonly bytes: Uint8Array; readonly random: Random },
): readonly Uint8Array[] {
  const header = { magic, kind: 0, salt: content.random.bytes(saltBytes) };
  const sealed = new Sealer(key, header).seal(headerBytes, [content.bytes]);
  return [encodeHeader(key, header), sealed];
}

/** `DataCorrupt` when a byte of it is not as it was. */
export function openObject(key: MasterKey, magic: Magic, object: Uint8Array): Uint8Array {
  const header = decodeHeader(key, object, magic);
  const content = new Sealer(key, header).open(headerBytes, object.subarray(headerBytes));
  return content ?? fail('DataCorrupt', `an object ${magic} that was changed or cut off`);
}
