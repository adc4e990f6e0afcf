import assert from 'node:assert/strict';
import test from 'node:test';
import { search } from './replica-model.ts';
import type { Rule, Scenario } from './replica-state.ts';

/** The first leader leads all voters and has written nothing. */
const led = (...replicas: number[]) => [
  ...replicas.map((r) => `L0 is promised by r${r}`),
  'L0 chooses r0',
  ...replicas.map((r) => `L0 adopts r${r}`),
];
const taken = (l: number, from: number, by: readonly number[]) => [
  ...by.map((r) => `L${l} is promised by r${r}`),
  `L${l} chooses r${from}`,
  `L${l} adopts r${from}`,
];
const three = { voters: 3, epochs: [1, 2], writes: 1, durable: true };
const two = { voters: 2, epochs: [1, 2], writes: 1 };

/** A write that only one has, of a leader that another follows. */
const leftBehind: Scenario = {
  ...three,
  epochs: [1, 2, 3],
  ended: [0],
  steps: 9,
  given: [
    ...led(0, 1, 2),
    'L0 writes',
    'L0 writes a to r0, unheard',
    'L1 is promised by r1',
    'L1 is promised by r2',
    'L1 chooses r1',
  ],
};
/** Two have a write that was flushed, one of them one more; all promise the next leader. */
const ahead: Scenario = {
  ...three,
  epochs: [1, 2, 3],
  writes: 2,
  ended: [0],
  steps: 7,
  given: [
    ...led(0, 1, 2),
    'L0 writes',
    'L0 writes a to r0',
    'L0 writes a to r1',
    'L0 writes',
    'L0 writes b to r0, unheard',
    ...taken(1, 0, [0, 1, 2]),
    'L1 rebuilds r1',
    'L2 is promised by r1',
  ],
};
/** Two writes that nobody else has, and a later leader that others follow. */
const longer: Scenario = {
  ...three,
  epochs: [1, 2, 3],
  writes: 2,
  ended: [0],
  steps: 8,
  given: [
    ...led(0, 1, 2),
    'L0 writes',
    'L0 writes a to r0, unheard',
    'L0 writes',
    'L0 writes b to r0, unheard',
    ...taken(1, 1, [1, 2]),
    'L1 adopts r2',
    'L1 writes',
  ],
};
/** A change that an older leader left unfinished beside one of a newer leader. */
const unfinished: Scenario = {
  voters: 4,
  epochs: [1, 2, 3],
  writes: 1,
  changes: 1,
  durable: true,
  ended: [0],
  steps: 7,
  given: [
    ...led(0, 1, 2, 3),
    'L0 removes r3',
    'L0 configures r0, unheard',
    ...taken(1, 1, [1, 2, 3]),
    'L1 adopts r2',
    'L1 adopts r3',
    'L1 removes r0',
    'L1 configures r1',
    'L1 configures r2',
    'L1 configures r3',
    'L1 writes',
    'L1 writes i to r2',
    'L1 writes i to r3',
  ],
};
/** A replica that was behind is rebuilt while the others have acknowledged more. */
const early: Scenario = {
  ...three,
  epochs: [1, 2, 3],
  ended: [0],
  steps: 8,
  given: [
    ...led(0, 1, 2),
    'L0 writes',
    'L0 writes a to r0, unheard',
    'L0 writes a to r2, unheard',
    ...taken(1, 0, [0, 1, 2]),
    'L1 adopts r2',
    'L1 writes',
    'L1 writes i to r0',
    'L1 writes i to r2',
    'L1 rebuilds r1',
  ],
};
const growing: Scenario = {
  ...two,
  voters: 1,
  learners: 1,
  changes: 2,
  crashes: 1,
  steps: 11,
  given: [
    ...led(0),
    'L0 is promised by r1',
    'L0 rebuilds r1',
    'L0 writes',
    'L0 writes a to r0',
    'L0 flushes r0',
  ],
};
const shrinking: Scenario = {
  ...three,
  changes: 2,
  steps: 10,
  given: [...led(0, 1, 2), 'L0 writes', 'L0 writes a to r0', 'L0 removes r2', 'L0 configures r0'],
};

const scenarios: Readonly<Record<string, Scenario>> = {
  'two leaders and two replicas': { ...two, durable: true },
  'two replicas that lose power': { ...two, crashes: 1 },
  'a chain of three leaders': { ...two, epochs: [1, 2, 3], durable: true },
  'a write left behind': leftBehind,
  'a rebuild that does not end': ahead,
  'a longer state of an older leader': longer,
  'a rebuild beside writes': early,
  'a change that was left unfinished': unfinished,
  'from one replica to two, and to the new one alone': growing,
  'from three replicas to one': shrinking,
};

for (const [name, scenario] of Object.entries(scenarios)) {
  test(`nothing acknowledged is lost: ${name}`, () => {
    const { states, violation } = search(scenario);
    assert.equal(violation, undefined);
    assert.ok(states > 50, 'it searched');
  });
}

const broken: Readonly<Record<Rule, Scenario>> = {
  'no fence': { ...two, durable: true },
  'acknowledged by one': { ...three, given: [...led(0, 1, 2), 'L0 writes'] },
  'served before a majority adopted': leftBehind,
  'a rebuild counts early': early,
  'configurations without an epoch': unfinished,
  'a configuration without a flush': growing,
  'a promise for all who lead with one epoch': { ...two, epochs: [1, 1], durable: true },
  'a flush that does not wait': { ...two, voters: 1, crashes: 1 },
  'newest by sequence only': longer,
  'a change counts at once': {
    ...shrinking,
    given: [...led(0, 1, 2), 'L0 writes', 'L0 removes r2', 'L0 removes r1'],
  },
};

for (const [rule, scenario] of Object.entries(broken)) {
  test(`the search finds what is lost with ${rule}`, () => {
    const { violation } = search({ ...scenario, broken: rule as Rule });
    assert.ok(violation !== undefined);
  });
}
