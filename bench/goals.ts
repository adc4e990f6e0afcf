/** What each row compares, how, and why it misses its goal where it does. */

export interface RowText {
  readonly what: string;
  readonly against: string;
  readonly method: string;
  /** For a goal that is missed: why, and what it would take. */
  readonly argument?: string;
}

export const rowTexts: Readonly<Record<string, RowText>> = {
  accessible: {
    what: 'time from request to Accessible',
    against: '16 TiB volume with 2 GiB of data : 1 GiB volume',
    method:
      'Two agents on loopback; the request is the control call that `teleport start` makes. ' +
      'The data lies in 1 MiB pieces all over the volume, so the tree is as wide as that data ' +
      'allows.',
  },
  'accessible-far': {
    what: 'the same over a link of 50 ms round trip',
    against: '1 GiB volume; 1 s',
    method: 'The same through a relay that holds back every byte for 25 ms each way.',
  },
  'nbd-4k-read': {
    what: 'NBD 4 KiB random read, QD32, 1 connection',
    against: 'nbdkit file, qemu-nbd raw file',
    method:
      'fio with its NBD engine on unix sockets, 2 s each. All of the volume was written, ' +
      'settled and read before; the peers serve a fully written raw file from the page cache.',
  },
  'nbd-4k-write': {
    what: 'NBD 4 KiB random write, QD32, 1 connection',
    against: 'nbdkit file, qemu-nbd raw file',
    method:
      'A fixed amount, timed to the end of the flush that closes it, less the start of fio. ' +
      'Settling, that is hashing and compressing behind the acknowledged writes, is waited for ' +
      'and reported, not counted.',
  },
  'nbd-two-connections': {
    what: 'NBD 4 KiB random read, two connections',
    against: 'one connection',
    method: 'As above, QD32 on each connection.',
  },
  'nbd-seq-read': {
    what: 'NBD sequential read 256 KiB, QD8',
    against: 'nbdkit file, qemu-nbd raw file',
    method: 'fio, 2 s each over a volume of data that compresses 2:1, written and read before.',
  },
  'nbd-seq-write': {
    what: 'NBD sequential write 256 KiB, QD8',
    against: 'nbdkit file, qemu-nbd raw file',
    method:
      'fio writes the whole volume with new data that compresses 2:1, timed to the end of the ' +
      'flush, less the start of fio. Settling is reported, not counted.',
  },
  flush: {
    what: "flush-per-write 4 KiB (a database's log)",
    against: 'a plain file with fdatasync on the same disk',
    method:
      'One writer, in order, over 64 MiB that were written before: fio over NBD with a flush ' +
      'after each write, against pwrite and fdatasync. nbdkit is shown for what NBD itself ' +
      'costs.',
  },
  ingest: {
    what: 'ingest of a real image to disk',
    against: '`zstd -1 -T2`; restic, borg, casync',
    method:
      'An ext4 image of a part of the files of this machine, in the page cache; `volume ' +
      'import` into an empty pool until the root is durable. restic, borg (zstd,1) and casync ' +
      'store the same file in a new repository; what zstd and casync leave unsynced is synced ' +
      'within their time.',
  },
  'ingest-duplicates': {
    what: 'ingest of data that the pool has',
    against: '1 GB/s',
    method: 'The same image imported again under another name, per byte that is not a hole.',
  },
  teleport: {
    what: 'teleport of a stored volume, empty far pool',
    against: 'rsync daemon with zstd; `zstd | tcp | zstd -d`',
    method:
      'From the request to `Available`, all data verified and durable; TLS on our side, plain ' +
      'TCP on theirs. rsync with `-z --zc=zstd --zl=1 --sparse --fsync`, the pipe with zstd -1 ' +
      '-T2, socat and a sync. Bytes are those of the loopback interface of a network namespace ' +
      'of the run.',
  },
  'teleport-again': {
    what: 'the same with an earlier version there',
    against: 'rsync delta with zstd',
    method:
      'The image after about a twentieth of it was added inside the file system. rsync updates ' +
      'its copy in place with `--inplace --no-whole-file`.',
  },
  'cold-read': {
    what: 'cold read of one 64 KiB block at the far side',
    against: 'round trip of the link (20 ms)',
    method:
      'fio at depth 1 over blocks never read before, of a thin teleport through a relay that ' +
      'holds back 10 ms each way; the round trip is that of one byte through such a relay.',
  },
  'reads-during-fetch': {
    what: "application's reads during the background fetch",
    against: 'the same reads of a thin teleport',
    method:
      'fio, 300 random 4 KiB reads a second, just after `Accessible`, over a link with a round ' +
      'trip of 20 ms; both agents, the relay and fio share the cores of this machine.',
  },
  verify: {
    what: 'verify a finished teleport',
    against: 'reading and hashing the whole volume',
    method:
      '`volume verify --against` the source: all names are there and the roots are equal; ' +
      'against nbdcopy of the volume into sha256sum, from warm caches.',
  },
  snapshot: {
    what: 'snapshot',
    against: '16 TiB : 1 GiB; 50 ms',
    method: 'The control call, on volumes with data and history.',
  },
  clone: {
    what: 'clone of a snapshot',
    against: '16 TiB : 1 GiB; 50 ms',
    method: 'The control call.',
  },
  restore: {
    what: 'restore to a second of the history',
    against: '16 TiB : 1 GiB; 50 ms',
    method: 'The control call, to the last second of three writes with pauses between them.',
  },
  restart: {
    what: 'start after SIGKILL with a full journal',
    against: '3 s',
    method: 'Random 4 KiB writes as fast as they go, SIGKILL, then from spawning to readiness.',
  },
  memory: {
    what: 'agent memory',
    against: '150 MiB + 50 bytes a chunk',
    method: 'VmRSS after importing random data in 4 KiB blocks; also after a restart.',
  },
  nbdcopy: {
    what: 'nbdcopy of a real image into a new volume',
    against: 'into nbdkit file',
    method: '`nbdcopy --flush`; ours is on its way to being hashed and compressed when it ends.',
  },
  'qemu-img': {
    what: 'qemu-img convert of a real image into a new volume',
    against: 'into nbdkit file',
    method: '`qemu-img convert -n -O raw`, which flushes at the end.',
  },
};
