/** What a replicated volume is to become, and what its leader has not heard of that yet. Pure. */
import type { RequestOf } from '../../api/control.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import type { ReplicaSetObject, VolumeObject } from '../../api/objects.ts';
import { TransshipError } from '../../base/errors.ts';
import { formatSize, parseRate } from '../../base/units.ts';
import { annotations } from '../labels.ts';
import {
  isSameSet,
  type Member,
  MemberNames,
  membersOf,
  memberText,
  type PoolsView,
} from './members.ts';

export interface SetSight {
  /** What the leader says; undefined while the volume is a plain one, or nobody leads it. */
  readonly view: ReplicaSetObject | undefined;
  /** The members that the spec asks for; undefined when it asks for none in particular. */
  readonly wanted: readonly Member[] | undefined;
  /** What the leader is to be told. */
  readonly request: RequestOf<'replica.lead'> | undefined;
  /** Why what the spec asks for is not begun. */
  readonly problem: TransshipError | undefined;
  readonly names: MemberNames;
}

export interface SetFacts {
  readonly object: Volume;
  readonly pools: PoolsView;
  /** Of its leader. */
  readonly view: ReplicaSetObject | undefined;
  /** What the agent that leads, or has it alone, says of the volume. */
  readonly volume: VolumeObject | undefined;
  /** That agent. */
  readonly agent: string | undefined;
  /** Of `spec.rebuildBandwidth`: what the leader was told by this process. */
  readonly toldBandwidth: string | undefined;
}

/** Undefined: it is a plain volume, and is to stay one. */
export function setSightOf(facts: SetFacts, isReplicated: boolean): SetSight | undefined {
  const { object, pools, view, volume, agent } = facts;
  const { name = '' } = object.metadata;
  const names = new MemberNames(pools.list());
  const asked = object.spec.replicas?.map(({ pool }) => pool) ?? [];
  const members = asked.length === 0 ? undefined : membersOf(asked, pools);
  const wanted = members instanceof TransshipError ? undefined : members;
  const isWished = isWishedElsewhere(facts);
  if (!isReplicated && !isWished) {
    if (members === undefined || volume === undefined) return undefined;
    const here = [`${agent}/${volume.spec.pool}`];
    if (wanted !== undefined && isSameSet(wanted.map(memberText), here)) return undefined;
  }
  const there = presentOf(facts, names);
  const asWished = isWished && !isReplicated ? stillComing(facts) : undefined;
  const problem =
    members instanceof TransshipError
      ? members
      : (asWished ?? (wanted && refusalOf(wanted, there, facts)));
  const texts = wantedTexts(problem === undefined ? wanted : undefined, there, facts);
  const isTold = view !== undefined && isSameSet(texts, view.wanted) && isRateTold(facts);
  const isNothing = texts.length === 0 || (problem !== undefined && view !== undefined);
  const isAlone = !isReplicated && problem !== undefined;
  const request =
    isTold || isNothing || isAlone
      ? undefined
      : { volume: name, members: texts.join(','), ...rateOf(object) };
  return { view, wanted, request, problem, names };
}

/** A volume that only its agent can serve becomes a set of one, which any agent may lead. */
function isWishedElsewhere({ object, volume, agent }: SetFacts): boolean {
  const wish = object.metadata.annotations?.[annotations.lead];
  return volume !== undefined && wish !== undefined && wish !== agent;
}

function stillComing({ volume }: SetFacts): TransshipError | undefined {
  if (volume?.status.phase !== 'Accessible') return undefined;
  const from = volume.status.source ?? 'its source';
  const message =
    `its data still comes from ${from}: until all of it is here, ` +
    'only the node of its agent can use it';
  return new TransshipError('DataMissing', message);
}

/** Where it is now. */
function presentOf({ view, volume, agent, object }: SetFacts, names: MemberNames) {
  if (view !== undefined) {
    return view.replicas.map((one) => ({ ...one, place: names.find(one) }));
  }
  if (volume !== undefined && agent !== undefined && object.status?.replicaSet === undefined) {
    const place = names.find({ agent, pool: volume.spec.pool });
    const { allocatedBytes } = volume.status;
    return [{ place, state: 'Healthy' as const, voter: true, allocatedBytes }];
  }
  return [];
}

type Present = ReturnType<typeof presentOf>;

/** While the spec cannot be followed, a set that nobody leads is led with the members it had. */
function wantedTexts(
  wanted: readonly Member[] | undefined,
  present: Present,
  { object, view }: SetFacts,
): readonly string[] {
  if (wanted !== undefined) return wanted.map(memberText);
  if (view !== undefined) return view.wanted;
  if (present.length > 0) return present.map(({ place }) => memberText(place));
  return (object.status?.replicas ?? []).flatMap(({ agent, at }) => {
    return agent === undefined || at === undefined ? [] : [memberText({ agent, at })];
  });
}

function rateOf({ spec }: Volume): { readonly rebuildBytesPerSecond?: number } {
  const rate = spec.rebuildBandwidth === undefined ? undefined : parseRate(spec.rebuildBandwidth);
  return rate === undefined ? {} : { rebuildBytesPerSecond: rate };
}

function isRateTold({ object, toldBandwidth }: SetFacts): boolean {
  return object.spec.rebuildBandwidth === toldBandwidth;
}

/** What stands in the way of the members that are not there yet, or of those that are to go. */
function refusalOf(
  wanted: readonly Member[],
  present: Present,
  { pools, object, view, volume }: SetFacts,
): TransshipError | undefined {
  if (view === undefined && (volume?.status.missingBytes ?? 0) > 0) {
    const from = volume?.status.source ?? 'its source';
    const message = `its data still comes from ${from}: replicas are made when all of it is here`;
    return new TransshipError('DataMissing', message);
  }
  const isThere = (member: Member) => present.some(({ place }) => place.pool === member.pool);
  const needBytes = Math.max(0, ...present.map(({ allocatedBytes }) => allocatedBytes));
  for (const member of wanted) {
    if (isThere(member)) continue;
    const pool = pools.find(member.pool);
    if (pool?.spec.drain !== undefined) {
      return new TransshipError('Draining', `pool ${member.pool} is being drained`);
    }
    const { readOnly, freeBytes, free } = pool?.status ?? {};
    if (readOnly === true) {
      return new TransshipError('ReadOnly', `pool ${member.pool} takes no writes now`);
    }
    if (freeBytes !== undefined && freeBytes < needBytes) {
      const need = formatSize(needBytes);
      const room = `pool ${member.pool} has ${free ?? '?'} left, a replica takes ${need}`;
      return new TransshipError('PoolFull', room);
    }
  }
  return lastHealthy(object.metadata.name ?? '', wanted, present);
}

/** That what stays is not Healthy, and nothing comes that could be. */
function lastHealthy(
  name: string,
  wanted: readonly Member[],
  present: Present,
): TransshipError | undefined {
  const isWanted = (place: Member) => wanted.some(({ pool }) => pool === place.pool);
  const going = present.filter(({ place, state, voter }) => {
    return !isWanted(place) && voter && state === 'Healthy';
  });
  const staying = present.filter(({ place }) => isWanted(place));
  const comes = wanted.length > staying.length;
  const mends = staying.some(({ state }) => state !== 'Offline' && state !== 'Error');
  if (going.length === 0 || comes || mends) return undefined;
  const pools = going.map(({ place }) => place.pool).join(', ');
  const others = staying.map(({ place, state }) => `${place.pool} (${state})`).join(', ');
  const message =
    `pool ${pools} has the only Healthy replica of ${name}; on ${others} is none: ` +
    'it stays until another one is Healthy';
  return new TransshipError('RedundancyLost', message);
}
