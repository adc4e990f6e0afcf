import { type Reason, reasons } from './reasons.ts';

/** An operating error: something outside this code is not as it should be. Never for bugs. */
export class TransshipError extends Error {
  readonly reason: Reason;
  readonly retryable: boolean;

  constructor(reason: Reason, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.name = 'TransshipError';
    this.reason = reason;
    this.retryable = reasons[reason].retryable;
  }

  get remedy(): string {
    return reasons[this.reason].remedy;
  }
}

export function fail(reason: Reason, message: string, cause?: unknown): never {
  throw new TransshipError(reason, message, cause === undefined ? {} : { cause });
}

/** A broken promise of our own code. Nothing may catch it and go on. */
export class AssertionFailure extends Error {
  constructor(message: string) {
    super(`assertion failed: ${message}`);
    this.name = 'AssertionFailure';
  }
}

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

export function unreachable(value: never): never {
  throw new AssertionFailure(`unexpected value ${JSON.stringify(value)}`);
}

/** What is being made, or undefined when there is one of that name already, whoever made it. */
export async function unlessThere<T>(making: Promise<T>): Promise<T | undefined> {
  try {
    return await making;
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    return undefined;
  }
}

/** The error as one of ours, so that edges can rely on a reason. */
export function asTransshipError(error: unknown): TransshipError {
  if (error instanceof TransshipError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new TransshipError('Internal', message, { cause: error });
}
