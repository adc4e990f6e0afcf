/** What events and metrics say about replications. */
import type { Decision, Replication, ReplicationStatus } from '../../api/kinds/replication.ts';
import { endsText } from '../../api/replication-ends.ts';
import type { StepState } from '../../flow/flow.ts';
import type { ControllerPorts } from '../ports.ts';

type Itinerary = ReplicationStatus['itinerary'];
type Told = readonly ['Normal' | 'Warning', string, string];

function record(ports: ControllerPorts, regarding: Replication, [type, reason, note]: Told): void {
  ports.events.record({ regarding, type, reason, action: 'Replicating', note });
}

/** After a state was made durable: each step that is another than before is told of. */
export function tellSteps(
  ports: ControllerPorts,
  replication: Replication,
  before: Itinerary = [],
  now: Itinerary = [],
): void {
  const known = new Map(before.map(({ name, state }) => [name, state]));
  for (const entry of now) {
    if ((known.get(entry.name) ?? 'Pending') === entry.state) continue;
    const told = aboutStep(entry);
    if (told !== undefined) record(ports, replication, told);
  }
}

function aboutStep({ name, state, message = '', failure = '' }: StepState): Told | undefined {
  switch (state) {
    case 'Running':
      return ['Normal', 'StepStarted', `${name}: ${message}`];
    case 'Succeeded':
      return ['Normal', 'StepSucceeded', `${name} is done`];
    case 'Undone':
      return ['Normal', 'StepUndone', `${name} is taken back`];
    case 'Failed':
      return ['Warning', 'StepFailed', `${name} failed: ${failure}`];
    default:
      return undefined;
  }
}

/** The job was begun: what a person is notified of first (K-9). */
export function tellBegin(ports: ControllerPorts, one: Replication): void {
  const { from, to } = endsText(one.spec);
  const note = `job ${one.status?.jobId}: from ${from} to ${to}; its checks begin`;
  record(ports, one, ['Normal', 'ReplicationInitiated', note]);
}

export function tellChecks(ports: ControllerPorts, one: Replication): void {
  const { compatible = 0, actionable = 0, incompatible = 0 } = one.status ?? {};
  const counts = { Compatible: compatible, Actionable: actionable, Incompatible: incompatible };
  for (const [result, count] of Object.entries(counts)) {
    ports.metrics.add('transship_replication_checks_total', count, { result });
  }
  const found = `${compatible} compatible, ${actionable} actionable, ${incompatible} incompatible`;
  const isHalted = actionable + incompatible > 0;
  const told: Told = isHalted
    ? ['Warning', 'ChecksFailed', `${found}: it waits for a decision`]
    : ['Normal', 'ChecksPassed', found];
  record(ports, one, told);
}

export function tellDecision(ports: ControllerPorts, one: Replication, decision: Decision): void {
  record(ports, one, ['Normal', 'DecisionTaken', decision]);
}

export function tellRefused(ports: ControllerPorts, one: Replication, decision: Decision): void {
  const { offers = [] } = one.status ?? {};
  const open = offers.length === 0 ? 'nothing is to be decided now' : `now: ${offers.join(', ')}`;
  record(ports, one, ['Warning', 'DecisionRefused', `${decision} makes no sense here; ${open}`]);
}

export function tellFixed(ports: ControllerPorts, one: Replication, what: string): void {
  record(ports, one, ['Normal', 'Remediated', what]);
}

export function tellKept(ports: ControllerPorts, one: Replication, what: string): void {
  record(ports, one, ['Warning', 'Kept', what]);
}

export function tellLag(ports: ControllerPorts, one: Replication, what: string): void {
  record(ports, one, ['Warning', 'OutOfSync', what]);
}

/** How the whole of a run ended. */
export function tellEnd(
  ports: ControllerPorts,
  one: Replication,
  { reason, message, isGood }: { reason: string; message: string; isGood: boolean },
): void {
  record(ports, one, [isGood ? 'Normal' : 'Warning', reason, message]);
  const result = isGood ? 'succeeded' : 'failed';
  ports.metrics.add('transship_replications_total', 1, { result });
}
