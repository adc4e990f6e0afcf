/** The life of a process that serves until it is told to stop: an agent, a control plane. */
import { closeSync, writeSync } from 'node:fs';
import { toWireError } from '../api/wire.ts';
import { asTransshipError, AssertionFailure } from '../base/errors.ts';
import { exitCodeOf } from '../base/reasons.ts';
import { createLog } from './log.ts';

/** What to undo, newest first. */
export type Undo = () => Promise<void> | void;

export interface Wiring {
  readonly log: ReturnType<typeof createLog>;
  readonly undo: Undo[];
  readonly requestStop: () => void;
}

export interface ServiceOptions {
  /** For the log: `agent`, `control plane`. */
  readonly what: string;
  readonly cluster: string;
  /** Opens everything; what it pushed to `undo` is closed also when it rejects. */
  readonly wire: (wiring: Wiring) => Promise<void>;
  /** Called once, when it serves or has failed to. */
  readonly onReady: (error?: unknown) => void;
}

/** A stop that takes longer than this is cut short: what was acknowledged is durable. */
const stopMs = 30_000;

/** Runs until it is told to stop; resolves with the exit code. */
export async function runService(options: ServiceOptions): Promise<number> {
  const { what, cluster } = options;
  const log = createLog({ format: 'human', level: 'info' });
  const undo: Undo[] = [];
  const stopped = stopSignal(what);
  let exitCode = 0;
  try {
    await options.wire({ log, undo, requestStop: stopped.request });
    options.onReady();
    log.log('info', `${what} ready`, { cluster });
    await stopped.promise;
    log.log('info', `${what} stopping`, { cluster });
  } catch (error) {
    const ours = asTransshipError(error);
    log.log('error', `${what} did not start`, { error });
    options.onReady(ours);
    exitCode = exitCodeOf(ours.reason);
  }
  await takeDown(undo, log, exitCode);
  return exitCode;
}

/** Newest first; what hangs is named and left to the end of the process. */
async function takeDown(
  undo: readonly Undo[],
  log: ReturnType<typeof createLog>,
  exitCode: number,
): Promise<void> {
  let left = undo.length;
  const timer = setTimeout(() => {
    log.log('error', 'the stop was cut short; what was acknowledged is durable', { left });
    process.exit(exitCode);
  }, stopMs);
  timer.unref();
  for (const step of undo.toReversed()) {
    try {
      await step();
    } catch (error) {
      log.log('warn', 'a part did not end cleanly', { error });
    }
    left -= 1;
  }
}

/** SIGTERM, SIGINT or a request of its own API; a defect ends the process at once. */
function stopSignal(what: string): {
  readonly promise: Promise<void>;
  readonly request: () => void;
} {
  let request = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    request = resolve;
  });
  process.on('SIGTERM', () => request());
  process.on('SIGINT', () => request());
  process.on('uncaughtException', (error) => die(what, error));
  process.on('unhandledRejection', (error) => die(what, error));
  return { promise, request: () => request() };
}

/** After a defect nothing in memory can be trusted; what is on disk can. */
function die(what: string, error: unknown): never {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const kind = error instanceof AssertionFailure ? 'assertion' : 'unexpected error';
  writeSync(2, `${new Date().toISOString()} ERROR the ${what} ends after an ${kind}: ${text}\n`);
  process.exit(70);
}

/** Tells the process that started this one, over file descriptor 3, if it is there. */
export function sayReady(error?: unknown): void {
  const said = error === undefined ? { ready: true } : { ready: false, error: toWireError(error) };
  try {
    writeSync(3, `${JSON.stringify(said)}\n`);
    closeSync(3);
  } catch {
    // Started by hand: nobody waits.
  }
}
