/** What schedules of migrations found, each as the story that showed it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runMove } from './move-run.ts';
import { allHooks } from './move-shop.ts';
import type { Chapter, Story } from './move-story.ts';
import { ever } from './move-trouble.ts';
import { rememberingLibrary } from './remembering.ts';

const go: Chapter = { name: 'go', spec: { type: 'Cutover' }, inCase: 'retry' };
const back: Chapter = { name: 'back', spec: { type: 'Rollback' }, inCase: 'retry' };
const never = { kind: 'refused', times: Number.POSITIVE_INFINITY, how: 'forbidden' } as const;

const stories: Readonly<Record<string, Story>> = {
  'a rollback that is canceled after the copy back leaves no marks on the claims of the source': {
    plan: {},
    chapters: [go, { ...back, cancelAt: 'back/liftSourceFence' }],
    trouble: { kind: 'none' },
  },
  'a conversion back that is canceled after the copy leaves no marks on the volume of before': {
    plan: {
      destination: 'east',
      type: 'StorageConversion',
      volumes: [{ namespace: 'shop', claim: 'data-db-0', storageClass: 'directory' }],
    },
    chapters: [go, { ...back, cancelAt: 'back/liftSourceFence' }],
    trouble: { kind: 'none' },
  },
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
  'a namespace that is not there when the copies are chosen is not one without claims': {
    plan: {},
    chapters: [go],
    trouble: {
      kind: 'calls',
      calls: [{ place: 'go/copyAhead', call: 'east GET namespaces/' }],
      times: 1,
      how: 'gone',
    },
  },
  'hooks run once and images are there, whoever dies in between': {
    plan: { images: 'Auto', hooks: allHooks },
    chapters: [go],
    trouble: { kind: 'kill', after: 11, times: 20, ms: 200 },
  },
  'a set that was made again is started again, though writing down its identity failed once': {
    plan: {
      onFailure: 'RollBack',
      destination: 'east',
      type: 'StorageConversion',
      volumes: [{ namespace: 'shop', claim: 'data-db-0', storageClass: 'directory' }],
    },
    chapters: [go],
    trouble: {
      kind: 'calls',
      calls: [{ place: 'go/swapClaims', call: 'east PATCH secrets/' }],
      times: 1,
      how: 'unreachable',
    },
  },
  'hooks do not outlive a cutover that only a rollback leads back from': {
    plan: { images: 'Auto', hooks: allHooks },
    chapters: [{ ...go, cancelAt: 'go/hookPostRestore' }],
    trouble: { kind: 'none' },
  },
  'a rollback that is canceled half way tells that the source is half overwritten': {
    plan: {},
    chapters: [go, { ...back, cancelAt: 'back/copyBack' }],
    trouble: { kind: 'none' },
  },
  'volumes of agents go there and back with controllers that die at both sides': {
    plan: {},
    storage: 'Agents',
    chapters: [{ ...go, pauseAt: 'go/copyAhead' }, back],
    trouble: { kind: 'kill', after: 90, times: 3, ms: 2_000 },
  },
};

const library = rememberingLibrary();

for (const [name, story] of Object.entries(stories)) {
  test(name, async () => {
    const { violation } = await runMove({ seed: 1, story, library });
    assert.equal(violation, undefined);
  });
}
