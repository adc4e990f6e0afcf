/** Volumes kept in several pools of one cluster (design.md 4.6), in the words of the API. */
import {
  apiVersion,
  listOf,
  type EventType,
  type ReplicaSetObject,
  replicaStates,
  type ReplicaView,
} from '../api/objects.ts';
import type { RequestOf } from '../api/control.ts';
import { asTransshipError, fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { Clock, Log, Metrics, Random } from '../base/ports.ts';
import type { Peer } from '../peer/peer.ts';
import { formatMembers, parseMembers } from '../peer/replica/configuration.ts';
import type { SetEvent } from '../peer/replica/events.ts';
import type { ReplicaService } from '../peer/replica/replica-server.ts';
import { Replicas } from '../peer/replica/replicas.ts';
import {
  type MemberState,
  type ReplicaSetState,
  viewOfKept,
  viewOfLed,
} from '../peer/replica/view.ts';
import type { Name, StoredChunk } from '../volume/types.ts';
import type { Exports } from './doors.ts';
import type { Events } from './events.ts';
import type { AgentParts, HandlersOf } from './parts.ts';
import type { Policies } from './policies.ts';
import type { Pools } from './pools.ts';

export interface ReplicatedOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly self: string;
  readonly cluster: string;
  readonly pools: Pools;
  readonly policies: Policies;
  readonly events: Events;
  readonly doors: Exports;
  readonly peer: (name: string) => Peer;
}

export class ReplicatedVolumes {
  readonly #o: ReplicatedOptions;
  readonly #replicas: Replicas;

  constructor(options: ReplicatedOptions) {
    this.#o = options;
    const { pools, doors } = options;
    this.#replicas = new Replicas({
      ...options,
      pools: () => pools.all,
      onEvent: (volume, event) => this.#note(volume, event),
      onLed: (volume) => doors.changed(volume),
      whileStill: (volume, work) => doors.whileStill(volume, work),
    });
    pools.lead({
      find: (name) => this.#replicas.led.get(name)?.volume,
      names: () => [...this.#replicas.led.keys()],
      whole: async (name) => this.#replicas.led.get(name)?.set.replicaHere(),
    });
  }

  get service(): ReplicaService {
    return this.#replicas;
  }

  isLed(volume: string): boolean {
    return this.#replicas.led.has(volume);
  }

  /** A replica is kept here and somebody else leads, or nobody. */
  isFollowed(volume: string): boolean {
    return !this.isLed(volume) && this.#kept(volume) !== undefined;
  }

  async lead(request: RequestOf<'replica.lead'>): Promise<ReplicaSetObject> {
    const { volume, members, historyPolicy, ...rest } = request;
    const { policies } = this.#o;
    const policy = historyPolicy === undefined ? undefined : policies.find(historyPolicy);
    const led = await this.#replicas.lead({
      ...rest,
      volume,
      wanted: parseMembers(members),
      ...(policy === undefined ? {} : { policy }),
    });
    if (historyPolicy !== undefined) policies.assign(led.volume.id, historyPolicy);
    return this.show(volume);
  }

  async yield(volume: string): Promise<ReplicaSetObject> {
    const before = await this.show(volume);
    await this.#replicas.yield(volume);
    return this.#kept(volume) === undefined ? before : this.show(volume);
  }

  async show(volume: string): Promise<ReplicaSetObject> {
    const led = this.#replicas.led.get(volume);
    if (led !== undefined) return this.#object(viewOfLed(led, volume));
    const status = this.#kept(volume) && (await this.#replicas.state(volume));
    if (status !== undefined) return this.#object(viewOfKept(status));
    const { self } = this.#o;
    return fail('NotFound', `${self} leads and keeps no replicated volume '${printable(volume)}'`);
  }

  async list(): Promise<readonly ReplicaSetObject[]> {
    const names = new Set(this.#replicas.led.keys());
    for (const { volume } of this.#replicas.kept()) names.add(volume.name);
    const all = [...names].toSorted().map((name) => this.show(name).catch(unlessGone));
    return (await Promise.all(all)).filter((one) => one !== undefined);
  }

  async drop(volume: string, force: boolean): Promise<ReplicaSetObject> {
    const before = await this.show(volume);
    await this.#replicas.drop(volume, force);
    const note = `the replica of volume ${volume} in this agent was removed`;
    this.#tell('Information', 'ReplicaRemoved', volume, note);
    return before;
  }

  delete(volume: string, force: boolean): Promise<void> {
    return this.#replicas.deleteLed(volume, force);
  }

  async heal(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    const chunks = await this.#replicas.heal(names);
    if (chunks.length > 0) {
      this.#o.metrics.add('transship_replica_healed_chunks_total', chunks.length);
    }
    return chunks;
  }

  report(): void {
    for (const [volume, led] of this.#replicas.led) {
      const { replicas } = viewOfLed(led, volume);
      for (const state of replicaStates) {
        const count = replicas.filter((one) => one.state === state).length;
        this.#o.metrics.set('transship_replicas', count, { volume, state });
      }
      const missing = replicas.reduce((sum, { missingBytes }) => sum + missingBytes, 0);
      this.#o.metrics.set('transship_replica_missing_bytes', missing, { volume });
    }
  }

  close(): void {
    this.#replicas.close();
  }

  #kept(volume: string) {
    return this.#replicas.kept().find((one) => one.volume.name === volume);
  }

  #object(view: ReplicaSetState): ReplicaSetObject {
    const { volume, set, leader, epoch, sequence, phase, wanted, replicas, quorum } = view;
    const { blocker } = view;
    return {
      kind: 'ReplicaSet',
      apiVersion,
      metadata: { name: volume, cluster: this.#o.cluster, uid: set },
      volume,
      set,
      role: view.leads ? 'Leader' : 'Follower',
      ...(leader === '' ? {} : { leader }),
      epoch,
      sequence,
      phase,
      wanted: wanted.map((member) => formatMembers([member])),
      replicas: replicas.map(replicaView),
      quorum,
      ...(blocker === undefined ? {} : { blocker }),
    };
  }

  #note(volume: string, { kind, note }: SetEvent): void {
    const { metrics } = this.#o;
    if (kind === 'Leads') metrics.add('transship_replica_elections_total', 1, { volume });
    if (kind === 'ReplicaRebuilding')
      metrics.add('transship_replica_rebuilds_total', 1, { volume });
    if (kind === 'ReadElsewhere') {
      metrics.add('transship_replica_reads_elsewhere_total', 1, { volume });
    }
    this.#tell(eventTypes[kind], kind, volume, note);
  }

  #tell(type: EventType, reason: string, name: string, note: string): void {
    this.#o.events.add({ type, reason, kind: 'Volume', name, note });
  }
}

const eventTypes: Readonly<Record<SetEvent['kind'], EventType>> = {
  Leads: 'Information',
  Fenced: 'Error',
  ReplicaHealthy: 'Information',
  ReplicaOffline: 'Warning',
  ReplicaRebuilding: 'Information',
  ReplicaAdded: 'Information',
  ReplicaRemoved: 'Information',
  ReadElsewhere: 'Warning',
};

function replicaView(one: MemberState): ReplicaView {
  const { member, state, voter, missingBytes, totalBytes, bytesPerSecond } = one;
  const { allocatedBytes, message } = one;
  const present = totalBytes === 0 ? 1 : (totalBytes - missingBytes) / totalBytes;
  const isMoving = missingBytes > 0 && bytesPerSecond > 0;
  return {
    ...member,
    state,
    voter,
    missingBytes,
    totalBytes,
    percent: state === 'Healthy' ? 100 : Math.floor(present * 100),
    bytesPerSecond: Math.round(bytesPerSecond),
    ...(isMoving ? { etaSeconds: Math.ceil(missingBytes / bytesPerSecond) } : {}),
    usedBytes: totalBytes,
    allocatedBytes,
    message,
  };
}

/** A replica may be removed while others are listed. */
function unlessGone(error: unknown): undefined {
  if (asTransshipError(error).reason !== 'NotFound') throw error;
}

export function replicaHandlers(parts: AgentParts): HandlersOf<'replica'> {
  const { replicas } = parts;
  return {
    'replica.lead': (request) => replicas.lead(request),
    'replica.yield': ({ volume }) => replicas.yield(volume),
    'replica.list': async () => listOf<ReplicaSetObject>('ReplicaSet', await replicas.list()),
    'replica.show': ({ volume }) => replicas.show(volume),
    'replica.drop': ({ volume, force }) => replicas.drop(volume, force === true),
  };
}
