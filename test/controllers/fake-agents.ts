// Agents that hold volumes without bytes: names, sizes, policies, leases and phases as real ones
// have them, behind the control API. What they hold can be copied, so that many runs start alike.
import type { ControlClient } from '../../src/api/control-client.ts';
import type { EventOf, OperationName, RequestOf, ResponseOf } from '../../src/api/control.ts';
import {
  apiVersion,
  type ClusterObject,
  type HistoryPolicyObject,
  type JobObject,
  listOf,
  type PoolObject,
  type ReportObject,
  type TeleportObject,
  type VolumeObject,
} from '../../src/api/objects.ts';
import { fail } from '../../src/base/errors.ts';
import { exactSize, formatDuration, formatRate } from '../../src/base/units.ts';
import { FakeBackups, forgottenVersion, repositoryView, saveJob } from './fake-saved.ts';
import {
  type AgentState,
  type CloudState,
  type FakeRecord,
  type FakeVolume,
  none,
  presets,
  type Retention,
} from './fake-state.ts';

const MiB = 1024 * 1024;

interface Watcher {
  readonly end: () => void;
  readonly emit: (volume: VolumeObject) => void;
  readonly seen: Map<string, string>;
}

interface FakePlace {
  readonly cluster: string;
  readonly volume: string;
}

/** Who keeps what is in the volumes, at every moment in which one comes or goes. */
export interface ContentWatch {
  /** With what is in `from` now; undefined: with nothing. */
  onMade(at: FakePlace, from: FakePlace | undefined): void;
  onGone(at: FakePlace): void;
}

type Handlers = { [N in OperationName]?: (request: RequestOf<N>) => ResponseOf<N> };

export class FakeAgent {
  readonly name: string;
  readonly #cloud: FakeCloud;
  readonly #watchers = new Set<Watcher>();
  state: AgentState = {
    next: 1,
    volumes: new Map(),
    leases: new Map(),
    records: [],
    policies: new Map([
      ['none', none],
      ['one-hour', { ...none, secondsMs: 3_600_000 }],
    ]),
  };
  /** Operations that changed something, by name. */
  readonly counts = new Map<string, number>();
  /** Nobody answers at its socket. */
  #isDown = false;
  /** The link to every peer is cut. */
  isCut = false;
  /** It has joined no other cluster. */
  isAlone = false;
  /** Called before and after an operation is done; what it throws is the answer. */
  onCall: (operation: OperationName, stage: 'asked' | 'done') => void = () => undefined;

  constructor(name: string, cloud: FakeCloud) {
    this.name = name;
    this.#cloud = cloud;
  }

  set isDown(isDown: boolean) {
    this.#isDown = isDown;
    if (!isDown) return;
    for (const { end } of this.#watchers) end();
  }

  get client(): ControlClient {
    return {
      cluster: this.name,
      call: async (name, request) => {
        this.#mustBeUp();
        this.onCall(name, 'asked');
        const answer = this.#answer(name, request);
        this.onCall(name, 'done');
        return answer;
      },
      stream: async (name, request, { onEvent, signal }) => {
        if (name === 'repository.save') {
          return this.#save(request as unknown as RequestOf<'repository.save'>) as ResponseOf<
            typeof name
          >;
        }
        if (name !== 'volume.watch') return fail('Unsupported', `${name} is no part of this fake`);
        this.#mustBeUp();
        const ended = Promise.withResolvers<void>();
        const watcher: Watcher = {
          seen: new Map(),
          end: ended.resolve,
          emit: (volume) => onEvent(volume as EventOf<typeof name>),
        };
        this.#watchers.add(watcher);
        this.#show(watcher);
        if (signal?.aborted === true) ended.resolve();
        signal?.addEventListener('abort', () => ended.resolve());
        await ended.promise;
        this.#watchers.delete(watcher);
        return {} as ResponseOf<typeof name>;
      },
    };
  }

  #mustBeUp(): void {
    if (this.#isDown) fail('AgentUnreachable', `agent ${this.name} is not running`);
  }

  tell(): void {
    for (const watcher of this.#watchers) this.#show(watcher);
  }

  #show({ emit, seen }: Watcher): void {
    for (const volume of this.state.volumes.values()) {
      const view = this.#view(volume);
      const text = JSON.stringify(view);
      if (seen.get(volume.name) !== text) emit(view);
      seen.set(volume.name, text);
    }
  }

  #answer<N extends OperationName>(name: N, request: RequestOf<N>): ResponseOf<N> {
    const handler = this.#handlers()[name];
    if (handler === undefined) fail('Unsupported', `${name} is no part of this fake`);
    const isChange = !/\.(list|show|status|check)$/.test(name);
    if (isChange) this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    // What travels is a copy, as over a socket.
    const answer = structuredClone(handler(request as never)) as ResponseOf<N>;
    if (isChange) this.#cloud.tell();
    return answer;
  }

  #handlers(): Handlers {
    const { volumes } = this.state;
    return {
      'volume.list': () =>
        listOf<VolumeObject>(
          'Volume',
          [...volumes.values()].map((v) => this.#view(v)),
        ),
      'volume.show': ({ name }) => this.#view(this.volume(name)),
      'volume.create': ({ name, sizeBytes, blockBytes, historyPolicy }) => {
        const blank = { dataBytes: 0, missingBytes: 0, sizeBytes };
        const made = this.#add(name, { ...blank, blockBytes, policy: historyPolicy });
        this.#cloud.content?.onMade({ cluster: this.name, volume: name }, undefined);
        return this.#view(made);
      },
      'volume.clone': ({ volume, name, historyPolicy }) => {
        const { sizeBytes, blockBytes, dataBytes, missingBytes, origin } = this.volume(volume);
        const same = { sizeBytes, blockBytes, dataBytes, missingBytes };
        const made = this.#add(name ?? `${volume}-1`, { ...same, policy: historyPolicy });
        if (origin !== undefined) made.origin = { ...origin };
        const at = { cluster: this.name, volume: made.name };
        this.#cloud.content?.onMade(at, { cluster: this.name, volume });
        return this.#view(made);
      },
      'volume.resize': ({ name, sizeBytes }) => {
        this.volume(name).sizeBytes = sizeBytes;
        return this.#view(this.volume(name));
      },
      'volume.set-policy': ({ name, historyPolicy }) => {
        this.#policy(historyPolicy);
        this.volume(name).policy = historyPolicy;
        return this.#view(this.volume(name));
      },
      'volume.delete': ({ name, force }) => this.#delete(name, force === true),
      'job.list': () => listOf<JobObject>('Job', []),
      'pool.list': () => listOf<PoolObject>('Pool', [this.#pool()]),
      'policy.list': () => listOf<HistoryPolicyObject>('HistoryPolicy', this.#policies()),
      ...this.#policyHandlers(),
      ...this.#clusterHandlers(),
      ...this.#teleportHandlers(),
      ...this.#repositoryHandlers(),
    };
  }

  /** Who opens a volume from a repository gets it from the agent that saved it last. */
  #repositoryHandlers() {
    return {
      ...this.#cloud.backups.handlers(),
      'repository.add': ({ name }: RequestOf<'repository.add'>) => repositoryView(name),
      'repository.show': ({ name }: RequestOf<'repository.show'>) => repositoryView(name),
      'repository.forget': ({ name, version }: RequestOf<'repository.forget'>) => {
        this.#cloud.forgotten.push(version);
        return forgottenVersion(name, version);
      },
    };
  }

  #save({ name, volume }: RequestOf<'repository.save'>): JobObject {
    this.#mustBeUp();
    const { sizeBytes, dataBytes } = this.volume(volume);
    this.#cloud.saved.set(`repository:${name}`, this);
    return saveJob(volume, { sizeBytes, dataBytes });
  }

  #policyHandlers() {
    const { policies, volumes } = this.state;
    const view = (name: string) => this.#policies().find(({ metadata }) => metadata.name === name)!;
    const own = (name: string) => {
      this.#policy(name);
      if (presets.has(name)) fail('NotAllowed', `${name} comes with Transship`);
    };
    return {
      'policy.create': ({ name, ...retention }: RequestOf<'policy.create'>) => {
        if (policies.has(name)) fail('AlreadyExists', `history policy ${name} exists already`);
        policies.set(name, retention);
        return view(name);
      },
      'policy.set': ({ name, ...retention }: RequestOf<'policy.set'>) => {
        own(name);
        policies.set(name, { ...policies.get(name)!, ...retention });
        return view(name);
      },
      'policy.delete': ({ name }: RequestOf<'policy.delete'>) => {
        own(name);
        const before = view(name);
        const user = [...volumes.values()].find(({ policy }) => policy === name);
        if (user !== undefined) fail('InUse', `history policy ${name} is that of ${user.name}`);
        policies.delete(name);
        return before;
      },
    };
  }

  #clusterHandlers() {
    const self = (name: string, local: boolean): ClusterObject => ({
      kind: 'Cluster',
      apiVersion,
      metadata: { name, cluster: this.name },
      spec: { local, address: '', fingerprint: '' },
      status: { connected: local || !this.isCut, health: 'None', reasons: [], version: '1' },
    });
    const peers = () =>
      this.isAlone ? [] : this.#cloud.names.filter((name) => name !== this.name);
    return {
      'agent.status': () => self(this.name, true),
      'cluster.list': () =>
        listOf<ClusterObject>('Cluster', [
          self(this.name, true),
          ...peers().map((name) => self(name, false)),
        ]),
      'cluster.check': ({ name }: RequestOf<'cluster.check'>): ReportObject => ({
        kind: 'Report',
        apiVersion,
        metadata: { name },
        passed: !this.isCut,
        findings: [],
      }),
    };
  }

  #teleportHandlers() {
    const find = (name: string) => {
      const { records } = this.state;
      const found = records.findLast((one) => one.name === name || one.volume === name);
      return found ?? fail('NotFound', `no teleport ${name}`);
    };
    return {
      'teleport.list': () =>
        listOf<TeleportObject>(
          'Teleport',
          this.state.records.map((one) => this.#record(one)),
        ),
      'teleport.show': ({ name }: RequestOf<'teleport.show'>) => this.#record(find(name)),
      'teleport.start': (request: RequestOf<'teleport.start'>) => this.#start(request),
      'teleport.fill': ({ name, bytesPerSecond }: RequestOf<'teleport.fill'>) => {
        const record = find(name);
        record.thin = false;
        if (bytesPerSecond !== undefined) record.bytesPerSecond = bytesPerSecond;
        const volume = this.state.volumes.get(record.volume);
        if (volume?.origin !== undefined) volume.origin.thin = false;
        return this.#record(record);
      },
    };
  }

  #add(
    name: string,
    shape: {
      readonly sizeBytes: number;
      readonly blockBytes?: number | undefined;
      readonly dataBytes: number;
      readonly missingBytes: number;
      readonly policy?: string | undefined;
    },
  ): FakeVolume {
    const { volumes } = this.state;
    const { blockBytes = 65_536, policy = 'none', ...rest } = shape;
    this.#policy(policy);
    if (volumes.has(name)) fail('AlreadyExists', `volume ${name} exists already`);
    const id = `${this.name}-${this.state.next++}`;
    const made: FakeVolume = { name, id, blockBytes, policy, doors: [], ...rest };
    volumes.set(name, made);
    return made;
  }

  volume(name: string): FakeVolume {
    return this.state.volumes.get(name) ?? fail('NotFound', `no volume '${name}'`);
  }

  #policy(name: string): Retention {
    return this.state.policies.get(name) ?? fail('NotFound', `no history policy '${name}'`);
  }

  #holders(volume: string): string[] {
    const own = [...this.state.leases.values()].filter((lease) => lease.volume === volume);
    return own.map(({ holder }) => holder);
  }

  #delete(name: string, force: boolean): VolumeObject {
    const volume = this.volume(name);
    const before = this.#view(volume);
    if (volume.doors.length > 0) fail('InUse', `volume ${name} is used by ${volume.doors[0]}`);
    const holders = this.#holders(name);
    if (holders.length > 0 && !force) {
      fail('Leased', `volume ${name} is still being read by ${holders.join(', ')}`);
    }
    this.state.volumes.delete(name);
    this.#cloud.content?.onGone({ cluster: this.name, volume: name });
    const record = this.state.records.find(({ name: own }) => own === volume.origin?.teleport);
    if (record?.volume === name) record.phase = 'Canceled';
    this.#release(volume);
    return before;
  }

  /** Unless a clone still needs it. */
  #release({ origin }: FakeVolume): void {
    if (origin === undefined) return;
    const others = [...this.state.volumes.values()];
    if (others.some((one) => one.origin?.lease === origin.lease)) return;
    this.#cloud.find(origin.cluster).state.leases.delete(origin.lease);
  }

  #start(request: RequestOf<'teleport.start'>): TeleportObject {
    const { cluster, volume: sourceVolume, thin = false, historyPolicy = 'none' } = request;
    const { name = sourceVolume, bytesPerSecond } = request;
    if (this.isCut) fail('SourceUnreachable', `no link to ${cluster}`);
    if (this.state.volumes.has(name)) fail('AlreadyExists', `volume ${name} exists here already`);
    const source = this.#cloud.find(cluster);
    const { sizeBytes, blockBytes, dataBytes } = source.volume(sourceVolume);
    const lease = `lease-${source.state.next++}`;
    source.state.leases.set(lease, { volume: sourceVolume, holder: `${this.name}/${name}` });
    const shape = { sizeBytes, blockBytes, dataBytes, missingBytes: dataBytes };
    const made = this.#add(name, { ...shape, policy: historyPolicy });
    const teleport = `${name}-${made.id}`;
    made.origin = { cluster, volume: sourceVolume, lease, teleport, thin };
    this.#cloud.content?.onMade(
      { cluster: this.name, volume: name },
      { cluster, volume: sourceVolume },
    );
    const record: FakeRecord = {
      name: teleport,
      volume: name,
      cluster,
      sourceVolume,
      thin,
      policy: historyPolicy,
      phase: 'Accessible',
      totalBytes: dataBytes,
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
    this.state.records.push(record);
    return this.#record(record);
  }

  /** Some of what is missing arrives. */
  fetch(bytes: number): void {
    for (const volume of this.state.volumes.values()) {
      const { origin } = volume;
      if (origin === undefined || origin.thin || this.isCut) continue;
      volume.missingBytes = Math.max(0, volume.missingBytes - bytes);
      if (volume.missingBytes > 0) continue;
      delete volume.origin;
      const record = this.state.records.find(({ name }) => name === origin.teleport);
      if (record?.phase === 'Accessible') record.phase = 'Available';
      this.#release({ ...volume, origin });
    }
    this.#cloud.tell();
  }

  #view(volume: FakeVolume): VolumeObject {
    const { name, id, sizeBytes, blockBytes, policy, dataBytes, missingBytes, origin } = volume;
    const isLinked = !this.isCut;
    const link = {
      type: 'SourceConnected',
      status: isLinked ? ('True' as const) : ('False' as const),
      reason: isLinked ? 'Connected' : 'SourceUnreachable',
      message: isLinked ? 'reads what is missing' : 'no link',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    return {
      kind: 'Volume',
      apiVersion,
      metadata: { name, cluster: this.name, uid: id },
      spec: {
        size: exactSize(sizeBytes),
        blockSize: exactSize(blockBytes),
        pool: 'main',
        historyPolicy: policy,
      },
      status: {
        phase: origin === undefined ? 'Available' : 'Accessible',
        sizeBytes,
        allocatedBytes: dataBytes,
        missingBytes,
        unsettledBytes: 0,
        root: 'ab'.repeat(32),
        snapshots: 0,
        doors: volume.doors,
        leasedBy: this.#holders(name),
        conditions: origin === undefined ? [] : [link],
        ...(origin === undefined
          ? {}
          : { source: `${origin.cluster}/${origin.volume}`, teleport: origin.teleport }),
      },
    };
  }

  #record(record: FakeRecord): TeleportObject {
    const { name, volume, cluster, sourceVolume, thin, policy, phase, totalBytes } = record;
    const missingBytes = this.state.volumes.get(volume)?.missingBytes ?? 0;
    const time = '2026-01-01T00:00:00Z';
    const { bytesPerSecond } = record;
    return {
      kind: 'Teleport',
      apiVersion,
      metadata: { name, cluster: this.name },
      spec: {
        source: { cluster, volume: sourceVolume },
        destination: { cluster: this.name, volume },
        thin,
        historyPolicy: policy,
        ...(bytesPerSecond === undefined ? {} : { bandwidth: formatRate(bytesPerSecond) }),
      },
      status: {
        phase,
        progress: {
          totalBytes,
          presentBytes: 0,
          demandBytes: 0,
          backgroundBytes: totalBytes - missingBytes,
          missingBytes,
          wireBytes: totalBytes - missingBytes,
          bytesPerSecond: 0,
        },
        accessibleTime: time,
        conditions: [],
      },
    };
  }

  #pool(): PoolObject {
    const capacityBytes = 1024 * MiB;
    return {
      kind: 'Pool',
      apiVersion,
      metadata: { name: 'main', cluster: this.name, uid: '1' },
      spec: { path: '/pool', capacity: '1Gi' },
      status: {
        phase: 'Healthy',
        readOnly: false,
        capacityBytes,
        allocatedBytes: 0,
        freeBytes: capacityBytes,
        journalBytes: 0,
        chunks: 0,
        segments: 0,
        logicalBytes: 0,
        uniqueBytes: 0,
        storedBytes: 0,
        volumes: this.state.volumes.size,
        conditions: [],
      },
    };
  }

  #policies(): HistoryPolicyObject[] {
    const users = (name: string) =>
      [...this.state.volumes.values()].filter(({ policy }) => policy === name);
    return [...this.state.policies].map(([name, retention]) => ({
      kind: 'HistoryPolicy',
      apiVersion,
      metadata: { name, cluster: this.name },
      spec: {
        seconds: formatDuration(retention.secondsMs),
        minutes: formatDuration(retention.minutesMs),
        hours: formatDuration(retention.hoursMs),
        days: formatDuration(retention.daysMs),
      },
      status: { preset: presets.has(name), volumes: users(name).map((one) => one.name) },
    }));
  }
}

export class FakeCloud {
  readonly #agents: ReadonlyMap<string, FakeAgent>;

  /** Repositories, and who saved there last. */
  readonly saved = new Map<string, FakeAgent>();
  /** Versions. */
  readonly forgotten: string[] = [];
  readonly backups = new FakeBackups();

  /** Absent: they are without bytes. */
  readonly content: ContentWatch | undefined;

  constructor(names: readonly string[], content?: ContentWatch) {
    this.content = content;
    this.#agents = new Map(names.map((name) => [name, new FakeAgent(name, this)]));
  }

  get names(): readonly string[] {
    return [...this.#agents.keys()];
  }

  find(name: string): FakeAgent {
    const found = this.#agents.get(name) ?? this.saved.get(name);
    return found ?? fail('NotFound', `no peer is called ${name}`);
  }

  tell(): void {
    for (const agent of this.#agents.values()) agent.tell();
  }

  fetch(bytes: number): void {
    for (const agent of this.#agents.values()) agent.fetch(bytes);
  }

  save(): CloudState {
    const agents = [...this.#agents];
    return {
      agents: new Map(agents.map(([name, { state }]) => [name, structuredClone(state)])),
      saved: new Map(
        [...this.saved].flatMap(([repository, by]) => {
          const [name] = agents.find(([, agent]) => agent === by) ?? [];
          return name === undefined ? [] : [[repository, name] as const];
        }),
      ),
      parts: new Map(this.backups.parts),
    };
  }

  load({ agents, saved, parts }: CloudState): void {
    for (const [name, agent] of this.#agents) agent.state = structuredClone(agents.get(name)!);
    for (const [repository, name] of saved) this.saved.set(repository, this.find(name));
    for (const [key, part] of parts) this.backups.parts.set(key, part);
  }
}
