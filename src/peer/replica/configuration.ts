/**
 * Who keeps a replicated volume, as pure data: majorities, the order of configurations, and the
 * next single change on the way from the members there are to those that are wanted. One voter at
 * a time, as single-server changes in Raft (Ongaro 2014, section 4.1); an epoch is established
 * before its leader changes anything, so what an older epoch left unfinished can never win.
 */
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import type { Configuration, Member } from '../../volume/replica-types.ts';

/**
 * Stamps order configurations: of two, the one of the later epoch counts, then the later version.
 * An epoch has only one leader, so two configurations with one stamp are equal.
 */
export type Stamp = Pick<Configuration, 'epoch' | 'version'>;

/** More replicas of one volume cost more than they protect. */
export const membersMax = 7;

export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** True when these agents hold enough for what must never be lost. */
export function isMajority(configuration: Configuration, agents: ReadonlySet<string>): boolean {
  const held = configuration.voters.filter(({ agent }) => agents.has(agent)).length;
  return configuration.voters.length > 0 && held >= majorityOf(configuration.voters.length);
}

/** A new configuration counts when a majority of the old voters and one of the new ones has it. */
export function isChanged(
  from: Configuration,
  to: Configuration,
  agents: ReadonlySet<string>,
): boolean {
  return isMajority(from, agents) && isMajority(to, agents);
}

export function compareStamps(a: Stamp, b: Stamp): number {
  return a.epoch - b.epoch || a.version - b.version;
}

/** The same members under the epoch of the leader that takes over. */
export function restamped(configuration: Configuration, epoch: number): Configuration {
  return { ...configuration, epoch, version: configuration.version + 1 };
}

export type Role = 'voter' | 'learner' | 'absent';

export function roleOf(configuration: Configuration, agent: string): Role {
  if (configuration.voters.some((one) => one.agent === agent)) return 'voter';
  return configuration.learners.some((one) => one.agent === agent) ? 'learner' : 'absent';
}

/** `agent/pool,agent/pool`. `BadArgument` says what is wrong with it. */
export function parseMembers(text: string): Member[] {
  const members = text.split(',').map((part) => {
    const [agent = '', pool = '', ...more] = part.trim().split('/');
    if (more.length > 0) fail('BadArgument', `members are agent/pool, not '${part.trim()}'`);
    return { agent: checkName(agent, 'agent'), pool: checkName(pool, 'pool') };
  });
  const problem = wishProblem(members);
  if (problem !== undefined) fail('BadArgument', problem);
  return members;
}

export function formatMembers(members: readonly Member[]): string {
  return members.map(({ agent, pool }) => `${agent}/${pool}`).join(',');
}

/** What can never be made true of these members, in words; undefined when nothing. */
export function wishProblem(wanted: readonly Member[]): string | undefined {
  if (wanted.length === 0) return 'a volume needs at least one replica; delete it to be rid of all';
  if (wanted.length > membersMax) return `at most ${membersMax} replicas, not ${wanted.length}`;
  const agents = new Set<string>();
  for (const { agent } of wanted) {
    if (agents.has(agent)) return `two replicas on agent ${agent} would be lost together`;
    agents.add(agent);
  }
  return undefined;
}

/** What a leader knows of the members: who has every acknowledged write and nothing missing. */
export interface Members {
  readonly configuration: Configuration;
  readonly wanted: readonly Member[];
  readonly healthy: ReadonlySet<string>;
  /** Voters whose agents answer and have nothing of the volume any more. */
  readonly lost?: ReadonlySet<string>;
}

export type Step =
  | { readonly kind: 'done' }
  | { readonly kind: 'change'; readonly what: Change; readonly to: Configuration }
  /** Nothing can be done now: `blocker` says what it waits for. */
  | { readonly kind: 'wait'; readonly blocker: string };

export interface Change {
  readonly action: 'learn' | 'promote' | 'remove';
  readonly member: Member;
}

/**
 * The next change from the members there are to the wanted ones. All missing ones become learners
 * at once; a learner becomes a voter when it is healthy; who is not wanted goes last, one at a
 * time, and only while those who stay are healthy enough without it. A voter that lost its data is
 * taken out before it is made anew. Every change needs a healthy majority.
 */
export function nextStep(members: Members): Step {
  const { configuration, wanted, healthy } = members;
  const problem = wishProblem(wanted);
  if (problem !== undefined) return { kind: 'wait', blocker: problem };
  const strayLearner = configuration.learners.find((one) => !has(wanted, one));
  const newcomer = wanted.find((one) => !isMember(configuration, one));
  const ready = configuration.learners.find(({ agent }) => healthy.has(agent));
  const isLost = ({ agent }: Member) => members.lost?.has(agent) === true;
  const surplus = configuration.voters.filter((one) => !has(wanted, one) || isLost(one));
  if (strayLearner === undefined && newcomer === undefined && surplus.length === 0) {
    if (configuration.learners.length === 0) return { kind: 'done' };
  }
  if (!isMajority(configuration, healthy)) return { kind: 'wait', blocker: quorumMissing(members) };
  if (strayLearner !== undefined) return change(configuration, 'remove', strayLearner);
  if (newcomer !== undefined && roleOf(configuration, newcomer.agent) === 'absent') {
    return change(configuration, 'learn', newcomer);
  }
  if (ready !== undefined) return change(configuration, 'promote', ready);
  const gone = surplus.filter(isLost);
  if (gone.length > 0) return removal(members, gone, undefined);
  if (configuration.learners.length > 0) {
    return { kind: 'wait', blocker: `${formatMembers(configuration.learners)} is being rebuilt` };
  }
  return removal(members, surplus, newcomer);
}

function removal(
  { configuration, healthy }: Members,
  surplus: readonly Member[],
  newcomer: Member | undefined,
): Step {
  // Who is of no use anyway goes first.
  const order = [...surplus].sort((a, b) => rank(healthy, a) - rank(healthy, b));
  for (const member of order) {
    const step = change(configuration, 'remove', member);
    if (step.kind === 'change' && isMajority(step.to, healthy)) return step;
  }
  const names = formatMembers(surplus);
  const move = newcomer === undefined ? '' : `; ${formatMembers([newcomer])} comes after it`;
  const blocker = `${names} stays: too few healthy replicas would be left without it${move}`;
  return { kind: 'wait', blocker };
}

function rank(healthy: ReadonlySet<string>, { agent }: Member): number {
  return healthy.has(agent) ? 1 : 0;
}

function change(from: Configuration, action: Change['action'], member: Member): Step {
  const without = (list: readonly Member[]) => list.filter(({ agent }) => agent !== member.agent);
  const [voters, learners] = [without(from.voters), without(from.learners)];
  const to = {
    epoch: from.epoch,
    version: from.version + 1,
    voters: action === 'promote' ? [...voters, member] : voters,
    learners: action === 'learn' ? [...learners, member] : learners,
  };
  return { kind: 'change', what: { action, member }, to };
}

function quorumMissing({ configuration, healthy }: Members): string {
  const ill = configuration.voters.filter(({ agent }) => !healthy.has(agent));
  const needed = majorityOf(configuration.voters.length);
  const count = configuration.voters.length;
  const names = formatMembers(ill);
  return `${needed} of ${count} replicas must be healthy first; not so: ${names}`;
}

function has(members: readonly Member[], { agent, pool }: Member): boolean {
  return members.some((one) => one.agent === agent && one.pool === pool);
}

function isMember(configuration: Configuration, member: Member): boolean {
  return has(configuration.voters, member) || has(configuration.learners, member);
}
