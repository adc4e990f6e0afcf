/** Waiting for what other controllers of a cluster do, with an end and a named blocker. */
import { fail } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { sleep } from '../base/sleep.ts';
import { backoffMs } from '../kube/waiting.ts';

export interface WaitOptions {
  /** For each thing that is waited for; afterwards `TimedOut` says what it waited for. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

export const waitMsDefault = 60_000;
const pace = { minMs: 20, maxMs: 1000 };

/** `look` says in a sentence what is missing, or undefined when all is there. */
export async function waitUntil(
  client: KubeClient,
  look: () => Promise<string | undefined>,
  { waitMs = waitMsDefault, signal }: WaitOptions,
): Promise<void> {
  const { clock, random } = client.connection;
  const endMs = clock.monotonicMs() + waitMs;
  for (let rounds = 0; ; rounds++) {
    if (signal?.aborted === true) fail('Canceled', 'it was canceled');
    const missing = await look();
    if (missing === undefined) return;
    if (clock.monotonicMs() >= endMs) fail('TimedOut', missing);
    await sleep(clock, backoffMs(pace, rounds, random), signal);
  }
}
