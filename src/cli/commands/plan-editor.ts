/**
 * `plan edit` in the person's editor. What they wrote is never lost (U-63): a mistake or a conflict
 * shows it again with what is wrong above it; when they give up, it stays in its file.
 */
import { parseDocument, stringify } from 'yaml';
import type { Plan, PlanSpec } from '../../api/kinds/plan.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import { findPlan } from '../api/plans.ts';
import { printChanged } from '../api/printing.ts';
import type { Hub } from '../api/teleports.ts';
import type { Cli } from '../context.ts';
import type { EditedText } from '../ports.ts';

const { plans } = resources;

interface Round {
  /** The version that the text below began as. */
  readonly base: Plan;
  readonly text: string;
  /** Why it is shown again. */
  readonly notes: readonly string[];
  /** What the same text means: it is good as it is, or the person gave up after a mistake. */
  readonly isGood: boolean;
}

export async function editPlan(cli: Cli, hub: Hub): Promise<undefined> {
  const first = await findPlan(hub);
  let round: Round = { base: first, text: textOf(first, first.spec), notes: [], isGood: false };
  for (;;) {
    const shown = `${headerOf(round.notes)}${round.text}`;
    const edited = await cli.ports.openEditor({ name: `plan-${hub.key.name}.yaml`, text: shown });
    const text = withoutHeader(edited.text);
    const isSame = text.trim() === round.text.trim();
    if (isSame && round.notes.length === 0) return unchanged(cli, hub, round.base, edited);
    const isLeft = isSame && !round.isGood;
    if (isLeft || text.trim() === '') return giveUp(round.notes, edited);
    try {
      const spec = specIn(text, hub.key.name);
      const object = await hub.client.replace(plans, { ...round.base, spec });
      await edited.discard();
      await printChanged(cli, hub.client, { type: plans, object }, 'changed');
      return undefined;
    } catch (error) {
      round = await nextRound(cli, hub, { round, text, error, edited });
    }
  }
}

function textOf({ metadata }: Plan, spec: PlanSpec): string {
  const { name, namespace } = metadata;
  const identity = { apiVersion: 'transship.dev/v1alpha1', kind: 'Plan' };
  return stringify({ ...identity, metadata: { name, namespace }, spec });
}

const marker = '#|';

function headerOf(notes: readonly string[]): string {
  const lines = [
    'Change spec as you like, save, and leave the editor. An empty file changes nothing.',
    ...notes.flatMap((note) => note.split('\n')),
  ];
  return lines.map((line) => `${marker} ${line}\n`).join('');
}

function withoutHeader(text: string): string {
  return text
    .split('\n')
    .filter((line) => !line.startsWith(marker))
    .join('\n');
}

async function unchanged(cli: Cli, hub: Hub, object: Plan, edited: EditedText): Promise<undefined> {
  await edited.discard();
  await printChanged(cli, hub.client, { type: plans, object }, 'unchanged');
  return undefined;
}

/** An empty file loses nothing; what was written before a mistake stays where it is. */
async function giveUp(notes: readonly string[], edited: EditedText): Promise<never> {
  if (withoutHeader(edited.text).trim() === '') {
    await edited.discard();
    return fail('Canceled', 'the file was empty: nothing was changed');
  }
  const why = notes.at(-1) ?? '';
  return fail('Canceled', `nothing was changed; what you wrote is in ${edited.path}\n${why}`);
}

/** `BadArgument` says what is wrong with the text. */
function specIn(text: string, name: string): PlanSpec {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) fail('BadArgument', problem.message);
  const value = document.toJS() as Partial<Plan> | null;
  const spec = value?.spec;
  if (value?.kind !== 'Plan' || typeof spec !== 'object' || spec === null) {
    fail('BadArgument', 'this is no Plan with a spec any more');
  }
  if (value.metadata?.name !== name) {
    fail('BadArgument', `a plan keeps its name ${name}; make another one: transship plan create`);
  }
  return spec;
}

interface Failure {
  readonly round: Round;
  readonly text: string;
  readonly error: unknown;
  readonly edited: EditedText;
}

/** Shows the same words again, on top of what is there now; other errors leave the file. */
async function nextRound(cli: Cli, hub: Hub, failure: Failure): Promise<Round> {
  const { round, text, edited } = failure;
  const error = asTransshipError(failure.error);
  const { reason, message } = error;
  if (reason === 'BadArgument' || reason === 'Invalid') {
    await edited.discard();
    cli.note(`Not accepted: ${message}`);
    return { base: round.base, text, notes: [`Not accepted: ${message}`], isGood: false };
  }
  const keep = new TransshipError(reason, `${message}\nwhat you wrote is in ${edited.path}`);
  if (reason !== 'Conflict') throw keep;
  const now = await hub.client.get(plans, hub.key).catch(() => undefined);
  if (now === undefined || now.metadata.uid !== round.base.metadata.uid) throw keep;
  await edited.discard();
  return merged(cli, now, failure);
}

/**
 * Fields of the spec that only somebody else changed are taken over; of those that both changed,
 * the person's own words stay in the text and the others' stand above it.
 */
function merged(cli: Cli, now: Plan, { round, text }: Failure): Round {
  const mine = specIn(text, now.metadata.name ?? '');
  const theirs = changedFields(round.base.spec, now.spec);
  const own = changedFields(round.base.spec, mine);
  const spec: Record<string, unknown> = { ...mine };
  for (const field of theirs) {
    if (own.has(field)) continue;
    const value = fieldOf(now.spec, field);
    if (value === undefined) delete spec[field];
    else spec[field] = value;
  }
  const both = [...theirs].filter((field) => own.has(field));
  const notes = [
    `Somebody changed this plan meanwhile (${[...theirs].join(', ') || 'no field of spec'}).`,
    'Their other changes are in the text below. Save it to apply yours on top of them.',
    ...both.map((field) => {
      const value = stringify({ [field]: fieldOf(now.spec, field) ?? null }).trimEnd();
      return `You both changed ${field}; below is yours, theirs is:\n${value}`;
    }),
  ];
  cli.note(notes[0] ?? '');
  const whole = textOf(now, spec as unknown as PlanSpec);
  return { base: now, text: whole, notes, isGood: true };
}

function fieldOf(spec: PlanSpec, field: string): unknown {
  return (spec as unknown as Readonly<Record<string, unknown>>)[field];
}

function changedFields(before: PlanSpec, after: PlanSpec): ReadonlySet<string> {
  const fields = new Set([...Object.keys(before), ...Object.keys(after)]);
  const text = (spec: PlanSpec, field: string) => JSON.stringify(fieldOf(spec, field));
  return new Set([...fields].filter((field) => text(before, field) !== text(after, field)));
}
