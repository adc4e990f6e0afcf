/**
 * The protocol of replicated volumes as a small state machine, and a search of all its states:
 * leaders that overlap, answers that are lost, replicas that lose power, members that change.
 * Elections and configurations are judged by the code of the product.
 */
import { Moves } from './replica-moves.ts';
import { isLost, type Scenario, start } from './replica-state.ts';

export interface Found {
  readonly states: number;
  /** The steps to a state in which something acknowledged is lost. */
  readonly violation: readonly string[] | undefined;
}

/** Breadth first, so the violation found has the fewest steps. */
export function search(scenario: Scenario): Found {
  const first = begin(scenario);
  const cameFrom = new Map<string, readonly [string, string]>([[first, ['', '']]]);
  const queue = [first];
  const depth = new Map<string, number>([[first, 0]]);
  for (const key of queue) {
    const steps = depth.get(key)! + 1;
    if (steps > (scenario.steps ?? Number.POSITIVE_INFINITY)) continue;
    for (const [label, next] of new Moves(key, scenario).all()) {
      const found = JSON.stringify(next);
      if (cameFrom.has(found)) continue;
      cameFrom.set(found, [key, label]);
      depth.set(found, steps);
      if (isLost(next, scenario)) {
        return { states: cameFrom.size, violation: pathTo(found, cameFrom) };
      }
      queue.push(found);
    }
  }
  return { states: cameFrom.size, violation: undefined };
}

function begin(scenario: Scenario): string {
  let key = JSON.stringify(start(scenario));
  for (const wanted of scenario.given ?? []) {
    const moves = new Moves(key, { ...scenario, ended: [] }).all();
    const move = moves.find(([label]) => label === wanted);
    if (move === undefined) {
      throw new Error(`not '${wanted}' but ${moves.map(([label]) => label).join(', ')}`);
    }
    key = JSON.stringify(move[1]);
  }
  return key;
}

function pathTo(last: string, from: ReadonlyMap<string, readonly [string, string]>): string[] {
  const path: string[] = [];
  for (let key = last; ; ) {
    const [before, label] = from.get(key)!;
    if (before === '') return path.reverse();
    path.push(label);
    key = before;
  }
}
