/** What each row compares, how, and why it misses its goal where it does. */

export interface RowText {
  readonly what: string;
  readonly against: string;
  readonly method: string;
  /** For a goal that is missed: why, and what it would take. */
  readonly argument?: string;
}

export const rowTexts: Readonly<Record<string, RowText>> = {
  'files-first': {
    what: 'Filesystem: first copy of a tree of real files',
    against: 'rsync with the same flags through stunnel, set up by hand',
    method:
      'Both movers as processes of the packed program, both sides verified; the start of our ' +
      'client counts, that of our server and of the daemon and tunnels of the other does not.',
    argument: 'It is the same rsync in the same TLS; what is left is the start of our client.',
  },
  'files-again': {
    what: 'Filesystem: the next stage, one file in a hundred changed',
    against: 'the same',
    method: 'As above; the change is made before each round.',
    argument: 'A pass over an unchanged tree is quick, so the start of our client shows.',
  },
  'files-audited': {
    what: 'Filesystem: the last pass with its closing audit, nothing changed',
    against: 'rsync --checksum of the same tree',
    method:
      'Theirs reads every file on both sides. Ours goes by sizes and times, as a last pass does ' +
      'unless content is to be compared, and then both sides list every entry and compare.',
    argument: 'Ours compares owners, modes, times, ACLs and attributes in runs of their own.',
  },
  'blocks-first': {
    what: 'Block: first copy of a raw disk',
    against: 'rsync --inplace --whole-file through stunnel',
    method:
      'Random bytes; both end with a flush. The start of our sender counts, as that of rsync; ' +
      'our receiver listens before, as the daemon and the tunnels of the other do.',
    argument: 'Ours hashes every block on both sides, so that a cut copy resumes at its blocks.',
  },
  'blocks-again': {
    what: 'Block: the next pass, 4 KiB in every 6.25 MiB changed',
    against: 'rsync --inplace --no-whole-file --ignore-times through stunnel',
    method: 'As above; the change is made before each round, and every copy is compared.',
    argument: 'Both read and hash both disks.',
  },
  'device-4k-read': {
    what: 'device of a pod: 4 KiB random read, QD16, nothing in memory',
    against: 'the same with nbdfuse instead of our FUSE server',
    method: 'A loop device on a file; both files are served through the keeper from one agent.',
  },
  'device-4k-write': {
    what: 'device of a pod: 4 KiB random write, QD16',
    against: 'the same',
    method: 'As above.',
  },
  'device-sync': {
    what: 'device of a pod: 4 KiB random write, each with a flush',
    against: 'the same',
    method: 'As above.',
  },
  'device-seq-read': {
    what: 'device of a pod: sequential read 1 MiB, QD4, nothing in memory',
    against: 'the same',
    method: 'As above.',
  },
  'device-seq-write': {
    what: 'device of a pod: sequential write 1 MiB, QD4',
    against: 'the same',
    method: 'As above.',
  },
  'replicas-write': {
    what: 'NBD 4 KiB random write, QD32, with replicas on other agents',
    against: 'the same volume with one replica',
    method:
      'fio, a fixed amount, timed to the end of the flush; all agents on loopback and on the ' +
      'same cores, each with a journal of its own on the same disk. Settling is waited for.',
    argument:
      'Every replica journals, hashes and compresses everything it gets, here all of them on ' +
      'one machine; on machines of their own the followers cost the writer one message each.',
  },
  'replicas-write-sequential': {
    what: 'NBD sequential write 256 KiB, QD8, with replicas on other agents',
    against: 'the same volume with one replica',
    method: 'As above, with data that compresses 2:1.',
    argument: 'As above.',
  },
  'replicas-read': {
    what: 'NBD 4 KiB random read, QD32, with replicas on other agents',
    against: 'the same volume with one replica',
    method: 'fio, 2 s each, all of it read before. The leader reads its own replica.',
  },
  'replicas-rebuild': {
    what: 'a new replica from nothing, no limit of speed',
    against: 'cp of as many stored bytes, synced',
    method:
      'From the request until the new replica is Healthy; the other is a plain copy of a file ' +
      'as large as what the volume takes in its pool, on the same disk.',
    argument:
      'Every chunk is checked against its name at the new replica before it counts, and ' +
      'travels through TLS between two processes on the same cores.',
  },
  'replicas-rebuild-part': {
    what: 'a replica that was away while 1 % of the blocks changed',
    against: 'the rebuild of the same volume from nothing',
    method: 'Its agent is killed, the blocks are written, and it is started: from then on.',
  },
  'replicas-during': {
    what: 'p99 of 4 KiB random reads while a replica is rebuilt',
    against: 'the same reads with no rebuild',
    method: 'fio at QD4; the rebuild runs with the default share of the speed.',
  },
  images: {
    what: 'image of two platforms, registry to registry',
    against: '`skopeo copy --all`',
    method: 'Two docker-registry processes with TLS on loopback, an empty one each round.',
    argument: 'The registries hash and write every layer; neither program can be faster.',
  },
  accessible: {
    what: 'time from request to Accessible',
    against: '16 TiB volume with 2 GiB of data : 1 GiB volume',
    method:
      'Two agents on loopback; the request is the control call that `teleport start` makes. ' +
      'The data lies in 1 MiB pieces all over the volume, so the tree is as wide as that data ' +
      'allows.',
    argument:
      'Both take the same exchange of messages; a few milliseconds on loopback, where one wait ' +
      'for a busy core changes the ratio.',
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
    argument:
      'One thread answers all requests and checks a CRC-32 of every sector it returns; the ' +
      'peers check nothing and use several threads. Where cores are contended, several threads ' +
      'also get more of them than one.',
  },
  'nbd-4k-write': {
    what: 'NBD 4 KiB random write, QD32, 1 connection',
    against: 'nbdkit file, qemu-nbd raw file',
    method:
      'A fixed amount, timed to the end of the flush that closes it, less the start of fio. ' +
      'Settling, that is hashing and compressing behind the acknowledged writes, is waited for ' +
      'and reported, not counted.',
    argument:
      'One thread journals with a checksum per sector; the peers write to the page cache from ' +
      'several threads.',
  },
  'nbd-two-connections': {
    what: 'NBD 4 KiB random read, two connections',
    against: 'one connection',
    method: 'As above, QD32 on each connection.',
    argument:
      'One thread owns the engine and serves all connections (decision 0004), so a second ' +
      'connection adds nothing once that thread is busy, and the client takes the other core. ' +
      'Meeting this needs readers in threads: the overlay, the name map, the tree pages and the ' +
      "cache's table in shared memory, with the owner as their only writer. That is a change of " +
      'architecture, worth it on machines with more cores than this one.',
  },
  'nbd-seq-read': {
    what: 'NBD sequential read 256 KiB, QD8',
    against: 'nbdkit file, qemu-nbd raw file',
    method: 'fio, 2 s each over a volume of data that compresses 2:1, written and read before.',
    argument:
      'Of the time of our thread about four tenths are the CRC-32 of every sector read from the ' +
      'cache file (4 to 5 GB/s here), the rest is reading the file and writing the socket, ' +
      'which is all that the peers do, in several threads. The promise that bytes returned are ' +
      'the bytes written is worth more than this ratio; readers in threads, as for two ' +
      'connections, should meet it.',
  },
  'nbd-seq-write': {
    what: 'NBD sequential write 256 KiB, QD8',
    against: 'nbdkit file, qemu-nbd raw file',
    method:
      'fio writes the whole volume with new data that compresses 2:1, timed to the end of the ' +
      'flush, less the start of fio. Settling is reported, not counted.',
    argument:
      'The data is written twice within the run: to the journal, and behind it hashed and ' +
      'compressed into segments, which begins when half the journal is full and competes with ' +
      'the writer and with fio for two cores. Writing whole aligned blocks straight to ' +
      'segments, with only their names in the journal, would halve the bytes; it needs a new ' +
      'kind of journal entry.',
  },
  flush: {
    what: "flush-per-write 4 KiB (a database's log)",
    against: 'a plain file with fdatasync on the same disk',
    method:
      'One writer, in order, over 64 MiB that were written before: fio over NBD with a flush ' +
      'after each write, against pwrite and fdatasync. nbdkit is shown for what NBD itself ' +
      'costs.',
    argument:
      "nbdkit over the same file shows what NBD itself costs here: two more processes' wake-ups " +
      'for each write and flush. Ours adds a journal frame of 4 KiB to each 4 KiB written and ' +
      'hands the sync to another thread, because the thread that talks to clients must not wait ' +
      'for a disk. A thread that only syncs, woken without the event loop, and frame headers ' +
      'that share a sector with small data would win part of it back.',
  },
  ingest: {
    what: 'ingest of a real image to disk',
    against: '`zstd -1 -T2`; restic, borg, casync',
    method:
      'An ext4 image of a part of the files of this machine, in the page cache; `volume ' +
      'import` into an empty pool until the root is durable. restic, borg (zstd,1) and casync ' +
      'store the same file in a new repository; what zstd and casync leave unsynced is synced ' +
      'within their time.',
    argument:
      'Time here follows processor time, because other work shares the two cores: 3.4 s for ' +
      'us against about 2.5 s for zstd and 4.0 s for borg. Beside compressing like zstd we ' +
      'name every block with SHA-256, checksum it, and pass it between threads. borg works in ' +
      'one thread, so two idle cores should halve its time, not measured; restic compresses ' +
      'on all cores like us, and twice its speed would need a faster codec than its own.',
  },
  'ingest-duplicates': {
    what: 'ingest of data that the pool has',
    against: '1 GB/s',
    method: 'The same image imported again under another name, per byte that is not a hole.',
    argument:
      'Every block is named with SHA-256, 1.5 to 1.7 GB/s on a core here, beside reading the ' +
      'image and copying it to the threads: 0.9 s of processor time for 0.75 GB. Single ' +
      'rounds reached 1.1 GB/s.',
  },
  teleport: {
    what: 'teleport of a stored volume, empty far pool',
    against: 'rsync daemon with zstd; `zstd | tcp | zstd -d`',
    method:
      'From the request to `Available`, all data verified and durable; TLS on our side, plain ' +
      'TCP on theirs. rsync with `-z --zc=zstd --zl=1 --sparse --fsync`, the pipe with zstd -1 ' +
      '-T2, socat and a sync. Bytes are those of the loopback interface of a network namespace ' +
      'of the run.',
    argument:
      'Every chunk is decompressed and hashed at the destination before it counts, and both ' +
      'sides encrypt: 3.6 s of processor time for both agents together, which share two cores ' +
      'here. rsync and the pipe neither encrypt nor verify by content; what they pay is ' +
      'compressing anew each time, about as much. Decompressing and hashing alone take 1.3 s ' +
      'of ours, so half of the time of the peers is out of reach on one machine unless record ' +
      'checksums are trusted instead of names, as they are between replicas of one cluster. ' +
      'On two machines each agent has its own cores; that was not measured.',
  },
  'teleport-again': {
    what: 'the same with an earlier version there',
    against: 'rsync delta with zstd',
    method:
      'The image after about a twentieth of it was added inside the file system. rsync updates ' +
      'its copy in place with `--inplace --no-whole-file`.',
    argument: 'The difference is small, so the time is mostly round trips and the final sync.',
  },
  'cold-read': {
    what: 'cold read of one 64 KiB block at the far side',
    against: 'round trip of the link (20 ms)',
    method:
      'fio at depth 1 over blocks never read before, of a thin teleport through a relay that ' +
      'holds back 10 ms each way; the round trip is that of one byte through such a relay.',
    argument:
      'Beyond the round trip there are a read of the segment, TLS at both ends, ' +
      'decompression, a hash, a write to pool and cache, the timers of the relay, and the ' +
      'event loops of three processes that wait for one of two shared cores.',
  },
  'reads-during-fetch': {
    what: "application's reads during the background fetch",
    against: 'the same reads of a thin teleport',
    method:
      'fio, 300 random 4 KiB reads a second, just after `Accessible`, over a link with a round ' +
      'trip of 20 ms; both agents, the relay and fio share the cores of this machine.',
    argument:
      'Both agents, the relay (in the bench itself) and fio share two cores, and the fetch ' +
      'keeps both busy. Demand is first in every queue of ours, but not in the scheduler of ' +
      'the kernel.',
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
    argument:
      'What is restored is a list of changed blocks, and each lies under a page of its own ' +
      'where data is thin in a large volume: some 1500 pages are hashed and stored for 16 TiB ' +
      'here, 64 for 1 GiB. The cost follows the changes, not the size; in a run with less ' +
      'other work on the machine it was 38 ms.',
  },
  restart: {
    what: 'start after SIGKILL with a full journal',
    against: '3 s',
    method: 'Random 4 KiB writes as fast as they go, SIGKILL, then from spawning to readiness.',
    argument:
      'The start of Node and of the program is about half a second of processor time; replay ' +
      'then reads every frame and checks it in one thread, while others share the cores. The ' +
      'journal was as full as the writer could make it before settling emptied it again.',
  },
  memory: {
    what: 'agent memory',
    against: '150 MiB + 50 bytes a chunk',
    method: 'VmRSS after importing random data in 4 KiB blocks; also after a restart.',
    argument:
      'Node with its threads is resident with about 120 MiB before it stores anything. The ' +
      'index takes 30 bytes a chunk. What comes on top is garbage of the import that V8 and ' +
      'malloc give back late, and the table that is copied while it grows. The numbers after ' +
      'a new start, beside the method, show what the chunks themselves cost.',
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
  'control-many': {
    what: '1,000 volumes and 200 teleports at once, through the API',
    against: 'one teleport; no goal was set',
    method:
      'Two embedded clusters with their controllers in the control plane. Volumes are made as ' +
      'objects by 16 writers, then the hub gets 200 Teleports at once; one watch sees them end. ' +
      'Requests are those that both API servers answered from then to the end, watches and ' +
      "status writes included, divided by 200. Memory is the processes' highest resident size.",
  },
};
