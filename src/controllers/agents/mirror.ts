/**
 * What one agent holds, kept current by one stream and a few slow questions, however many volumes
 * there are. Controllers decide on what is seen here and act through `call`, whose answers are seen
 * at once: what was just made is never taken for missing, what was just deleted never for there.
 */
import type { OperationName, RequestOf, ResponseOf } from '../../api/control.ts';
import type { ControlClient } from '../../api/control-client.ts';
import type {
  ApiObject,
  ClusterObject,
  HistoryPolicyObject,
  JobObject,
  PoolObject,
  ReplicaSetObject,
  TeleportObject,
  VolumeObject,
} from '../../api/objects.ts';
import { asTransshipError, fail, type TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import { within } from '../pace.ts';
import type { AgentPlace } from '../ports.ts';
import { Seen } from './seen.ts';

/** What changed: the controllers of this kind look at this name again. */
export interface MirrorChange {
  readonly kind:
    | 'Volume'
    | 'ReplicaSet'
    | 'Teleport'
    | 'Pool'
    | 'HistoryPolicy'
    | 'Cluster'
    | 'Agent';
  readonly name: string;
}

export interface MirrorOptions {
  readonly clock: Clock;
  readonly place: AgentPlace;
  readonly client: ControlClient;
  readonly onChange: (change: MirrorChange) => void;
}

/** Longer than an agent needs for anything but jobs, which are streams. */
const callDeadlineMs = 60_000;
const tickMs = 1_000;
const backoffMsMin = 500;
const backoffMsMax = 10_000;
/** The stream tells of volumes that change, not of those that go. */
const volumesEveryMs = 15_000;
const movingEveryMs = 2_000;
const restingEveryMs = 15_000;
const setsEveryMs = 5_000;
const poolsEveryMs = 5_000;
const policiesEveryMs = 20_000;
const clustersEveryMs = 10_000;

type Polled = 'volumes' | 'sets' | 'teleports' | 'pools' | 'policies' | 'clusters';

const teleportEnds: ReadonlySet<string> = new Set(['Available', 'Canceled', 'Failed']);

type OnProgress = (doneBytes: number, totalBytes: number) => void;

export class AgentMirror {
  readonly place: AgentPlace;
  readonly #o: MirrorOptions;
  readonly #volumes = new Seen<VolumeObject>();
  /** By volume. */
  readonly #sets = new Seen<ReplicaSetObject>();
  /** By destination volume, the latest of each. */
  readonly #teleports = new Seen<TeleportObject>();
  readonly #pools = new Seen<PoolObject>();
  readonly #policies = new Seen<HistoryPolicyObject>();
  readonly #clusters = new Seen<ClusterObject>();
  readonly #lastMs = new Map<Polled, number>();
  readonly #stopping = new AbortController();
  #status: ClusterObject | undefined;
  #synced = false;
  #trouble: TransshipError | undefined;
  #troubleSinceMs: number | undefined;

  constructor(options: MirrorOptions) {
    this.#o = options;
    this.place = options.place;
    void this.#run();
  }

  /** True once everything was read; it stays true while the agent cannot be reached. */
  get synced(): boolean {
    return this.#synced;
  }

  /** Why the agent cannot be asked now; what is seen here is then old. */
  get trouble(): TransshipError | undefined {
    return this.#trouble;
  }

  /** How long nobody could ask it; 0 while it answers. */
  get silentMs(): number {
    const since = this.#troubleSinceMs;
    return since === undefined ? 0 : this.#o.clock.monotonicMs() - since;
  }

  get usable(): boolean {
    return this.#synced && this.#trouble === undefined;
  }

  get volumes(): ReadonlyMap<string, VolumeObject> {
    return this.#volumes.items;
  }

  /** Replicated volumes that it leads or keeps a replica of. */
  get sets(): ReadonlyMap<string, ReplicaSetObject> {
    return this.#sets.items;
  }

  get teleports(): ReadonlyMap<string, TeleportObject> {
    return this.#teleports.items;
  }

  get pools(): ReadonlyMap<string, PoolObject> {
    return this.#pools.items;
  }

  get policies(): ReadonlyMap<string, HistoryPolicyObject> {
    return this.#policies.items;
  }

  /** This cluster and its peers, as the agent sees them. */
  get clusters(): ReadonlyMap<string, ClusterObject> {
    return this.#clusters.items;
  }

  get status(): ClusterObject | undefined {
    return this.#status;
  }

  /** Fails with what the agent says, `AgentUnreachable`, or `TimedOut`. */
  async call<N extends OperationName>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>> {
    try {
      const answer = await this.#ask(name, request);
      this.#note(name, answer as unknown as ApiObject);
      return answer;
    } catch (error) {
      if (asTransshipError(error).reason === 'NotFound') this.#noteGone(name, request);
      throw error;
    }
  }

  /** Begins an import and sees it to its end. */
  import(request: RequestOf<'volume.import'>, onProgress: OnProgress): Promise<JobObject> {
    return this.#o.client.stream('volume.import', request, this.#following(onProgress));
  }

  /** Begins to save a volume in a repository and sees it to its end. */
  save(request: RequestOf<'repository.save'>, onProgress: OnProgress): Promise<JobObject> {
    return this.#o.client.stream('repository.save', request, this.#following(onProgress));
  }

  /** Sees a job to its end that somebody else began. */
  followJob(name: string, onProgress: OnProgress): Promise<JobObject> {
    return this.#o.client.stream('job.watch', { name }, this.#following(onProgress));
  }

  #following(onProgress: OnProgress) {
    return {
      signal: this.#stopping.signal,
      onEvent: ({ status }: JobObject) => onProgress(status.doneBytes, status.totalBytes),
    };
  }

  stop(): void {
    this.#stopping.abort();
  }

  #ask<N extends OperationName>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>> {
    const { clock, client, place } = this.#o;
    const late = () => fail('TimedOut', `agent ${place.name} did not answer ${name} in time`);
    return within(clock, callDeadlineMs, client.call(name, request), late);
  }

  #noteGone(operation: OperationName, request: object): void {
    const isAboutVolume = operation === 'volume.show' || operation === 'volume.delete';
    if (isAboutVolume && 'name' in request) this.#removeVolume(String(request.name));
    const isAboutSet = operation === 'replica.show' || operation === 'replica.drop';
    if (isAboutSet && 'volume' in request) this.#removeSet(String(request.volume));
  }

  #note(operation: OperationName, answer: ApiObject): void {
    if (answer.kind === 'ReplicaSet') {
      const set = answer as ReplicaSetObject;
      if (operation === 'replica.drop') this.#removeSet(set.volume);
      else if (this.#sets.put(set.volume, set)) this.#tell('ReplicaSet', set.volume);
      return;
    }
    const { name } = answer.metadata ?? {};
    if (name === undefined) return;
    if (operation === 'volume.delete') this.#forget(name);
    else if (answer.kind === 'Volume') this.#sawVolume(answer as VolumeObject);
    else if (answer.kind === 'Teleport') {
      const teleport = answer as TeleportObject;
      const { volume } = teleport.spec.destination;
      if (operation === 'teleport.cancel') this.#removeVolume(volume);
      if (this.#teleports.put(volume, teleport)) this.#tell('Teleport', volume);
    } else if (operation === 'policy.delete') {
      if (this.#policies.drop(name)) this.#tell('HistoryPolicy', name);
    } else if (answer.kind === 'HistoryPolicy') {
      const policy = answer as HistoryPolicyObject;
      if (this.#policies.put(name, policy)) this.#tell('HistoryPolicy', name);
    }
  }

  #sawVolume(volume: VolumeObject): void {
    const { name } = volume.metadata;
    if (this.#volumes.put(name, volume)) this.#tell('Volume', name);
  }

  #removeVolume(name: string): void {
    if (this.#volumes.drop(name)) this.#tell('Volume', name);
  }

  #forget(name: string): void {
    this.#removeVolume(name);
    this.#removeSet(name);
  }

  #removeSet(volume: string): void {
    if (this.#sets.drop(volume)) this.#tell('ReplicaSet', volume);
  }

  #tell(kind: MirrorChange['kind'], name: string): void {
    if (this.#synced) this.#o.onChange({ kind, name });
  }

  async #run(): Promise<void> {
    const { clock, place } = this.#o;
    const { signal } = this.#stopping;
    let backoffMs = backoffMsMin;
    while (!signal.aborted) {
      try {
        await this.#session(() => (backoffMs = backoffMsMin));
      } catch (error) {
        if (signal.aborted) return;
        this.#trouble = asTransshipError(error);
        this.#troubleSinceMs ??= clock.monotonicMs();
        this.#o.onChange({ kind: 'Agent', name: place.name });
        await sleep(clock, backoffMs, signal);
        backoffMs = Math.min(backoffMs * 2, backoffMsMax);
      }
    }
  }

  /** From connecting to the first failure. */
  async #session(onReady: () => void): Promise<void> {
    const { clock, client, place } = this.#o;
    const session = new AbortController();
    const { signal } = this.#stopping;
    const end = () => session.abort();
    signal.addEventListener('abort', end);
    this.#lastMs.clear();
    const watching = client.stream(
      'volume.watch',
      {},
      { onEvent: (volume) => this.#sawVolume(volume), signal: session.signal },
    );
    const ended = watching.then(() => fail('AgentUnreachable', `agent ${place.name} ended`));
    ended.catch(() => undefined);
    try {
      await Promise.race([ended, this.#readDue()]);
      this.#ready();
      onReady();
      while (!signal.aborted) {
        await Promise.race([ended, sleep(clock, tickMs, session.signal)]);
        await Promise.race([ended, this.#readDue()]);
      }
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  }

  #ready(): void {
    this.#synced = true;
    this.#trouble = undefined;
    this.#troubleSinceMs = undefined;
    this.#o.onChange({ kind: 'Agent', name: this.place.name });
  }

  async #readDue(): Promise<void> {
    if (this.#isDue('volumes', volumesEveryMs)) await this.#readVolumes();
    if (this.#isDue('sets', this.#setsEveryMs())) await this.#readSets();
    if (this.#isDue('teleports', this.#teleportsEveryMs())) await this.#readTeleports();
    if (this.#isDue('pools', poolsEveryMs)) await this.#readPools();
    if (this.#isDue('policies', policiesEveryMs)) await this.#readPolicies();
    if (this.#isDue('clusters', clustersEveryMs)) await this.#readClusters();
  }

  #isDue(what: Polled, everyMs: number): boolean {
    const nowMs = this.#o.clock.monotonicMs();
    const lastMs = this.#lastMs.get(what);
    if (lastMs !== undefined && nowMs - lastMs < everyMs) return false;
    this.#lastMs.set(what, nowMs);
    return true;
  }

  #setsEveryMs(): number {
    for (const { phase, replicas, wanted, blocker } of this.#sets.items.values()) {
      const isSettled = phase === 'Healthy' && blocker === undefined;
      if (!isSettled || replicas.length !== wanted.length) return tickMs;
    }
    return setsEveryMs;
  }

  #teleportsEveryMs(): number {
    let everyMs = restingEveryMs;
    for (const { status } of this.#volumes.items.values()) {
      if (status.missingBytes > 0) everyMs = movingEveryMs;
    }
    for (const [name, { status }] of this.#teleports.items) {
      if (teleportEnds.has(status.phase)) continue;
      // The stream told already that all is there: what it took is asked for at once.
      if (this.#volumes.items.get(name)?.status.missingBytes === 0) return tickMs;
      everyMs = movingEveryMs;
    }
    return everyMs;
  }

  async #readVolumes(): Promise<void> {
    const since = this.#volumes.mark();
    const { items } = await this.#ask('volume.list', {});
    const listed = items.map((one) => [one.metadata.name, one] as const);
    for (const name of this.#volumes.replace(listed, since)) this.#tell('Volume', name);
  }

  async #readSets(): Promise<void> {
    const since = this.#sets.mark();
    try {
      const { items } = await this.#ask('replica.list', {});
      const listed = items.map((one) => [one.volume, one] as const);
      for (const name of this.#sets.replace(listed, since)) this.#tell('ReplicaSet', name);
    } catch (error) {
      // One that went while they were listed, or an agent that is older than replicas: what is
      // known stays, for a set that is taken for missing would be a plain volume.
      const { reason } = asTransshipError(error);
      if (reason !== 'Unsupported' && reason !== 'NotFound') throw error;
    }
  }

  async #readTeleports(): Promise<void> {
    const since = this.#teleports.mark();
    const { items } = await this.#ask('teleport.list', {});
    // Oldest first: the latest to a volume of this name is what counts.
    const listed = items.map((one) => [one.spec.destination.volume, one] as const);
    for (const name of this.#teleports.replace(listed, since)) this.#tell('Teleport', name);
  }

  async #readPools(): Promise<void> {
    const since = this.#pools.mark();
    const { items } = await this.#ask('pool.list', {});
    const listed = items.map((one) => [one.metadata.name, one] as const);
    for (const name of this.#pools.replace(listed, since)) this.#tell('Pool', name);
  }

  async #readPolicies(): Promise<void> {
    const since = this.#policies.mark();
    const { items } = await this.#ask('policy.list', {});
    const listed = items.map((one) => [one.metadata.name, one] as const);
    for (const name of this.#policies.replace(listed, since)) this.#tell('HistoryPolicy', name);
  }

  async #readClusters(): Promise<void> {
    const since = this.#clusters.mark();
    const { items } = await this.#ask('cluster.list', {});
    this.#status = items.find(({ spec }) => spec.local);
    const listed = items.map((one) => [one.metadata.name, one] as const);
    for (const name of this.#clusters.replace(listed, since)) this.#tell('Cluster', name);
  }
}
