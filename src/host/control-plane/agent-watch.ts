/** Whether a node's agent answers, asked again and again: the node is up as long as it does. */
import type { ControlClient } from '../../api/control-client.ts';
import { asTransshipError } from '../../base/errors.ts';

const everyMs = 1_000;
/** An agent that takes its time may be busy; one whose socket nobody serves is gone. */
const silentMs = 30_000;

export interface AgentWatch {
  /** As last looked; true before the first answer. */
  readonly isUp: () => boolean;
  /** Called when it answers again after it did not. Returns what ends the calls. */
  onReturn(listener: () => void): () => void;
  stop(): void;
}

export function watchAgent(agent: ControlClient): AgentWatch {
  const listeners = new Set<() => void>();
  let isUp = true;
  let askedMs: number | undefined;
  const heard = (answers: boolean): void => {
    askedMs = undefined;
    const isBack = answers && !isUp;
    isUp = answers;
    if (isBack) for (const listener of listeners) listener();
  };
  const look = (): void => {
    if (askedMs !== undefined) {
      if (performance.now() - askedMs >= silentMs) isUp = false;
      return;
    }
    askedMs = performance.now();
    agent.call('agent.status', {}).then(
      () => heard(true),
      (error: unknown) => heard(asTransshipError(error).reason !== 'AgentUnreachable'),
    );
  };
  look();
  const timer = setInterval(look, everyMs).unref();
  return {
    isUp: () => isUp,
    onReturn: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    stop: () => clearInterval(timer),
  };
}
