/** Answers to the kernel. Each is one buffer: /dev/fuse takes an answer in one write. */
import { type Init } from './request.ts';
import { fileName, fuseLimits, initFlags, nodes, sizes, version } from './protocol.ts';

const directoryMode = 0o040_500;
const fileMode = 0o100_600;
const readOnlyFileMode = 0o100_400;
/** Reported as the block of the file system: a loop device takes it for what can be discarded. */
const sectorBytes = 512;
/** Of the file. No larger than a page, which the kernel's cache relies on. */
const blockBytes = 4096;
/** Types of directory entries (DT_DIR, DT_REG). */
const entryTypes = { directory: 4, file: 8 } as const;

/** What the kernel sees of the file and of the directory around it. */
export interface FileFacts {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
}

/** With room for `bytes` behind its header, which is written. */
export function replyWith(unique: bigint, bytes: number): Buffer {
  const reply = Buffer.alloc(sizes.outHeader + bytes);
  writeHeader(reply, unique, 0);
  return reply;
}

export function errorReply(unique: bigint, errno: number): Buffer {
  const reply = Buffer.alloc(sizes.outHeader);
  writeHeader(reply, unique, -errno);
  return reply;
}

/** The length is that of `reply`. */
export function writeHeader(reply: Buffer, unique: bigint, error: number): void {
  reply.writeUInt32LE(reply.length, 0);
  reply.writeInt32LE(error, 4);
  reply.writeBigUInt64LE(unique, 8);
}

/** `asked`: of the kernel; what it does not know is not asked of it. */
export function initReply(unique: bigint, asked: Init): Buffer {
  const reply = replyWith(unique, sizes.initOut);
  const at = sizes.outHeader;
  const { asyncRead, bigWrites, maxPages } = initFlags;
  const flags = asked.flags & (asyncRead | bigWrites | maxPages);
  reply.writeUInt32LE(version.major, at);
  reply.writeUInt32LE(Math.min(version.minor, asked.minor), at + 4);
  reply.writeUInt32LE(asked.readaheadBytesMax, at + 8);
  reply.writeUInt32LE(flags, at + 12);
  reply.writeUInt16LE(fuseLimits.inFlightMax, at + 16);
  reply.writeUInt16LE(fuseLimits.inFlightMax, at + 18);
  reply.writeUInt32LE(fuseLimits.dataBytesMax, at + 20);
  // Times are of no use here: granularity of a second.
  reply.writeUInt32LE(1, at + 24);
  reply.writeUInt16LE(fuseLimits.pagesMax, at + 28);
  return reply;
}

/** Valid for no time at all: the kernel asks for the size each time, because it grows. */
export function attributesReply(unique: bigint, node: number, facts: FileFacts): Buffer {
  const reply = replyWith(unique, 16 + sizes.attributes);
  writeAttributes(reply, sizes.outHeader + 16, node, facts);
  return reply;
}

/** Of a LOOKUP that found the file. */
export function entryReply(unique: bigint, facts: FileFacts): Buffer {
  const reply = replyWith(unique, 40 + sizes.attributes);
  reply.writeBigUInt64LE(BigInt(nodes.file), sizes.outHeader);
  writeAttributes(reply, sizes.outHeader + 40, nodes.file, facts);
  return reply;
}

function writeAttributes(reply: Buffer, at: number, node: number, facts: FileFacts): void {
  const isFile = node === nodes.file;
  const size = isFile ? facts.sizeBytes : 0;
  reply.writeBigUInt64LE(BigInt(node), at);
  reply.writeBigUInt64LE(BigInt(size), at + 8);
  reply.writeBigUInt64LE(BigInt(Math.ceil(size / sectorBytes)), at + 16);
  const mode = facts.readOnly ? readOnlyFileMode : fileMode;
  reply.writeUInt32LE(isFile ? mode : directoryMode, at + 60);
  reply.writeUInt32LE(isFile ? 1 : 2, at + 64);
  reply.writeUInt32LE(blockBytes, at + 80);
}

/**
 * Of OPEN and OPENDIR, without flags: the kernel may cache what is read, and is told of writes at
 * once. Measured with a loop device above: without its cache, small reads are ten times slower.
 */
export function openReply(unique: bigint): Buffer {
  return replyWith(unique, 16);
}

export function writeReply(unique: bigint, writtenBytes: number): Buffer {
  const reply = replyWith(unique, 8);
  reply.writeUInt32LE(writtenBytes, sizes.outHeader);
  return reply;
}

/** The whole listing fits one answer; what was read already is not repeated. */
export function directoryReply(unique: bigint, from: number): Buffer {
  const names: readonly (readonly [string, number, number])[] = [
    ['.', nodes.directory, entryTypes.directory],
    ['..', nodes.directory, entryTypes.directory],
    [fileName, nodes.file, entryTypes.file],
  ];
  const entries = names.map(([name, node, type], index) => {
    const entry = Buffer.alloc(Math.ceil((sizes.direntHeader + name.length) / 8) * 8);
    entry.writeBigUInt64LE(BigInt(node), 0);
    entry.writeBigUInt64LE(BigInt(index + 1), 8);
    entry.writeUInt32LE(name.length, 16);
    entry.writeUInt32LE(type, 20);
    entry.write(name, sizes.direntHeader);
    return entry;
  });
  const listing = Buffer.concat(entries.slice(from));
  const reply = replyWith(unique, listing.length);
  listing.copy(reply, sizes.outHeader);
  return reply;
}

/** Nothing is free, as nothing can be added. */
export function statisticsReply(unique: bigint, facts: FileFacts): Buffer {
  const reply = replyWith(unique, 80);
  const at = sizes.outHeader;
  reply.writeBigUInt64LE(BigInt(Math.ceil(facts.sizeBytes / sectorBytes)), at);
  reply.writeBigUInt64LE(2n, at + 24);
  reply.writeUInt32LE(sectorBytes, at + 40);
  reply.writeUInt32LE(255, at + 44);
  reply.writeUInt32LE(sectorBytes, at + 48);
  return reply;
}
