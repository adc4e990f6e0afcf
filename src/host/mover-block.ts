/** The block mover as a process: devices, TLS, and lines of JSON about how it goes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asTransshipError, TransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import { exitCodeOf, exitCodes } from '../base/reasons.ts';
import { parseRate } from '../base/units.ts';
import type { BlockLine } from '../files/block-lines.ts';
import type { BlockLink, BlockProgress, BlockSummary } from '../files/block-ports.ts';
import { receiveBlocks } from '../files/block-receive.ts';
import type { BlockOrder, BlockReceiveOrder, BlockSendOrder } from '../files/block-run.ts';
import { sendBlocks } from '../files/block-send.ts';
import { createRateLimit, type RateLimit } from '../peer/rate.ts';
import { openDestination, openSource } from './mover-block-device.ts';
import { placeOf } from './mover/places.ts';
import { type CertificateFiles, dialBlocks, listenForBlocks } from './mover-block-link.ts';

interface Run<Order> {
  readonly order: Order;
  readonly clock: Clock;
  readonly say: (line: BlockLine) => void;
  readonly signal: AbortSignal;
}

/** Does what it is told and says so on stdout, until SIGTERM or SIGINT; returns the exit code. */
export async function runBlockMover(given: BlockOrder, clock: Clock): Promise<number> {
  const order = placed(given);
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  const say = (line: BlockLine) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const common = { clock, say, signal: stop.signal };
  try {
    const summary = await (order.side === 'send'
      ? send({ order, ...common })
      : receive({ order, ...common }));
    say({ type: 'Done', ...summary });
    return exitCodes.done;
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    say({ type: 'Failed', reason, message });
    return exitCodeOf(reason);
  } finally {
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
  }
}

function placed(order: BlockOrder): BlockOrder {
  const certificates = placeOf(order.certificates);
  const { ratePath } = order.side === 'send' ? order : {};
  const rate = ratePath === undefined ? {} : { ratePath: placeOf(ratePath) };
  return order.side === 'send'
    ? { ...order, certificates, sourcePath: placeOf(order.sourcePath), ...rate }
    : { ...order, certificates, destinationPath: placeOf(order.destinationPath) };
}

function filesOf(directory: string): CertificateFiles {
  const at = (name: string) => join(directory, name);
  return { authority: at('ca.crt'), certificate: at('tls.crt'), key: at('tls.key') };
}

const progressEveryMs = 1000;
const rateLookMs = 2000;

/** Sets the rate that the file says; one that cannot be read changes nothing. */
function followRate(rate: RateLimit, path: string): void {
  try {
    rate.set(parseRate(readFileSync(path, 'utf8')));
  } catch {
    // The next look may find it whole.
  }
}

async function send({ order, clock, say, signal }: Run<BlockSendOrder>): Promise<BlockSummary> {
  const { blockBytes, bytesPerSecond, ratePath } = order;
  const device = await openSource(order.sourcePath);
  const rate = createRateLimit(clock, bytesPerSecond);
  const follow = (): void => {
    if (ratePath !== undefined) followRate(rate, ratePath);
  };
  follow();
  const timer = setInterval(follow, rateLookMs);
  try {
    const link = await dialBlocks(order, filesOf(order.certificates));
    return await sendBlocks({
      device,
      link,
      clock,
      signal,
      rate,
      onProgress: sometimes(clock, say),
      ...(blockBytes === undefined ? {} : { blockBytes }),
    });
  } finally {
    clearInterval(timer);
    await device.close();
  }
}

/**
 * Serves one destination until a copy of it is complete. A sender that was cut may come again; a
 * new one ends the one before, because the same end dials again sooner than a lost link is noticed.
 */
async function receive(run: Run<BlockReceiveOrder>): Promise<BlockSummary> {
  const { order, say, signal } = run;
  const links = new Links();
  const stop = () => links.fail(new TransshipError('Canceled', 'the receiver was told to stop'));
  signal.addEventListener('abort', stop);
  const listener = await listenForBlocks({
    host: order.host,
    port: order.port,
    files: filesOf(order.certificates),
    onLink: (link) => links.put(link),
    onRefused: ({ reason, message }) => say({ type: 'Refused', reason, message }),
  });
  say({ type: 'Listening', port: listener.port });
  try {
    for (;;) {
      const link = await links.next();
      try {
        return await receiveOnce(run, link);
      } catch (error) {
        const { reason, message } = asTransshipError(error);
        if (!comesAgain.has(reason)) throw error;
        say({ type: 'Interrupted', reason, message });
      }
    }
  } finally {
    signal.removeEventListener('abort', stop);
    listener.close();
    links.close();
  }
}

/** What a further attempt of a sender may mend. */
const comesAgain: ReadonlySet<string> = new Set([
  'SourceUnreachable',
  'ProtocolError',
  'DataCorrupt',
  'Canceled',
]);

async function receiveOnce(
  { order, clock, say }: Run<BlockReceiveOrder>,
  link: BlockLink,
): Promise<BlockSummary> {
  // Opened anew each time: only an empty file may grow.
  const device = await openDestination(order.destinationPath).catch((error: unknown) => {
    link.close();
    throw error;
  });
  try {
    return await receiveBlocks({
      device,
      link,
      clock,
      tail: order.keepTail ? 'keep' : 'zero',
      reread: order.reread,
      onProgress: sometimes(clock, say),
    });
  } finally {
    await device.close();
  }
}

/** The newest link; the one before it is closed when another comes. */
class Links {
  #current: BlockLink | undefined;
  #isNew = false;
  #failure: TransshipError | undefined;
  #wake: (() => void) | undefined;

  put(link: BlockLink): void {
    this.#current?.close();
    this.#current = link;
    this.#isNew = true;
    this.#wake?.();
  }

  fail(error: TransshipError): void {
    this.#failure = error;
    this.#current?.close();
    this.#wake?.();
  }

  close(): void {
    this.#current?.close();
  }

  async next(): Promise<BlockLink> {
    while (this.#failure === undefined && !this.#isNew) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== undefined) throw this.#failure;
    this.#isNew = false;
    return this.#current!;
  }
}

function sometimes(clock: Clock, say: (line: BlockLine) => void) {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (progress: BlockProgress) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastMs < progressEveryMs) return;
    lastMs = nowMs;
    say({ type: 'Progress', ...progress });
  };
}
