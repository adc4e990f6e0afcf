/** What schedules of migrations found, each as the story that showed it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runMove } from './move-run.ts';
import type { Chapter, Story } from './move-story.ts';
import { ever } from './move-trouble.ts';

const go: Chapter = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' };
const back: Chapter = { name: 'back', spec: { type: 'Rollback' }, inCase: 'retry' };
const never = { kind: 'refused', times: Number.POSITIVE_INFINITY, how: 'forbidden' } as const;

const stories: Readonly<Record<string, Story>> = {
  'a bare pod that a cutover made does not come again after the rollback': {
    plan: {},
    chapters: [go, back],
    trouble: { kind: 'none' },
  },
  'what may not be started at the destination can be taken back by a rollback': {
    plan: {},
    chapters: [{ ...go, inCase: 'cancel' }],
    trouble: { ...never, what: 'POST statefulsets', from: 2 },
  },
  'a cutover that is canceled is taken back by controllers that die again and again': {
    plan: {},
    chapters: [{ ...go, cancelAtMs: 20_000 }],
    trouble: { kind: 'kill', after: 7, times: 40, ms: 500 },
  },
  'how a migration ended is still known when its plan cannot be let go': {
    plan: {},
    chapters: [{ name: 'stage', spec: { type: 'Stage' }, inCase: 'retry' }],
    trouble: {
      kind: 'calls',
      calls: [{ place: 'stage/over', call: 'east PATCH plans/' }],
      times: 1,
      how: 'unreachable',
    },
  },
  'a kind that is hidden when the destination starts is not left out': {
    plan: {},
    chapters: [go],
    trouble: {
      kind: 'calls',
      calls: [{ place: 'go/startDestination', call: 'east GET deployments' }],
      times: ever,
      how: 'forbidden',
    },
  },
};

for (const [name, story] of Object.entries(stories)) {
  test(name, async () => {
    const { violation } = await runMove({ seed: 1, story });
    assert.equal(violation, undefined);
  });
}
