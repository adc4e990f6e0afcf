/** Is all of a volume here, is it intact, and does it equal one of a peer? */
import { apiVersion, type Finding, type ReportObject } from '../api/objects.ts';
import { asTransshipError } from '../base/errors.ts';
import type { RequestOf } from '../api/control.ts';
import { formatBytes } from '../base/units.ts';
import { nameAt, isZeroName, nameHex } from '../volume/name.ts';
import { unpackChunk } from '../volume/pack.ts';
import { treeDepth } from '../volume/tree.ts';
import { type Name, nameBytes, type Version } from '../volume/types.ts';
import type { AgentParts } from './parts.ts';
import type { OpenPool } from './ports.ts';
import { momentFrom } from './volumes.ts';

export type VerifyRequest = RequestOf<'volume.verify'>;

export interface WalkProgress {
  readonly signal: AbortSignal;
  progress(doneBytes: number, totalBytes: number): void;
}

/** Chunks read at once by a deep walk. */
const batchNames = 32;

export async function verifyVolume(
  parts: AgentParts,
  request: VerifyRequest,
  walk: WalkProgress,
): Promise<ReportObject> {
  const { pool, volume } = parts.pools.locate(request.volume);
  const version = await volume.versionAt(momentFrom(request));
  const findings: Finding[] = [await walkFinding(pool, version, { ...walk, deep: request.deep })];
  if (request.cluster !== undefined) {
    findings.push(await compareFinding(parts, request, version));
  }
  return {
    kind: 'Report',
    apiVersion,
    metadata: { name: request.volume, cluster: parts.info.cluster },
    passed: findings.every(({ result }) => result === 'Passed'),
    findings,
  };
}

async function compareFinding(
  parts: AgentParts,
  request: VerifyRequest,
  version: Version,
): Promise<Finding> {
  const peer = parts.clusters.cloud.peer(request.cluster!);
  const volume = request.peerVolume ?? request.volume;
  const check = `equal to ${request.cluster}/${volume}`;
  const { atMs } = request;
  const lease = await peer.grantLease({
    volume,
    holder: `${parts.info.cluster}/verify`,
    lifeMs: 60_000,
    ...(atMs === undefined ? {} : { atMs }),
  });
  await peer.releaseLease(lease.leaseId).catch((error: unknown) => {
    const { message } = asTransshipError(error);
    parts.ports.log.log('debug', 'a lease for verifying runs out by itself', { message });
  });
  const theirs = lease.version;
  const same =
    nameHex(theirs.root) === nameHex(version.root) && theirs.sizeBytes === version.sizeBytes;
  if (same) {
    return { check, result: 'Passed', message: `both have root ${nameHex(version.root)}` };
  }
  const message = `root ${shortRoot(version)} here, ${shortRoot(theirs)} there`;
  const remedy = 'One of them was written to since; compare a snapshot or a moment of both.';
  return { check, result: 'Failed', message, remedy };
}

function shortRoot(version: Version): string {
  return nameHex(version.root).slice(0, 12);
}

interface Walk extends WalkProgress {
  readonly deep: boolean | undefined;
}

interface Tally {
  blocks: number;
  missing: number;
  corrupt: number;
}

async function walkFinding(pool: OpenPool, version: Version, walk: Walk): Promise<Finding> {
  const tally: Tally = { blocks: 0, missing: 0, corrupt: 0 };
  const depth = treeDepth(version.sizeBytes, version.blockBytes);
  const totalBytes = version.allocatedBlocks * version.blockBytes;
  const report = () => walk.progress(tally.blocks * version.blockBytes, totalBytes);
  await walkPage({ pool, walk, tally, report }, version.root, depth);
  const check = walk.deep === true ? 'complete and intact' : 'complete';
  const missingText = `${formatBytes(tally.missing * version.blockBytes)} of it are not here`;
  if (tally.corrupt > 0) {
    const remedy = 'Run `transship pool scrub`; restore from a peer or snapshot.';
    return { check, result: 'Failed', message: `${tally.corrupt} chunks are corrupt`, remedy };
  }
  if (tally.missing > 0) {
    const remedy = 'Wait for the teleport, or fill it: transship teleport fill.';
    return { check, result: 'Failed', message: missingText, remedy };
  }
  const how = walk.deep === true ? 'every chunk was read and hashed' : 'every chunk is here';
  const message = `${how}: ${formatBytes(totalBytes)}, root ${shortRoot(version)}`;
  return { check, result: 'Passed', message };
}

interface Visit {
  readonly pool: OpenPool;
  readonly walk: Walk;
  readonly tally: Tally;
  readonly report: () => void;
}

/** A page at `level` levels above the blocks; a missing page counts as one missing block. */
async function walkPage(visit: Visit, name: Name, level: number): Promise<void> {
  visit.walk.signal.throwIfAborted();
  if (isZeroName(name)) return;
  if (level === 0) return visitBlocks(visit, [name]);
  const page = await visit.pool.api.readPage(name);
  if (page === undefined) {
    visit.tally.missing++;
    return;
  }
  const names: Name[] = [];
  for (let at = 0; at < page.length; at += nameBytes) {
    const entry = nameAt(page, at / nameBytes);
    if (!isZeroName(entry)) names.push(entry);
  }
  if (level === 1) return visitBlocks(visit, names);
  for (const entry of names) await walkPage(visit, entry, level - 1);
}

async function visitBlocks(visit: Visit, names: readonly Name[]): Promise<void> {
  const { pool, walk, tally } = visit;
  const missing = pool.api.missing(names);
  tally.missing += missing.length;
  tally.blocks += names.length;
  if (walk.deep === true) {
    for (let first = 0; first < names.length; first += batchNames) {
      walk.signal.throwIfAborted();
      await hashSome(visit, names.slice(first, first + batchNames));
    }
  }
  visit.report();
}

/** `readStored` leaves out what fails its checksum, so fewer than are here means corruption. */
async function hashSome({ pool, tally }: Visit, names: readonly Name[]): Promise<void> {
  const chunks = await pool.api.readStored(names);
  const absent = pool.api.missing(names).length;
  tally.corrupt += names.length - absent - chunks.length;
  tally.corrupt += chunks.filter((chunk) => unpackChunk(chunk) === undefined).length;
}
