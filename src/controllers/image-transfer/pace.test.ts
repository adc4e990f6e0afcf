import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { TestTime } from '../../kube/testing.ts';
import type { Context } from '../context.ts';
import { paced, PlanRates } from './pace.ts';

const pieceBytes = 1000;

function known(bandwidth: string | undefined): Pick<Context, 'informers'> {
  const plan = { spec: { bandwidth } } as unknown as Plan;
  const plans = { get: ({ name }: { name: string }) => (name === 'move' ? plan : undefined) };
  const migrations = {
    get: ({ name }: { name: string }) =>
      name === 'go'
        ? { spec: { plan: 'move' } }
        : name === 'lost'
          ? { spec: { plan: 'x' } }
          : undefined,
  };
  return { informers: { plans, migrations } } as unknown as Pick<Context, 'informers'>;
}

function transfer(migration?: string): ImageTransfer {
  return { metadata: { namespace: 'shop' }, spec: { migration } } as unknown as ImageTransfer;
}

/** Counts what was read so far. */
function reading(limit: NonNullable<ReturnType<PlanRates['limitOf']>>, signal: AbortSignal) {
  async function* body() {
    for (let i = 0; i < 100; i++) yield new Uint8Array(pieceBytes);
  }
  const answer = { status: 200, headers: {}, body: body() };
  const transport = paced(async () => answer as never, limit, signal);
  const state: { bytes: number; error?: unknown } = { bytes: 0 };
  const work = async (): Promise<void> => {
    const { body: pieces } = await transport({} as never);
    for await (const piece of pieces) state.bytes += piece.length;
  };
  void work().catch((error: unknown) => (state.error = error));
  return state;
}

suite('images under the bandwidth of their plan', () => {
  test('all copies of a plan share it, and follow it while they run', async () => {
    const time = new TestTime();
    const rates = new PlanRates(time.clock());
    const limit = rates.limitOf(known('10k'), transfer('go'));
    assert.equal(rates.limitOf(known('10k'), transfer('go')), limit);
    const { signal } = new AbortController();
    const both = [reading(limit!, signal), reading(limit!, signal)];
    const read = (): number => both.reduce((sum, { bytes }) => sum + bytes, 0);
    await time.advance(2_000);
    const first = read();
    // Two seconds, a quarter of one at the start, and one piece that is taken into debt.
    assert.ok(first >= 18_000 && first <= 24_500, `${first} bytes`);
    rates.limitOf(known(undefined), transfer('go'));
    // At the old rate these milliseconds would not be enough for one piece.
    for (let i = 0; i < 50; i++) await time.advance(1);
    assert.equal(read(), 200 * pieceBytes);
  });

  test('what is stopped does not wait for its turn', async () => {
    const time = new TestTime();
    const limit = new PlanRates(time.clock()).limitOf(known('1k'), transfer('go'));
    const ending = new AbortController();
    const one = reading(limit!, ending.signal);
    await time.advance(100);
    ending.abort(new Error('stopped'));
    await time.advance(1);
    assert.match(String(one.error), /stopped/);
    assert.ok(one.bytes <= 2 * pieceBytes);
  });

  test('what is of no plan has no limit', () => {
    const rates = new PlanRates(new TestTime().clock());
    for (const migration of [undefined, 'gone', 'lost']) {
      assert.equal(rates.limitOf(known('1k'), transfer(migration)), undefined);
    }
  });
});
