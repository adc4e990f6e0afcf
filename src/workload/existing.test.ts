import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/objects.ts';
import { compareObject, type ExistingPolicy } from './existing.ts';
import { preparedFor } from './transform-context.ts';

const secret = (data: object, more: object = {}): KubeObject =>
  ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'key', namespace: 'shop', ...more },
    data,
  }) as KubeObject;

const deployment = (spec: object, more: object = {}): KubeObject =>
  ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'shop', ...more },
    spec,
  }) as KubeObject;

const rules = (policies: Record<string, ExistingPolicy> = {}) => ({ id: 'move-1', policies });

test('what servers filled in is no difference; what was asked for and is not so is one', () => {
  const there = deployment({ replicas: 2, strategy: { type: 'Recreate' } }, { uid: 'u' });
  const same = compareObject(deployment({ replicas: 2 }), there, rules());
  assert.deepEqual([same.state, same.decision], ['Same', 'Leave']);
  const other = compareObject(deployment({ replicas: 3 }), there, rules());
  assert.deepEqual([other.state, other.decision], ['Differs', 'Fail']);
  assert.equal(
    other.message,
    'Deployment shop/web already exists and differs: spec.replicas is 2, not 3',
  );
  const longer = compareObject(
    deployment({ args: ['a', 'b'] }),
    deployment({ args: ['a'] }),
    rules(),
  );
  assert.equal(longer.differences[0]?.field, 'spec.args');
});

test('values of secrets are never shown, neither changed, missing nor added', () => {
  const prepared = secret({ password: 'bmV3', lost: 'bW9yZQ==' });
  const there = secret(
    { password: 'b2xk', added: 'bW9yZQ==' },
    { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'b2xk' } },
  );
  const found = compareObject(prepared, there, rules());
  assert.deepEqual(
    found.differences.map(({ field }) => field),
    ['data.password', 'data.lost', 'data.added'],
  );
  const shown = found.differences.flatMap(({ there: a, prepared: b }) => [a, b]);
  assert.deepEqual([...new Set(shown)].toSorted(), ['(hidden)', '(none)']);
  const written = { ...secret({}), stringData: { password: 'old' } } as KubeObject;
  assert.equal(compareObject(written, secret({ password: 'b2xk' }), rules()).state, 'Same');
});

test('the policy decides by kind; what this move made before is brought up to date', () => {
  const prepared = deployment({ replicas: 3 }, { annotations: { [preparedFor]: 'move-1' } });
  const theirs = deployment({ replicas: 2 });
  const decide = (there: KubeObject | undefined, policy: Record<string, ExistingPolicy>): string =>
    compareObject(prepared, there, rules(policy)).decision;
  assert.equal(decide(undefined, {}), 'Create');
  assert.equal(decide(theirs, {}), 'Fail');
  assert.equal(decide(theirs, { Deployment: 'Keep' }), 'Fail');
  assert.equal(decide(theirs, { 'apps/Deployment': 'Keep' }), 'Keep');
  assert.equal(decide(theirs, { 'apps/Deployment': 'Update' }), 'Update');
  const ours = deployment({ replicas: 2 }, { annotations: { [preparedFor]: 'move-1' } });
  assert.equal(decide(ours, {}), 'Update');
  const others = deployment({ replicas: 2 }, { annotations: { [preparedFor]: 'move-2' } });
  assert.equal(decide(others, {}), 'Fail');
  const ending = deployment({ replicas: 3 }, { deletionTimestamp: '2026-01-01T00:00:00Z' });
  assert.equal(decide(ending, { 'apps/Deployment': 'Keep' }), 'Fail');
});
