/** The rules of order that no itinerary may break, checked over the data. */
import type { Condition, Fact, Itinerary, StepData } from './itinerary.ts';
import { stepsMax } from './state.ts';

const conditions = ['images', 'objects', 'hooks', 'conversion', 'keepData', 'verify'] as const;

/** Two places where one workload could run: running in one needs proof about the other. */
const sides = [
  { runs: 'sourceRuns', stopped: 'sourceStopped', proven: 'sourceProvenStopped' },
  { runs: 'destinationRuns', stopped: 'destinationStopped', proven: 'destinationProvenStopped' },
] as const satisfies readonly Readonly<Record<string, Fact>>[];

/**
 * Sentences about what is wrong; empty when all is well. Every choice of what is left out is tried,
 * but the one not to stop the source: whoever asks for that asks for two running copies.
 */
export function checkItinerary(itinerary: Itinerary): readonly string[] {
  const wrong = new Set<string>(checkNames(itinerary));
  for (let choice = 0; choice < 2 ** conditions.length; choice += 1) {
    const chosen = new Set<Condition>(conditions.filter((_, bit) => (choice >> bit) % 2 === 1));
    chosen.add('quiesce');
    const steps = itinerary.steps.filter(({ when = [] }) => when.every((one) => chosen.has(one)));
    for (const sentence of checkOrder(itinerary, steps, chosen)) wrong.add(sentence);
    for (const sentence of checkUndo(itinerary, steps)) wrong.add(sentence);
    for (const sentence of checkSandbox(itinerary, steps)) wrong.add(sentence);
  }
  return [...wrong];
}

function checkNames({ name, steps }: Itinerary): string[] {
  const names = steps.map((step) => step.name);
  const wrong: string[] = [];
  if (new Set(names).size !== names.length) wrong.push(`${name}: two steps have one name`);
  if (names.some((one) => one.length === 0 || one.length > 64)) {
    wrong.push(`${name}: a name is empty or too long`);
  }
  // The steps of an ending are put behind it in the same list.
  if (names.length > stepsMax - 8) wrong.push(`${name}: too many steps`);
  return wrong;
}

function checkOrder(
  { name, initially }: Itinerary,
  steps: readonly StepData[],
  chosen: ReadonlySet<Condition>,
): string[] {
  const wrong: string[] = [];
  const facts = new Set<Fact>(initially);
  let isPast = false;
  for (const step of steps) {
    const { makes = [], breaks = [] } = step;
    const say = (what: string) => wrong.push(`${name}: ${step.name} ${what}`);
    for (const side of sides) {
      const other = side === sides[0] ? sides[1] : sides[0];
      if (makes.includes(side.proven) && !facts.has(side.stopped)) {
        say('proves stopped what was not stopped');
      }
      if (makes.includes(side.stopped) && step.undo !== true) say('stops, and cannot be undone');
      if (!makes.includes(side.runs)) continue;
      if (!facts.has(other.proven)) say('starts before the other side is proven stopped');
      const needsCopy = side.runs === 'destinationRuns' || chosen.has('keepData');
      if (needsCopy && !facts.has('audited')) say('starts before the last copy is audited');
      if (step.pointOfNoReturn !== true) say('starts, and is no point of no return');
    }
    const from = initially.includes('sourceRuns') ? sides[0] : sides[1];
    if (makes.includes('lastCopy') && !facts.has(from.proven)) {
      say('is the last copy, before writers are proven gone');
    }
    if (makes.includes('audited') && !facts.has('lastCopy')) say('audits before the last copy');
    if (makes.includes('claimsSwapped') && chosen.has('keepData') && facts.has('lastCopy')) {
      if (!facts.has('audited')) say('swaps to a copy that was not audited');
    }
    if (step.pointOfNoReturn === true && isPast) say('is a second point of no return');
    isPast ||= step.pointOfNoReturn === true;
    for (const fact of breaks) facts.delete(fact);
    for (const fact of makes) facts.add(fact);
  }
  return wrong;
}

/** What runs beside the source changes nothing for it, and can always be taken away. */
function checkSandbox({ name, isTemporary }: Itinerary, steps: readonly StepData[]): string[] {
  const at = steps.findIndex(({ makes = [] }) => makes.includes('sandboxRuns'));
  if (at === -1) return [];
  const wrong: string[] = [];
  if (isTemporary !== true) wrong.push(`${name}: a sandbox stays when it is canceled`);
  for (const { name: step, makes = [], breaks = [], pointOfNoReturn } of steps) {
    const touches = makes.some((fact) => fact !== 'sandboxRuns') || breaks.length > 0;
    if (touches) wrong.push(`${name}: ${step} touches more than the sandbox`);
    if (pointOfNoReturn === true) wrong.push(`${name}: ${step} cannot be taken back`);
  }
  const isTakenAway = steps.slice(0, at).some((step) => step.name === 'makeObjects' && step.undo);
  if (!isTakenAway) wrong.push(`${name}: nothing takes the sandbox away`);
  return wrong;
}

/** Undone in reverse from anywhere before the point of no return, all is as it was. */
function checkUndo({ name, initially }: Itinerary, steps: readonly StepData[]): string[] {
  const past = steps.findIndex(({ pointOfNoReturn }) => pointOfNoReturn === true);
  const undoable = past === -1 ? steps : steps.slice(0, past);
  const wrong: string[] = [];
  const lasting: readonly Fact[] = ['sourceRuns', 'destinationRuns', 'sourceFenced'];
  const facts = new Set<Fact>(initially);
  for (const { breaks = [], makes = [], undo } of undoable) {
    if (undo === true) continue;
    for (const fact of breaks) facts.delete(fact);
    for (const fact of makes) facts.add(fact);
  }
  for (const fact of lasting) {
    if (facts.has(fact) !== initially.includes(fact)) {
      wrong.push(`${name}: ${fact} is not as before when all is undone`);
    }
  }
  return wrong;
}
