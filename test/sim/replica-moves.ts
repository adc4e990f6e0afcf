/** What can happen next: to whoever wants to lead, to the messages, to the replicas. */
import { isChanged, isMajority, restamped, roleOf } from '../../src/peer/replica/configuration.ts';
import { compareMarks, elect, type ReplicaKnowledge } from '../../src/peer/replica/decide.ts';
import type { Configuration } from '../../src/volume/replica-types.ts';
import {
  agentsOf,
  type Leader,
  letterOf,
  type Replica,
  type Rule,
  type Scenario,
  type State,
  term,
} from './replica-state.ts';

/** Everything that can happen next in one state. */
export class Moves {
  readonly #key: string;
  readonly #scenario: Scenario;
  readonly #now: State;
  readonly #moves: [string, State][] = [];

  constructor(key: string, scenario: Scenario) {
    this.#key = key;
    this.#scenario = scenario;
    this.#now = JSON.parse(key) as State;
  }

  all(): readonly (readonly [string, State])[] {
    const { leaders, replicas } = this.#now;
    leaders.forEach((leader, l) => {
      if (this.#scenario.ended?.includes(l) === true) return;
      this.#lead(leader, l);
      replicas.forEach((replica, r) => this.#ask(leader, l, replica, r));
    });
    replicas.forEach((replica, r) => this.#crash(replica, r));
    return this.#moves;
  }

  #is(rule: Rule): boolean {
    return this.#scenario.broken === rule;
  }

  #do(label: string, change: (state: State) => void): void {
    const state = JSON.parse(this.#key) as State;
    change(state);
    state.leaders.forEach((leader, l) => this.#conclude(leader, l, state));
    this.#moves.push([label, state]);
  }

  /** A request whose answer arrives, and the same whose answer is lost. */
  #call(l: number, r: number, what: string, call: Call): void {
    const label = `L${l} ${what} r${r}`;
    this.#do(`${label}, unheard`, (state) => call.done(state.replicas[r]!));
    this.#do(label, (state) => {
      call.done(state.replicas[r]!);
      call.heard(state.leaders[l]!, state.replicas[r]!);
    });
  }

  #lead(leader: Leader, l: number): void {
    if (leader.phase === 'asks') this.#choose(leader, l);
    if (leader.phase !== 'leads') return;
    if (leader.writes < this.#scenario.writes) {
      this.#do(`L${l} writes`, ({ leaders }) => {
        leaders[l]!.writes += 1;
        leaders[l]!.log += letterOf(l, leader.writes);
      });
    }
    this.#change(leader, l);
  }

  /** What follows at once from what a leader heard. */
  #conclude(leader: Leader, l: number, { replicas }: State): void {
    if (leader.phase === 'establishes' && this.#isEstablished(leader)) {
      leader.phase = 'leads';
      leader.base = leader.log;
    }
    if (leader.phase !== 'leads') return;
    const { before, configuration, configured } = leader;
    const counts = before !== null && isChanged(before, configuration, agentsOf(configured));
    if (counts || this.#is('a change counts at once')) leader.before = null;
    leader.flushed = Math.max(leader.flushed, this.#flushedUpTo(leader));
    const isHeard = replicas.some((one) => one.promised === l || this.#shares(one, l));
    if (isHeard || this.#is('no fence')) return;
    // Nobody will ever answer it again: such states are one.
    const gone = { applied: [], durable: [], adopted: [], configured: [], before: null };
    Object.assign(leader, gone, {
      changes: 9,
      writes: 9,
      log: leader.log.slice(0, leader.flushed),
    });
  }

  #isEstablished({ adopted, configuration }: Leader): boolean {
    if (this.#is('served before a majority adopted')) return adopted.length > 0;
    return isMajority(configuration, agentsOf(adopted));
  }

  #flushedUpTo({ durable, applied, configuration, before, log }: Leader): number {
    const known = this.#is('a flush that does not wait') ? applied : durable;
    for (let upTo = log.length; upTo > 0; upTo -= 1) {
      const having = known.flatMap((one, at) => (one >= upTo ? [at] : []));
      if (this.#is('acknowledged by one') && having.length > 0) return upTo;
      const enough = isMajority(configuration, agentsOf(having));
      if (enough && (before === null || isMajority(before, agentsOf(having)))) return upTo;
    }
    return 0;
  }

  #choose(leader: Leader, l: number): void {
    const promises = leader.promises.flatMap((replica, at) =>
      replica === null ? [] : [{ agent: `r${at}`, replica }],
    );
    const election = elect(
      'set',
      promises.map((one) => this.#judged(one)),
    );
    if (election.kind !== 'won') return;
    const { configuration, source } = election;
    this.#do(`L${l} chooses ${source.agent}`, ({ leaders }) => {
      const chosen = leaders[l]!;
      chosen.phase = 'establishes';
      chosen.source = Number(source.agent.slice(1));
      chosen.reverts = source.reverts;
      const said = leader.promises[chosen.source]!;
      chosen.chosen = source.reverts ? said.fallback!.mark : said.mark;
      chosen.promises = [];
      const epoch = this.#scenario.epochs[l]!;
      chosen.configuration = this.#is('configurations without an epoch')
        ? configuration
        : restamped(configuration, epoch);
    });
  }

  #judged<T extends { replica: ReplicaKnowledge }>(one: T): T {
    if (!this.#is('newest by sequence only')) return one;
    const { sequence } = one.replica.mark;
    return { ...one, replica: { ...one.replica, mark: { epoch: 0, sequence } } };
  }

  #ask(leader: Leader, l: number, replica: Replica, r: number): void {
    this.#promise(leader, l, replica, r);
    const obeys = replica.promised === l || this.#is('no fence') || this.#shares(replica, l);
    if (leader.phase === 'asks' || !obeys) return;
    const isIn = leader.adopted.includes(r);
    if (!isIn) this.#adopt(leader, l, replica, r);
    if (leader.adopted.length > 0) this.#rebuild(leader, l, replica, r);
    if (leader.phase === 'leads') this.#stream(leader, l, replica, r);
    this.#configure(leader, l, replica, r);
  }

  #shares({ promised }: Replica, l: number): boolean {
    const { epochs } = this.#scenario;
    return this.#is('a promise for all who lead with one epoch') && epochs[promised] === epochs[l];
  }

  #promise(leader: Leader, l: number, replica: Replica, r: number): void {
    const { epochs } = this.#scenario;
    const isNewer = replica.promised < 0 || epochs[l]! > epochs[replica.promised]!;
    const asks = leader.phase === 'asks';
    if (asks ? leader.promises[r] !== null : replica.promised === l) return;
    if (!isNewer && replica.promised !== l && !this.#shares(replica, l)) return;
    this.#call(l, r, 'is promised by', {
      done: (at) => {
        at.promised = l;
      },
      heard: (at, from) => {
        if (at.phase !== 'asks') return;
        at.promises[r] = knowledgeOf(from, term(l, epochs[l]!));
      },
    });
  }

  /** The chosen one first; then those with exactly its content. */
  #adopt(leader: Leader, l: number, replica: Replica, r: number): void {
    const isSource = r === leader.source;
    if (!isSource && leader.adopted.length === 0) return;
    const reverting = isSource && leader.reverts;
    const whole = reverting ? replica.fallback : replica;
    if (whole === null || replica.rebuilding !== reverting) return;
    if (compareMarks(markOf(whole), leader.chosen) !== 0) return;
    const epoch = this.#scenario.epochs[l]!;
    const { configuration } = leader;
    this.#call(l, r, reverting ? 'reverts' : 'adopts', {
      done: (at) => {
        const log = reverting ? at.fallback!.log : at.log;
        become(at, { log, epoch, durable: log.length });
        if (roleOf(configuration, `r${r}`) !== 'absent') at.configuration = configuration;
      },
      heard: (at, from) => {
        if (isSource) at.log = from.log;
        at.adopted.push(r);
        at.applied[r] = from.log.length;
        at.durable[r] = from.log.length;
      },
    });
  }

  /** Receive, seal, rebase and fill: only the beginning and the end count here. */
  #rebuild(leader: Leader, l: number, replica: Replica, r: number): void {
    const epoch = this.#scenario.epochs[l]!;
    if (roleOf(leader.configuration, `r${r}`) === 'absent') return;
    const differs = replica.rebuilding || replica.epoch !== epoch;
    if (differs && replica.joined < 0) {
      const joined = leader.log.length;
      this.#do(`L${l} rebuilds r${r}`, ({ replicas }) => {
        receive(replicas[r]!, joined);
        if (!this.#is('a rebuild counts early')) return;
        become(replicas[r]!, { log: '?'.repeat(joined), epoch, durable: joined });
      });
    }
    if (!replica.rebuilding || replica.joined < 0) return;
    const { log: live, joined } = replica;
    const sources = this.#now.replicas.filter((one) => {
      return !one.rebuilding && one.epoch === epoch && one.log.length >= joined;
    });
    if (sources.length === 0) return;
    const { configuration } = leader;
    const log = sources[0]!.log.slice(0, joined) + live;
    this.#call(l, r, 'finishes', {
      done: (at) => {
        become(at, { log, epoch, durable: joined });
        at.configuration = configuration;
      },
      heard: (at) => {
        if (!at.adopted.includes(r)) at.adopted.push(r);
        at.applied[r] = log.length;
        at.durable[r] = joined;
      },
    });
  }

  #stream(leader: Leader, l: number, replica: Replica, r: number): void {
    const epoch = this.#scenario.epochs[l]!;
    const at = replica.rebuilding ? replica.joined + replica.log.length : replica.log.length;
    const isIn = replica.rebuilding ? replica.joined >= 0 : leader.adopted.includes(r);
    const inEpoch = replica.rebuilding || replica.epoch === epoch || this.#is('no fence');
    const next = leader.log[at];
    if (isIn && inEpoch && next !== undefined) {
      this.#call(l, r, `writes ${next} to`, {
        done: (one) => {
          one.log += next;
          if (this.#scenario.durable === true && !one.rebuilding) one.durable = one.log.length;
        },
        heard: (one, from) => {
          if (from.rebuilding) return;
          one.applied[r] = Math.max(one.applied[r]!, from.log.length);
          if (this.#scenario.durable === true) one.durable[r] = one.applied[r]!;
        },
      });
    }
    const known = Math.max(leader.applied[r]!, 0);
    const canFlush = !replica.rebuilding && inEpoch && replica.log.length >= known;
    if (!canFlush || leader.durable[r]! >= known) return;
    this.#call(l, r, 'flushes', {
      done: (one) => {
        one.durable = one.log.length;
      },
      heard: (one) => {
        one.durable[r] = Math.max(one.durable[r]!, known);
      },
    });
  }

  #change(leader: Leader, l: number): void {
    const { configuration: from, before } = leader;
    if (before !== null) return;
    if (leader.changes >= (this.#scenario.changes ?? 0)) return;
    for (const member of [...from.voters, ...from.learners]) {
      const isVoter = roleOf(from, member.agent) === 'voter';
      const rest = (list: Configuration['voters']) =>
        list.filter((one) => one.agent !== member.agent);
      const voters = isVoter ? rest(from.voters) : [...from.voters, member];
      const ready = leader.adopted.includes(Number(member.agent.slice(1)));
      if (voters.length === 0 || (!isVoter && !ready)) continue;
      this.#do(`L${l} ${isVoter ? 'removes' : 'promotes'} ${member.agent}`, ({ leaders }) => {
        const at = leaders[l]!;
        at.before = from;
        at.configured = [];
        at.changes += 1;
        at.configuration = {
          ...from,
          version: from.version + 1,
          voters,
          learners: rest(from.learners),
        };
      });
    }
  }

  #configure(leader: Leader, l: number, replica: Replica, r: number): void {
    const { before, configuration, configured, log } = leader;
    if (before === null || configured.includes(r)) return;
    if (roleOf(configuration, `r${r}`) === 'absent' && roleOf(before, `r${r}`) === 'absent') return;
    const isInStep = !replica.rebuilding && replica.epoch === this.#scenario.epochs[l];
    if (!isInStep || replica.log.length < log.length) return;
    this.#call(l, r, 'configures', {
      done: (at) => {
        at.configuration = configuration;
        if (!this.#is('a configuration without a flush')) at.durable = at.log.length;
      },
      heard: (at) => void at.configured.push(r),
    });
  }

  #crash(replica: Replica, r: number): void {
    if (this.#now.crashes >= (this.#scenario.crashes ?? 0)) return;
    const loses = replica.rebuilding ? replica.joined >= 0 : replica.durable < replica.log.length;
    if (!loses) return;
    this.#do(`r${r} loses power`, (state) => {
      state.crashes += 1;
      const at = state.replicas[r]!;
      at.log = at.rebuilding ? '' : at.log.slice(0, at.durable);
      at.joined = -1;
    });
  }
}

interface Call {
  readonly done: (replica: Replica) => void;
  readonly heard: (leader: Leader, replica: Replica) => void;
}

function markOf({ epoch, log }: { readonly epoch: number; readonly log: string }) {
  return { epoch, sequence: log.length };
}

function knowledgeOf(replica: Replica, promised: ReturnType<typeof term>): ReplicaKnowledge {
  const { configuration, rebuilding, fallback, epoch } = replica;
  return {
    set: 'set',
    promised,
    configuration,
    phase: rebuilding ? 'Filling' : 'Healthy',
    mark: { epoch, sequence: replica.log.length },
    points: 0,
    fallback: fallback === null ? undefined : { mark: markOf(fallback) },
  };
}

function become(
  replica: Replica,
  whole: { readonly log: string; readonly epoch: number; readonly durable: number },
): void {
  Object.assign(replica, whole, { rebuilding: false, joined: -1, fallback: null });
}

function receive(replica: Replica, joined: number): void {
  const { log, epoch, rebuilding } = replica;
  if (!rebuilding) replica.fallback = { log, epoch };
  Object.assign(replica, { rebuilding: true, joined, log: '', durable: 0 });
}
