/** What a small set of replicas and those who want to lead it know, and what must hold of that. */
import type { ReplicaKnowledge } from '../../src/peer/replica/decide.ts';
import type { Configuration, Mark } from '../../src/volume/replica-types.ts';

/** One promise of the protocol that is broken, to see that the search notices. */
export type Rule =
  | 'no fence'
  | 'acknowledged by one'
  | 'served before a majority adopted'
  | 'a rebuild counts early'
  | 'configurations without an epoch'
  | 'a configuration without a flush'
  | 'a promise for all who lead with one epoch'
  | 'a flush that does not wait'
  | 'newest by sequence only'
  | 'a change counts at once';

export interface Scenario {
  readonly voters: number;
  /** Replicas beyond the voters, that are learners and can be promoted. */
  readonly learners?: number;
  /** One leader each, with this epoch. */
  readonly epochs: readonly number[];
  readonly writes: number;
  readonly crashes?: number;
  /** Configuration changes of one leader. */
  readonly changes?: number;
  /** What is applied is durable: fewer states where losing power is not the question. */
  readonly durable?: boolean;
  /** Steps that have happened already: the search goes on from there. */
  readonly given?: readonly string[];
  /** Leaders that do nothing after that. */
  readonly ended?: readonly number[];
  /** So many steps are tried in every order; without a bound, all there are. */
  readonly steps?: number;
  readonly broken?: Rule;
}

export interface Replica {
  promised: number;
  configuration: Configuration;
  /** Its writes in order, a letter each; while it is rebuilt those of the live stream. */
  log: string;
  /** Epoch of its mark. */
  epoch: number;
  durable: number;
  rebuilding: boolean;
  /** Where the live stream began; -1 when it is not in one. */
  joined: number;
  fallback: { readonly log: string; readonly epoch: number } | null;
}

export interface Leader {
  phase: 'asks' | 'establishes' | 'leads';
  promises: (ReplicaKnowledge | null)[];
  source: number;
  /** What the source holds, which the epoch begins with. */
  chosen: Mark;
  reverts: boolean;
  log: string;
  /** What it served first. */
  base: string;
  /** How much of the log each replica is known to have, durably or not; -1 is not in step. */
  applied: number[];
  durable: number[];
  adopted: number[];
  configuration: Configuration;
  /** The configuration before a change that does not count yet. */
  before: Configuration | null;
  configured: number[];
  changes: number;
  writes: number;
  flushed: number;
}

export interface State {
  replicas: Replica[];
  leaders: Leader[];
  crashes: number;
}

export const term = (at: number, epoch: number) => ({
  epoch,
  term: String(at),
  leader: String(at),
});
export const nameOf = (at: number) => ({ agent: `r${at}`, pool: 'main' });
export const agentsOf = (list: readonly number[]) => new Set(list.map((at) => `r${at}`));

export function start({ voters, learners = 0, epochs }: Scenario): State {
  const count = voters + learners;
  const members = Array.from({ length: count }, (_, at) => nameOf(at));
  const configuration = {
    epoch: 0,
    version: 1,
    voters: members.slice(0, voters),
    learners: members.slice(voters),
  };
  const none = () => Array<number>(count).fill(-1);
  return {
    crashes: 0,
    replicas: members.map((_, at) => ({
      promised: -1,
      configuration,
      log: '',
      epoch: 0,
      durable: 0,
      rebuilding: at >= voters,
      joined: -1,
      fallback: null,
    })),
    leaders: epochs.map(() => ({
      phase: 'asks',
      promises: members.map(() => null),
      source: -1,
      chosen: { epoch: 0, sequence: 0 },
      reverts: false,
      log: '',
      base: '',
      applied: none(),
      durable: none(),
      adopted: [],
      configuration,
      before: null,
      configured: [],
      changes: 0,
      writes: 0,
      flushed: 0,
    })),
  };
}

/**
 * Whoever serves an epoch has everything that was flushed in earlier ones, and nothing of them that
 * a leader between had left out: what was read does not change back.
 */
export function isLost({ leaders }: State, { epochs }: Scenario): boolean {
  return leaders.some(({ phase, log }, at) => {
    if (phase !== 'leads') return false;
    return leaders.some((other, of) => {
      if (of === at || epochs[of]! > epochs[at]! || other.phase !== 'leads') return false;
      if (!log.startsWith(other.log.slice(0, other.flushed))) return true;
      const isOlder = (letter: string) => epochs[writerOf(letter)]! < epochs[of]!;
      return log.split('').some((letter) => isOlder(letter) && !other.base.includes(letter));
    });
  });
}

const lettersEach = 8;

export function letterOf(leader: number, write: number): string {
  return String.fromCodePoint(97 + leader * lettersEach + write);
}

function writerOf(letter: string): number {
  return Math.floor((letter.codePointAt(0)! - 97) / lettersEach);
}
