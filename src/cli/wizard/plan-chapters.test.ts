import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Facts } from './facts.ts';
import type { PlanAnswers } from './plan-answers.ts';
import { planChapters } from './plan-chapters.ts';
import { runWizard } from './wizard.ts';

const facts: Facts = {
  clusters: ['east', 'west'],
  plans: ['shop'],
  hooks: ['quiet'],
  repositories: ['depot'],
  namespaces: async () => ['default', 'shop', 'web'],
  claims: async (_cluster, namespaces) =>
    namespaces.includes('shop')
      ? ['db', 'cache'].map((name) => ({
          namespace: 'shop',
          name,
          storageClass: 'old',
          size: '1Gi',
          volumeMode: undefined,
        }))
      : [],
  storageClasses: async () => ['new', 'old'],
};

const begun: PlanAnswers = { name: undefined, namespace: 'default', draft: {}, isAgreed: false };

/** Answers by a piece of the question; everything else by default. Unused ones are a mistake. */
async function answered(script: readonly (readonly [RegExp, string])[], from = begun) {
  const left = [...script];
  const prompts: string[] = [];
  let said = '';
  const result = await runWizard(
    {
      ask: async (prompt) => {
        prompts.push(prompt);
        assert.ok(prompts.length < 100, 'it asks for ever');
        if (left[0]?.[0].test(prompt) !== true) return '';
        return left.shift()![1];
      },
      say: (text) => void (said += text),
    },
    planChapters(facts),
    from,
  );
  assert.deepEqual(left, [], 'answers to questions that were not asked');
  return { result, prompts, said };
}

test('every question has a default, and the defaults make a plan', async () => {
  const { result, said } = await answered([]);
  assert.deepEqual(result, {
    name: 'plan',
    namespace: 'default',
    draft: {
      source: 'east',
      destination: 'west',
      type: 'Namespace',
      namespaces: [{ name: 'shop' }],
      images: 'Auto',
      quiesce: true,
      onFailure: 'RollBack',
    },
    isAgreed: true,
  });
  for (const title of ['1/8 General', '2/8 Namespaces', '3/8 Volumes', '4/8 Copy', '8/8 Results']) {
    assert.match(said, new RegExp(title), title);
  }
  assert.match(said, / {2}shop +cache +old +1Gi +Filesystem +Copy/);
  assert.doesNotMatch(said, /Live migration/, 'only conversions ask');
});

test('answers shape what is asked next, and become fields', async () => {
  const { result, prompts } = await answered([
    [/^Name of the plan/, 'shop'],
    [/^Name of the plan/, 'big'],
    [/^Repository/, 'depot'],
    [/^Namespaces/, 'shop, web'],
    [/^Name of shop/, 'shop-eu'],
    [/^Name of web/, 'shop-eu'],
    [/^Name of web/, 'web'],
    [/^Volumes/, 'shop/cache=skip'],
    [/db: method/, 'filesystem'],
    [/db: storage class/, 'new'],
    [/db: compare/, 'yes'],
    [/^Stop workloads/, 'no'],
    [/^Send at most/, '50MiB/s'],
    [/^Hooks/, 'quiet@prebackup'],
  ]);
  assert.equal(result.name, 'big');
  const { draft } = result;
  assert.deepEqual(draft.namespaces, [{ name: 'shop', to: 'shop-eu' }, { name: 'web' }]);
  assert.deepEqual(draft.volumes, [
    { namespace: 'shop', claim: 'cache', action: 'Skip' },
    { namespace: 'shop', claim: 'db', method: 'Filesystem', storageClass: 'new', verify: true },
  ]);
  assert.deepEqual(draft.hooks, [{ hook: 'quiet', phase: 'PreBackup' }]);
  assert.equal(draft.bandwidth, '50Mi');
  assert.equal(draft.quiesce, false);
  assert.equal(draft.repository, 'depot');
  assert.ok(!prompts.some((one) => one.includes('cache: method')), 'skipped ones are not copied');
});

test('one cluster means another class: live migration is asked, images are not', async () => {
  const { result, prompts } = await answered([
    [/^To which/, 'east'],
    [/^Move disks/, 'yes'],
  ]);
  assert.deepEqual(result.draft.volumes, [
    { namespace: 'shop', claim: 'db', storageClass: 'new' },
    { namespace: 'shop', claim: 'cache', storageClass: 'new' },
  ]);
  assert.equal(result.draft.liveMigrate, true);
  assert.ok(!prompts.some((one) => /^How images|^Name of shop|^What moves/.test(one)));
});

test('? explains, back goes back over chapters too, wrong answers are asked again', async () => {
  const { result, prompts, said } = await answered([
    [/^Name of the plan/, 'back'],
    [/^Name of the plan/, '?'],
    [/^From which/, 'mars'],
    [/^Namespaces/, 'nowhere'],
    [/^Namespaces/, 'shop'],
    [/^Name of shop/, 'eu'],
    [/^Volumes/, 'back'],
    [/^Name of shop/, 'back'],
    [/^Namespaces/, 'web'],
    [/^Make it/, 'maybe'],
    [/^Make it/, 'no'],
  ]);
  assert.deepEqual(result.draft.namespaces, [{ name: 'web' }]);
  assert.equal(result.isAgreed, false);
  assert.match(said, /this is the first question/);
  assert.match(said, /migrations of it are found by this name/);
  assert.match(said, /mars is none of east, west/);
  assert.match(said, /there is no namespace nowhere; there are: default, shop, web/);
  assert.match(said, /answer yes or no/);
  assert.equal(prompts.filter((one) => one.startsWith('Namespaces')).length, 3);
});

test('what flags said is not asked', async () => {
  const draft = { source: 'west', destination: 'east', namespaces: [{ name: 'shop', to: 'x' }] };
  const { result, prompts } = await answered([], { ...begun, name: 'mine', draft });
  assert.deepEqual(result.draft.namespaces, draft.namespaces);
  assert.ok(!prompts.some((one) => /^(Name|From|To|Namespaces)/.test(one)), prompts.join());
});
