import assert from 'node:assert/strict';
import test from 'node:test';
import { majorityOf } from './configuration.ts';
import type { Configuration, Mark } from '../../volume/replica-types.ts';
import {
  compareMarks,
  decide,
  elect,
  type LeaderKnowledge,
  type Promised,
  type ReplicaKnowledge,
  type Source,
  type Verdict,
} from './decide.ts';

const member = (agent: string) => ({ agent, pool: 'main' });
const epochs = [1, 2, 3];
const sequences = [0, 1, 2];
const marks: Mark[] = epochs.flatMap((epoch) => sequences.map((sequence) => ({ epoch, sequence })));

function configurationOf(epoch: number, version: number, role: string): Configuration {
  const voters = role === 'voter' ? [member('r'), member('n')] : [member('n')];
  return { epoch, version, voters, learners: role === 'learner' ? [member('r')] : [] };
}

const termOf = (epoch: number) => ({ epoch, term: `term ${epoch}`, leader: 'l' });

function* replicas(): Generator<ReplicaKnowledge> {
  for (const set of ['ours', 'other']) {
    for (const epoch of epochs) {
      for (const promised of [termOf(epoch), { ...termOf(epoch), term: 'somebody else' }]) {
        for (const mark of marks) {
          for (const phase of ['Healthy', 'Receiving', 'Filling', 'Lost'] as const) {
            for (const stamp of epochs) {
              const configuration = configurationOf(stamp, 1, 'voter');
              yield { set, promised, mark, points: 0, phase, fallback: undefined, configuration };
            }
          }
        }
      }
    }
  }
}

function* leaders(): Generator<LeaderKnowledge> {
  for (const epoch of [2, 3]) {
    for (const chosen of marks.filter((mark) => mark.epoch < epoch)) {
      for (const sequence of sequences.filter((one) => one >= chosen.sequence)) {
        for (const windowFrom of sequences.filter((one) => one <= sequence + 1)) {
          for (const role of ['voter', 'learner', 'absent']) {
            const configuration = configurationOf(epoch, 1, role);
            const term = termOf(epoch);
            yield { set: 'ours', term, chosen, sequence, windowFrom, configuration };
          }
        }
      }
    }
  }
}

function* cases(): Generator<{ r: ReplicaKnowledge; n: LeaderKnowledge; verdict: Verdict }> {
  for (const n of leaders()) {
    for (const r of replicas()) yield { r, n, verdict: decide('r', r, n) };
  }
}

function roleOf(n: LeaderKnowledge): string {
  if (n.configuration.voters.length === 2) return 'voter';
  return n.configuration.learners.length === 1 ? 'learner' : 'absent';
}

test('every combination has one verdict, and each verdict its reason', () => {
  const seen = new Set<string>();
  for (const { r, n, verdict } of cases()) {
    seen.add(verdict.kind);
    const isForeign = r.set !== n.set;
    assert.equal(verdict.kind === 'stranger', isForeign);
    if (isForeign) continue;
    const { epoch, term } = n.term;
    const newerMark = compareMarks(r.mark, { epoch, sequence: n.sequence }) > 0;
    const newerMembers = r.configuration.epoch > epoch;
    const otherTerm = r.promised.epoch === epoch && r.promised.term !== term;
    const isFenced = r.promised.epoch > epoch || otherTerm || newerMark || newerMembers;
    assert.equal(verdict.kind === 'fenced', isFenced);
    if (isFenced) continue;
    assert.equal(verdict.kind === 'ineligible', roleOf(n) === 'absent');
  }
  assert.deepEqual([...seen].sort(), [
    'adopt',
    'difference',
    'fenced',
    'ineligible',
    'nothing',
    'resend',
    'stranger',
  ]);
});

test('only a healthy replica of this epoch is in step or gets writes again', () => {
  for (const { r, n, verdict } of cases()) {
    if (verdict.kind !== 'nothing' && verdict.kind !== 'resend') continue;
    assert.ok(r.phase === 'Healthy' && r.mark.epoch === n.term.epoch && r.set === n.set);
    if (verdict.kind === 'nothing') assert.equal(r.mark.sequence, n.sequence);
    else {
      assert.equal(verdict.from, r.mark.sequence + 1, 'without gaps');
      assert.ok(verdict.from >= n.windowFrom && verdict.from <= n.sequence);
    }
  }
});

test('an epoch is joined only with exactly the content that it began with', () => {
  for (const { r, n, verdict } of cases()) {
    if (verdict.kind !== 'adopt') continue;
    assert.ok(r.phase === 'Healthy' && r.set === n.set);
    assert.equal(compareMarks(r.mark, n.chosen), 0);
    const later = decide('r', { ...r, mark: { ...r.mark, epoch: n.term.epoch } }, n);
    assert.ok(later.kind === 'nothing' || later.kind === 'resend', 'then it gets what follows');
  }
});

test('an agent without a replica is filled as a learner and never as a voter', () => {
  for (const n of leaders()) {
    const expected = { voter: 'lost', learner: 'fromNothing', absent: 'ineligible' };
    assert.equal(decide('r', undefined, n).kind, expected[roleOf(n) as keyof typeof expected]);
  }
});

/** The leader that wins the next epoch with a replica's content and promise. */
function ledBy({ set, promised, mark, configuration }: ReplicaKnowledge): LeaderKnowledge {
  const { sequence } = mark;
  const windowFrom = sequence + 1;
  return { set, term: promised, chosen: mark, sequence, windowFrom, configuration };
}

test('of two replicas at most one is told to become like the other', () => {
  const changes = new Set(['difference', 'resend']);
  const whole = [...replicas()].filter(({ phase, set, promised, mark, configuration }) => {
    const isPast = mark.epoch <= promised.epoch && configuration.epoch <= promised.epoch;
    return phase === 'Healthy' && set === 'ours' && isPast && promised.term !== 'somebody else';
  });
  for (const a of whole) {
    for (const b of whole) {
      if (a.promised.epoch === b.promised.epoch) continue;
      const [ab, ba] = [decide('r', a, ledBy(b)).kind, decide('r', b, ledBy(a)).kind];
      assert.ok(!(changes.has(ab) && changes.has(ba)), `both ${ab}`);
      assert.equal(a.promised.epoch < b.promised.epoch ? ba : ab, 'fenced');
    }
  }
  for (const a of marks) {
    for (const b of marks) {
      assert.equal(Math.sign(compareMarks(a, b)), -Math.sign(compareMarks(b, a)) + 0 || 0);
    }
  }
});

const nothing = 'nothing';
/** What a voter may hold: complete with a mark, being rebuilt, or no more what it acknowledged. */
const states = [
  { complete: false, sequence: 2, isLost: true },
  ...[0, 1, 2].map((sequence) => ({ complete: true, sequence })),
  ...[0, 1, 2].map((sequence) => ({ complete: false, sequence })),
  nothing,
] as const;
type State = (typeof states)[number];

function* histories(voters: number): Generator<State[]> {
  const total = states.length ** voters;
  for (let code = 0; code < total; code += 1) {
    yield Array.from({ length: voters }, (_, at) => {
      return states[Math.floor(code / states.length ** at) % states.length]!;
    });
  }
}

function replicaOf(state: State, configuration: Configuration): ReplicaKnowledge | undefined {
  if (state === nothing) return undefined;
  const held = { epoch: 1, sequence: state.sequence };
  // What a rebuild brought so far looks newer than all, and must not count.
  const base = { set: 'ours', promised: termOf(3), points: 0, configuration };
  if (state.complete) return { ...base, phase: 'Healthy', mark: held, fallback: undefined };
  const mark = { epoch: 2, sequence: 9 };
  if ('isLost' in state) return { ...base, phase: 'Lost', mark: held, fallback: undefined };
  return { ...base, phase: 'Filling', mark, fallback: { mark: held } };
}

/** The newest write that a majority held when it was acknowledged. */
function acknowledged(history: readonly State[]): number {
  const held = history.map((state) => (state === nothing ? -1 : state.sequence));
  held.sort((a, b) => b - a);
  return held[majorityOf(history.length) - 1]!;
}

test('an election never starts from a replica that lacks something acknowledged', () => {
  let won = 0;
  for (const count of [1, 2, 3, 4]) {
    const voters = ['a', 'b', 'c', 'd'].slice(0, count);
    const configuration = { epoch: 1, version: 1, voters: voters.map(member), learners: [] };
    for (const history of histories(count)) {
      const all = voters.map((agent, at) => {
        return { agent, replica: replicaOf(history[at]!, configuration) };
      });
      for (let bits = 0; bits < 2 ** count; bits += 1) {
        const promises = all.filter((_, at) => (bits >> at) % 2 === 1);
        const election = elect('ours', promises);
        const there = promises.filter(({ replica }) => {
          return replica !== undefined && replica.phase !== 'Lost';
        }).length;
        assert.equal(election.kind === 'won', there >= majorityOf(count));
        if (election.kind !== 'won') continue;
        won += 1;
        assert.ok(election.source.mark.sequence >= acknowledged(history));
        checkSource(election.source, promises);
      }
    }
  }
  assert.ok(won > 5_000);
});

/** It holds what it is chosen for, and nobody who promised holds more. */
function checkSource(source: Source, promises: readonly Promised[]): void {
  const chosen = promises.find(({ agent }) => agent === source.agent)!.replica!;
  const isWhole = chosen.phase === 'Healthy';
  assert.equal(source.reverts, !isWhole);
  assert.deepEqual(source.mark, isWhole ? chosen.mark : chosen.fallback?.mark);
  for (const { replica } of promises) {
    if (replica === undefined || replica.phase === 'Lost') continue;
    const { phase, mark, fallback } = replica;
    const best = phase === 'Healthy' ? mark : fallback!.mark;
    assert.ok(compareMarks(best, source.mark) <= 0);
    // Going back costs what a healthy one need not pay.
    if (source.reverts && phase === 'Healthy') assert.ok(compareMarks(mark, source.mark) < 0);
  }
}

test('learners, strangers and replicas of an old configuration do not elect', () => {
  const old = { epoch: 1, version: 1, voters: ['a', 'b', 'r'].map(member), learners: [] };
  const now = { epoch: 1, version: 3, voters: ['a', 'c'].map(member), learners: [member('b')] };
  const of = (agent: string, configuration: Configuration, sequence = 1, set = 'ours') => {
    const mark = { epoch: 1, sequence };
    const state = { phase: 'Healthy', mark, points: 0, fallback: undefined } as const;
    return { agent, replica: { set, promised: termOf(2), configuration, ...state } };
  };
  assert.equal(elect('ours', [of('r', old), of('b', now)]).kind, 'short');
  assert.equal(elect('ours', [of('a', now), of('b', now, 2)]).kind, 'short', 'a learner votes not');
  assert.equal(elect('ours', [of('a', now), of('c', now, 1, 'other')]).kind, 'short');
  const led = elect('ours', [of('a', now), of('c', old), of('b', now, 2), of('r', old, 2)]);
  assert.ok(led.kind === 'won' && led.source.mark.sequence === 1, 'only voters are started from');
  assert.equal(led.configuration, now);
  assert.equal(elect('ours', []).kind, 'short');
});

test('a voter whose rebuild began from nothing does not help to find what was written', () => {
  const configuration = { epoch: 1, version: 1, voters: ['a', 'b', 'c'].map(member), learners: [] };
  const mark = { epoch: 1, sequence: 7 };
  const state = { phase: 'Filling', mark, points: 0, fallback: undefined } as const;
  const replica = { set: 'ours', promised: termOf(2), configuration, ...state };
  const promises = ['a', 'b'].map((agent) => ({ agent, replica }));
  assert.equal(elect('ours', promises).kind, 'short');
});

test('of replicas with the same writes, one that had the last snapshot is started from', () => {
  const configuration = { epoch: 1, version: 1, voters: ['a', 'b', 'c'].map(member), learners: [] };
  const of = (agent: string, sequence: number, points: number, whole = true) => {
    const mark = { epoch: 1, sequence };
    const common = { set: 'ours', promised: termOf(2), configuration };
    const old = { mark: { epoch: 0, sequence: 0 }, points: 9, phase: 'Filling' } as const;
    const fallback = { mark, points };
    const replica = whole
      ? ({ ...common, mark, points, phase: 'Healthy', fallback: undefined } as const)
      : { ...common, ...old, fallback };
    return { agent, replica };
  };
  const startsFrom = (...promises: Parameters<typeof elect>[1]) => {
    for (const all of [promises, promises.toReversed()]) {
      const led = elect('ours', all);
      assert.ok(led.kind === 'won');
      if (all !== promises) return led.source.agent;
    }
    return undefined;
  };
  assert.equal(startsFrom(of('a', 5, 1), of('b', 5, 2)), 'b');
  assert.equal(startsFrom(of('a', 5, 1), of('b', 5, 2, false)), 'b', 'also when it has to go back');
  assert.equal(startsFrom(of('a', 6, 1), of('b', 5, 2)), 'a', 'writes come first');
});
