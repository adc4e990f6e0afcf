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
  blockBytesAllowed: [
    4 * KiB,
    8 * KiB,
    16 * KiB,
    32 * KiB,
    64 * KiB,
    128 * KiB,
  ] as readonly number[],
  /** The unit of the journal and of the overlay: what databases and file systems write. */
  sectorBytes: 4 * KiB,
  /** Names in a tree page; 256 names of 32 bytes are 8 KiB. */
  pageNames: 256,
  segmentBytesMax: 256 * MiB,
  /** One journal file; small enough that dropping the oldest returns space soon. */
  journalFileBytes: 64 * MiB,
  /** All live journal files of a pool: bounds replay time and the overlay's memory. */
  journalBytesMax: 1 * GiB,
  /**
   * Uncompressed hot blocks kept in an unlinked file; the kernel's page cache holds what is used.
   */
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
  /** Characters of one part of a backup: a request of the control API takes it. */
  backupPartMax: 48 * KiB,
  /** History at one-second steps; more would make restore logs unreasonably long. */
  historySecondsMaxMs: 24 * 3600 * 1000,
  historyMinutesMaxMs: 31 * 24 * 3600 * 1000,
  historyHoursMaxMs: 366 * 24 * 3600 * 1000,
  historyDaysMaxMs: 3660 * 24 * 3600 * 1000,
  /** A frame of the peer protocol, header excluded. */
  frameBytesMax: 8 * MiB,
  /** The same before the greeting is done: whoever sends it is not known yet. */
  frameBytesStranger: 16 * KiB,
  /** Background frames are cut near this, so that demand waits for little. */
  frameBytesTarget: 256 * KiB,
  /** Links to one peer; the first carries demand only. */
  peerLinks: 3,
  /** Links one peer may open here: its own `peerLinks` per agent, some dying, some new. */
  peerLinksInMax: 32,
  peersMax: 256,
  /** Open requests, their reply credit and their payloads on one link. */
  peerRequestsMax: 256,
  peerCreditBytesMax: 128 * MiB,
  peerRequestBytesMax: 32 * MiB,
  /** What waits to be sent on a link before its readers pause, and what ends the link. */
  peerSendBytes: 2 * MiB,
  peerSendBytesMax: 32 * MiB,
  /** Background bytes asked for and not yet here, per peer; between them follows the link. */
  peerWindowBytesMin: 8 * MiB,
  peerWindowBytesMax: 96 * MiB,
  peerPingMs: 5_000,
  /** A link that says nothing for so long, pings included, is dead. */
  peerSilenceMs: 15_000,
  peerBackoffMsMin: 250,
  peerBackoffMsMax: 30_000,
  peerConnectTimeoutMs: 10_000,
  /** Strangers at the peer port: how many at a time, and how long each. */
  strangersMax: 16,
  strangerMs: 10_000,
  tokensMax: 64,
  tokenCharactersMax: 4096,
  /** A grant asked for again with the same key within this time gives the same lease. */
  grantMemoryMs: 600_000,
  haveNamesMax: 65_536,
  pushBytesMax: 2 * MiB,
  probeBytesMax: 64 * MiB,
  /** Names asked for in one pull. */
  pullNamesMax: 1024,
  /** How long a read waits for an unreachable source before it fails with EIO. */
  demandTimeoutMs: 30_000,
  leaseMs: 7 * 24 * 3600 * 1000,
  leaseRenewMs: 60_000,
  tokenLifeMs: 3600 * 1000,
} as const;
