/**
 * Where replicas may go, and which moves empty a pool or even out several. Pure: commands show with
 * it what controllers then do.
 */
import type { Pool } from '../../api/kinds/pool.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { TransshipError } from '../../base/errors.ts';
import { formatSize } from '../../base/units.ts';
import { labels } from '../labels.ts';
import { isTrue } from '../status.ts';

/** Of its capacity a pool keeps so much free of what is moved to it: it has writes to take, too. */
const reserveRatio = 0.1;
/** Of one pool at once: each takes a part of the disks' speed. */
export const movesAtOnce = 2;

export interface Move {
  readonly volume: string;
  readonly from: string;
  readonly to: string;
  /** As it lies in the pool. */
  readonly bytes: number;
}

/** A volume that cannot be moved as things are. */
export interface Hindrance {
  readonly volume: string;
  readonly problem: TransshipError;
}

export interface MovePlan {
  readonly moves: readonly Move[];
  readonly hindrances: readonly Hindrance[];
}

/** The pools that a volume is to be in; those that it is in where its spec names none. */
export function wantedPools({ spec, status }: Volume): readonly string[] {
  const named = spec.replicas?.map(({ pool }) => pool);
  return named ?? (status?.replicas ?? []).map(({ pool }) => pool);
}

export function hasReplicaIn({ status }: Volume, pool: string): boolean {
  return status?.replicas?.some((one) => one.pool === pool) === true;
}

/** It has a replica there that is on its way out. */
export function isLeaving(volume: Volume, pool: string): boolean {
  return hasReplicaIn(volume, pool) && !wantedPools(volume).includes(pool);
}

/** As it lies there; of a replica that says nothing yet, as the largest of the others. */
function bytesIn(volume: Volume, pool: string): number {
  const replica = volume.status?.replicas?.find((one) => one.pool === pool);
  return replica?.allocatedBytes ?? replica?.usedBytes ?? largestOf(volume);
}

interface Place {
  readonly name: string;
  readonly node: string;
  readonly agent: string;
  readonly capacityBytes: number;
  readonly isOpen: boolean;
  freeBytes: number;
}

/** Room in pools, less what is promised to moves that are under way or planned. */
export class Room {
  readonly #places: readonly Place[];

  constructor(pools: Iterable<Pool>, volumes: Iterable<Volume>) {
    this.#places = [...pools].flatMap(placeOf);
    for (const volume of volumes) {
      for (const pool of wantedPools(volume)) {
        if (!hasReplicaIn(volume, pool)) this.take(pool, largestOf(volume));
      }
    }
  }

  get names(): readonly string[] {
    return this.#places.map(({ name }) => name);
  }

  find(name: string): Place | undefined {
    return this.#places.find((one) => one.name === name);
  }

  take(pool: string, bytes: number): void {
    const place = this.find(pool);
    if (place !== undefined) place.freeBytes -= bytes;
  }

  /** Used bytes over capacity. */
  fill(pool: string): number {
    const place = this.find(pool);
    if (place === undefined || place.capacityBytes === 0) return 1;
    return 1 - place.freeBytes / place.capacityBytes;
  }

  /** Pools that may take a replica of so many bytes beside those agents, the emptiest first. */
  open(bytes: number, agents: ReadonlySet<string>): readonly Place[] {
    return this.#places
      .filter(({ agent, isOpen }) => isOpen && !agents.has(agent))
      .filter((place) => fits(place, bytes))
      .toSorted((a, b) => this.fill(a.name) - this.fill(b.name) || (a.name < b.name ? -1 : 1));
  }

  agentsOf(pools: Iterable<string>): ReadonlySet<string> {
    return new Set([...pools].flatMap((pool) => this.find(pool)?.agent ?? []));
  }

  /** Why none of the others takes it, each by name. */
  why(bytes: number, agents: ReadonlySet<string>, among: readonly string[]): string {
    const words = this.#places
      .filter(({ name }) => among.includes(name))
      .map((place) => `${place.name} ${whyNot(place, bytes, agents)}`);
    return words.length === 0 ? 'there is no other pool' : words.join(', ');
  }
}

function placeOf(pool: Pool): readonly Place[] {
  const { metadata, spec, status = {} } = pool;
  const agent = metadata.labels?.[labels.agent];
  if (agent === undefined) return [];
  const isOpen = spec.drain === undefined && isTrue(pool, 'Ready') && status.readOnly !== true;
  const { freeBytes = 0, capacityBytes = 0 } = status;
  return [{ name: metadata.name ?? '', node: spec.node, agent, capacityBytes, freeBytes, isOpen }];
}

function largestOf({ status }: Volume): number {
  const all = (status?.replicas ?? []).map(({ allocatedBytes, usedBytes }) => {
    return allocatedBytes ?? usedBytes ?? 0;
  });
  return Math.max(0, ...all);
}

function fits({ freeBytes, capacityBytes }: Place, bytes: number): boolean {
  return freeBytes - bytes >= reserveRatio * capacityBytes;
}

function whyNot(place: Place, bytes: number, agents: ReadonlySet<string>): string {
  if (agents.has(place.agent)) return 'is of a node that has one already';
  if (!place.isOpen) return 'takes none now';
  const left = formatSize(Math.max(0, place.freeBytes));
  return `has ${left} left, too little for ${formatSize(bytes)} and a tenth of its capacity`;
}

/** Pools of so many different nodes for a new volume, the emptiest first, one at `first`. */
export function choosePools(
  count: number,
  room: Room,
  first?: string,
): readonly string[] | TransshipError {
  const chosen: string[] = [];
  const agents = new Set<string>();
  const open = room.open(0, agents);
  const ordered = [...open.filter(({ node }) => node === first), ...open];
  for (const { name, agent } of ordered) {
    if (agents.has(agent) || chosen.length === count) continue;
    chosen.push(name);
    agents.add(agent);
  }
  if (chosen.length === count) return chosen;
  const there = chosen.length === 0 ? 'none' : `${chosen.length} (${chosen.join(', ')})`;
  const message = `${count} replicas need pools of ${count} nodes; ready for one are ${there}`;
  return new TransshipError('LimitExceeded', message);
}

/** Of one replica, to one of `to`, or to any other pool. */
function moveOf(
  volume: Volume,
  from: string,
  room: Room,
  to: readonly string[] | undefined,
): Move | TransshipError {
  const { name = '' } = volume.metadata;
  const bytes = bytesIn(volume, from);
  const wanted = wantedPools(volume);
  const kept = [...wanted, ...(volume.status?.replicas ?? []).map(({ pool }) => pool)];
  const agents = room.agentsOf(kept);
  const trouble = troubleOf(volume);
  if (trouble !== undefined) return trouble;
  const best = room.open(bytes, agents).find((place) => to?.includes(place.name) ?? true);
  if (best !== undefined) return { volume: name, from, to: best.name, bytes };
  const others = (to ?? room.names).filter((pool) => !kept.includes(pool));
  const unknown = others.filter((pool) => room.find(pool) === undefined);
  const missing = unknown.length === 0 ? [] : [`there is no pool ${unknown.join(', ')}`];
  const why = [room.why(bytes, agents, others), ...missing].join('; ');
  const left = wanted.length - 1;
  const message =
    `no pool takes the replica of ${name}: ${why}; ` +
    `without it ${left === 0 ? 'nothing of it' : `only ${left} of ${wanted.length}`} would be left`;
  return new TransshipError('RedundancyLost', message);
}

/** A move reads what it moves. */
function troubleOf(volume: Volume): TransshipError | undefined {
  const { name = '', deletionTimestamp } = volume.metadata;
  if (deletionTimestamp !== undefined) {
    return new TransshipError('InUse', `volume ${name} is being deleted`);
  }
  const ready = volume.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return undefined;
  const why = ready === undefined ? 'it is being made' : ready.message;
  return new TransshipError('NotAccessible', `volume ${name} cannot be read: ${why}`);
}

/** All moves that empty a pool, in the order of names, and what cannot be moved. */
export function planDrain(
  pool: string,
  pools: Iterable<Pool>,
  volumes: Iterable<Volume>,
  to?: readonly string[],
): MovePlan {
  const all = [...volumes].toSorted(byName);
  const room = new Room([...pools], all);
  const moves: Move[] = [];
  const hindrances: Hindrance[] = [];
  for (const volume of all) {
    if (!wantedPools(volume).includes(pool)) continue;
    const move = moveOf(volume, pool, room, to);
    if (move instanceof TransshipError) {
      hindrances.push({ volume: volume.metadata.name ?? '', problem: move });
      continue;
    }
    moves.push(move);
    room.take(move.to, move.bytes);
  }
  return { moves, hindrances };
}

function byName(a: Volume, b: Volume): number {
  return (a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1;
}

export interface RebalanceOptions {
  /** Difference of fill levels that is left alone, as a share of the capacity. */
  readonly toleranceRatio: number;
  readonly movesMax: number;
}

/** Moves from the fullest pool to the emptiest that may take it, until they are alike. */
export function planRebalance(
  pools: Iterable<Pool>,
  volumes: Iterable<Volume>,
  { toleranceRatio, movesMax }: RebalanceOptions,
): readonly Move[] {
  const all = [...volumes].toSorted(byName);
  const room = new Room([...pools], all);
  const moves: Move[] = [];
  const isMoved = new Set<string>();
  while (moves.length < movesMax) {
    const move = nextOf(room, all, isMoved, toleranceRatio);
    if (move === undefined) break;
    moves.push(move);
    isMoved.add(move.volume);
    room.take(move.to, move.bytes);
    room.take(move.from, -move.bytes);
  }
  return moves;
}

function nextOf(
  room: Room,
  volumes: readonly Volume[],
  isMoved: ReadonlySet<string>,
  toleranceRatio: number,
): Move | undefined {
  const fullest = room.names.toSorted((a, b) => room.fill(b) - room.fill(a));
  for (const from of fullest) {
    const candidates = volumes
      .filter((one) => !isMoved.has(one.metadata.name ?? '') && isAtRest(one))
      .filter((one) => wantedPools(one).includes(from) && bytesIn(one, from) > 0)
      .toSorted((a, b) => bytesIn(b, from) - bytesIn(a, from));
    for (const volume of candidates) {
      const move = moveOf(volume, from, room, undefined);
      if (!(move instanceof TransshipError) && evens(room, move, toleranceRatio)) return move;
    }
  }
  return undefined;
}

/** The two come nearer to each other by it, and were apart for more than is left alone. */
function evens(room: Room, { from, to, bytes }: Move, toleranceRatio: number): boolean {
  const apart = room.fill(from) - room.fill(to);
  if (apart <= toleranceRatio) return false;
  const fromShare = bytes / (room.find(from)?.capacityBytes ?? 1);
  const toShare = bytes / (room.find(to)?.capacityBytes ?? 1);
  return Math.abs(apart - fromShare - toShare) < apart;
}

/** Nothing of it moves, and nothing is amiss. */
function isAtRest(volume: Volume): boolean {
  const wanted = wantedPools(volume);
  const there = (volume.status?.replicas ?? []).map(({ pool }) => pool);
  const isSame = wanted.length === there.length && wanted.every((pool) => there.includes(pool));
  return isSame && (volume.status?.replicas ?? []).every(({ state }) => state === 'Healthy');
}
