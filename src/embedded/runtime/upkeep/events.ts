/** Events are forgotten an hour after they last happened. */
import { asTransshipError } from '../../../base/errors.ts';
import type { Timer } from '../../../base/ports.ts';
import { keyOf } from '../../../kube/objects.ts';
import { timeMs } from '../controller.ts';
import { type EventObject, events } from '../kinds/cluster.ts';
import type { ControllerHost } from '../run-controller.ts';

export const eventLifeMs = 3_600_000;
const sweepEveryMs = 60_000;

export class EventSweeper {
  readonly #host: Pick<ControllerHost, 'client' | 'log'>;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(host: Pick<ControllerHost, 'client' | 'log'>) {
    this.#host = host;
  }

  async sweep(): Promise<void> {
    const { client, log } = this.#host;
    const { clock } = client.connection;
    try {
      for await (const event of client.list(events)) {
        if (clock.wallMs() - lastMs(event) > eventLifeMs) await client.delete(events, keyOf(event));
      }
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      log.log('warn', `events: ${message}`, { reason });
    }
    if (!this.#isStopped) this.#timer = clock.after(sweepEveryMs, () => void this.sweep());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}

function lastMs(event: EventObject): number {
  const { series, lastTimestamp, eventTime, metadata } = event;
  const times = [series?.lastObservedTime, lastTimestamp, eventTime, metadata.creationTimestamp];
  return Math.max(0, ...times.map(timeMs).filter((ms) => !Number.isNaN(ms)));
}
