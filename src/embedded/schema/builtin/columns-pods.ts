// The columns of pods: their status says why a container waits or ended, as kubectl users know it.
import type { Json, JsonObject, PrinterColumn } from '../api.ts';
import { ageOf } from '../ages.ts';
import { at, isObject, listAt, textAt } from '../json.ts';
import { age, column, name, numberAt, textOr, wide } from './cells.ts';

export const podColumns: readonly PrinterColumn[] = [
  name,
  column('Ready', (pod) => {
    const statuses = listAt(pod, 'status', 'containerStatuses');
    const ready = statuses.filter((status) => at(status, 'ready') === true && isRunning(status));
    return `${ready.length}/${listAt(pod, 'spec', 'containers').length}`;
  }),
  column('Status', podStatus),
  column('Restarts', restarts),
  age,
  wide('IP', textOr('<none>', 'status', 'podIP')),
  wide('Node', textOr('<none>', 'spec', 'nodeName')),
  wide('Nominated Node', textOr('<none>', 'status', 'nominatedNodeName')),
  wide('Readiness Gates', readinessGates),
];

function isRunning(status: Json): boolean {
  return isObject(at(status, 'state', 'running'));
}

function restarts(pod: JsonObject, nowMs: number): string {
  const statuses = listAt(pod, 'status', 'containerStatuses');
  const total = statuses.reduce((sum: number, status) => sum + numberAt(status, 'restartCount'), 0);
  const ends = statuses.flatMap((status) => {
    return textAt(status, 'lastState', 'terminated', 'finishedAt') ?? [];
  });
  const last = ends.sort().at(-1);
  return total > 0 && last !== undefined ? `${total} (${ageOf(last, nowMs)} ago)` : `${total}`;
}

function readinessGates(pod: JsonObject): string {
  const gates = listAt(pod, 'spec', 'readinessGates');
  if (gates.length === 0) return '<none>';
  const passed = gates.filter((gate) => {
    const type = textAt(gate, 'conditionType');
    return hasCondition(pod, type ?? '');
  });
  return `${passed.length}/${gates.length}`;
}

function hasCondition(pod: JsonObject, type: string): boolean {
  return listAt(pod, 'status', 'conditions').some(
    (condition) => textAt(condition, 'type') === type && textAt(condition, 'status') === 'True',
  );
}

export function podStatus(pod: JsonObject): string {
  const phase = textAt(pod, 'status', 'phase') ?? '';
  const reason = textAt(pod, 'status', 'reason');
  if (textAt(pod, 'metadata', 'deletionTimestamp') !== undefined) {
    return reason === 'NodeLost' ? 'Unknown' : isEnded(phase) ? phase : 'Terminating';
  }
  const starting = initStatus(pod);
  if (starting !== undefined) return starting;
  return containersStatus(pod) ?? reason ?? phase;
}

function isEnded(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

/** Undefined when all init containers are done. */
function initStatus(pod: JsonObject): string | undefined {
  const total = listAt(pod, 'spec', 'initContainers').length;
  const statuses = listAt(pod, 'status', 'initContainerStatuses');
  for (const [i, status] of statuses.entries()) {
    const ended = at(status, 'state', 'terminated');
    if (isObject(ended) && numberAt(ended, 'exitCode') === 0) continue;
    if (at(status, 'started') === true && isRestarting(pod, i)) continue;
    if (isObject(ended)) return `Init:${endReason(ended)}`;
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    if (waiting !== undefined && waiting !== '' && waiting !== 'PodInitializing') {
      return `Init:${waiting}`;
    }
    return `Init:${i}/${total}`;
  }
  return undefined;
}

/** An init container that stays (a side car). */
function isRestarting(pod: JsonObject, i: number): boolean {
  const container = listAt(pod, 'spec', 'initContainers')[i];
  return textAt(container, 'restartPolicy') === 'Always';
}

function endReason(ended: JsonObject): string {
  const reason = textAt(ended, 'reason');
  if (reason !== undefined && reason !== '') return reason;
  const signal = numberAt(ended, 'signal');
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${numberAt(ended, 'exitCode')}`;
}

/** The reason of the first container that waits or ended. */
function containersStatus(pod: JsonObject): string | undefined {
  const statuses = listAt(pod, 'status', 'containerStatuses');
  let found: string | undefined;
  for (const status of statuses.toReversed()) {
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    const ended = at(status, 'state', 'terminated');
    if (waiting !== undefined && waiting !== '') found = waiting;
    else if (isObject(ended)) found = endReason(ended);
  }
  const isUp = statuses.some((status) => at(status, 'ready') === true && isRunning(status));
  if (found !== 'Completed' || !isUp) return found;
  return hasCondition(pod, 'Ready') ? 'Running' : 'NotReady';
}
