/** What schedules of migrations found, each as the story that showed it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runMove } from './move-run.ts';
import type { Chapter, Story } from './move-story.ts';

const go: Chapter = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' };
const back: Chapter = { name: 'back', spec: { type: 'Rollback' }, inCase: 'retry' };

const stories: Readonly<Record<string, Story>> = {
  'a bare pod that a cutover made does not come again after the rollback': {
    plan: {},
    chapters: [go, back],
    trouble: { kind: 'none' },
  },
};

for (const [name, story] of Object.entries(stories)) {
  test(name, async () => {
    const { violation } = await runMove({ seed: 1, story });
    assert.equal(violation, undefined);
  });
}
