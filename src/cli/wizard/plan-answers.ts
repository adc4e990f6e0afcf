/** What was answered so far about a plan, and the small changes that answers make. */
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import type { PlanDraft } from '../commands/plan-spec.ts';
import type { PlanNamespace, PlanVolume } from '../commands/plan-words.ts';
import { type Question, yesOrNo } from './wizard.ts';

export interface PlanAnswers {
  readonly name: string | undefined;
  /** Where the Plan object will be. */
  readonly namespace: string;
  readonly draft: PlanDraft;
  /** The last question: make it? */
  readonly isAgreed: boolean;
}

export function drafted(answers: PlanAnswers, change: PlanDraft): PlanAnswers {
  return { ...answers, draft: { ...answers.draft, ...change } };
}

export function isConversion({ draft }: PlanAnswers): boolean {
  return draft.source !== undefined && draft.source === draft.destination;
}

/** The choice for one claim, as it stands. */
export function volumeOf(answers: PlanAnswers, claim: Pick<PlanVolume, 'namespace' | 'claim'>) {
  return answers.draft.volumes?.find(
    (one) => one.namespace === claim.namespace && one.claim === claim.claim,
  );
}

export function withVolume(answers: PlanAnswers, volume: PlanVolume): PlanAnswers {
  const before = answers.draft.volumes ?? [];
  const others = before.filter(
    ({ namespace, claim }) => namespace !== volume.namespace || claim !== volume.claim,
  );
  return drafted(answers, { volumes: [...others, volume] });
}

export function withNamespace(answers: PlanAnswers, namespace: PlanNamespace): PlanAnswers {
  const namespaces = (answers.draft.namespaces ?? []).map((one) =>
    one.name === namespace.name ? namespace : one,
  );
  return drafted(answers, { namespaces });
}

/** One of some words; any case. `BadArgument` names them. */
export function oneOf<const T extends string>(words: readonly T[], text: string): T {
  const found = words.find((word) => word.toLowerCase() === text.toLowerCase());
  return found ?? fail('BadArgument', `${text} is none of ${words.join(', ')}`);
}

/** Names parted by commas or spaces; each is one of `known`, where that is given. */
export function namesIn(text: string, what: string, known?: readonly string[]): readonly string[] {
  const names = text.split(/[\s,]+/).filter((name) => name !== '');
  if (names.length === 0) fail('BadArgument', `name at least one ${what}`);
  for (const name of names) {
    checkName(name, what);
    if (known !== undefined && !known.includes(name)) {
      fail('BadArgument', `there is no ${what} ${name}; there are: ${known.join(', ')}`);
    }
  }
  return [...new Set(names)];
}

/** A question for yes or no. */
export function yesNo(
  words: Pick<Question<PlanAnswers>, 'text' | 'help' | 'shows'>,
  byDefault: boolean,
  then: (isYes: boolean) => PlanAnswers,
): Question<PlanAnswers> {
  return {
    ...words,
    byDefault: byDefault ? 'yes' : 'no',
    accept: (text) => then(yesOrNo(text) ?? fail('BadArgument', 'answer yes or no')),
  };
}
