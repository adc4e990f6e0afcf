import assert from 'node:assert/strict';
import test from 'node:test';
import { TransshipError } from '../../base/errors.ts';
import type { Configuration, Member } from '../../volume/replica-types.ts';
import {
  compareStamps,
  formatMembers,
  isChanged,
  isMajority,
  majorityOf,
  type Members,
  nextStep,
  parseMembers,
  restamped,
  roleOf,
  wishProblem,
} from './configuration.ts';

const agents = ['a', 'b', 'c', 'd'];
const member = (agent: string, pool = 'main'): Member => ({ agent, pool });

function* subsets<T>(all: readonly T[]): Generator<T[]> {
  for (let bits = 0; bits < 2 ** all.length; bits += 1) {
    yield all.filter((_, at) => (bits >> at) % 2 === 1);
  }
}

/** Every configuration of the agents with at least one voter. */
function* configurations(): Generator<Configuration> {
  for (const voters of subsets(agents)) {
    const rest = agents.filter((one) => !voters.includes(one));
    for (const learners of subsets(rest)) {
      if (voters.length === 0) continue;
      const of = (names: string[]) => names.map((one) => member(one));
      yield { epoch: 3, version: 5, voters: of(voters), learners: of(learners) };
    }
  }
}

/** Every configuration, wish and health; voters that lost everything are never healthy. */
function* situations(): Generator<Members> {
  for (const configuration of configurations()) {
    for (const names of subsets(agents)) {
      const wanted = names.map((one) => member(one));
      for (const healthy of subsets(agents)) {
        yield { configuration, wanted, healthy: new Set(healthy) };
        const lost = configuration.voters.find(({ agent }) => !healthy.includes(agent));
        if (lost === undefined) continue;
        const whoLost = new Set([lost.agent]);
        yield { configuration, wanted, healthy: new Set(healthy), lost: whoLost };
      }
    }
  }
}

function names(members: readonly Member[]): string {
  return members
    .map(({ agent }) => agent)
    .sort()
    .join('');
}

test('a change is of one member, needs a healthy majority and leaves one', () => {
  let changes = 0;
  for (const one of situations()) {
    const step = nextStep(one);
    if (step.kind !== 'change') continue;
    changes += 1;
    const { configuration: from, healthy } = one;
    const { to, what } = step;
    assert.ok(isMajority(from, healthy) && isMajority(to, healthy));
    assert.ok(to.voters.some(({ agent }) => healthy.has(agent)));
    assert.equal(compareStamps(to, { epoch: from.epoch, version: from.version + 1 }), 0);
    const all = [...from.voters, ...to.voters].map(({ agent }) => agent);
    const moved = [...new Set(all)].filter((agent) => {
      return (roleOf(from, agent) === 'voter') !== (roleOf(to, agent) === 'voter');
    });
    assert.ok(moved.length <= 1 && moved.every((agent) => agent === what.member.agent));
    const members = [...to.voters, ...to.learners].map(({ agent }) => agent);
    assert.equal(new Set(members).size, members.length, 'one role for each');
  }
  assert.ok(changes > 1000);
});

test('only healthy learners are promoted, and only who is not wanted or lost is removed', () => {
  for (const one of situations()) {
    const step = nextStep(one);
    if (step.kind !== 'change') continue;
    const { action, member: changed } = step.what;
    const isWanted = one.wanted.some(({ agent }) => agent === changed.agent);
    const role = roleOf(one.configuration, changed.agent);
    if (action === 'learn') assert.ok(isWanted && role === 'absent');
    if (action === 'promote') assert.ok(role === 'learner' && one.healthy.has(changed.agent));
    if (action === 'remove') assert.ok(!isWanted || one.lost?.has(changed.agent) === true);
    if (action === 'remove' && role === 'voter' && one.lost === undefined) {
      const { configuration, wanted } = one;
      const arrived = wanted.every(({ agent }) => roleOf(configuration, agent) === 'voter');
      assert.ok(arrived, 'who is wanted comes before anybody goes');
    }
  }
});

test('it is done exactly when the voters are those wanted', () => {
  for (const one of situations()) {
    const { configuration, wanted, lost } = one;
    const isThere = names(configuration.voters) === names(wanted);
    const isDone = isThere && configuration.learners.length === 0 && lost === undefined;
    assert.equal(nextStep(one).kind === 'done', isDone);
  }
});

test('with everybody healthy every wish comes true, and healthy copies never fall below', () => {
  const healthy = new Set(agents);
  for (const start of configurations()) {
    for (const wished of subsets(agents)) {
      if (wished.length === 0) continue;
      const wanted = wished.map((one) => member(one));
      const least = Math.min(start.voters.length, wanted.length);
      let configuration = start;
      for (let steps = 0; ; steps += 1) {
        assert.ok(steps <= 3 * agents.length, 'it goes round in circles');
        const step = nextStep({ configuration, wanted, healthy });
        assert.notEqual(step.kind, 'wait');
        if (step.kind !== 'change') break;
        configuration = step.to;
        assert.ok(configuration.voters.length >= least);
      }
      assert.equal(names(configuration.voters), names(wanted));
    }
  }
});

test('a replica that cannot go says why', () => {
  const voters = [member('a'), member('b'), member('c')];
  const configuration = { epoch: 1, version: 1, voters, learners: [] };
  const healthy = new Set(['b', 'c']);
  const keepOne = { configuration, wanted: [member('a'), member('b')], healthy };
  const stays = nextStep(keepOne);
  assert.ok(stays.kind === 'wait' && /c\/main stays/.test(stays.blocker), 'a is ill: c must stay');
  const few = nextStep({ ...keepOne, healthy: new Set(['b']) });
  assert.ok(few.kind === 'wait' && /2 of 3.*a\/main,c\/main/.test(few.blocker));
});

test('a pool of the same agent is changed by leaving and coming again', () => {
  const healthy = new Set(['a', 'b', 'c']);
  const voters = [member('a'), member('b'), member('c')];
  const configuration = { epoch: 1, version: 1, voters, learners: [] };
  const wanted = [member('a', 'other'), member('b'), member('c')];
  const leave = nextStep({ configuration, wanted, healthy });
  assert.ok(leave.kind === 'change' && leave.what.action === 'remove');
  const come = nextStep({ configuration: leave.to, wanted, healthy });
  assert.ok(come.kind === 'change' && come.what.member.pool === 'other');
  const alone = { ...configuration, voters: [member('a')] };
  const stuck = nextStep({ configuration: alone, wanted: [member('a', 'other')], healthy });
  assert.ok(stuck.kind === 'wait' && /too few healthy.*a\/other comes after/.test(stuck.blocker));
});

test('majorities before and after a single change always share a voter', () => {
  for (const from of configurations()) {
    for (const what of agents) {
      const isVoter = roleOf(from, what) === 'voter';
      const rest = from.voters.filter(({ agent }) => agent !== what);
      const to = { ...from, voters: isVoter ? rest : [...rest, member(what)] };
      if (to.voters.length === 0) continue;
      for (const old of subsets(agents)) {
        for (const fresh of subsets(agents)) {
          const both = isMajority(from, new Set(old)) && isMajority(to, new Set(fresh));
          if (both) assert.ok(old.some((one) => fresh.includes(one)));
        }
      }
      const counted = new Set(rest.map(({ agent }) => agent));
      assert.equal(
        isChanged(from, to, counted),
        isMajority(from, counted) && isMajority(to, counted),
      );
    }
  }
  assert.deepEqual([1, 2, 3, 4, 5].map(majorityOf), [1, 2, 2, 3, 3]);
});

test('a leader that takes over stamps later than any change of an older epoch', () => {
  const one: Configuration = { epoch: 2, version: 9, voters: [member('a')], learners: [] };
  const taken = restamped({ ...one, version: 4 }, 3);
  assert.ok(compareStamps(taken, one) > 0 && compareStamps(one, taken) < 0);
  assert.equal(compareStamps(one, { ...one }), 0);
});

test('members are read and written as agent/pool', () => {
  const text = 'east-1/main,east-2/fast';
  assert.equal(formatMembers(parseMembers(text)), text);
  const refused = (wrong: string, reason: string) => {
    assert.throws(
      () => parseMembers(wrong),
      (error: unknown) => error instanceof TransshipError && error.reason === reason,
    );
  };
  refused('a/main,a/other', 'BadArgument');
  refused('a/main/more', 'BadArgument');
  refused('a', 'BadName');
  refused('', 'BadName');
  assert.match(wishProblem([]) ?? '', /at least one replica/);
  assert.match(wishProblem('abcdefgh'.split('').map((one) => member(one))) ?? '', /at most 7/);
});

test('a voter that lost its data is taken out before anything is waited for, and made anew', () => {
  const wanted = ['a', 'b', 'c', 'd'].map((one) => member(one));
  const voters = wanted.slice(0, 3);
  const learners = wanted.slice(3);
  const configuration = { epoch: 1, version: 1, voters, learners };
  const situation = { wanted, healthy: new Set(['a', 'b']), lost: new Set(['c']) };
  const leave = nextStep({ ...situation, configuration });
  assert.ok(leave.kind === 'change' && leave.what.action === 'remove');
  assert.equal(leave.what.member.agent, 'c');
  const come = nextStep({ ...situation, configuration: leave.to, lost: new Set() });
  assert.ok(come.kind === 'change' && come.what.action === 'learn');
  assert.equal(roleOf(come.to, 'c'), 'learner');
});
