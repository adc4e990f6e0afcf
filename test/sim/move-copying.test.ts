/**
 * A replication that is killed after each of its effects, and a sample of its other interruptions:
 * `npm run sim -- --exhaustive --tales replication,replicationAgain` has all of them.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { again, type Interruption, interruptionsOf, plainStory, type Way } from './move-every.ts';
import { runMove } from './move-run.ts';
import { rememberingLibrary } from './remembering.ts';

const tale = 'replication';
const library = rememberingLibrary();
/** Of the interruptions of each way one in so many. */
const oneIn: Readonly<Record<Way, number>> = {
  kill: 1,
  once: 9,
  refused: 56,
  forEver: 124,
  cancel: 9,
  pause: 1,
};

const whole = await runMove({ seed: 0, story: plainStory(tale), library });
const byWay = Map.groupBy(interruptionsOf(tale, whole.survey), ({ way }) => way);

/** All that it is about comes about, if need be in further runs. */
async function isSurvived(one: Interruption): Promise<void> {
  const { violation, missed } = await runMove({ seed: 0, story: one.story, library });
  assert.equal(violation, undefined, `${one.name}: npm run sim -- --story '${json(one)}'`);
  const rest = again(one, missed);
  if (rest !== undefined) await isSurvived(rest);
}

const json = ({ story }: Interruption): string => JSON.stringify(story);

suite('a replication of the shop', () => {
  test('undisturbed it ends well', () => assert.equal(whole.violation, undefined));

  test('a run that could not tidy up behind itself leaves that to the next', async () => {
    const call = { place: 'copy-1/cleanUp', call: 'east DELETE imagetransfers/' };
    const trouble = { kind: 'calls', calls: [call], times: 1, how: 'forbidden' } as const;
    const copying = { spec: {}, acts: ['run'] } as const;
    const story = { plan: { onFailure: 'Pause' }, chapters: [], copying, trouble } as const;
    const { violation } = await runMove({ seed: 0, story, library });
    assert.equal(violation, undefined);
  });

  for (const [way, all] of byWay) {
    const picked = all.filter((_, at) => at % oneIn[way] === Math.min(2, oneIn[way] - 1));
    for (const [at, one] of picked.entries()) {
      test(`${way}, ${at + 1} of ${picked.length}`, () => isSurvived(one));
    }
  }
});
