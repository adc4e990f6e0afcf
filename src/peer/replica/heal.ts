/** Damaged chunks of one agent, from whichever other agent has them: a read waits for this. */
import type { Clock } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import { nameKey } from '../../volume/name.ts';
import type { Name, StoredChunk } from '../../volume/types.ts';

/** Who has not answered by then may be dead: the next is asked beside it. */
const patienceMs = 1000;

export interface Healer {
  /** Whoever is out of reach is asked last: it may be back before its time is over. */
  readonly isConnected: boolean;
  pull(names: readonly Name[]): Promise<readonly StoredChunk[]>;
}

/** What the first of them have; resolves with less only when all have answered or failed. */
export async function healFrom(
  clock: Clock,
  healers: readonly Healer[],
  names: readonly Name[],
): Promise<readonly StoredChunk[]> {
  const found = new Map<string, StoredChunk>();
  const isDone = () => names.every((name) => found.has(nameKey(name)));
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const ask = async (healer: Healer): Promise<void> => {
    const missing = names.filter((name) => !found.has(nameKey(name)));
    const chunks = await healer.pull(missing).catch(() => []);
    for (const chunk of chunks) found.set(nameKey(chunk.name), chunk);
    if (isDone()) resolve();
  };
  const near = healers.filter(({ isConnected }) => isConnected);
  const far = healers.filter(({ isConnected }) => !isConnected);
  const asked: Promise<void>[] = [];
  for (const healer of [...near, ...far]) {
    if (isDone()) break;
    const asking = ask(healer);
    asked.push(asking);
    await Promise.race([asking, done, sleep(clock, patienceMs)]);
  }
  await Promise.race([done, Promise.all(asked)]);
  return [...found.values()];
}
