/** The block mover as a process: devices, TLS, and lines of JSON about how it goes. */
import { asTransshipError, TransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import type { BlockLink, BlockProgress, BlockSummary } from '../files/block-ports.ts';
import { receiveBlocks } from '../files/block-receive.ts';
import { sendBlocks } from '../files/block-send.ts';
import { createRateLimit } from '../peer/rate.ts';
import { openDestination, openSource } from './mover-block-device.ts';
import {
  type BlockTarget,
  type CertificateFiles,
  dialBlocks,
  listenForBlocks,
} from './mover-block-link.ts';

/** What the process says, one JSON object a line. */
export type BlockEvent =
  | { readonly event: 'listening'; readonly port: number }
  | ({ readonly event: 'progress' } & BlockProgress)
  | { readonly event: 'refused'; readonly reason: string; readonly message: string }
  | { readonly event: 'interrupted'; readonly reason: string; readonly message: string }
  | ({ readonly event: 'done' } & BlockSummary);

interface Common {
  readonly files: CertificateFiles;
  readonly clock: Clock;
  readonly say: (event: BlockEvent) => void;
  readonly signal?: AbortSignal;
}

export interface BlockSendRun extends Common {
  readonly source: string;
  readonly to: BlockTarget;
  readonly blockBytes?: number;
  readonly bytesPerSecond?: number;
}

export interface BlockReceiveRun extends Common {
  readonly destination: string;
  readonly host: string;
  /** 0 takes any free one; the event `listening` says which. */
  readonly port: number;
  readonly keepTail?: boolean;
  readonly reread?: boolean;
}

const progressEveryMs = 1000;

/** Sends a device or file once. Rejects as `sendBlocks` does, and for files that are not there. */
export async function runBlockSend(run: BlockSendRun): Promise<BlockSummary> {
  const { files, clock, say, signal, blockBytes, bytesPerSecond } = run;
  const device = await openSource(run.source);
  try {
    const link = await dialBlocks(run.to, files);
    const summary = await sendBlocks({
      device,
      link,
      clock,
      rate: createRateLimit(clock, bytesPerSecond),
      onProgress: sometimes(clock, say),
      ...(blockBytes === undefined ? {} : { blockBytes }),
      ...(signal === undefined ? {} : { signal }),
    });
    say({ event: 'done', ...summary });
    return summary;
  } finally {
    await device.close();
  }
}

/**
 * Serves one destination until a copy of it is complete. A sender that was cut may come again; a
 * new one ends the one before, because the same end dials again sooner than a lost link is noticed.
 * Rejects when the disk fails, the destination cannot do, or `signal` says so.
 */
export async function runBlockReceive(run: BlockReceiveRun): Promise<BlockSummary> {
  const { files, say, signal, host, port } = run;
  const links = new Links();
  const stop = () => links.fail(new TransshipError('Canceled', 'the receiver was told to stop'));
  signal?.addEventListener('abort', stop);
  const listener = await listenForBlocks({
    host,
    port,
    files,
    onLink: (link) => links.put(link),
    onRefused: ({ reason, message }) => say({ event: 'refused', reason, message }),
  });
  say({ event: 'listening', port: listener.port });
  try {
    for (;;) {
      const link = await links.next();
      try {
        const summary = await receiveOnce(run, link);
        say({ event: 'done', ...summary });
        return summary;
      } catch (error) {
        const { reason, message } = asTransshipError(error);
        if (!comesAgain.has(reason)) throw error;
        say({ event: 'interrupted', reason, message });
      }
    }
  } finally {
    signal?.removeEventListener('abort', stop);
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

async function receiveOnce(run: BlockReceiveRun, link: BlockLink): Promise<BlockSummary> {
  // Opened anew each time: only an empty file may grow.
  const device = await openDestination(run.destination).catch((error: unknown) => {
    link.close();
    throw error;
  });
  try {
    return await receiveBlocks({
      device,
      link,
      clock: run.clock,
      tail: run.keepTail === true ? 'keep' : 'zero',
      reread: run.reread === true,
      onProgress: sometimes(run.clock, run.say),
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

function sometimes(clock: Clock, say: (event: BlockEvent) => void) {
  let lastMs = Number.NEGATIVE_INFINITY;
  return (progress: BlockProgress) => {
    const nowMs = clock.monotonicMs();
    if (nowMs - lastMs < progressEveryMs) return;
    lastMs = nowMs;
    say({ event: 'progress', ...progress });
  };
}
