/** Errors as people and scripts see them: message, reason and remedy on stderr, an exit code. */
import { AssertionFailure, asTransshipError, type TransshipError } from '../base/errors.ts';
import { exitCodeOf, exitCodes } from '../base/reasons.ts';
import type { Terminal } from './ports.ts';

/** Ends a command with an exit code when all was said already. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

export function errorText(error: TransshipError): string {
  const [first = '', ...rest] = error.message.split('\n');
  const more = rest.map((line) => `  ${line}\n`).join('');
  return `error: ${first}\n${more}  reason: ${error.reason}\n  try: ${error.remedy}\n`;
}

/** Says what went wrong; returns the exit code. */
export function report(terminal: Terminal, error: unknown): number {
  if (error instanceof Exit) return error.code;
  if (error instanceof AssertionFailure) {
    terminal.err(`error: ${error.message}\n${error.stack ?? ''}\n`);
    return exitCodes.failed;
  }
  const ours = asTransshipError(error);
  terminal.err(errorText(ours));
  return exitCodeOf(ours.reason);
}
