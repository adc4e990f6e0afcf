/** Processes that run schedules side by side; one that hangs is ended and its seed reported. */
import { type ChildProcess, fork } from 'node:child_process';
import type { Order, Verdict } from './messages.ts';

/** Of a busy machine, too: a schedule that goes on for ever is ended by its number of events. */
const hangMs = 900_000;

/** Asks for orders until there are none and every one was answered. */
export async function runOrders(
  processes: number,
  next: () => Order | undefined,
  onVerdict: (verdict: Verdict, order: Order) => void,
): Promise<void> {
  const work = async () => {
    let child = startChild();
    for (let order = next(); order !== undefined; order = next()) {
      const verdict = await ask(child, order);
      if (verdict.events < 0) {
        child.kill('SIGKILL');
        child = startChild();
      }
      onVerdict(verdict, order);
    }
    child.kill();
  };
  await Promise.all(Array.from({ length: processes }, work));
}

function startChild(): ChildProcess {
  const how = { stdio: 'inherit', serialization: 'advanced' } as const;
  return fork(new URL('./worker.ts', import.meta.url), how);
}

function ask(child: ChildProcess, order: Order): Promise<Verdict> {
  return new Promise((resolve) => {
    const lost = (violation: string) => {
      resolve({ seed: order.seed, traceHash: '', events: -1, lives: 0, violation });
    };
    const timer = setTimeout(() => lost(`no verdict after ${hangMs / 1000} s`), hangMs);
    const onExit = () => lost('its process ended');
    child.once('exit', onExit);
    child.once('message', (verdict: Verdict) => {
      clearTimeout(timer);
      child.off('exit', onExit);
      resolve(verdict);
    });
    child.send(order);
  });
}
