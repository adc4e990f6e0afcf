/** Numbers of the FUSE protocol (Linux, include/uapi/linux/fuse.h) and our own bounds on it. */
import type { Reason } from '../base/reasons.ts';

export const version = { major: 7, minor: 31 } as const;
/** The oldest minor version with `max_pages`, which requests of more than 128 KiB need. */
export const minorMin = 28;

export const opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  access: 34,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  fallocate: 43,
} as const;

export const initFlags = {
  asyncRead: 1 << 0,
  bigWrites: 1 << 5,
  maxPages: 1 << 22,
} as const;

export const fallocateModes = { keepSize: 1, punchHole: 2, zeroRange: 16 } as const;

/** Sent as negative numbers. */
export const errno = {
  permission: 1,
  notFound: 2,
  io: 5,
  invalid: 22,
  noSpace: 28,
  readOnly: 30,
  notImplemented: 38,
  notSupported: 95,
} as const;

export const sizes = {
  inHeader: 40,
  outHeader: 16,
  /** What of the kernel's INIT we read. */
  initIn: 16,
  initOut: 64,
  /** Of READ and WRITE; the data of a WRITE follows. */
  transferIn: 40,
  fallocateIn: 32,
  attributes: 88,
  direntHeader: 24,
} as const;

const pageBytes = 4096;
const dataBytesMax = 1024 * 1024;

export const fuseLimits = {
  /** Of one READ or WRITE. */
  dataBytesMax,
  pagesMax: dataBytesMax / pageBytes,
  /** What a read of /dev/fuse has to have room for, or the kernel refuses it. */
  requestBytesMax: dataBytesMax + pageBytes,
  /** Requests that nobody waits for, as reading ahead; the kernel holds back what is more. */
  inFlightMax: 64,
} as const;

/** The two inodes there are: the directory, which the protocol says is 1, and the file in it. */
export const nodes = { directory: 1, file: 2 } as const;
export const fileName = 'disk';

const byReason: Readonly<Partial<Record<Reason, number>>> = {
  PoolFull: errno.noSpace,
  ReadOnly: errno.readOnly,
};

/** What the kernel is told of an error of ours. */
export function errnoOf(reason: Reason): number {
  return byReason[reason] ?? errno.io;
}
