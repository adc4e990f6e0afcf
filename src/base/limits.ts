/** Every bound of the system, with its reason. Units are in the names. */

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const TiB = 1024 * GiB;

export const limits = {
  volumeBytesMin: 1 * MiB,
  /** Four tree levels at 64 KiB blocks and five at 4 KiB; block numbers stay below 2^34. */
  volumeBytesMax: 64 * TiB,
  blockBytesDefault: 64 * KiB,
  blockBytesAllowed: [4 * KiB, 8 * KiB, 16 * KiB, 32 * KiB, 64 * KiB, 128 * KiB] as readonly number[],
  /** The unit of the journal and of the overlay: what databases and file systems write. */
  sectorBytes: 4 * KiB,
  /** Names in a tree page; 256 names of 32 bytes are 8 KiB. */
  pageNames: 256,
  segmentBytesMax: 256 * MiB,
  /** One journal file; small enough that dropping the oldest returns space soon. */
  journalFileBytes: 64 * MiB,
  /** All live journal files of a pool: bounds replay time and the overlay's memory. */
  journalBytesMax: 1 * GiB,
  /** Uncompressed hot blocks kept in an unlinked file; the kernel's page cache holds what is used. */
  cacheBytesDefault: 1 * GiB,
  /** Decoded tree pages in memory: 4096 pages reach 64 GiB of volume at 64 KiB blocks. */
  pageCacheEntries: 4096,
  /** Free bytes kept so that journal and collection still work when the pool is full. */
  reserveBytes: 256 * MiB,
  /** A full pool becomes writable again below this share (I-31). */
  writableAgainRatio: 0.98,
  /** A door refuses larger requests (NBD's customary maximum). */
  requestBytesMax: 32 * MiB,
  nameLengthMax: 63,
  /** History at one-second steps; more would make restore logs unreasonably long. */
  historySecondsMaxMs: 24 * 3600 * 1000,
  historyMinutesMaxMs: 31 * 24 * 3600 * 1000,
  historyHoursMaxMs: 366 * 24 * 3600 * 1000,
  historyDaysMaxMs: 3660 * 24 * 3600 * 1000,
  /** A frame of the peer protocol, header excluded. */
  frameBytesMax: 8 * MiB,
  /** Names asked for in one pull. */
  pullNamesMax: 1024,
  /** How long a read waits for an unreachable source before it fails with EIO. */
  demandTimeoutMs: 30_000,
  leaseMs: 7 * 24 * 3600 * 1000,
  leaseRenewMs: 60_000,
  tokenLifeMs: 3600 * 1000,
} as const;
