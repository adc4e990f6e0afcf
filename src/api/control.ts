/**
 * The control API: one table of operations that client, server, tests and reference docs derive
 * from. A field's type is text, number (whole, not negative) or flag; `?` makes it optional. Text
 * with units never travels: the command line turns it into bytes and milliseconds.
 */
import type { ChangesObject } from './changes-object.ts';
import type * as objects from './objects.ts';

export type FieldType = 'text' | 'number' | 'flag' | 'text?' | 'number?' | 'flag?';

export type Fields = Readonly<Record<string, FieldType>>;

type ValueOf<T extends FieldType> = T extends 'text' | 'text?'
  ? string
  : T extends 'number' | 'number?'
    ? number
    : boolean;

type RequestFor<F extends Fields> = {
  readonly [K in keyof F as F[K] extends `${string}?` ? never : K]: ValueOf<F[K]>;
} & {
  readonly [K in keyof F as F[K] extends `${string}?` ? K : never]?: ValueOf<F[K]>;
};

export interface Operation<F extends Fields, Response, Event> {
  readonly fields: F;
  readonly about: string;
  /** Streams send events before the response, one JSON line each. */
  readonly stream: boolean;
  /** Only in types: what the operation answers. */
  readonly answers?: Response;
  readonly sends?: Event;
}

interface Draft<F extends Fields> {
  answers<Response>(): Operation<F, Response, never>;
  streams<Event, Response>(): Operation<F, Response, Event>;
}

function operation<const F extends Fields>(about: string, fields: F): Draft<F> {
  return {
    answers: () => ({ fields, about, stream: false }),
    streams: () => ({ fields, about, stream: true }),
  };
}

type Volume = objects.VolumeObject;
type Job = objects.JobObject;
type Teleport = objects.TeleportObject;
type Cluster = objects.ClusterObject;

export const operations = {
  'agent.status': operation('State of this cluster.', {}).answers<Cluster>(),
  'agent.metrics': operation('Metrics as Prometheus text.', {}).answers<{ text: string }>(),
  'agent.doctor': operation(
    'Checks of this agent and its host.',
    {},
  ).answers<objects.ReportObject>(),
  'agent.events': operation('What happened, oldest first; goes on with `follow`.', {
    follow: 'flag?',
  }).streams<objects.EventObject, Record<string, never>>(),
  'agent.stop': operation('Ends the agent cleanly.', {}).answers<Record<string, never>>(),

  'pool.list': operation('Pools of this cluster.', {}).answers<
    objects.ListOf<objects.PoolObject>
  >(),
  'pool.show': operation('One pool.', { pool: 'text?' }).answers<objects.PoolObject>(),
  'pool.scrub': operation('Reads and verifies everything.', { pool: 'text?' }).streams<Job, Job>(),
  'pool.collect': operation('Gives back what nothing holds.', { pool: 'text?' }).streams<
    Job,
    Job
  >(),

  'volume.create': operation('Makes an empty volume.', {
    name: 'text',
    sizeBytes: 'number',
    blockBytes: 'number?',
    historyPolicy: 'text?',
    pool: 'text?',
  }).answers<Volume>(),
  'volume.list': operation('Volumes of this cluster.', {}).answers<objects.ListOf<Volume>>(),
  'volume.show': operation('One volume.', { name: 'text' }).answers<Volume>(),
  'volume.watch': operation('Volumes whenever they change.', { name: 'text?' }).streams<
    Volume,
    Record<string, never>
  >(),
  'volume.resize': operation('Changes the size; shrinking needs `force`.', {
    name: 'text',
    sizeBytes: 'number',
    force: 'flag?',
  }).answers<Volume>(),
  'volume.delete': operation('Deletes a volume, its snapshots and its history.', {
    name: 'text',
    force: 'flag?',
  }).answers<Volume>(),
  'volume.set-policy': operation('Changes the history policy.', {
    name: 'text',
    historyPolicy: 'text',
  }).answers<Volume>(),
  'volume.snapshot': operation('Keeps the content of this moment.', {
    volume: 'text',
    name: 'text?',
    trace: 'flag?',
  }).answers<objects.SnapshotObject>(),
  'volume.delete-snapshot': operation('Lets a snapshot go.', {
    volume: 'text',
    name: 'text',
  }).answers<objects.SnapshotObject>(),
  'volume.hold': operation(
    'Holds back what is written to volumes (names with commas) for snapshots of one moment.',
    { volumes: 'text', forMs: 'number' },
  ).answers<{ readonly hold: string }>(),
  'volume.snapshot-held': operation('Keeps the content of volumes that are held, and lets go.', {
    hold: 'text',
    name: 'text',
  }).answers<objects.ListOf<objects.SnapshotObject>>(),
  'volume.release': operation('Lets volumes go that are held.', {
    hold: 'text',
  }).answers<Record<string, never>>(),
  'volume.clone': operation('Makes a volume from a moment of another.', {
    volume: 'text',
    name: 'text?',
    atMs: 'number?',
    snapshot: 'text?',
    historyPolicy: 'text?',
  }).answers<Volume>(),
  'volume.history': operation('Snapshots and restorable times.', {
    volume: 'text',
  }).answers<objects.HistoryObject>(),
  'volume.changed': operation(
    'What a snapshot has allocated or, with `from`, what changed since that one: a page at a time.',
    {
      volume: 'text',
      snapshot: 'text',
      from: 'text?',
      offset: 'number?',
      rangesMax: 'number?',
    },
  ).answers<ChangesObject>(),
  'volume.restore': operation('Puts a moment of the past in place of the content.', {
    volume: 'text',
    atMs: 'number?',
    snapshot: 'text?',
  }).answers<Volume>(),
  'volume.uri': operation('The NBD address of a volume.', {
    volume: 'text',
    tls: 'text?',
  }).answers<objects.UriObject>(),
  'volume.trace': operation('What was used recently.', {
    volume: 'text',
    snapshot: 'text?',
  }).answers<objects.TraceObject>(),
  'volume.replay': operation('Brings near what a trace names.', {
    volume: 'text',
    snapshot: 'text?',
  }).streams<Job, Job>(),
  'volume.verify': operation('Checks that everything is here; compares with a peer.', {
    volume: 'text',
    cluster: 'text?',
    peerVolume: 'text?',
    atMs: 'number?',
    snapshot: 'text?',
    deep: 'flag?',
  }).streams<Job, objects.ReportObject>(),
  'volume.import': operation('Fills a volume from a file, device or image.', {
    name: 'text',
    path: 'text',
    format: 'text?',
    blockBytes: 'number?',
    historyPolicy: 'text?',
    pool: 'text?',
    update: 'flag?',
  }).streams<Job, Job>(),
  'volume.export': operation('Writes a volume to a file or device.', {
    volume: 'text',
    path: 'text',
    format: 'text?',
    atMs: 'number?',
    snapshot: 'text?',
    overwrite: 'flag?',
  }).streams<Job, Job>(),
  'volume.attach': operation(
    'A block device or mounted directory on this host; `keep` waits over restarts.',
    {
      volume: 'text',
      mount: 'text?',
      format: 'text?',
      readOnly: 'flag?',
      keep: 'flag?',
    },
  ).answers<objects.AttachmentObject>(),
  'volume.detach': operation('Undoes attach; leaves nothing behind.', {
    volume: 'text',
  }).answers<objects.AttachmentObject>(),

  'policy.list': operation('History policies.', {}).answers<
    objects.ListOf<objects.HistoryPolicyObject>
  >(),
  'policy.create': operation('A new history policy.', {
    name: 'text',
    secondsMs: 'number',
    minutesMs: 'number',
    hoursMs: 'number',
    daysMs: 'number',
  }).answers<objects.HistoryPolicyObject>(),
  'policy.set': operation('Changes a history policy, also for the volumes that have it.', {
    name: 'text',
    secondsMs: 'number?',
    minutesMs: 'number?',
    hoursMs: 'number?',
    daysMs: 'number?',
  }).answers<objects.HistoryPolicyObject>(),
  'policy.delete': operation('Deletes a history policy no volume has.', {
    name: 'text',
  }).answers<objects.HistoryPolicyObject>(),

  'cluster.list': operation('This cluster and its peers.', {}).answers<objects.ListOf<Cluster>>(),
  'cluster.token': operation('A token with which one cluster may join.', {
    lifeMs: 'number?',
    member: 'flag?',
  }).answers<objects.TokenObject>(),
  'cluster.join': operation('Joins the cloud that made the token.', {
    token: 'text',
    member: 'flag?',
  }).answers<Cluster>(),
  'cluster.check': operation('Tries the way to a peer.', {
    name: 'text',
  }).answers<objects.ReportObject>(),
  'cluster.remove': operation('Ends the trust in a peer.', {
    name: 'text',
    force: 'flag?',
  }).answers<Cluster>(),
  'cluster.volumes': operation('Volumes of a peer.', { name: 'text' }).answers<{
    names: readonly string[];
  }>(),

  'teleport.start': operation('Teleports a volume of a peer to this cluster.', {
    cluster: 'text',
    agent: 'text?',
    volume: 'text',
    name: 'text?',
    atMs: 'number?',
    snapshot: 'text?',
    thin: 'flag?',
    historyPolicy: 'text?',
    bytesPerSecond: 'number?',
    pool: 'text?',
  }).answers<Teleport>(),
  'teleport.list': operation('Teleports to this cluster.', {}).answers<objects.ListOf<Teleport>>(),
  'teleport.show': operation('One teleport.', { name: 'text' }).answers<Teleport>(),
  'teleport.watch': operation('Progress until nothing is missing or it failed.', {
    name: 'text',
    until: 'text?',
  }).streams<Teleport, Teleport>(),
  'teleport.cancel': operation('Cancels: deletes the destination volume.', {
    name: 'text',
  }).answers<Teleport>(),
  'teleport.fill': operation('Fetches all that a thin teleport left.', {
    name: 'text',
    bytesPerSecond: 'number?',
  }).answers<Teleport>(),

  'replica.lead': operation(
    'Leads a replicated volume with exactly these members (`agent/pool,agent/pool`).',
    {
      volume: 'text',
      members: 'text',
      sizeBytes: 'number?',
      blockBytes: 'number?',
      historyPolicy: 'text?',
      rebuildBytesPerSecond: 'number?',
      force: 'flag?',
    },
  ).answers<objects.ReplicaSetObject>(),
  'replica.yield': operation('Stops leading, so that another agent may lead.', {
    volume: 'text',
  }).answers<objects.ReplicaSetObject>(),
  'replica.list': operation('Replicated volumes that this agent leads or keeps.', {}).answers<
    objects.ListOf<objects.ReplicaSetObject>
  >(),
  'replica.show': operation('One replicated volume.', {
    volume: 'text',
  }).answers<objects.ReplicaSetObject>(),
  'replica.drop': operation('Removes the replica that this agent keeps and its set left behind.', {
    volume: 'text',
    force: 'flag?',
  }).answers<objects.ReplicaSetObject>(),

  'repository.add': operation('Makes a repository known here, or changes how it is reached.', {
    name: 'text',
    password: 'text',
    directory: 'text?',
    endpoint: 'text?',
    bucket: 'text?',
    region: 'text?',
    prefix: 'text?',
    accessKeyId: 'text?',
    secretAccessKey: 'text?',
    caBundle: 'text?',
    forcePathStyle: 'flag?',
  }).answers<objects.RepositoryObject>(),
  'repository.remove': operation('Forgets how a repository is reached; it stays what it is.', {
    name: 'text',
  }).answers<objects.RepositoryObject>(),
  'repository.list': operation('Repositories known here.', {}).answers<
    objects.ListOf<objects.RepositoryObject>
  >(),
  'repository.show': operation('What a repository holds.', {
    name: 'text',
  }).answers<objects.RepositoryObject>(),
  'repository.versions': operation('Versions saved in a repository.', {
    name: 'text',
    volume: 'text?',
  }).answers<objects.ListOf<objects.SavedVersionObject>>(),
  'repository.save': operation('Saves a volume; what the repository has is not sent again.', {
    name: 'text',
    volume: 'text',
    version: 'text?',
    atMs: 'number?',
    snapshot: 'text?',
    bytesPerSecond: 'number?',
  }).streams<Job, Job>(),
  'repository.forget': operation('Forgets a saved version; `repository.prune` frees its space.', {
    name: 'text',
    volume: 'text',
    version: 'text',
  }).answers<objects.SavedVersionObject>(),
  'repository.put-backup': operation('Puts one part of a backup; the part 0 makes it exist.', {
    name: 'text',
    backup: 'text',
    part: 'number',
    parts: 'number?',
    content: 'text',
  }).answers<objects.BackupPartObject>(),
  'repository.read-backup': operation('Reads one part of a backup.', {
    name: 'text',
    backup: 'text',
    part: 'number',
  }).answers<objects.BackupPartObject>(),
  'repository.backups': operation('Backups in a repository: the part 0 of each.', {
    name: 'text',
  }).answers<objects.ListOf<objects.BackupPartObject>>(),
  'repository.forget-backup': operation('Forgets all parts of a backup.', {
    name: 'text',
    backup: 'text',
  }).answers<Record<string, never>>(),
  'repository.prune': operation('Gives back what no saved version needs.', {
    name: 'text',
  }).streams<Job, Job>(),
  'repository.verify': operation(
    'Checks that every saved version and every backup can be opened.',
    {
      name: 'text',
      deep: 'flag?',
    },
  ).streams<Job, objects.ReportObject>(),

  'job.list': operation('Jobs since the agent started.', {}).answers<objects.ListOf<Job>>(),
  'job.watch': operation('Progress of a job until it ends.', { name: 'text' }).streams<Job, Job>(),
  'job.cancel': operation('Stops a job.', { name: 'text' }).answers<Job>(),
} as const;

export type Operations = typeof operations;
export type OperationName = keyof Operations;

export type RequestOf<N extends OperationName> =
  Operations[N] extends Operation<infer F, infer _R, infer _E> ? RequestFor<F> : never;
export type ResponseOf<N extends OperationName> =
  Operations[N] extends Operation<infer _F, infer R, infer _E> ? R : never;
export type EventOf<N extends OperationName> =
  Operations[N] extends Operation<infer _F, infer _R, infer E> ? E : never;

export function isOperation(name: string): name is OperationName {
  return Object.hasOwn(operations, name);
}
