/**
 * All replicated volumes of one agent: the replicas its pools keep, for whoever leads them, and the
 * sets that it leads itself.
 */
import { fail, TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { printable } from '../../base/names.ts';
import type { Clock, Log, Random } from '../../base/ports.ts';
import { type HistoryPolicy, noHistory, type PoolApi, type VolumeApi } from '../../volume/api.ts';
import type { Member } from '../../volume/replica-types.ts';
import type { ChunkSource, Name, StoredChunk } from '../../volume/types.ts';
import type { Peer } from '../peer.ts';
import type { ReplicaPort, ReplicaStatus } from './api.ts';
import { formatMembers } from './configuration.ts';
import { Electorate, type Elected } from './election.ts';
import { fillStarter } from './fill-run.ts';
import type { SetEvent } from './events.ts';
import { type Healer, healFrom } from './heal.ts';
import { LedSet } from './led-set.ts';
import { LedVolume } from './led-volume.ts';
import { LocalReplica } from './local-replica.ts';
import { RemotePort } from './remote-port.ts';
import type { ReplicaService } from './replica-server.ts';
import { Slots } from './slots.ts';

/** Rebuilds at a time: to pools of this agent, and by sets that it leads. */
const rebuildsMax = 2;
/** A link is repaired within that; what is asked again has the same effect. */
const dataMs = 30_000;

export interface ReplicaPool {
  readonly name: string;
  readonly api: PoolApi;
}

export interface ReplicasOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The name by which the agents of this cluster know this one. */
  readonly self: string;
  readonly pools: () => readonly ReplicaPool[];
  /** Throws `NotFound` for an agent that is no peer. */
  readonly peer: (name: string) => Peer;
  readonly onEvent: (volume: string, event: SetEvent) => void;
  /** What is behind the volume's name is another device now. */
  readonly onLed: (volume: string) => void;
  /** Runs work while no request of the volume is on its way. */
  readonly whileStill: <T>(volume: string, work: () => Promise<T>) => Promise<T>;
}

export interface LeadRequest {
  readonly volume: string;
  readonly wanted: readonly Member[];
  readonly sizeBytes?: number;
  readonly blockBytes?: number;
  readonly policy?: HistoryPolicy;
  readonly rebuildBytesPerSecond?: number;
  readonly force?: boolean;
}

export interface Led {
  readonly set: LedSet;
  readonly volume: LedVolume;
}

export class Replicas implements ReplicaService {
  readonly #o: ReplicasOptions;
  readonly #local = new Map<string, LocalReplica>();
  readonly #led = new Map<string, Led>();
  readonly #leading = new Map<string, Promise<Led>>();
  readonly #fills = fillStarter(new Slots(rebuildsMax));
  readonly #rebuilds = new Slots(rebuildsMax);

  constructor(options: ReplicasOptions) {
    this.#o = options;
  }

  /** The sets led here, by volume name. */
  get led(): ReadonlyMap<string, Led> {
    return this.#led;
  }

  /** Replicas kept here. */
  kept(): readonly { readonly pool: ReplicaPool; readonly volume: VolumeApi }[] {
    return this.#o.pools().flatMap((pool) =>
      pool.api
        .volumes()
        .filter(({ replica }) => replica.document !== undefined)
        .map((volume) => ({ pool, volume })),
    );
  }

  find(volume: string): LocalReplica {
    const at = this.#locate(volume);
    if (at !== undefined) return this.#localAt(volume, at);
    return fail('NotFound', `${this.#o.self} has no replica of volume ${printable(volume)}`);
  }

  place(volume: string, pool: string): LocalReplica {
    const found = this.#locate(volume);
    const at = found ?? this.#o.pools().find(({ name }) => name === pool);
    if (at !== undefined) return this.#localAt(volume, at);
    const names = this.#o.pools().map(({ name }) => name);
    return fail('NotFound', `${this.#o.self} has no pool ${printable(pool)} (${names.join(', ')})`);
  }

  async state(volume: string): Promise<ReplicaStatus | undefined> {
    return this.#locate(volume) === undefined ? undefined : this.find(volume).state();
  }

  async releaseSeal(leaseId: string): Promise<void> {
    for (const { api } of this.#o.pools()) await api.releaseLease(leaseId);
  }

  /**
   * Leads the set, or goes on leading it, towards the wanted members. Makes the volume when nobody
   * has it and a size is given; a volume that is here and not replicated becomes a set of one.
   */
  async lead(request: LeadRequest): Promise<Led> {
    const { volume, wanted, rebuildBytesPerSecond } = request;
    const led = this.#led.get(volume);
    // Somebody else may have led since, and with nothing written nobody here has noticed.
    if (led !== undefined && (await led.set.isStillLed())) {
      led.set.want(wanted, rebuildBytesPerSecond);
      return led;
    }
    const running = this.#leading.get(volume);
    if (running !== undefined) return running.then(() => this.lead(request));
    // Their clients have seen what was before another led; they must not write over what is now.
    const doors = led?.volume.doors() ?? [];
    if (doors.length > 0) {
      fail('InUse', `${doors.join(', ')} holds volume ${volume} from before another led it`);
    }
    const work = this.#begin(request).finally(() => this.#leading.delete(volume));
    this.#leading.set(volume, work);
    return work;
  }

  /** `InUse` with open doors. */
  async yield(volume: string): Promise<void> {
    const led = this.#require(volume);
    const doors = led.volume.doors();
    if (doors.length > 0) fail('InUse', `volume ${volume} is used by ${doors.join(', ')}`);
    if (led.set.leader.quorum.stopped === undefined) await led.set.yield();
    this.#led.delete(volume);
    this.#o.onLed(volume);
  }

  /** Deletes the volume everywhere. With `force` also when replicas are out of reach. */
  async deleteLed(volume: string, force: boolean): Promise<void> {
    const led = this.#require(volume);
    const doors = led.volume.doors();
    if (doors.length > 0) fail('InUse', `volume ${volume} is used by ${doors.join(', ')}`);
    const away = led.set.leader.quorum.streams().filter(({ standing }) => standing === 'Out');
    if (away.length > 0 && !force) {
      const names = formatMembers(away.map(({ port }) => port.member));
      fail('Conflict', `replicas ${names} are away and would stay; bring them back, or force`);
    }
    this.#led.delete(volume);
    try {
      await led.set.dropAll();
    } catch (error) {
      if (!force) throw error;
    }
    this.#local.delete(volume);
  }

  /** Removes the replica kept here. `Conflict` while it is a member, unless forced. */
  async drop(volume: string, force: boolean): Promise<void> {
    const replica = this.find(volume);
    const document = replica.volume?.replica.document;
    if (document === undefined) fail('Conflict', `volume ${volume} is not replicated; delete it`);
    if (this.#led.has(volume)) fail('InUse', `volume ${volume} is led here; yield it first`);
    const { voters, learners } = document.configuration;
    const isMember = [...voters, ...learners].some(({ agent }) => agent === this.#o.self);
    if (isMember && !force) {
      const others = formatMembers(voters.filter(({ agent }) => agent !== this.#o.self));
      fail(
        'Conflict',
        `this replica of ${volume} is still a member of its set (${others || 'no other'}); ` +
          'have its leader remove it, or force: what only this one acknowledged is lost then',
      );
    }
    await replica.dropAnyway();
    this.#local.delete(volume);
  }

  /** Whatever other replicas have of these chunks; nothing when nobody answers. */
  async heal(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    const agents = new Set<string>();
    for (const { volume } of this.kept()) {
      const { voters = [] } = volume.replica.document?.configuration ?? {};
      for (const { agent } of voters) if (agent !== this.#o.self) agents.add(agent);
    }
    const healers = [...agents].flatMap((agent) => this.#healer(agent) ?? []);
    return healFrom(this.#o.clock, healers, names);
  }

  /** Undefined when it is no peer of this agent any more. */
  #healer(agent: string): Healer | undefined {
    try {
      const peer = this.#o.peer(agent);
      const pull = (names: readonly Name[]) => peer.sourceFor().pull(names, 'demand');
      return { isConnected: peer.status().connected, pull };
    } catch (error) {
      this.#o.log.log('debug', 'a replica cannot be asked for chunks', { agent, error });
      return undefined;
    }
  }

  close(): void {
    const error = new TransshipError('Stopping', 'the agent is stopping');
    for (const { set } of this.#led.values()) set.stop(error);
    for (const replica of this.#local.values()) replica.stop();
  }

  #require(volume: string): Led {
    const led = this.#led.get(volume);
    return led ?? fail('NotFound', `volume ${printable(volume)} is not led by ${this.#o.self}`);
  }

  #locate(volume: string): ReplicaPool | undefined {
    return this.#o.pools().find(({ api }) => api.volumes().some(({ name }) => name === volume));
  }

  #localAt(volume: string, pool: ReplicaPool): LocalReplica {
    const known = this.#local.get(volume);
    if (known?.member.pool === pool.name) return known;
    known?.stop();
    const made = new LocalReplica({
      ...this.#o,
      volume,
      member: { agent: this.#o.self, pool: pool.name },
      pool: pool.api,
      checkFree: (name) => this.#checkFree(name),
      sourceFor: (agent, leaseId) => this.#sourceFor(agent, leaseId),
      startFill: this.#fills,
      onChange: () => undefined,
    });
    this.#local.set(volume, made);
    return made;
  }

  #port(volume: string, member: Member): ReplicaPort {
    if (member.agent === this.#o.self) return this.place(volume, member.pool);
    const peer = () => this.#o.peer(member.agent);
    return new RemotePort({ volume, member, peer, dataMs });
  }

  #checkFree(volume: string): void {
    if (this.#locate(volume) === undefined) return;
    fail('AlreadyExists', `${this.#o.self} has another volume ${printable(volume)}`);
  }

  #sourceFor(agent: string, leaseId: string): ChunkSource & { close(): void } {
    if (agent === this.#o.self) return fail('Internal', 'a replica is not rebuilt from itself');
    return this.#o.peer(agent).sourceFor({ leaseId });
  }

  async #begin(request: LeadRequest): Promise<Led> {
    const { volume, wanted, force = false } = request;
    const electorate = new Electorate({
      ...this.#o,
      volume,
      port: (member) => this.#port(volume, member),
    });
    const here = this.#memberHere(volume);
    await electorate.ask(unique([...(here === undefined ? [] : [here]), ...wanted]));
    const set = electorate.set();
    if (set !== undefined) return this.#take(request, await electorate.run(set, force));
    const plain = electorate.plain();
    const isHere = plain.includes(this.#o.self);
    const elsewhere = plain.filter((agent) => agent !== this.#o.self);
    if (elsewhere.length > 0) {
      fail('Conflict', `volume ${volume} is on ${elsewhere.join(', ')} already: lead it there`);
    }
    if (!isHere) checkAnswered(electorate, volume);
    if (!isHere) return this.#create(request, electorate);
    return this.#o.whileStill(volume, () => this.#convert(request, electorate));
  }

  /** A volume of this agent becomes the first replica of a new set, with its doors open. */
  async #convert(request: LeadRequest, electorate: Electorate): Promise<Led> {
    const { volume } = request;
    const replica = this.find(volume);
    const { volume: plain } = replica;
    if (plain === undefined || plain.status().origin !== undefined) {
      fail('NotAccessible', `volume ${volume} still arrives by a teleport; wait until it has`);
    }
    const promised = electorate.newTerm();
    const set = this.#newSet();
    const configuration = soleVoter(replica.member);
    await plain.replica.begin({ set, promised, configuration });
    const again = new Electorate({ ...this.#o, volume, port: (one) => this.#port(volume, one) });
    await again.ask([replica.member]);
    return this.#take(request, await again.run(set, false));
  }

  async #create(request: LeadRequest, electorate: Electorate): Promise<Led> {
    const { volume, wanted, sizeBytes, policy = noHistory } = request;
    const { blockBytes = limits.blockBytesDefault } = request;
    if (sizeBytes === undefined) {
      fail('NotFound', `no agent has volume ${volume}, and no size was given to make it`);
    }
    const self = wanted.find(({ agent }) => agent === this.#o.self);
    const first = self ?? wanted[0]!;
    const term = electorate.newTerm();
    const set = this.#newSet();
    const configuration = soleVoter(first);
    const phase = 'Healthy' as const;
    const made = { set, sizeBytes, blockBytes, policy, configuration, phase };
    await this.#port(volume, first).create(term, made);
    const again = new Electorate({ ...this.#o, volume, port: (one) => this.#port(volume, one) });
    await again.ask([first]);
    return this.#take(request, await again.run(set, false));
  }

  #memberHere(volume: string): Member | undefined {
    const pool = this.#locate(volume);
    return pool === undefined ? undefined : { agent: this.#o.self, pool: pool.name };
  }

  #take(request: LeadRequest, elected: Elected): Led {
    const { volume, wanted, rebuildBytesPerSecond } = request;
    const local = () => this.#local.get(volume)?.volume;
    const set = new LedSet({
      ...this.#o,
      volume,
      elected,
      wanted,
      rebuildBytesPerSecond,
      local,
      here: () => this.#memberHere(volume),
      port: (member) => this.#port(volume, member),
      slots: this.#rebuilds,
      onEvent: (event) => this.#o.onEvent(volume, event),
    });
    const wallMs = () => this.#o.clock.wallMs();
    const led = { set, volume: new LedVolume({ name: volume, led: set, local, wallMs }) };
    this.#led.set(volume, led);
    this.#o.onLed(volume);
    return led;
  }

  #newSet(): string {
    return Buffer.from(this.#o.random.bytes(16)).toString('hex');
  }
}

function soleVoter(member: Member) {
  return { epoch: 0, version: 1, voters: [member], learners: [] };
}

function unique(members: readonly Member[]): Member[] {
  return [...new Map(members.toReversed().map((one) => [one.agent, one])).values()];
}

/** A volume is made only when nobody who should have it may have it already. */
function checkAnswered(electorate: Electorate, volume: string): void {
  const [first] = electorate.silent();
  if (first === undefined) return;
  const { agent, problem } = first;
  fail('SourceUnreachable', `${agent} may have volume ${volume} already: ${problem.message}`);
}
