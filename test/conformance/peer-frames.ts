// Makes the golden file of the peer protocol: one frame of each kind, fixed input.
import { writeFileSync } from 'node:fs';
import { TransshipError } from '../../src/base/errors.ts';
import { encodeChunk, encodeFlags, encodeNames } from '../../src/peer/chunk-codec.ts';
import { encodeFrameHead, type FrameHead } from '../../src/peer/frame.ts';
import { encodeJson } from '../../src/peer/json-fields.ts';
import {
  encodeError,
  encodeGrant,
  encodeGrantRequest,
  encodeHello,
  encodePathRequest,
  encodeVolumes,
  errorType,
  operations,
  replyBit,
} from '../../src/peer/messages.ts';
import { encodeWrite } from '../../src/peer/replica/codec.ts';
import { decodeToken, encodeToken, makeProof } from '../../src/peer/token.ts';
import { goldenChunks } from './golden.ts';

const root = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
const other = Uint8Array.from({ length: 32 }, (_, i) => 255 - i);
const id = '00112233445566778899aabbccddeeff';

export const goldenHello = {
  protocol: { min: 1, max: 1 },
  cluster: { id, name: 'west' },
  agentVersion: '0.1.0',
  capabilities: ['one', 'two'],
  use: 'demand',
  wallMs: 1_700_000_000_123,
} as const;

export const goldenGrant = {
  leaseId: 'lease-1',
  version: { root, sizeBytes: 2 ** 46, blockBytes: 65_536, allocatedBlocks: 2 ** 29 + 1 },
  expiresMs: 1_700_000_600_000,
  recentUse: [
    { first: 5, count: 2 },
    { first: 2 ** 29, count: 256 },
  ],
} as const;

export const goldenPath = {
  root,
  sizeBytes: 2 ** 46,
  blockBytes: 65_536,
  firstBlock: 2 ** 29 + 3,
  blockCount: 17,
  skipLevels: 2,
} as const;

export const goldenVolume = {
  id: 'v1',
  name: 'db',
  sizeBytes: 2 ** 40,
  blockBytes: 4096,
  phase: 'Accessible',
  allocatedBlocks: 12,
} as const;

const goldenSecret = Buffer.alloc(32, 0x5a);

export const goldenToken = {
  cluster: { id, name: 'east' },
  addresses: ['east.example:7441', '[2001:db8::1]:7441'],
  fingerprint: 'ab'.repeat(32),
  tokenId: '0123456789abcdef',
  secret: goldenSecret,
  expiresMs: 1_700_003_600_000,
} as const;

export const goldenProof = makeProof({
  secret: goldenSecret,
  binding: other,
  joining: 'cd'.repeat(32),
  accepting: 'ab'.repeat(32),
});

function chunkPayload(): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const chunk of goldenChunks()) encodeChunk(chunk, parts);
  return Buffer.concat(parts);
}

function frame(type: number, payload: Uint8Array, head: Partial<FrameHead> = {}): Uint8Array {
  const full: FrameHead = { type, lane: 'demand', last: true, number: type, argument: 0, ...head };
  return Buffer.concat([encodeFrameHead(full, payload.length), payload]);
}

function reply(type: number, payload: Uint8Array, head: Partial<FrameHead> = {}): Uint8Array {
  return frame(type | replyBit, payload, { number: type, ...head });
}

export function goldenPeerFrames(): Uint8Array {
  const { hello, ping, volumes, grant, read, pull, have, push, join } = operations;
  const credit = { argument: 1_000_000 };
  const lease = { key: 'k', volume: 'db', atMs: 7, holder: 'west/db', lifeMs: 1000 };
  const error = new TransshipError('NotFound', 'no volume db');
  const background = { lane: 'background', last: false, number: 0xfffffffe } as const;
  return Buffer.concat([
    frame(hello, encodeHello(goldenHello), credit),
    frame(ping, new Uint8Array(0), credit),
    reply(ping, encodeJson({ wallMs: 5 })),
    reply(volumes, encodeVolumes([goldenVolume])),
    frame(grant, encodeGrantRequest(lease), credit),
    reply(grant, encodeGrant(goldenGrant)),
    frame(read, encodePathRequest(goldenPath), credit),
    frame(pull, encodeNames([root, other]), credit),
    reply(pull, chunkPayload(), background),
    reply(pull, new Uint8Array(0), { ...background, last: true, argument: 2 }),
    frame(have, encodeNames([root]), credit),
    reply(have, encodeFlags([true, false, false, true, true, false, false, false, true])),
    frame(push, chunkPayload(), credit),
    frame(join, encodeJson({ token: encodeToken(goldenToken), proof: goldenProof }), credit),
    frame(errorType, encodeError(error, grant)),
  ]);
}

/** A write of two records, as replicas get it. */
export const goldenReplicaWrite = {
  volume: 'db',
  term: { epoch: 4_000_000_000, term: '0f'.repeat(16) },
  batch: {
    first: 2 ** 40,
    joins: true,
    records: [
      { firstSector: 2 ** 33, sectors: 1, data: new Uint8Array(4096).fill(7) },
      { firstSector: 5, sectors: 1000, data: undefined },
    ],
  },
} as const;

export function goldenReplicaFrames(): Uint8Array {
  const { replicaWrite, replicaFlush, replicaState, replicaRead, replicaChange } = operations;
  const credit = { argument: 1_000_000 };
  const term = { ...goldenReplicaWrite.term, leader: 'east' };
  const about = { volume: 'db', term, sequence: 2 ** 40 };
  return Buffer.concat([
    frame(replicaWrite, Buffer.concat(encodeWrite(goldenReplicaWrite)), credit),
    reply(replicaWrite, new Uint8Array(0)),
    frame(replicaFlush, encodeJson(about), credit),
    frame(replicaState, encodeJson({ volume: 'db' }), credit),
    frame(replicaRead, encodeJson({ ...about, offset: 4096, bytes: 512 }), credit),
    frame(replicaChange, encodeJson({ volume: 'db', term, action: 'promise' }), credit),
  ]);
}

export const goldenReplicaPath = new URL('../golden/peer-replicas-1.bin', import.meta.url);
export const goldenPeerPath = new URL('../golden/peer-1.bin', import.meta.url);

if (import.meta.main) {
  decodeToken(encodeToken(goldenToken));
  writeFileSync(goldenPeerPath, goldenPeerFrames());
  writeFileSync(goldenReplicaPath, goldenReplicaFrames());
}
