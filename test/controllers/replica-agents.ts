// Agents of one cluster that keep replicas without bytes: members, epochs, what is missing where,
// behind the control API. The state can be copied, so that many runs start alike.
import type { ControlClient } from '../../src/api/control-client.ts';
import type { OperationName, RequestOf, ResponseOf } from '../../src/api/control.ts';
import {
  apiVersion,
  type ClusterObject,
  type HistoryPolicyObject,
  listOf,
  type PoolObject,
  type ReplicaSetObject,
  type ReplicaView,
  type TeleportObject,
  type VolumeObject,
} from '../../src/api/objects.ts';
import { fail } from '../../src/base/errors.ts';
import { exactSize } from '../../src/base/units.ts';

const MiB = 1024 * 1024;

interface FakeVolume {
  readonly name: string;
  sizeBytes: number;
  policy: string;
  dataBytes: number;
  doors: string[];
  /** The agent that has it, as long as it is a plain one. */
  home: string;
  set?: FakeSet;
}

interface FakeSet {
  leader: string | undefined;
  epoch: number;
  sequence: number;
  wanted: string[];
  members: Map<string, FakeMember>;
}

interface FakeMember {
  voter: boolean;
  missingBytes: number;
  isNew: boolean;
}

interface NodesState {
  readonly volumes: Map<string, FakeVolume>;
  /** `agent/volume`: left on agents that were down when the volume was deleted. */
  readonly strays: Set<string>;
}

type Handlers = { [N in OperationName]?: (request: RequestOf<N>) => ResponseOf<N> };

export class FakeNodes {
  readonly names: readonly string[];
  state: NodesState = { volumes: new Map(), strays: new Set() };
  readonly down = new Set<string>();
  readonly freeBytes = new Map<string, number>();
  readonly capacityBytes = 1024 * MiB;
  /** Operations of sets, in order: `n1 replica.lead n1/p1,n2/p2`. */
  readonly asked: string[] = [];
  readonly #ends = new Map<string, Set<() => void>>();

  constructor(names: readonly string[]) {
    this.names = names;
  }

  /** Its pool is `p1` at agent `n1`. */
  static poolOf(agent: string): string {
    return agent.replace('n', 'p');
  }

  stop(agent: string): void {
    this.down.add(agent);
    for (const { set } of this.state.volumes.values()) {
      if (set?.leader === agent) set.leader = undefined;
    }
    for (const end of this.#ends.get(agent) ?? []) end();
  }

  start(agent: string): void {
    this.down.delete(agent);
  }

  volume(name: string): FakeVolume {
    return this.state.volumes.get(name) ?? fail('NotFound', `no volume '${name}'`);
  }

  /** A moment of every leader's work. */
  work(bytes: number): void {
    for (const { set, dataBytes } of this.state.volumes.values()) {
      if (set?.leader === undefined) continue;
      this.#mend(set, dataBytes, bytes);
      this.#trim(set);
    }
  }

  #mend(set: FakeSet, dataBytes: number, bytes: number): void {
    for (const text of set.wanted) {
      if (set.members.has(text)) continue;
      set.members.set(text, { voter: false, missingBytes: dataBytes, isNew: true });
    }
    for (const [text, member] of set.members) {
      if (this.#isDown(text)) {
        // What it will have missed.
        if (!member.isNew) member.missingBytes = Math.max(member.missingBytes, MiB);
        continue;
      }
      member.missingBytes = Math.max(0, member.missingBytes - bytes);
      if (member.missingBytes === 0) Object.assign(member, { voter: true, isNew: false });
    }
  }

  /** One at a time, when all that are wanted are whole. */
  #trim(set: FakeSet): void {
    const isWhole = set.wanted.every((text) => {
      return set.members.get(text)?.missingBytes === 0 && !this.#isDown(text);
    });
    const extra = [...set.members.keys()].find((text) => !set.wanted.includes(text));
    if (isWhole && extra !== undefined) set.members.delete(extra);
  }

  #isDown(text: string): boolean {
    return this.down.has(text.split('/')[0]!);
  }

  client(agent: string): ControlClient {
    return {
      cluster: agent,
      call: async (name, request) => {
        this.#mustBeUp(agent);
        const handler = this.#handlers(agent)[name];
        if (handler === undefined) fail('Unsupported', `${name} is no part of this fake`);
        return structuredClone(handler(request as never)) as ResponseOf<typeof name>;
      },
      stream: async (name, _request, { signal }) => {
        if (name !== 'volume.watch') return fail('Unsupported', `${name} is no part of this fake`);
        this.#mustBeUp(agent);
        const { promise, resolve } = Promise.withResolvers<void>();
        const ends = this.#ends.get(agent) ?? new Set();
        this.#ends.set(agent, ends.add(resolve));
        if (signal?.aborted === true) resolve();
        signal?.addEventListener('abort', () => resolve());
        await promise;
        ends.delete(resolve);
        return {} as ResponseOf<typeof name>;
      },
    };
  }

  #mustBeUp(agent: string): void {
    if (this.down.has(agent)) fail('AgentUnreachable', `agent ${agent} is not running`);
  }

  #has(agent: string, { home, set }: FakeVolume): boolean {
    if (set === undefined) return home === agent;
    return set.leader === agent || this.#memberAt(agent, set) !== undefined;
  }

  #memberAt(agent: string, { members }: FakeSet): string | undefined {
    return [...members.keys()].find((text) => text.startsWith(`${agent}/`));
  }

  #handlers(agent: string): Handlers {
    const { volumes } = this.state;
    const own = () => [...volumes.values()].filter((one) => this.#has(agent, one));
    const find = (name: string) => {
      const found = volumes.get(name);
      if (found !== undefined && this.#has(agent, found)) return found;
      return fail('NotFound', `no volume '${name}' at ${agent}`);
    };
    return {
      'volume.list': () =>
        listOf<VolumeObject>(
          'Volume',
          own().map((one) => this.#view(agent, one)),
        ),
      'volume.show': ({ name }) => this.#view(agent, find(name)),
      'volume.create': ({ name, sizeBytes, historyPolicy: policy = 'none' }) => {
        if (volumes.has(name)) fail('AlreadyExists', `volume ${name} exists already`);
        volumes.set(name, { name, sizeBytes, policy, dataBytes: 0, doors: [], home: agent });
        return this.#view(agent, find(name));
      },
      'volume.resize': ({ name, sizeBytes }) => {
        find(name).sizeBytes = sizeBytes;
        return this.#view(agent, find(name));
      },
      'volume.set-policy': ({ name, historyPolicy }) => {
        find(name).policy = historyPolicy;
        return this.#view(agent, find(name));
      },
      'volume.delete': ({ name }) => this.#delete(agent, find(name)),
      'pool.list': () => listOf<PoolObject>('Pool', [this.#pool(agent)]),
      'policy.list': () => listOf<HistoryPolicyObject>('HistoryPolicy', []),
      'teleport.list': () => listOf<TeleportObject>('Teleport', []),
      'teleport.show': ({ name }) => fail('NotFound', `no teleport ${name}`),
      'cluster.list': () => listOf<ClusterObject>('Cluster', [self(agent)]),
      'agent.status': () => self(agent),
      ...this.#setHandlers(agent),
    };
  }

  #setHandlers(agent: string): Handlers {
    const { volumes, strays } = this.state;
    const find = (name: string) => {
      const found = volumes.get(name);
      const isHere = found?.set !== undefined && this.#has(agent, found);
      return isHere ? found : fail('NotFound', `${agent} keeps no replica of '${name}'`);
    };
    return {
      'replica.list': () => {
        const own = [...volumes.values()].filter((one) => one.set && this.#has(agent, one));
        const left = [...strays].filter((one) => one.startsWith(`${agent}/`));
        return listOf<ReplicaSetObject>('ReplicaSet', [
          ...own.map((one) => this.#setView(agent, one)),
          ...left.map((one) => strayView(one.slice(agent.length + 1))),
        ]);
      },
      'replica.show': ({ volume }) => this.#setView(agent, find(volume)),
      'replica.lead': (request) => this.#lead(agent, request),
      'replica.yield': ({ volume }) => {
        const found = find(volume);
        this.asked.push(`${agent} replica.yield`);
        if (found.doors.length > 0) fail('InUse', `volume ${volume} is used by ${found.doors[0]}`);
        if (found.set!.leader === agent) found.set!.leader = undefined;
        return strayView(volume);
      },
      'replica.drop': ({ volume, force }) => {
        const stray = `${agent}/${volume}`;
        if (!strays.delete(stray)) {
          const { set } = find(volume);
          if (force !== true) fail('InUse', 'it is a member');
          set!.members.delete(this.#memberAt(agent, set!) ?? '');
          if (set!.leader === agent) set!.leader = undefined;
          if (set!.members.size === 0) volumes.delete(volume);
        }
        this.asked.push(`${agent} replica.drop`);
        return strayView(volume);
      },
    };
  }

  #lead(agent: string, { volume, members }: RequestOf<'replica.lead'>): ReplicaSetObject {
    const found = this.volume(volume);
    const wanted = members.split(',');
    this.asked.push(`${agent} replica.lead ${members}`);
    const first: FakeMember = { voter: true, missingBytes: 0, isNew: false };
    if (found.set === undefined && found.home !== agent) fail('NotFound', `no volume '${volume}'`);
    found.set ??= {
      leader: agent,
      epoch: 1,
      sequence: 0,
      wanted,
      members: new Map([[`${agent}/${FakeNodes.poolOf(agent)}`, first]]),
    };
    const { set } = found;
    if (set.leader !== agent) {
      const voters = [...set.members].filter(([, { voter }]) => voter);
      const up = voters.filter(([text]) => !this.#isDown(text));
      if (2 * up.length <= voters.length) fail('QuorumLost', 'no majority promises');
      set.leader = agent;
      set.epoch += 1;
    }
    set.wanted = wanted;
    return this.#setView(agent, found);
  }

  #delete(agent: string, volume: FakeVolume): VolumeObject {
    const view = this.#view(agent, volume);
    const { name, doors, set } = volume;
    if (doors.length > 0) fail('InUse', `volume ${name} is used by ${doors[0]}`);
    for (const text of set?.members.keys() ?? []) {
      const [keeper] = text.split('/');
      if (this.#isDown(text)) this.state.strays.add(`${keeper}/${name}`);
    }
    this.state.volumes.delete(name);
    return view;
  }

  #view(agent: string, volume: FakeVolume): VolumeObject {
    const { name, sizeBytes, policy, dataBytes, doors, set } = volume;
    return {
      kind: 'Volume',
      apiVersion,
      metadata: { name, cluster: agent, uid: name },
      spec: {
        size: exactSize(sizeBytes),
        blockSize: '64Ki',
        pool: FakeNodes.poolOf(agent),
        historyPolicy: policy,
      },
      status: {
        phase: 'Available',
        sizeBytes,
        allocatedBytes: dataBytes,
        missingBytes: 0,
        unsettledBytes: 0,
        root: 'ab'.repeat(32),
        snapshots: 0,
        doors: set === undefined || set.leader === agent ? doors : [],
        leasedBy: [],
        conditions: [],
      },
    };
  }

  #setView(agent: string, { name, set, dataBytes }: FakeVolume): ReplicaSetObject {
    const { leader, epoch, sequence, wanted, members } = set!;
    const all = [...members].map(([text, member]) => this.#replica(text, member, dataBytes));
    const voters = all.filter(({ voter }) => voter);
    const healthy = all.filter(({ voter, state }) => voter && state === 'Healthy');
    const quorum = Math.floor(voters.length / 2) + 1;
    const isWhole = healthy.length === voters.length;
    return {
      kind: 'ReplicaSet',
      apiVersion,
      metadata: { name },
      volume: name,
      set: 'ab'.repeat(16),
      role: leader === agent ? 'Leader' : 'Follower',
      ...(leader === undefined ? {} : { leader }),
      epoch,
      sequence,
      phase: healthy.length < quorum ? 'Offline' : isWhole ? 'Healthy' : 'Degraded',
      wanted: leader === agent ? wanted : [],
      replicas: leader === agent ? all : all.filter((one) => one.agent === agent),
      quorum,
    };
  }

  #replica(text: string, member: FakeMember, dataBytes: number): ReplicaView {
    const [agent = '', pool = ''] = text.split('/');
    const { voter, missingBytes, isNew } = member;
    const isDown = this.down.has(agent);
    const mending = isNew ? 'ReconstructingNewReplica' : 'Rebuilding';
    const usedBytes = Math.max(0, dataBytes - missingBytes);
    return {
      agent,
      pool,
      state: isDown ? 'Offline' : missingBytes > 0 || !voter ? mending : 'Healthy',
      voter,
      missingBytes,
      totalBytes: dataBytes,
      percent: dataBytes === 0 ? 100 : Math.floor((100 * usedBytes) / dataBytes),
      bytesPerSecond: isDown || missingBytes === 0 ? 0 : MiB,
      usedBytes,
      allocatedBytes: usedBytes,
      message: isDown ? `agent ${agent} does not answer` : '',
    };
  }

  #pool(agent: string): PoolObject {
    const { capacityBytes } = this;
    const name = FakeNodes.poolOf(agent);
    const own = [...this.state.volumes.values()].filter((one) => this.#has(agent, one));
    const allocatedBytes = own.reduce((sum, { dataBytes }) => sum + dataBytes, 0);
    return {
      kind: 'Pool',
      apiVersion,
      metadata: { name, cluster: agent, uid: name },
      spec: { path: `/${name}`, capacity: '1Gi' },
      status: {
        phase: 'Healthy',
        readOnly: false,
        capacityBytes,
        allocatedBytes,
        freeBytes: this.freeBytes.get(agent) ?? capacityBytes - allocatedBytes,
        journalBytes: 0,
        chunks: 0,
        segments: 0,
        logicalBytes: allocatedBytes,
        uniqueBytes: allocatedBytes,
        storedBytes: allocatedBytes,
        volumes: own.length,
        conditions: [],
      },
    };
  }
}

function self(name: string): ClusterObject {
  return {
    kind: 'Cluster',
    apiVersion,
    metadata: { name, cluster: name },
    spec: { local: true, address: '', fingerprint: '' },
    status: { connected: true, health: 'None', reasons: [], version: '1' },
  };
}

/** Of a replica that nobody leads. */
function strayView(volume: string): ReplicaSetObject {
  return {
    kind: 'ReplicaSet',
    apiVersion,
    metadata: { name: volume },
    volume,
    set: 'ab'.repeat(16),
    role: 'Follower',
    epoch: 0,
    sequence: 0,
    phase: 'Offline',
    wanted: [],
    replicas: [],
    quorum: 1,
  };
}
