/** Who a cluster is among its peers: one key, made at the first start and kept for good. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { fail } from '../base/errors.ts';
import { checkName } from '../base/names.ts';
import { selfSign } from './certificate.ts';

export interface Identity {
  /** 32 hex digits. */
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo) in hex. */
  readonly fingerprint: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

const file = 'identity.json';
const version = 1;

/**
 * Reads the identity of a directory, or makes it when there is none; all agents of a cluster share
 * the file. Without `name` it must exist. `NotFound`, `BadName`, `AlreadyExists` (the directory is
 * another cluster's), `NotAllowed` (others can read the key), `DataCorrupt`.
 */
export function openIdentity(directory: string, name?: string): Identity {
  const path = join(directory, file);
  if (!fs.existsSync(path)) {
    if (name === undefined) fail('NotFound', `${path} does not exist`);
    create(directory, checkName(name, 'cluster'));
  }
  const identity = read(path);
  if (name !== undefined && identity.name !== name) {
    fail('AlreadyExists', `${directory} belongs to the cluster '${identity.name}', not '${name}'`);
  }
  return identity;
}

function create(directory: string, name: string): void {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serial = randomBytes(16);
  const request = { key: privateKey, commonName: `transship ${name}`, serial, fromMs: Date.now() };
  const content = {
    version,
    id: randomBytes(16).toString('hex'),
    name,
    certificate: selfSign(request),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  const fresh = join(directory, `${file}.${process.pid}.new`);
  const descriptor = fs.openSync(fresh, 'wx', 0o600);
  try {
    fs.writeSync(descriptor, `${JSON.stringify(content, undefined, 2)}\n`);
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
  try {
    // A link instead of a rename: of two agents that start at once, one identity wins for both.
    fs.linkSync(fresh, join(directory, file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    fs.unlinkSync(fresh);
  }
  const folder = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}

function read(path: string): Identity {
  const { mode } = fs.statSync(path);
  if ((mode & 0o077) !== 0) {
    fail('NotAllowed', `${path} holds a key that others can read; run: chmod 600 ${path}`);
  }
  try {
    const content: unknown = JSON.parse(fs.readFileSync(path, 'utf8'));
    const field = (key: string): string => {
      const value: unknown = Reflect.get(content as object, key);
      if (typeof value !== 'string') throw new TypeError(`${key} is missing`);
      return value;
    };
    const keyPem = field('key');
    const fingerprint = fingerprintOf(createPublicKey(createPrivateKey(keyPem)));
    const certificatePem = field('certificate');
    return { id: field('id'), name: field('name'), fingerprint, certificatePem, keyPem };
  } catch (error) {
    fail('DataCorrupt', `${path} is damaged; restore it, or remove it and join again`, error);
  }
}

export function fingerprintOf(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}
