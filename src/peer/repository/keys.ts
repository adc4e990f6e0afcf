/** What a repository is encrypted with (docs/formats/repository.md, "Key"). */
import { createHmac, hkdfSync, scrypt, timingSafeEqual } from 'node:crypto';
import { fail } from '../../base/errors.ts';
import type { Random } from '../../base/ports.ts';

export const formatName = 'transship-repository';
export const formatVersion = 1;
export const saltBytes = 32;

const keyBytes = 32;
const cost = { n: 32_768, r: 8, p: 1 };
/** What a stranger's `config` may make us compute. */
const costMax = { n: 2 ** 20, r: 32, p: 16 };

/** The object `config`. */
export interface RepositoryConfig {
  readonly format: string;
  readonly version: number;
  /** 32 hex digits. */
  readonly id: string;
  readonly key: {
    readonly function: string;
    readonly n: number;
    readonly r: number;
    readonly p: number;
    readonly salt: string;
    readonly check: string;
  };
}

/** The master key of one repository. Nothing derived from it is ever shown. */
export class MasterKey {
  readonly repositoryId: Uint8Array;
  readonly #bytes: Uint8Array;

  constructor(repositoryId: Uint8Array, bytes: Uint8Array) {
    this.repositoryId = repositoryId;
    this.#bytes = bytes;
  }

  /** Of one object. */
  keyOf(magic: string, salt: Uint8Array): Uint8Array {
    return new Uint8Array(hkdfSync('sha256', this.#bytes, salt, magic, keyBytes));
  }

  /** 64 hex digits that only holders of the key can tell. */
  nameOf(...parts: readonly string[]): string {
    return createHmac('sha256', this.#bytes).update(parts.join('\0')).digest('hex');
  }

  get check(): string {
    const id = Buffer.from(this.repositoryId).toString('hex');
    return this.nameOf(`transship repository ${id}`);
  }
}

export async function createKey(
  password: string,
  random: Random,
): Promise<{ readonly config: RepositoryConfig; readonly key: MasterKey }> {
  const id = random.bytes(16);
  const salt = random.bytes(saltBytes);
  const key = new MasterKey(id, await derive(password, salt, cost));
  const shown = { function: 'scrypt', ...cost, salt: hex(salt), check: key.check };
  const config = { format: formatName, version: formatVersion, id: hex(id), key: shown };
  return { config, key };
}

/** `Unauthorized` for another password; `ProtocolError` for what is no such configuration. */
export async function openKey(password: string, text: Uint8Array): Promise<MasterKey> {
  const config = parseConfig(text);
  const { n, r, p, salt, check } = config.key;
  const bytes = await derive(password, Buffer.from(salt, 'hex'), { n, r, p });
  const key = new MasterKey(Buffer.from(config.id, 'hex'), bytes);
  if (!timingSafeEqual(Buffer.from(key.check, 'hex'), Buffer.from(check, 'hex'))) {
    fail('Unauthorized', 'the repository was made with another password; give that one');
  }
  return key;
}

function parseConfig(text: Uint8Array): RepositoryConfig {
  let config: Partial<RepositoryConfig> | undefined;
  try {
    config = JSON.parse(Buffer.from(text).toString('utf8')) as Partial<RepositoryConfig>;
  } catch {
    config = undefined;
  }
  if (config?.format !== formatName) fail('ProtocolError', 'the object config is not ours');
  if (config.version !== formatVersion) {
    const found = String(config.version).slice(0, 20);
    fail('Unsupported', `a repository of format ${found}, this program knows ${formatVersion}`);
  }
  const { key } = config;
  const isOurs =
    key?.function === 'scrypt' &&
    isHex(config.id, 32) &&
    isHex(key.salt, 2 * saltBytes) &&
    isHex(key.check, 64) &&
    isWithin(key.n, costMax.n) &&
    Number.isInteger(Math.log2(key.n)) &&
    isWithin(key.r, costMax.r) &&
    isWithin(key.p, costMax.p);
  if (!isOurs) fail('ProtocolError', 'the object config is damaged, or asks for too much');
  return config as RepositoryConfig;
}

function isHex(value: unknown, digits: number): boolean {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]*$/.test(value);
}

function isWithin(value: unknown, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
}

function derive(
  password: string,
  salt: Uint8Array,
  { n, r, p }: { readonly n: number; readonly r: number; readonly p: number },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const options = { N: n, r, p, maxmem: 256 * n * r };
    scrypt(password.normalize('NFKC'), salt, keyBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
