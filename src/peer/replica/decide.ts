/**
 * The generation decision: what must happen to a replica, given what it and the leader know, and
 * which replica a new leader starts from. Pure, so that a test can try every combination. The
 * questions are those that DRBD's generation identifiers answer (LINBIT user's guide 9).
 */
import type {
  Configuration,
  Fallback,
  Mark,
  ReplicaPhase,
  Term,
} from '../../volume/replica-types.ts';
import { compareStamps, isMajority, type Role, roleOf, type Stamp } from './configuration.ts';

export function compareMarks(a: Mark, b: Mark): number {
  return a.epoch - b.epoch || a.sequence - b.sequence;
}

/** What a replica's document and journal say; a `ReplicaStatus` is one. */
export interface ReplicaKnowledge {
  readonly set: string;
  readonly promised: Term;
  readonly mark: Mark;
  /** The last snapshot, resize or policy that it had. */
  readonly points: number;
  readonly phase: ReplicaPhase;
  readonly fallback: Pick<Fallback, 'mark' | 'points'> | undefined;
  readonly configuration: Configuration;
}

/** What the leader of a term knows. */
export interface LeaderKnowledge {
  readonly set: string;
  readonly term: Term;
  /** What the replica contained that the election chose: the epoch begins there. */
  readonly chosen: Mark;
  /** The last write that it numbered; `chosen.sequence` before the first. */
  readonly sequence: number;
  /** The oldest write that it can still send again; one more than `sequence` when none. */
  readonly windowFrom: number;
  readonly configuration: Configuration;
}

export type Verdict =
  /** In step. */
  | { readonly kind: 'nothing' }
  /** It contains exactly what was chosen: it joins the epoch, and is judged again. */
  | { readonly kind: 'adopt' }
  /** In this epoch already: the writes from `from` on are sent again. */
  | { readonly kind: 'resend'; readonly from: number }
  /** It has an older or another state: only the difference travels. */
  | { readonly kind: 'difference' }
  /** It has nothing yet. */
  | { readonly kind: 'fromNothing' }
  /** A voter without its data: taken out and made anew, never filled up as the voter it was. */
  | { readonly kind: 'lost' }
  /** No member of the set any more: it may be dropped. */
  | { readonly kind: 'ineligible' }
  /** A volume of the same name that never belonged to this set: not to be touched. */
  | { readonly kind: 'stranger' }
  /** It obeys somebody newer: the leader must stop. */
  | { readonly kind: 'fenced' };

/** `replica` is undefined when the agent says that it has no replica of this volume. */
export function decide(
  agent: string,
  replica: ReplicaKnowledge | undefined,
  leader: LeaderKnowledge,
): Verdict {
  const role = roleOf(leader.configuration, agent);
  if (replica === undefined) return absent(role);
  if (replica.set !== leader.set) return { kind: 'stranger' };
  if (isNewer(replica, leader)) return { kind: 'fenced' };
  if (role === 'absent') return { kind: 'ineligible' };
  if (replica.phase !== 'Healthy') return { kind: 'difference' };
  const next = replica.mark.sequence + 1;
  const isReachable = next > leader.sequence || next >= leader.windowFrom;
  if (replica.mark.epoch < leader.term.epoch) {
    const isChosen = compareMarks(replica.mark, leader.chosen) === 0;
    return { kind: isChosen && isReachable ? 'adopt' : 'difference' };
  }
  if (next > leader.sequence) return { kind: 'nothing' };
  return isReachable ? { kind: 'resend', from: next } : { kind: 'difference' };
}

function absent(role: Role): Verdict {
  if (role === 'absent') return { kind: 'ineligible' };
  return { kind: role === 'learner' ? 'fromNothing' : 'lost' };
}

/** The replica has seen what the leader of this term cannot have made. */
function isNewer(replica: ReplicaKnowledge, leader: LeaderKnowledge): boolean {
  const { epoch, term } = leader.term;
  const { promised, mark } = replica;
  if (promised.epoch > epoch || (promised.epoch === epoch && promised.term !== term)) return true;
  if (replica.configuration.epoch > epoch) return true;
  return compareMarks(mark, { epoch, sequence: leader.sequence }) > 0;
}

/** An agent's answer to who wants to lead: it has promised the epoch. */
export interface Promised {
  readonly agent: string;
  /** Undefined when it has no replica of the set. */
  readonly replica: ReplicaKnowledge | undefined;
}

export type Election =
  | {
      readonly kind: 'won';
      readonly configuration: Configuration;
      readonly source: Source;
    }
  /** Too few voters of the newest configuration known have promised and hold something whole. */
  | { readonly kind: 'short'; readonly configuration: Configuration | undefined };

/** Where everything acknowledged is. */
export interface Source {
  readonly agent: string;
  readonly mark: Mark;
  readonly points: number;
  /** It has to go back to its fallback first: the rebuild it was in never ended. */
  readonly reverts: boolean;
}

/**
 * Judges the promises of one attempt to lead. The newest configuration seen counts; whatever was
 * acknowledged is at a majority of its voters or of one before it, so the newest state among
 * promising voters has all of it. A state is what is healthy, or else the fallback.
 */
export function elect(set: string, promises: readonly Promised[]): Election {
  const ours = promises.filter(({ replica }) => replica?.set === set);
  const configuration = newestOf(ours.map(({ replica }) => replica!.configuration));
  if (configuration === undefined) return { kind: 'short', configuration };
  // A voter that lost what it had proves nothing: it may have acknowledged what nobody else has.
  const proving = ours.filter(({ agent, replica }) => stateOf(agent, replica!) !== undefined);
  const agents = new Set(proving.map(({ agent }) => agent));
  if (!isMajority(configuration, agents)) return { kind: 'short', configuration };
  let source: Source | undefined;
  for (const { agent, replica } of proving) {
    if (roleOf(configuration, agent) !== 'voter') continue;
    const state = stateOf(agent, replica!)!;
    if (source === undefined || isBetter(state, source)) source = state;
  }
  return { kind: 'won', configuration, source: source! };
}

function stateOf(agent: string, replica: ReplicaKnowledge): Source | undefined {
  const { phase, mark, points, fallback } = replica;
  if (phase === 'Healthy') return { agent, mark, points, reverts: false };
  if (fallback === undefined) return undefined;
  return { agent, mark: fallback.mark, points: fallback.points ?? 0, reverts: true };
}

/**
 * Writes come first: a point that failed may be at one replica only. Of equal ones, one that need
 * not go back.
 */
function isBetter(a: Source, b: Source): boolean {
  const order = compareMarks(a.mark, b.mark) || a.points - b.points;
  return order > 0 || (order === 0 && !a.reverts && b.reverts);
}

function newestOf<T extends Stamp>(all: readonly T[]): T | undefined {
  return all.reduce<T | undefined>(
    (best, one) => (best === undefined || compareStamps(one, best) > 0 ? one : best),
    undefined,
  );
}
