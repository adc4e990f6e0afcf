/** Steps 3 and 4: what happens to each claim that was found, and how it is copied. */
import { fail } from '../../base/errors.ts';
import { methodOfWord, parseVolume, type PlanVolume } from '../commands/plan-words.ts';
import { given } from '../command.ts';
import { renderTable } from '../table.ts';
import type { Facts, FoundClaim } from './facts.ts';
import {
  isConversion,
  oneOf,
  type PlanAnswers,
  volumeOf,
  withVolume,
  yesNo,
} from './plan-answers.ts';
import type { Chapter, Question } from './wizard.ts';

type Ask = Question<PlanAnswers>;

async function claimsFor(facts: Facts, { draft }: PlanAnswers): Promise<readonly FoundClaim[]> {
  const names = (draft.namespaces ?? []).map(({ name }) => name);
  return (await facts.claims(draft.source ?? '', names)) ?? [];
}

const keyOf = ({ namespace, name }: FoundClaim) => ({ namespace, claim: name });

/** One question about all of them: what is not listed is copied. */
export function volumesChapter(facts: Facts): Chapter<PlanAnswers> {
  return {
    title: 'Volumes',
    next: async (answers, asked) => {
      if (asked > 0) return undefined;
      const claims = await claimsFor(facts, answers);
      return claims.length === 0 ? undefined : actionsQuestion(answers, claims);
    },
  };
}

function actionsQuestion(answers: PlanAnswers, claims: readonly FoundClaim[]): Ask {
  return {
    text: 'Volumes that are not copied, as NAMESPACE/CLAIM=skip or =move',
    byDefault: 'none',
    shows: claimsTable(answers, claims),
    help:
      'copy: a new volume gets the data. move: the same remote volume, such as NFS, is used.\n' +
      'skip: left out. Several are parted by spaces.',
    accept: (text) => {
      if (text === 'none') return answers;
      const chosen = text.split(/\s+/).map(parseVolume);
      let then = answers;
      for (const volume of chosen) {
        const { namespace, claim } = volume;
        if (!claims.some((one) => one.namespace === namespace && one.name === claim)) {
          fail('BadArgument', `there is no claim ${namespace}/${claim}`);
        }
        then = withVolume(then, { ...volumeOf(then, volume), ...volume });
      }
      return then;
    },
  };
}

function claimsTable(answers: PlanAnswers, claims: readonly FoundClaim[]): string {
  return renderTable<FoundClaim>(
    [
      { header: '  NAMESPACE', value: ({ namespace }) => `  ${namespace}` },
      { header: 'CLAIM', value: ({ name }) => name },
      { header: 'CLASS', value: ({ storageClass }) => storageClass },
      { header: 'SIZE', value: ({ size }) => size },
      { header: 'TYPE', value: ({ volumeMode }) => volumeMode ?? 'Filesystem' },
      { header: 'ACTION', value: (one) => volumeOf(answers, keyOf(one))?.action ?? 'Copy' },
    ],
    claims,
    { wide: false },
  );
}

const perClaim = 3;

/** Three questions about each claim that is copied. */
export function copyChapter(facts: Facts): Chapter<PlanAnswers> {
  return {
    title: 'Copy options',
    next: async (answers, asked) => {
      const { destination = '' } = answers.draft;
      const copied = (await claimsFor(facts, answers)).filter((one) => {
        return (volumeOf(answers, keyOf(one))?.action ?? 'Copy') === 'Copy';
      });
      const claim = copied[Math.floor(asked / perClaim)];
      if (claim === undefined) return undefined;
      if (asked % perClaim === 0) return methodQuestion(answers, claim);
      if (asked % perClaim === 2) return verifyQuestion(answers, claim);
      return classQuestion(answers, claim, await facts.storageClasses(destination));
    },
  };
}

/** Undefined takes the choice back; a claim without choices is not listed. */
function changed<K extends 'method' | 'storageClass' | 'verify'>(
  answers: PlanAnswers,
  claim: FoundClaim,
  field: K,
  value: PlanVolume[K] | undefined,
): PlanAnswers {
  const before = volumeOf(answers, keyOf(claim));
  if (before?.[field] === value) return answers;
  const { [field]: _old, ...rest } = before ?? keyOf(claim);
  return withVolume(answers, { ...rest, ...keyOf(claim), ...given(field, value) });
}

function methodQuestion(answers: PlanAnswers, claim: FoundClaim): Ask {
  const words = ['auto', 'teleport', 'snapshot', 'block', 'filesystem'] as const;
  const before = volumeOf(answers, keyOf(claim))?.method;
  return {
    text: `${claim.namespace}/${claim.name}: method (${words.join(', ')})`,
    byDefault: before?.toLowerCase() ?? 'auto',
    help:
      'auto: the first that works, in this order. teleport: usable at once. snapshot: by the\n' +
      'storage system. block: changed blocks of a device. filesystem: file by file.',
    accept: (text) => {
      const { method } = methodOfWord(oneOf(words, text)) ?? {};
      return changed(answers, claim, 'method', method);
    },
  };
}

function classQuestion(
  answers: PlanAnswers,
  claim: FoundClaim,
  known: readonly string[] | undefined,
): Ask {
  const before = volumeOf(answers, keyOf(claim))?.storageClass;
  const other = known?.find((name) => name !== claim.storageClass);
  const own = claim.storageClass ?? '';
  const mapped = answers.draft.mappings?.storageClasses?.find(({ from }) => from === own)?.to;
  const byPlan = mapped ?? (isConversion(answers) ? other : undefined);
  return {
    text: `${claim.namespace}/${claim.name}: storage class (same, ${(known ?? []).join(', ')})`,
    byDefault: before ?? byPlan ?? (known?.includes(own) === false ? (known[0] ?? 'same') : 'same'),
    help: `It is of the class ${own === '' ? '(none)' : own} now. same: a class of this name.`,
    accept: (text) => {
      // Where the plan maps this class, the old one must be said.
      const same = mapped === undefined ? undefined : claim.storageClass;
      if (text === 'same') return changed(answers, claim, 'storageClass', same);
      const storageClass = known === undefined ? text : oneOf(known, text);
      return changed(answers, claim, 'storageClass', storageClass);
    },
  };
}

function verifyQuestion(answers: PlanAnswers, claim: FoundClaim): Ask {
  const before = volumeOf(answers, keyOf(claim))?.verify ?? false;
  const text = `${claim.namespace}/${claim.name}: compare every byte at the end`;
  const help = 'Costs nothing for teleports; other methods read both sides once more.';
  return yesNo({ text, help }, before, (verify) =>
    changed(answers, claim, 'verify', verify ? true : undefined),
  );
}
