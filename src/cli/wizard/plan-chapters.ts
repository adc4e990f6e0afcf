/**
 * The eight steps of making a plan. Each is a list of questions that follows from the answers so
 * far; what flags said already is not asked.
 */
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { exactSize, parseRate } from '../../base/units.ts';
import { completeSpec, missingIn } from '../commands/plan-spec.ts';
import { hookPhases, parseHook } from '../commands/plan-words.ts';
import type { Facts } from './facts.ts';
import { drafted, isConversion, oneOf, type PlanAnswers, yesNo } from './plan-answers.ts';
import { namespacesChapter } from './plan-namespaces.ts';
import { copyChapter, volumesChapter } from './plan-volumes.ts';
import type { Chapter, Question } from './wizard.ts';

type Ask = Question<PlanAnswers>;
/** Undefined: it needs no answer. */
type Maybe = (answers: PlanAnswers) => Ask | undefined;

export function planChapters(facts: Facts): readonly Chapter<PlanAnswers>[] {
  return [
    inOrder('General', [
      (answers) => nameQuestion(facts, answers),
      (answers) => sideQuestion(facts, answers, 'source'),
      (answers) => sideQuestion(facts, answers, 'destination'),
      (answers) => typeQuestion(answers),
      (answers) => repositoryQuestion(facts, answers),
    ]),
    namespacesChapter(facts),
    volumesChapter(facts),
    copyChapter(facts),
    inOrder('Live migration', [liveQuestion]),
    inOrder('Migration options', [imagesQuestion, quiesceQuestion, limitQuestion, failureQuestion]),
    inOrder('Hooks', [(answers) => hooksQuestion(facts, answers)]),
    inOrder('Results', [agreeQuestion]),
  ];
}

/** Questions that are asked once each, in this order; those that need no answer are passed over. */
function inOrder(title: string, questions: readonly Maybe[]): Chapter<PlanAnswers> {
  return {
    title,
    next: async (answers, asked) => {
      for (const [index, ask] of questions.entries()) {
        const question = index < asked ? undefined : ask(answers);
        if (question !== undefined) return { ...question, after: index + 1 };
      }
      return undefined;
    },
  };
}

interface HubAnswer {
  readonly hub: string | undefined;
}

/** Whose API gets the plan; the destination is a good place, as it outlives the source. */
export function hubChapter(
  known: readonly string[],
  source: string | undefined,
): Chapter<HubAnswer> {
  const question: Question<HubAnswer> = {
    text: `Cluster that keeps the plan (${known.join(', ')})`,
    byDefault: known.findLast((name) => name !== source) ?? '',
    help: 'Its controllers do the work; it must know source and destination. Often the latter.',
    accept: (text) => ({ hub: oneOf(known, text) }),
  };
  return {
    title: 'Where',
    next: async ({ hub }) => (hub === undefined ? question : undefined),
  };
}

/** The name alone, when somebody else took the one that was chosen. */
export function nameChapter(facts: Facts): Chapter<PlanAnswers> {
  return inOrder('Name', [(answers) => nameQuestion(facts, answers)]);
}

function nameQuestion({ plans }: Facts, answers: PlanAnswers): Ask | undefined {
  if (answers.name !== undefined) return undefined;
  const free = (wanted: string): string => {
    for (let count = 1; ; count++) {
      const name = count === 1 ? wanted : `${wanted}-${count}`;
      if (!plans.includes(name)) return name;
    }
  };
  return {
    text: 'Name of the plan',
    byDefault: free(answers.draft.namespaces?.[0]?.name ?? 'plan'),
    help: 'Lower-case letters, digits and hyphens; migrations of it are found by this name.',
    accept: (text) => {
      const name = checkName(text, 'plan');
      if (plans.includes(name)) fail('BadArgument', `there is a plan ${name} already`);
      return { ...answers, name };
    },
  };
}

function sideQuestion(
  { clusters }: Facts,
  answers: PlanAnswers,
  side: 'source' | 'destination',
): Ask | undefined {
  const { draft } = answers;
  if (draft[side] !== undefined) return undefined;
  const others = clusters.filter((name) => name !== draft.source);
  const isSource = side === 'source';
  const byDefault = (isSource ? clusters[0] : (others[0] ?? draft.source)) ?? '';
  return {
    text: `${isSource ? 'From' : 'To'} which cluster (${clusters.join(', ')})`,
    byDefault,
    help: isSource
      ? 'The cluster that the namespaces are in. Another one is made known by: cluster add.'
      : 'Where they go. The same cluster: their volumes go to another storage class.',
    accept: (text) => drafted(answers, { [side]: oneOf(clusters, text) }),
  };
}

function typeQuestion(answers: PlanAnswers): Ask | undefined {
  if (answers.draft.type !== undefined || isConversion(answers)) return undefined;
  return {
    text: 'What moves (Namespace, State)',
    byDefault: 'Namespace',
    help: 'Namespace: objects, images and data. State: data only, objects are there already.',
    accept: (text) => drafted(answers, { type: oneOf(['Namespace', 'State'], text) }),
  };
}

function repositoryQuestion({ repositories }: Facts, answers: PlanAnswers): Ask | undefined {
  if (answers.draft.repository !== undefined) return undefined;
  if (isConversion(answers) || repositories.length === 0) return undefined;
  return {
    text: `Repository to go through without a direct way (none, ${repositories.join(', ')})`,
    byDefault: 'none',
    help: 'Clusters that reach each other need none. Else data waits there between them.',
    accept: (text) => {
      if (text === 'none') return answers;
      return drafted(answers, { repository: oneOf(repositories, text) });
    },
  };
}

function liveQuestion(answers: PlanAnswers): Ask | undefined {
  if (!isConversion(answers) || answers.draft.liveMigrate !== undefined) return undefined;
  const text = 'Move disks of virtual machines while they run';
  const help = 'Needs two nodes. Without it a machine is stopped while its disks are copied.';
  return yesNo({ text, help }, false, (liveMigrate) => drafted(answers, { liveMigrate }));
}

function imagesQuestion(answers: PlanAnswers): Ask | undefined {
  const { images, type } = answers.draft;
  if (images !== undefined || type === 'State' || isConversion(answers)) return undefined;
  return {
    text: 'How images get there (Auto, Direct, Repository, Skip)',
    byDefault: 'Auto',
    help: 'Auto: from registry to registry where that works. Skip: they are there already.',
    accept: (text) => {
      return drafted(answers, { images: oneOf(['Auto', 'Direct', 'Repository', 'Skip'], text) });
    },
  };
}

function quiesceQuestion(answers: PlanAnswers): Ask | undefined {
  if (answers.draft.quiesce !== undefined) return undefined;
  const text = 'Stop workloads at the source before the last copy of a cutover';
  const help =
    'Without it the copy is of one moment, and what is written after it stays behind.\n' +
    'A rollback starts them again.';
  return yesNo({ text, help }, true, (quiesce) => drafted(answers, { quiesce }));
}

function limitQuestion(answers: PlanAnswers): Ask | undefined {
  if (answers.draft.bandwidth !== undefined) return undefined;
  return {
    text: 'Send at most (such as 50MiB/s)',
    byDefault: 'unlimited',
    help: 'Over all volumes together; can be changed while a migration runs.',
    accept: (text) => {
      const rate = parseRate(text);
      return rate === undefined ? answers : drafted(answers, { bandwidth: exactSize(rate) });
    },
  };
}

function failureQuestion(answers: PlanAnswers): Ask | undefined {
  if (answers.draft.onFailure !== undefined) return undefined;
  return {
    text: 'When a cutover fails (RollBack, Pause)',
    byDefault: 'RollBack',
    help: 'RollBack: the source runs again as before. Pause: it waits for you, all left as it is.',
    accept: (text) => drafted(answers, { onFailure: oneOf(['RollBack', 'Pause'], text) }),
  };
}

function hooksQuestion({ hooks }: Facts, answers: PlanAnswers): Ask | undefined {
  if (answers.draft.hooks !== undefined || hooks.length === 0) return undefined;
  return {
    text: `Hooks to run, as NAME@PHASE (none, or of: ${hooks.join(', ')})`,
    byDefault: 'none',
    help: `Phases: ${hookPhases.join(', ')}; several are parted by commas.`,
    accept: (text) => {
      if (text === 'none') return answers;
      const chosen = text.split(/[\s,]+/).map(parseHook);
      for (const { hook } of chosen) oneOf(hooks, hook);
      return drafted(answers, { hooks: chosen });
    },
  };
}

function agreeQuestion(answers: PlanAnswers): Ask | undefined {
  const { name, draft } = answers;
  const spec = missingIn(draft).length === 0 ? completeSpec(draft) : fail('Internal', 'open');
  const moves = spec.namespaces.map(({ name: from, to }) =>
    to === undefined ? from : `${from} -> ${to}`,
  );
  const shows =
    `  Plan ${name}: ${moves.join(', ')} from ${spec.source} to ${spec.destination}\n` +
    `  ${(spec.volumes ?? []).length} choices for volumes; nothing moves before you say so.\n`;
  const words = { text: 'Make it and run its checks', help: 'no: nothing is made.', shows };
  return yesNo(words, true, (isAgreed) => ({ ...answers, isAgreed }));
}
