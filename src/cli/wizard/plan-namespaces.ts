/** Step 2: which namespaces move, and what they are called there. */
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { nameThere } from '../commands/plan-spec.ts';
import type { Facts } from './facts.ts';
import { drafted, isConversion, namesIn, type PlanAnswers, withNamespace } from './plan-answers.ts';
import type { Chapter, Question } from './wizard.ts';

export function namespacesChapter(facts: Facts): Chapter<PlanAnswers> {
  return {
    title: 'Namespaces',
    next: async (answers, asked) => {
      const { draft } = answers;
      const chosen = draft.namespaces ?? [];
      if (chosen.length === 0) {
        return whichQuestion(answers, await facts.namespaces(draft.source ?? ''));
      }
      // Those that came as flags were named there; data of the same cluster keeps its place.
      if (asked === 0 || isConversion(answers)) return undefined;
      const one = chosen[asked - 1];
      return one === undefined ? undefined : renameQuestion(answers, one.name);
    },
  };
}

function whichQuestion(
  answers: PlanAnswers,
  known: readonly string[] | undefined,
): Question<PlanAnswers> {
  const { source } = answers.draft;
  const shows = known === undefined ? undefined : `  at ${source}: ${known.join(', ')}\n`;
  return {
    text: 'Namespaces to move',
    byDefault: known?.find((name) => name !== 'default') ?? known?.[0] ?? '',
    help: 'One or more names, parted by commas. A namespace may be in one open plan only.',
    ...(shows === undefined ? {} : { shows }),
    accept: (text) => {
      const names = namesIn(text, 'namespace', known);
      return drafted(answers, { namespaces: names.map((name) => ({ name })) });
    },
  };
}

function renameQuestion(answers: PlanAnswers, name: string): Question<PlanAnswers> {
  return {
    text: `Name of ${name} at ${answers.draft.destination}`,
    byDefault: name,
    help: 'Another name is put into every object that mentions it. It need not be there yet.',
    accept: (text) => {
      const to = checkName(text, 'namespace');
      const others = (answers.draft.namespaces ?? []).filter((one) => one.name !== name);
      const other = others.find((one) => nameThere(one) === to);
      if (other !== undefined) fail('BadArgument', `${other.name} becomes ${to} already`);
      return withNamespace(answers, to === name ? { name } : { name, to });
    },
  };
}
