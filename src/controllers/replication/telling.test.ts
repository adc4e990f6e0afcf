import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Replication } from '../../api/kinds/replication.ts';
import { metricDefinition } from '../../base/metric-names.ts';
import type { EventDraft } from '../../kube/api.ts';
import type { ControllerPorts } from '../ports.ts';
import { tellBegin, tellChecks, tellEnd, tellRefused, tellSteps } from './telling.ts';

/** What was told, as one line each; labels must be those of the table. */
function listen(): { readonly ports: ControllerPorts; readonly said: string[] } {
  const said: string[] = [];
  const write = (name: string, value: number, labels: Readonly<Record<string, string>> = {}) => {
    assert.deepEqual(Object.keys(labels), [...(metricDefinition(name)?.labels ?? [])], name);
    said.push(`${name} ${value} ${Object.values(labels).join(' ')}`);
  };
  const metrics = { add: write, set: write, observe: write };
  const record = ({ type, reason, note }: EventDraft) =>
    void said.push(`${type} ${reason} ${note}`);
  const events = { record, stop: async () => undefined };
  return { ports: { metrics, events } as unknown as ControllerPorts, said };
}

function replication(status: Replication['status'] = {}): Replication {
  return {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Replication',
    metadata: { namespace: 'default', name: 'shop' },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }] },
    status,
  };
}

suite('what is told of replications', () => {
  test('a job that begins, with its clusters', () => {
    const { ports, said } = listen();
    tellBegin(ports, replication({ jobId: 'abc-1' }));
    const words = 'job abc-1: from east to west; its checks begin';
    assert.deepEqual(said, [`Normal ReplicationInitiated ${words}`]);
  });

  test('checks by how they came out', () => {
    const { ports, said } = listen();
    tellChecks(ports, replication({ compatible: 40, actionable: 1, incompatible: 2 }));
    assert.deepEqual(said, [
      'transship_replication_checks_total 40 Compatible',
      'transship_replication_checks_total 1 Actionable',
      'transship_replication_checks_total 2 Incompatible',
      'Warning ChecksFailed 40 compatible, 1 actionable, 2 incompatible: it waits for a decision',
    ]);
  });

  test('a decision that makes no sense, and those that do', () => {
    const { ports, said } = listen();
    tellRefused(ports, replication({ offers: ['Recheck', 'Stop'] }), 'Remediate');
    tellRefused(ports, replication(), 'Stop');
    assert.deepEqual(said, [
      'Warning DecisionRefused Remediate makes no sense here; now: Recheck, Stop',
      'Warning DecisionRefused Stop makes no sense here; nothing is to be decided now',
    ]);
  });

  test('steps once each, and the end', () => {
    const { ports, said } = listen();
    const running = [{ name: 'copyLast', state: 'Running' as const, message: 'Copies.' }];
    const done = [{ name: 'copyLast', state: 'Succeeded' as const }];
    tellSteps(ports, replication(), undefined, running);
    tellSteps(ports, replication(), running, running);
    tellSteps(ports, replication(), running, done);
    tellEnd(ports, replication(), { reason: 'TimedOut', message: 'too late', isGood: false });
    assert.deepEqual(said, [
      'Normal StepStarted copyLast: Copies.',
      'Normal StepSucceeded copyLast is done',
      'Warning TimedOut too late',
      'transship_replications_total 1 failed',
    ]);
  });
});
