/** Operations 32 to 36 of the peer protocol as bytes: docs/formats/peer.md, "Replicas". */
import { fail } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { HistoryPolicy, SnapshotInfo } from '../../volume/api.ts';
import type { SectorRecord } from '../../volume/replica-types.ts';
import { nameHex } from '../../volume/name.ts';
import type {
  Configuration,
  Fallback,
  Mark,
  Member,
  ReplicaPhase,
  SnapshotDocument,
  Term,
} from '../../volume/replica-types.ts';
import type { Fields } from '../json-fields.ts';
import type {
  CreateReplica,
  FillStatus,
  PointOperation,
  RebuildLimits,
  ReplicaStatus,
  SealedVersion,
  WriteBatch,
} from './api.ts';

const nameMax = limits.nameLengthMax;
const { sectorBytes } = limits;

const writeHeadBytes = 40;
const recordBytes = 16;
/** Records of one request: their heads stay far below a frame. */
export const recordsMax = 4096;

export interface WriteRequest {
  readonly volume: string;
  readonly term: Omit<Term, 'leader'>;
  readonly batch: WriteBatch;
}

export function encodeWrite({ volume, term, batch }: WriteRequest): Uint8Array[] {
  const name = Buffer.from(volume, 'utf8');
  const { records, first, joins } = batch;
  const head = new Uint8Array(writeHeadBytes + name.length + records.length * recordBytes);
  const view = new DataView(head.buffer);
  view.setUint32(0, term.epoch, true);
  view.setUint32(4, records.length, true);
  view.setFloat64(8, first, true);
  view.setUint8(16, joins ? 1 : 0);
  view.setUint8(17, name.length);
  head.set(Buffer.from(term.term, 'hex'), 24);
  head.set(name, writeHeadBytes);
  const parts: Uint8Array[] = [head];
  let at = writeHeadBytes + name.length;
  for (const { firstSector, sectors, data } of records) {
    view.setFloat64(at, firstSector, true);
    view.setUint32(at + 8, sectors, true);
    view.setUint32(at + 12, data === undefined ? 1 : 0, true);
    at += recordBytes;
    if (data !== undefined) parts.push(data);
  }
  return parts;
}

/** The data are views into the payload. */
export function decodeWrite(payload: Uint8Array): WriteRequest {
  if (payload.length < writeHeadBytes) fail('ProtocolError', 'a replica write that is cut off');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const count = view.getUint32(4, true);
  const first = view.getFloat64(8, true);
  const nameLength = view.getUint8(17);
  const heads = writeHeadBytes + nameLength;
  let data = heads + count * recordBytes;
  const isSane = Number.isSafeInteger(first) && first > 0 && count > 0 && count <= recordsMax;
  if (!isSane || data > payload.length) fail('ProtocolError', 'a replica write of no shape');
  const records: SectorRecord[] = [];
  for (let at = heads; at < heads + count * recordBytes; at += recordBytes) {
    const firstSector = view.getFloat64(at, true);
    const sectors = view.getUint32(at + 8, true);
    const isZero = view.getUint32(at + 12, true) === 1;
    const bytes = isZero ? 0 : sectors * sectorBytes;
    if (!Number.isSafeInteger(firstSector) || firstSector < 0 || sectors === 0) {
      fail('ProtocolError', 'a replica write of no place');
    }
    if (data + bytes > payload.length) fail('ProtocolError', 'a replica write without its data');
    const content = isZero ? undefined : payload.subarray(data, data + bytes);
    records.push({ firstSector, sectors, data: content });
    data += bytes;
  }
  if (data !== payload.length) fail('ProtocolError', 'a replica write with too much data');
  const hex = Buffer.from(payload.subarray(24, 40)).toString('hex');
  return {
    volume: Buffer.from(payload.subarray(writeHeadBytes, heads)).toString('utf8'),
    term: { epoch: view.getUint32(0, true), term: hex },
    batch: { first, records, joins: view.getUint8(16) === 1 },
  };
}

export function decodeTerm(fields: Fields): Term {
  const term = fields.text('term', 32);
  const epoch = fields.count('epoch');
  if (epoch > 0xffff_ffff) fail('ProtocolError', 'an epoch of more than 32 bits');
  return { epoch, term, leader: fields.text('leader', nameMax) };
}

export function decodeMark(fields: Fields): Mark {
  return { epoch: fields.count('epoch'), sequence: fields.count('sequence') };
}

export function decodeMember(fields: Fields): Member {
  return { agent: fields.text('agent', nameMax), pool: fields.text('pool', nameMax) };
}

export function decodeConfiguration(fields: Fields): Configuration {
  return {
    epoch: fields.count('epoch'),
    version: fields.count('version'),
    voters: fields.objects('voters').map(decodeMember),
    learners: fields.objects('learners').map(decodeMember),
  };
}

export function decodePolicy(fields: Fields): HistoryPolicy {
  return {
    secondsMs: fields.count('secondsMs'),
    minutesMs: fields.count('minutesMs'),
    hoursMs: fields.count('hoursMs'),
    daysMs: fields.count('daysMs'),
  };
}

const phases: readonly ReplicaPhase[] = ['Healthy', 'Receiving', 'Filling', 'Lost'];

function decodePhase(fields: Fields): ReplicaPhase {
  const word = fields.text('phase', 16);
  return phases.find((one) => one === word) ?? fail('ProtocolError', 'a replica of no phase');
}

function decodeShape(fields: Fields) {
  return {
    root: nameHex(fields.hash('root')),
    sizeBytes: fields.count('sizeBytes'),
    allocatedBlocks: fields.count('allocatedBlocks'),
  };
}

function decodeSnapshot(fields: Fields): SnapshotDocument {
  const name = fields.text('name', nameMax);
  return { name, ...decodeShape(fields), atMs: fields.number('atMs') };
}

function decodeFallback(fields: Fields): Fallback {
  const snapshots = fields.objects('snapshots').map(decodeSnapshot);
  const points = fields.has('points') ? fields.count('points') : 0;
  return { mark: decodeMark(fields.object('mark')), points, ...decodeShape(fields), snapshots };
}

export function encodeStatus(status: ReplicaStatus): object {
  const { fallback, fill, snapshots, damage, ...rest } = status;
  return {
    ...rest,
    ...(damage === '' ? {} : { damage }),
    snapshots: snapshots.map(({ hasTrace, ...one }) => ({ ...one, traced: hasTrace ? 1 : 0 })),
    ...(fallback === undefined ? {} : { fallback }),
    ...(fill === undefined ? {} : { fill: encodeFill(fill) }),
  };
}

function encodeFill({ complete, fromNothing, ...rest }: FillStatus): object {
  return { ...rest, complete: complete ? 1 : 0, fromNothing: fromNothing ? 1 : 0 };
}

function decodeFill(fields: Fields): FillStatus {
  return {
    totalBytes: fields.count('totalBytes'),
    missingBytes: fields.count('missingBytes'),
    bytesPerSecond: fields.number('bytesPerSecond'),
    wireBytes: fields.count('wireBytes'),
    complete: fields.count('complete') === 1,
    fromNothing: fields.count('fromNothing') === 1,
    problem: fields.text('problem', 8000),
  };
}

export function decodeStatus(fields: Fields): ReplicaStatus {
  return {
    member: decodeMember(fields.object('member')),
    volume: fields.text('volume', nameMax),
    set: fields.text('set', 32),
    promised: decodeTerm(fields.object('promised')),
    configuration: decodeConfiguration(fields.object('configuration')),
    phase: decodePhase(fields),
    mark: decodeMark(fields.object('mark')),
    durable: decodeMark(fields.object('durable')),
    points: fields.count('points'),
    fallback: fields.has('fallback') ? decodeFallback(fields.object('fallback')) : undefined,
    ...decodeShape(fields),
    blockBytes: fields.count('blockBytes'),
    policy: decodePolicy(fields.object('policy')),
    snapshots: fields.objects('snapshots').map(decodeSnapshotInfo),
    fill: fields.has('fill') ? decodeFill(fields.object('fill')) : undefined,
    presentBytes: fields.count('presentBytes'),
    problem: fields.text('problem', 8000),
    damage: fields.has('damage') ? fields.text('damage', 8000) : '',
  };
}

function decodeSnapshotInfo(fields: Fields): SnapshotInfo {
  return { ...decodeSnapshot(fields), hasTrace: fields.count('traced') === 1 };
}

export function encodeSealed({ recentUse, ...version }: SealedVersion): object {
  return { ...version, recentUse: recentUse.flatMap(({ first, count }) => [first, count]) };
}

export function decodeSealed(fields: Fields): SealedVersion {
  const flat = fields.counts('recentUse');
  const recentUse = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    recentUse.push({ first: flat[i]!, count: flat[i + 1]! });
  }
  return {
    source: decodeMember(fields.object('source')),
    leaseId: fields.text('leaseId', 128),
    mark: decodeMark(fields.object('mark')),
    points: fields.count('points'),
    ...decodeShape(fields),
    blockBytes: fields.count('blockBytes'),
    snapshots: fields.objects('snapshots').map(decodeSnapshot),
    policy: decodePolicy(fields.object('policy')),
    recentUse,
  };
}

export function decodeCreate(fields: Fields): CreateReplica {
  return {
    set: fields.text('set', 32),
    sizeBytes: fields.count('sizeBytes'),
    blockBytes: fields.count('blockBytes'),
    policy: decodePolicy(fields.object('policy')),
    configuration: decodeConfiguration(fields.object('configuration')),
    phase: decodePhase(fields),
  };
}

export function encodeLimits({ bytesPerSecond, share }: RebuildLimits): object {
  return { share, ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }) };
}

export function decodeLimits(fields: Fields): RebuildLimits {
  const share = fields.number('share');
  const bytesPerSecond = fields.has('bytesPerSecond') ? fields.count('bytesPerSecond') : undefined;
  return { share, bytesPerSecond: bytesPerSecond === 0 ? undefined : bytesPerSecond };
}

export function decodePoint(fields: Fields): PointOperation {
  const kind = fields.text('kind', 16);
  switch (kind) {
    case 'snapshot':
      return { kind, name: fields.text('name', nameMax), atMs: fields.number('atMs') };
    case 'deleteSnapshot':
      return { kind, name: fields.text('name', nameMax) };
    case 'resize':
      return { kind, sizeBytes: fields.count('sizeBytes') };
    case 'policy':
      return { kind, policy: decodePolicy(fields.object('policy')) };
    default:
      return fail('ProtocolError', 'a replica is to do something unknown');
  }
}
