/**
 * Questions one after another, with defaults, explanations and a way back. What is asked next
 * follows from what was answered; answers are values, so that going back is taking an older one.
 */
import { asTransshipError } from '../../base/errors.ts';
import { exitCodeOf, exitCodes } from '../../base/reasons.ts';

/** Who is asked: a person at a terminal, or a test. */
export interface Questions {
  /** One line. Rejecting ends the wizard: Ctrl-C, or no more input. */
  ask(prompt: string): Promise<string>;
  /** Text for the person, ending in a newline. */
  say(text: string): void;
}

export interface Question<A> {
  readonly text: string;
  /** What an empty answer means. */
  readonly byDefault: string;
  /** Answer to `?`. */
  readonly help: string;
  /** Shown before it, such as a table; ends in a newline. */
  readonly shows?: string;
  /** What counts as asked after it; one more than before when not given. */
  readonly after?: number;
  /** The answers with this one. A usage error is told, and the question asked again. */
  accept(text: string): A;
}

export interface Chapter<A> {
  readonly title: string;
  /** The next question of this chapter; undefined when it is done, or does not apply. */
  next(answers: A, asked: number): Promise<Question<A> | undefined>;
}

interface Position<A> {
  readonly chapter: number;
  readonly asked: number;
  readonly answers: A;
}

interface Open<A> {
  readonly position: Position<A>;
  readonly question: Question<A>;
}

/** The first question from here on. Undefined: all is answered. */
async function openFrom<A>(
  chapters: readonly Chapter<A>[],
  from: Position<A>,
): Promise<Open<A> | Position<A>> {
  let position = from;
  for (;;) {
    const chapter = chapters[position.chapter];
    if (chapter === undefined) return position;
    const question = await chapter.next(position.answers, position.asked);
    if (question !== undefined) return { position, question };
    position = { ...position, chapter: position.chapter + 1, asked: 0 };
  }
}

/** What one answer leads to. Pure. */
export type Move<A> =
  | { readonly kind: 'Answered'; readonly answers: A }
  | { readonly kind: 'Back' }
  | { readonly kind: 'Again'; readonly say: string };

export function moveOf<A>(question: Question<A>, line: string): Move<A> {
  const text = line.trim();
  if (text === '?') return { kind: 'Again', say: question.help };
  if (text.toLowerCase() === 'back') return { kind: 'Back' };
  try {
    const answers = question.accept(text === '' ? question.byDefault : text);
    return { kind: 'Answered', answers };
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    if (exitCodeOf(reason) !== exitCodes.usage) throw error;
    return { kind: 'Again', say: message };
  }
}

/** Asks until nothing is left to ask; resolves with all answers. Writes nothing anywhere. */
export async function runWizard<A>(
  questions: Questions,
  chapters: readonly Chapter<A>[],
  begun: A,
): Promise<A> {
  const before: Position<A>[] = [];
  let title = '';
  let at = await openFrom(chapters, { chapter: 0, asked: 0, answers: begun });
  while ('question' in at) {
    const { position, question } = at;
    const now = chapters[position.chapter]!.title;
    if (now !== title) questions.say(`\n${position.chapter + 1}/${chapters.length} ${now}\n`);
    title = now;
    if (question.shows !== undefined) questions.say(question.shows);
    const move = moveOf(question, await questions.ask(promptOf(question)));
    if (move.kind === 'Again') questions.say(`  ${move.say.replaceAll('\n', '\n  ')}\n`);
    else if (move.kind === 'Answered') {
      before.push(position);
      const { answers } = move;
      const asked = question.after ?? position.asked + 1;
      at = await openFrom(chapters, { ...position, asked, answers });
    } else {
      const last = before.pop();
      if (last === undefined) questions.say('  this is the first question\n');
      else at = await openFrom(chapters, last);
    }
  }
  return at.answers;
}

function promptOf<A>({ text, byDefault }: Question<A>): string {
  return byDefault === '' ? `${text}: ` : `${text} [${byDefault}]: `;
}

/** The answer to a question for yes or no. `undefined`: neither. */
export function yesOrNo(text: string): boolean | undefined {
  if (/^y(es)?$/i.test(text)) return true;
  return /^no?$/i.test(text) ? false : undefined;
}
