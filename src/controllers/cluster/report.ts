/** The status of a cluster, from what its API and the agents say. Pure. */
import type { Cluster, ClusterStatus } from '../../api/kinds/cluster.ts';
import type { ClusterObject } from '../../api/objects.ts';
import type { TransshipError } from '../../base/errors.ts';
import type { AgentMirror } from '../agents/mirror.ts';
import { condition, isTrue, type Report } from '../status.ts';
import { type Facts, roughMs } from './facts.ts';

type Fields = Omit<ClusterStatus, 'conditions' | 'observedGeneration'>;
type Condition = Report['conditions'][number];

const reasonsMax = 32;
const peersMax = 256;
const rightsShown = 8;

/** The result of the last check of the way to a cluster. */
export interface Checked {
  readonly passed: boolean;
  readonly message: string;
}

export interface LocalSight {
  readonly object: Cluster;
  readonly facts: Facts;
  /** Why the own API server does not answer everything. */
  readonly problem: TransshipError | undefined;
  readonly agents: readonly AgentMirror[];
  /** What the controllers may not do of what they should; undefined where nobody asked. */
  readonly missingRights: readonly string[] | undefined;
}

export function localReport(sight: LocalSight): Report {
  const { object, facts, problem, agents, missingRights } = sight;
  const known = fieldsBefore(object);
  const down = agents.filter(({ usable }) => !usable);
  const agentsUp = agents.length > 0 && down.length === 0;
  const names = down.map(({ place }) => place.name).join(', ');
  const why =
    agents.length === 0
      ? 'spec.agents names none'
      : `agent ${names}: ${down[0]?.trouble?.message ?? 'it has not answered yet'}`;
  const connected = agentsUp
    ? condition('Connected', true, 'Connected', 'all agents answer')
    : condition('Connected', false, 'AgentUnreachable', why);
  const reachable =
    problem === undefined
      ? condition('Reachable', true, 'Reachable', 'the API server answers')
      : condition('Reachable', false, problem.reason, problem.message);
  return {
    conditions: [
      readyOf([reachable, connected]),
      reachable,
      connected,
      ...(missingRights === undefined ? [] : [permittedOf(missingRights)]),
    ],
    fields: { ...known, ...facts, ...agentFields(agents) },
  };
}

/** Ready all the same: who uses nothing of what is missing need not care. */
function permittedOf(missing: readonly string[]): Condition {
  if (missing.length === 0) {
    return condition('Permitted', true, 'Permitted', 'the controllers have all their rights');
  }
  const shown = missing.slice(0, rightsShown).join(', ');
  const more = missing.length > rightsShown ? ` and ${missing.length - rightsShown} more` : '';
  const remedy = 'grant them: docs/reference/rights.md, or install again';
  return condition(
    'Permitted',
    false,
    'Forbidden',
    `the controllers may not ${shown}${more}; ${remedy}`,
  );
}

function fieldsBefore(object: Cluster): Fields {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = object.status ?? {};
  return known;
}

/** The first thing that is wrong says why. */
function readyOf(conditions: readonly Condition[]): Condition {
  const bad = conditions.find(({ status }) => status !== 'True');
  if (bad === undefined)
    return condition('Ready', true, 'Ready', 'volumes can move from and to it');
  return condition('Ready', bad.status === 'Unknown' ? 'Unknown' : false, bad.reason, bad.message);
}

function agentFields(agents: readonly AgentMirror[]): Fields {
  const views = agents.flatMap(({ status }) => status ?? []);
  const version = views[0]?.status.version;
  const unreachable = agents
    .filter(({ usable }) => !usable)
    .map(({ place }) => `agent ${place.name} does not answer`);
  const reasons = [...unreachable, ...views.flatMap(({ status }) => status.reasons)];
  const health = unreachable.length > 0 ? 'Red' : worstOf(views);
  return {
    health,
    reasons: reasons.slice(0, reasonsMax).map((reason) => reason.slice(0, 1024)),
    agents: agents.map(agentOf),
    peers: peersOf(agents),
    totals: totalsOf(agents, views),
    ...(version === undefined ? {} : { transshipVersion: version }),
  };
}

function worstOf(views: readonly ClusterObject[]): 'None' | 'Yellow' | 'Red' {
  const all = views.map(({ status }) => status.health);
  return all.includes('Red') ? 'Red' : all.includes('Yellow') ? 'Yellow' : 'None';
}

function agentOf({ place, usable, trouble, status }: AgentMirror) {
  const version = status?.status.version;
  return {
    name: place.name,
    connected: usable,
    ...(version === undefined ? {} : { version }),
    ...(trouble === undefined ? {} : { message: trouble.message.slice(0, 1024) }),
  };
}

/** Agents of a node have names of their own. */
const clusterOf = ({ metadata, spec }: ClusterObject): string => spec.memberOf ?? metadata.name;

function peersOf(agents: readonly AgentMirror[]): NonNullable<Fields['peers']> {
  const peers = new Map<string, NonNullable<Fields['peers']>[number]>();
  const own = new Set(agents.map(({ place }) => place.name));
  for (const { clusters } of agents) {
    const local = [...clusters.values()].find(({ spec }) => spec.local);
    const home = local && clusterOf(local);
    for (const one of clusters.values()) {
      const name = clusterOf(one);
      const isOwn = one.spec.local || name === home || own.has(one.metadata.name);
      if (isOwn || peers.size >= peersMax) continue;
      const { connected, roundTripMs } = one.status;
      const trip = roundTripMs === undefined ? {} : { roundTripMs: roughMs(roundTripMs) };
      // Of several agents over there, one that is reached is a way.
      if (peers.get(name)?.connected !== true) peers.set(name, { name, connected, ...trip });
    }
  }
  return [...peers.values()];
}

function totalsOf(
  agents: readonly AgentMirror[],
  views: readonly ClusterObject[],
): NonNullable<Fields['totals']> {
  const pools = agents.flatMap((mirror) => [...mirror.pools.values()]);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  const logicalBytes = sum(pools.map(({ status }) => status.logicalBytes));
  const storedBytes = sum(pools.map(({ status }) => status.storedBytes));
  return {
    volumes: sum(agents.map(({ volumes }) => volumes.size)),
    teleports: sum(views.map(({ status }) => status.teleports ?? 0)),
    capacityBytes: sum(pools.map(({ status }) => status.capacityBytes)),
    allocatedBytes: sum(pools.map(({ status }) => status.allocatedBytes)),
    logicalBytes,
    storedBytes,
    ...(storedBytes === 0
      ? {}
      : { savingPermille: Math.round((1000 * logicalBytes) / storedBytes) }),
  };
}

export interface RemoteSight {
  readonly object: Cluster;
  readonly facts: Facts;
  /** Why its API server cannot be used. */
  readonly problem: TransshipError | undefined;
  /** What that cluster says of itself: its own local `Cluster` object. */
  readonly own: Cluster | undefined;
  /** The peer of this name, as the local agents see it. */
  readonly peer: ClusterObject | undefined;
  /** Why the local agents and those of the cluster did not join. */
  readonly joinProblem: TransshipError | undefined;
  /** This hub has agents whose link to that cluster means something. */
  readonly hasAgents: boolean;
  readonly checked: Checked | undefined;
}

export function remoteReport(sight: RemoteSight): Report {
  const { object, facts, problem, own, hasAgents, checked } = sight;
  const known = fieldsBefore(object);
  if (object.spec.kubeconfigSecretRef === undefined) return agentsOnlyReport(sight);
  const reachable =
    problem === undefined
      ? condition('Reachable', true, 'Reachable', 'its API server answers')
      : condition('Reachable', false, problem.reason, problem.message);
  const engine = engineOf(object, own, problem !== undefined);
  const links = hasAgents ? [trustedOf(sight), connectedOf(sight)] : [];
  const shown = own?.status;
  return {
    conditions: [
      readyOf([reachable, engine]),
      reachable,
      engine,
      ...links,
      ...(checked === undefined ? keptCheck(object) : [checkOf(checked)]),
    ],
    fields: { ...known, ...facts, ...(shown === undefined ? {} : copied(shown)) },
  };
}

/** Its API is not known here: its volumes can teleport to this cluster, its claims cannot. */
function agentsOnlyReport(sight: RemoteSight): Report {
  const message = 'its API is not known here: give spec.kubeconfigSecretRef to move claims';
  const links = [trustedOf(sight), connectedOf(sight)];
  const { object, checked } = sight;
  return {
    conditions: [
      readyOf(links),
      condition('Reachable', 'Unknown', 'CredentialsMissing', message),
      ...links,
      ...(checked === undefined ? keptCheck(object) : [checkOf(checked)]),
    ],
    fields: fieldsBefore(object),
  };
}

/** The controllers and agents there say of themselves that they are well. */
function engineOf(object: Cluster, own: Cluster | undefined, isCut: boolean): Condition {
  if (own === undefined) {
    if (isCut && isTrue(object, 'Engine')) {
      return condition('Engine', 'Unknown', 'ApiUnreachable', 'nothing was heard of it lately');
    }
    const message = 'it has no local Cluster object: Transship does not run there';
    return condition('Engine', false, isCut ? 'ApiUnreachable' : 'NotFound', message);
  }
  const ready = own.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready?.status === 'True') return condition('Engine', true, 'Ready', 'its agents answer');
  const { reason = 'AgentUnreachable', message = 'its agents have not been seen yet' } =
    ready ?? {};
  return condition('Engine', false, reason, message);
}

function trustedOf({ object, peer, joinProblem }: RemoteSight): Condition {
  if (peer !== undefined) {
    return condition('Trusted', true, 'Joined', 'the agents of both clusters have joined');
  }
  if (joinProblem !== undefined) {
    return condition('Trusted', false, joinProblem.reason, joinProblem.message);
  }
  const name = object.metadata.name ?? '';
  const message = `the local agents know no peer ${name}; give a token in spec.joinTokenSecretRef`;
  return condition('Trusted', false, 'NotTrusted', message);
}

function connectedOf({ peer }: RemoteSight): Condition {
  if (peer === undefined)
    return condition('Connected', false, 'NotTrusted', 'they have not joined');
  if (peer.status.connected) return condition('Connected', true, 'Connected', 'there is a link');
  const why = peer.status.reasons[0] ?? 'there is no link';
  return condition('Connected', false, 'SourceUnreachable', why);
}

function checkOf({ passed, message }: Checked): Condition {
  return condition('Checked', passed, passed ? 'Passed' : 'Failed', message);
}

/** Of an earlier process: it is as true as it was. */
function keptCheck(object: Cluster): readonly Condition[] {
  const known = object.status?.conditions?.find(({ type }) => type === 'Checked');
  if (known === undefined) return [];
  return [condition('Checked', known.status === 'True', known.reason, known.message)];
}

/** What only its own controllers can know. */
function copied(own: ClusterStatus): Fields {
  const { health, reasons, totals, agents, peers, transshipVersion } = own;
  return {
    ...(health === undefined ? {} : { health }),
    ...(reasons === undefined ? {} : { reasons }),
    ...(totals === undefined ? {} : { totals }),
    ...(agents === undefined ? {} : { agents }),
    ...(peers === undefined ? {} : { peers }),
    ...(transshipVersion === undefined ? {} : { transshipVersion }),
  };
}
