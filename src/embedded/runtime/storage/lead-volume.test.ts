import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlClient } from '../../../api/control-client.ts';
import { fail, TransshipError } from '../../../base/errors.ts';
import type { Clock } from '../../../base/ports.ts';
import { leadVolume } from './lead-volume.ts';

type Has = 'plain' | 'Leader' | 'Follower' | 'down' | undefined;

/** Agents as a table of what they have of the one volume; the controllers fulfil wishes at once. */
function clusterOf(start: Readonly<Record<string, Has>>, isHeard = true) {
  const has = new Map<string, Has>(Object.entries(start));
  const done: string[] = [];
  let nowMs = 0;
  const clock: Clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: (ms, run) => {
      nowMs += ms;
      queueMicrotask(run);
      return { cancel: () => undefined };
    },
  };
  const agent = (cluster: string): ControlClient => {
    const answer = async (name: string): Promise<unknown> => {
      const state = has.get(cluster);
      if (state === 'down') fail('AgentUnreachable', `${cluster} is not running`);
      if (name === 'replica.lead') {
        done.push(`set at ${cluster}`);
        has.set(cluster, 'Leader');
      }
      if (state === undefined) fail('NotFound', 'nothing here');
      if (name === 'replica.show' && state === 'plain') fail('NotFound', 'no set');
      if (name === 'volume.show' && state === 'Follower') fail('Conflict', 'led elsewhere');
      return name === 'replica.show' ? { role: state } : { spec: { pool: 'main' } };
    };
    return {
      cluster,
      call: answer as ControlClient['call'],
      stream: async () => fail('Internal', ''),
    };
  };
  const wish = async (_volume: string, leader: string): Promise<void> => {
    done.push(`wish ${leader}`);
    if (!isHeard) return;
    for (const [name, state] of has) if (state === 'Leader') has.set(name, 'Follower');
    has.set(leader, 'Leader');
  };
  const others = [...has.keys()].slice(1).map(agent);
  const lead = () => leadVolume('v', { clock, own: agent([...has.keys()][0]!), others, wish });
  return { lead, done, has };
}

const reasonIs = (reason: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === reason;

test('what is here, plain or led, is nobody asked for', async () => {
  for (const own of ['plain', 'Leader'] as const) {
    const { lead, done } = clusterOf({ a: own, b: undefined });
    await lead();
    assert.deepEqual(done, []);
  }
});

test('a set that another leads, or nobody any more, comes as the controllers decide', async () => {
  const led = clusterOf({ a: 'Follower', b: 'Leader', c: 'Follower' });
  await led.lead();
  assert.deepEqual(led.done, ['wish a']);
  assert.equal(led.has.get('b'), 'Follower');
  const lost = clusterOf({ a: undefined, b: 'down', c: 'Follower' });
  await lost.lead();
  assert.deepEqual(lost.done, ['wish a']);
});

test('a plain volume of another node becomes a set of one before', async () => {
  const { lead, done } = clusterOf({ a: undefined, b: undefined, c: 'plain' });
  await lead();
  assert.deepEqual(done, ['set at c', 'wish a']);
});

test('it says who keeps it, and that nobody has it', async () => {
  const kept = clusterOf({ a: undefined, b: 'Leader' }, false);
  await assert.rejects(kept.lead(), reasonIs('InUse'));
  await assert.rejects(kept.lead(), /with node b, which has not let it go/);
  const gone = clusterOf({ a: undefined, b: 'down' });
  await assert.rejects(gone.lead(), reasonIs('NotFound'));
  assert.deepEqual(gone.done, []);
});
