// Three agents in three network namespaces, a cable between each two. Each cable is cut, each two
// of the three are cut: writes go on with a majority, wait without one, and nothing is lost.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Agent, refusal, until } from '../cloud.ts';
import { Ledger } from '../ledger.ts';
import { missing } from '../tools.ts';
import { alike, goesOn, lead, missed, setOf, takeOver, whole } from './sets.ts';
import { type Cut, noWires, startWired, type Wired } from './wires.ts';
import { startWriter } from './writer.ts';

const mebibyte = 1024 * 1024;
const timeout = 400_000;
type Round = readonly (readonly [Agent, Agent, Cut])[];
type Three = readonly [Agent, Agent, Agent];

async function wired(t: TestContext): Promise<Wired | undefined> {
  const wires = await startWired('rep', 3);
  if (wires === undefined) t.skip('the kernel has no network namespaces');
  return wires;
}

/** Those that the leader does not hear, or that do not hear it. */
function cutOff(leader: Agent, round: Round): Agent[] {
  return round.flatMap(([one, other]) => {
    if (one !== leader && other !== leader) return [];
    return [one === leader ? other : one];
  });
}

test('fio verifies what it writes while any one and any two of three links are cut', {
  skip: noWires || missing('fio'),
  timeout,
}, async (t) => {
  await using wires = await wired(t);
  if (wires === undefined) return;
  const { agents } = wires;
  const [leader, second, third] = agents as unknown as Three;
  await lead(leader, 'db', agents, 16 * mebibyte);
  await using writer = startWriter(leader.uri('db'));
  await goesOn(leader, 'db', writer);
  const rounds: readonly Round[] = [
    [[leader, second, 'down']],
    [[leader, third, 'deaf']],
    [[third, leader, 'deaf']],
    [[second, third, 'silent']],
    [
      [leader, second, 'silent'],
      [second, third, 'down'],
    ],
    [
      [leader, third, 'down'],
      [third, second, 'deaf'],
    ],
  ];
  for (const round of rounds) {
    for (const [one, other, how] of round) await wires.cut(one, other, how);
    for (const member of cutOff(leader, round)) await missed(leader, 'db', member);
    await goesOn(leader, 'db', writer);
    for (const [one, other] of round) await wires.heal(one, other);
    await whole(leader, 'db', agents);
  }
  // Nobody is left for a majority: writes wait, and go on when one is there.
  await wires.cut(leader, second, 'silent');
  await wires.cut(leader, third, 'down');
  await until('the writes on their way to be over', async () => {
    const before = (await setOf(leader, 'db')).sequence;
    await sleep(1000);
    return (await setOf(leader, 'db')).sequence === before;
  });
  const { sequence } = await setOf(leader, 'db');
  await sleep(4000);
  assert.equal((await setOf(leader, 'db')).sequence, sequence, 'acknowledged without a majority');
  await wires.heal(leader, third);
  await goesOn(leader, 'db', writer);
  await wires.heal(leader, second);
  await whole(leader, 'db', agents);
  const jobs = await writer.stop();
  t.diagnostic(`${jobs} jobs of fio`);
  await alike(leader, agents);
});

test('a leader without links is succeeded, and fenced when it hears of it', {
  skip: noWires,
  timeout,
}, async (t) => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  await using wires = await wired(t);
  if (wires === undefined) return;
  const { agents } = wires;
  const [first, second, third] = agents as unknown as Three;
  const sizeBytes = 16 * mebibyte;
  await lead(first, 'db', agents, sizeBytes);
  const ledger = new Ledger(seed, sizeBytes);
  let leader = first;
  const rounds: readonly { readonly cuts: readonly Cut[]; readonly next: Agent }[] = [
    { cuts: ['silent', 'down'], next: second },
    { cuts: ['deaf'], next: third },
  ];
  for (const { cuts, next } of rounds) {
    const old = leader;
    const client = await old.connect('db');
    await ledger.check(client, { answered: true });
    const working = ledger.work(client, () => false);
    const { flushes } = ledger;
    await until('some flushes', () => ledger.flushes > flushes + 3);
    const others = agents.filter((one) => one !== old);
    // The one that will lead is always cut off; with one link the old leader still has a majority.
    const cut = [next, ...others.filter((one) => one !== next)].slice(0, cuts.length);
    for (const [at, other] of cut.entries()) await wires.cut(old, other, cuts[at]!);
    await takeOver(next, 'db', agents);
    {
      using heir = await next.connect('db');
      await ledger.check(heir, { answered: true });
      await heir.write(Buffer.alloc(512), sizeBytes - 512);
    }
    for (const other of cut) await wires.heal(old, other);
    await working;
    const late = await refusal(client.write(Buffer.alloc(4096), 0));
    t.diagnostic(`the old leader says: ${late.message}`);
    await whole(next, 'db', agents);
    client.disconnect();
    await until('its doors to be closed', () =>
      old.call('replica.yield', { volume: 'db' }).then(
        () => true,
        () => false,
      ),
    );
    const refused = await refusal(old.connect('db'));
    assert.match(refused.message, /led|leads/);
    leader = next;
  }
  using client = await leader.connect('db');
  await ledger.check(client, { answered: true });
  await alike(leader, agents);
});
