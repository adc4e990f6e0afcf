/**
 * How an agent becomes the leader of a set: it asks who there is, has the voters promise a new
 * epoch, and takes over where everything acknowledged is. Nothing is served before (`led-set.ts`).
 */
import { asTransshipError, fail, type TransshipError } from '../../base/errors.ts';
import type { Random } from '../../base/ports.ts';
import type { Configuration, Mark, Member, Term } from '../../volume/replica-types.ts';
import type { ReplicaPort, ReplicaStatus } from './api.ts';
import { compareStamps, formatMembers, majorityOf, restamped, roleOf } from './configuration.ts';
import { elect, type Promised, type ReplicaKnowledge, type Source } from './decide.ts';

/** Epochs are taken with gaps, so that a lost attempt seldom has the same one as the next. */
const epochSpread = 16;

export interface ElectionOptions {
  readonly volume: string;
  /** The agent that wants to lead. */
  readonly self: string;
  readonly random: Random;
  readonly port: (member: Member) => ReplicaPort;
}

export interface Elected {
  readonly set: string;
  readonly term: Term;
  readonly configuration: Configuration;
  /** What the epoch begins with, and who has it. */
  readonly chosen: Mark;
  readonly status: ReplicaStatus;
  /** Replicas of the set that are no members any more: nobody told them. */
  readonly former: readonly ReplicaPort[];
}

interface Asked {
  readonly member: Member;
  readonly port: ReplicaPort;
  readonly status: ReplicaStatus | undefined;
  readonly problem: TransshipError | undefined;
}

/** Everybody that is wanted, or that anybody names as a member, and what they know. */
export class Electorate {
  readonly #o: ElectionOptions;
  readonly #asked = new Map<string, Asked>();

  constructor(options: ElectionOptions) {
    this.#o = options;
  }

  async ask(members: readonly Member[]): Promise<void> {
    let next = members;
    while (next.length > 0) {
      const asked = await Promise.all(next.map((member) => this.#look(member)));
      for (const one of asked) this.#asked.set(one.member.agent, one);
      next = this.#unasked();
    }
  }

  /** The set that they are of; undefined when nobody has anything. `Conflict` when of several. */
  set(): string | undefined {
    const statuses = [...this.#asked.values()].flatMap(({ status }) => status ?? []);
    const sets = new Set(statuses.map(({ set }) => set));
    sets.delete('');
    if (sets.size > 1) {
      const where = statuses.map(({ member, set }) => `${member.agent}: ${set.slice(0, 8)}`);
      fail('Conflict', `volumes ${this.#o.volume} of different sets: ${where.join(', ')}`);
    }
    return [...sets][0];
  }

  /** Agents with a volume of the name that is not replicated. */
  plain(): readonly string[] {
    const all = [...this.#asked.values()];
    return all.filter(({ status }) => status?.set === '').map(({ member }) => member.agent);
  }

  /** Agents that did not answer, with why. */
  silent(): readonly { readonly agent: string; readonly problem: TransshipError }[] {
    return [...this.#asked.values()].flatMap(({ member, problem }) => {
      return problem === undefined ? [] : [{ agent: member.agent, problem }];
    });
  }

  newTerm(): Term {
    const { random, self } = this.#o;
    let highest = 0;
    for (const { status } of this.#asked.values()) {
      highest = Math.max(highest, status?.promised.epoch ?? 0, status?.mark.epoch ?? 0);
    }
    const epoch = highest + 1 + Math.floor(random.fraction() * epochSpread);
    return { epoch, term: Buffer.from(random.bytes(16)).toString('hex'), leader: self };
  }

  /**
   * `QuorumLost` naming who is missing; `Fenced` when somebody else was faster. With `force` who
   * answers is the set from now on: what only the others acknowledged is lost.
   */
  async run(set: string, force: boolean): Promise<Elected> {
    // Who has no chance must not take an epoch: its promises would end a leader that works.
    const might = elect(set, this.#answered(set));
    if (might.kind === 'short' && !force) {
      return this.#short(might.configuration, this.#answered(set));
    }
    const term = this.newTerm();
    const promises = await this.#promises(set, term);
    let result = elect(set, promises);
    if (result.kind === 'short' && force) result = elect(set, promises.map(alone(promises)));
    if (result.kind === 'short') return this.#short(result.configuration, promises);
    const port = this.#asked.get(result.source.agent)!.port;
    const chosen = result.source.mark;
    if (result.source.reverts) await port.revert(term);
    const configuration = restamped(result.configuration, term.epoch);
    const status = await port.adopt(term, chosen, configuration);
    this.#checkKept(status, result.source);
    const former = this.#former(set, configuration);
    return { set, term, configuration, chosen, status, former };
  }

  #former(set: string, configuration: Configuration): ReplicaPort[] {
    return [...this.#asked.values()].flatMap(({ member, status, port }) => {
      const isFormer = roleOf(configuration, member.agent) === 'absent';
      return isFormer && status?.set === set ? [port] : [];
    });
  }

  #answered(set: string): Promised[] {
    return [...this.#asked.values()].flatMap(({ member, status }) => {
      return status?.set === set ? [{ agent: member.agent, replica: status }] : [];
    });
  }

  async #promises(set: string, term: Term): Promise<Promised[]> {
    const ours = [...this.#asked.values()].filter(({ status }) => status?.set === set);
    const answers = await Promise.all(
      ours.map(async ({ member, port }) => {
        try {
          return { agent: member.agent, replica: await port.promise(term) };
        } catch (error) {
          const problem = asTransshipError(error);
          if (problem.reason === 'Fenced') throw problem;
          return undefined;
        }
      }),
    );
    return answers.filter((one) => one !== undefined);
  }

  async #look(member: Member): Promise<Asked> {
    const port = this.#o.port(member);
    try {
      return { member, port, status: await port.state(), problem: undefined };
    } catch (error) {
      return { member, port, status: undefined, problem: asTransshipError(error) };
    }
  }

  #unasked(): Member[] {
    const found = new Map<string, Member>();
    for (const { status } of this.#asked.values()) {
      for (const one of status?.configuration.voters ?? []) {
        if (!this.#asked.has(one.agent)) found.set(one.agent, one);
      }
    }
    return [...found.values()];
  }

  #checkKept({ mark }: ReplicaStatus, { mark: chosen, agent }: Source): void {
    if (mark.sequence >= chosen.sequence) return;
    fail('Conflict', `${agent} has lost writes since it was asked; lead again`);
  }

  #short(configuration: Configuration | undefined, promises: readonly Promised[]): never {
    const { volume } = this.#o;
    const voters = configuration?.voters ?? [];
    const able = new Set(promises.map(({ agent }) => agent));
    const missing = voters.filter(({ agent }) => !able.has(agent));
    const needed = majorityOf(voters.length);
    const whom = missing.length === 0 ? 'replicas that are whole' : formatMembers(missing);
    fail('QuorumLost', `${needed} of ${voters.length} replicas of ${volume} must answer: ${whom}`);
  }
}

/** Everybody as if those that can answer for something were all the voters there are. */
function alone(promises: readonly Promised[]): (one: Promised) => Promised {
  const able = promises.filter(({ replica }) => replica !== undefined && hasState(replica));
  const newest = able
    .map(({ replica }) => replica!.configuration)
    .toSorted((a, b) => compareStamps(b, a))[0];
  const voters = (newest?.voters ?? []).filter((one) => able.some((a) => a.agent === one.agent));
  return (one) => {
    if (one.replica === undefined || newest === undefined) return one;
    const configuration = { ...newest, voters, learners: [] };
    return { ...one, replica: { ...one.replica, configuration } };
  };
}

function hasState({ phase, fallback }: ReplicaKnowledge): boolean {
  return phase === 'Healthy' || fallback !== undefined;
}
