/** Operations and their JSON and binary payloads: docs/formats/peer.md, section "Operations". */
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { printable } from '../base/names.ts';
import { isReason, type Reason } from '../base/reasons.ts';
import { nameHex } from '../volume/name.ts';
import {
  nameBytes,
  type BlockRange,
  type LeaseGrant,
  type LeaseRequest,
  type PathRequest,
  type Version,
  type VolumeSummary,
} from '../volume/types.ts';
import { decodeJson, encodeJson, type Fields } from './json-fields.ts';

export const operations = {
  hello: 1,
  ping: 2,
  volumes: 3,
  grant: 4,
  renew: 5,
  release: 6,
  read: 7,
  pull: 8,
  have: 9,
  push: 10,
  probe: 11,
  join: 12,
  replicaWrite: 32,
  replicaFlush: 33,
  replicaState: 34,
  replicaRead: 35,
  replicaChange: 36,
} as const;

/** Set in the type of a reply. */
export const replyBit = 0x80;
export const errorType = 0xff;

export const protocolVersions = { min: 1, max: 1 } as const;

/** A peer keeps one link free of background. */
export type LinkUse = 'demand' | 'shared';

export interface ClusterIdentity {
  readonly id: string;
  readonly name: string;
  /** The cluster that the agent is one of several of; absent: its own name is the cluster's. */
  readonly memberOf?: string;
}

export interface Hello {
  readonly protocol: { readonly min: number; readonly max: number };
  readonly cluster: ClusterIdentity;
  readonly agentVersion: string;
  readonly capabilities: readonly string[];
  readonly use: LinkUse;
  readonly wallMs: number;
}

export const encodeHello = (hello: Hello): Uint8Array => encodeJson(hello);

export function decodeHello(payload: Uint8Array): Hello {
  const fields = decodeJson(payload);
  const protocol = fields.object('protocol');
  const use = fields.text('use', 16);
  if (use !== 'demand' && use !== 'shared') fail('ProtocolError', 'a link of unknown use');
  return {
    protocol: { min: protocol.count('min'), max: protocol.count('max') },
    cluster: decodeCluster(fields),
    agentVersion: fields.text('agentVersion', 64),
    capabilities: fields.texts('capabilities', { countMax: 64, lengthMax: 64 }),
    use,
    wallMs: fields.number('wallMs'),
  };
}

export function decodeCluster(fields: Fields): ClusterIdentity {
  return readCluster(fields.object('cluster'));
}

export function readCluster(cluster: Fields): ClusterIdentity {
  const nameMax = limits.nameLengthMax;
  const of = cluster.has('memberOf') ? { memberOf: cluster.text('memberOf', nameMax) } : {};
  return { id: cluster.text('id', 64), name: cluster.text('name', nameMax), ...of };
}

/** The version both ends speak. `ProtocolError` naming both ranges when there is none. */
export function commonVersion(mine: Hello['protocol'], theirs: Hello): number {
  const version = Math.min(mine.max, theirs.protocol.max);
  if (version >= mine.min && version >= theirs.protocol.min) return version;
  const { min, max } = theirs.protocol;
  fail(
    'ProtocolError',
    `${printable(theirs.cluster.name)} (${printable(theirs.agentVersion)}) speaks peer protocol ` +
      `${min} to ${max}, this agent ${mine.min} to ${mine.max}: upgrade the older one`,
  );
}

export interface GrantRequest extends LeaseRequest {
  /** Random; asking again with it gives the same lease. The lease has it as its name. */
  readonly key: string;
}

export const encodeGrantRequest = (request: GrantRequest): Uint8Array => encodeJson(request);

export function decodeGrantRequest(payload: Uint8Array): GrantRequest {
  const fields = decodeJson(payload);
  return {
    key: fields.text('key', 64),
    volume: fields.text('volume', limits.nameLengthMax),
    ...(fields.has('atMs') ? { atMs: fields.number('atMs') } : {}),
    ...(fields.has('snapshot') ? { snapshot: fields.text('snapshot', limits.nameLengthMax) } : {}),
    holder: fields.text('holder', 2 * limits.nameLengthMax + 1),
    lifeMs: Math.min(fields.count('lifeMs'), limits.leaseMs),
  };
}

export function encodeGrant(grant: LeaseGrant): Uint8Array {
  const { leaseId, version, expiresMs, recentUse } = grant;
  return encodeJson({
    leaseId,
    version: { ...version, root: nameHex(version.root) },
    expiresMs,
    recentUse: recentUse.flatMap(({ first, count }) => [first, count]),
  });
}

export function decodeGrant(payload: Uint8Array): LeaseGrant {
  const fields = decodeJson(payload);
  const version = decodeVersion(fields.object('version'));
  const flat = fields.counts('recentUse');
  const blocks = Math.ceil(version.sizeBytes / version.blockBytes);
  const recentUse: BlockRange[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [first, count] = [flat[i]!, flat[i + 1]!];
    // A hint only: what lies outside the volume is dropped instead of failing the lease.
    if (first < blocks) recentUse.push({ first, count: Math.min(count, blocks - first) });
  }
  return {
    leaseId: fields.text('leaseId', 128),
    version,
    expiresMs: fields.number('expiresMs'),
    recentUse,
  };
}

function decodeVersion(fields: Fields): Version {
  const sizeBytes = fields.count('sizeBytes');
  const blockBytes = fields.count('blockBytes');
  checkGeometry(sizeBytes, blockBytes);
  return {
    root: fields.hash('root'),
    sizeBytes,
    blockBytes,
    allocatedBlocks: fields.count('allocatedBlocks'),
  };
}

function checkGeometry(sizeBytes: number, blockBytes: number): void {
  if (!limits.blockBytesAllowed.includes(blockBytes)) {
    fail('ProtocolError', `blocks of ${blockBytes} bytes`);
  }
  if (!(sizeBytes > 0 && sizeBytes <= limits.volumeBytesMax)) {
    fail('ProtocolError', `a volume of ${sizeBytes} bytes`);
  }
}

export function encodeVolumes(volumes: readonly VolumeSummary[]): Uint8Array {
  return encodeJson({ volumes });
}

export function decodeVolumes(payload: Uint8Array): VolumeSummary[] {
  return decodeJson(payload)
    .objects('volumes')
    .map((fields) => {
      const phase = fields.text('phase', 16);
      if (phase !== 'Initializing' && phase !== 'Accessible' && phase !== 'Available') {
        fail('ProtocolError', `a volume in phase ${printable(phase)}`);
      }
      return {
        id: fields.text('id', 128),
        name: fields.text('name', limits.nameLengthMax),
        sizeBytes: fields.count('sizeBytes'),
        blockBytes: fields.count('blockBytes'),
        phase,
        allocatedBlocks: fields.count('allocatedBlocks'),
      };
    });
}

const pathRequestBytes = 60;
const levelsMax = 8;

export function encodePathRequest(request: PathRequest): Uint8Array {
  const bytes = new Uint8Array(pathRequestBytes);
  bytes.set(request.root);
  const view = new DataView(bytes.buffer);
  view.setFloat64(32, request.sizeBytes, true);
  view.setFloat64(40, request.firstBlock, true);
  view.setUint32(48, request.blockBytes, true);
  view.setUint32(52, request.blockCount, true);
  view.setUint32(56, request.skipLevels, true);
  return bytes;
}

/** `ProtocolError` unless it asks for blocks inside the volume, and for few enough of them. */
export function decodePathRequest(payload: Uint8Array): PathRequest {
  if (payload.length !== pathRequestBytes) fail('ProtocolError', 'a read of another length');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const request = {
    root: payload.subarray(0, nameBytes),
    sizeBytes: view.getFloat64(32, true),
    firstBlock: view.getFloat64(40, true),
    blockBytes: view.getUint32(48, true),
    blockCount: view.getUint32(52, true),
    skipLevels: view.getUint32(56, true),
  };
  checkGeometry(request.sizeBytes, request.blockBytes);
  const { firstBlock, blockCount, blockBytes } = request;
  const whole = Number.isSafeInteger(request.sizeBytes) && Number.isSafeInteger(firstBlock);
  const blocks = Math.ceil(request.sizeBytes / blockBytes);
  if (!whole || firstBlock < 0 || blockCount < 1 || firstBlock + blockCount > blocks) {
    fail('ProtocolError', `blocks ${firstBlock}+${blockCount} of a volume of ${blocks}`);
  }
  if ((blockCount - 2) * blockBytes > limits.requestBytesMax || request.skipLevels > levelsMax) {
    fail('LimitExceeded', `a read of more than ${limits.requestBytesMax} bytes`);
  }
  return request;
}

export function encodeError(error: TransshipError, type: number): Uint8Array {
  return encodeJson({ reason: error.reason, message: error.message.slice(0, 2000), type });
}

/** The error another agent answered with. Its words are for people and never trusted further. */
export function decodeError(payload: Uint8Array, from: string): TransshipError {
  const fields = decodeJson(payload);
  const word = fields.text('reason', 64);
  const reason: Reason = isReason(word) ? word : 'Internal';
  const message = fields.text('message', 8000).replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ');
  return new TransshipError(reason, `${from}: ${message}`);
}
