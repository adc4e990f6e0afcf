/** The clusters this one trusts, in one document of the agent's directory. */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName, isName, printable } from '../base/names.ts';
import type { Disk } from '../base/ports.ts';
import { readDocument, replaceDocument } from '../volume/document.ts';
import { type Fields, fieldsOf } from './json-fields.ts';
import type { PeerRecord } from './record.ts';

const path = 'peers.json';
const version = 1;

export interface PeerRegistry {
  list(): readonly PeerRecord[];
  byName(name: string): PeerRecord | undefined;
  byFingerprint(fingerprint: string): PeerRecord | undefined;
  /**
   * Durable when it returns. Replaces the record with the same fingerprint. `AlreadyExists` when
   * the name or id is another cluster's, `BadName`, `BadArgument`, `LimitExceeded`.
   */
  put(record: PeerRecord): void;
  /** What `put` would say, with nothing changed. */
  check(record: PeerRecord): void;
  /** Durable when it returns. `NotFound`. */
  remove(name: string): PeerRecord;
}

/** `DataCorrupt` when the document is damaged; it never starts with half of the peers. */
export function openRegistry(disk: Disk, own: { id: string; name: string }): PeerRegistry {
  let records = load(disk);
  const store = (next: readonly PeerRecord[]): void => {
    replaceDocument(disk, path, { version, peers: next });
    records = next;
  };
  const check = (record: PeerRecord): void => {
    checkRecord(record);
    const others = records.filter(({ fingerprint }) => fingerprint !== record.fingerprint);
    const taken = [own, ...others].find(({ name, id }) => name === record.name || id === record.id);
    if (taken !== undefined) {
      fail('AlreadyExists', `a cluster '${taken.name}' with this name or id is known already`);
    }
    if (others.length >= limits.peersMax) {
      fail('LimitExceeded', `this cluster has ${limits.peersMax} peers already`);
    }
  };
  return {
    list: () => records,
    byName: (name) => records.find((record) => record.name === name),
    byFingerprint: (fingerprint) => records.find((record) => record.fingerprint === fingerprint),
    check,
    put: (record) => {
      check(record);
      const others = records.filter(({ fingerprint }) => fingerprint !== record.fingerprint);
      store([...others, record]);
    },
    remove: (name) => {
      const record = records.find((known) => known.name === name);
      if (record === undefined) fail('NotFound', `no peer is called '${printable(name)}'`);
      store(records.filter((known) => known !== record));
      return record;
    },
  };
}

/** `BadName` or `BadArgument` for what could not be a peer. */
export function checkRecord(record: PeerRecord): void {
  checkName(record.name, 'cluster');
  if (record.memberOf !== undefined) checkName(record.memberOf, 'cluster');
  if (!/^[0-9a-f]{32}$/.test(record.id)) fail('BadArgument', 'a cluster id is 32 hex digits');
  if (!/^[0-9a-f]{64}$/.test(record.fingerprint)) {
    fail('BadArgument', 'a fingerprint is 64 hex digits');
  }
  if (record.addresses.length > 16) fail('BadArgument', 'more than 16 addresses');
  record.addresses.forEach(checkAddress);
}

/** `host:port`, with IPv6 in brackets; `BadArgument` otherwise. */
export function checkAddress(address: string): void {
  const match = /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):(\d{1,5})$/.exec(address);
  const port = Number(match?.[1] ?? 0);
  if (port < 1 || port > 65_535) {
    fail('BadArgument', `'${printable(address)}' is not an address; write host:port`);
  }
}

function load(disk: Disk): readonly PeerRecord[] {
  const document = readDocument(disk, path);
  if (document === undefined) return [];
  const fields = fieldsOf(document);
  if (fields.count('version') !== version) {
    fail('PoolUnusable', `${path} was written by a newer version of Transship`);
  }
  return fields.objects('peers').map(readRecord);
}

function readRecord(fields: Fields): PeerRecord {
  const name = fields.text('name', limits.nameLengthMax);
  if (!isName(name)) fail('DataCorrupt', `${path} names a peer '${printable(name)}'`);
  return {
    name,
    id: fields.text('id', 64),
    ...(fields.has('memberOf') ? { memberOf: fields.text('memberOf', limits.nameLengthMax) } : {}),
    addresses: fields.texts('addresses', { countMax: 16, lengthMax: 300 }),
    fingerprint: fields.text('fingerprint', 64),
    addedMs: fields.number('addedMs'),
  };
}
