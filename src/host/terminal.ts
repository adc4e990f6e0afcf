/** The process's standard streams as the command line's `Terminal`. */
import { once } from 'node:events';
import * as readline from 'node:readline/promises';
import { exitCodes } from '../base/reasons.ts';
import { Exit } from '../cli/failure.ts';
import type { Terminal } from '../cli/ports.ts';

export function createTerminal(): Terminal {
  return {
    get columns() {
      return process.stderr.columns || 80;
    },
    outIsTerminal: process.stdout.isTTY,
    errIsTerminal: process.stderr.isTTY,
    inIsTerminal: process.stdin.isTTY,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    ask: async (question) => {
      // On stderr, so that a question never becomes part of piped data.
      const lines = readline.createInterface({ input: process.stdin, output: process.stderr });
      try {
        const leave = (): never => {
          throw new Exit(exitCodes.interrupted);
        };
        // Ctrl-C rejects the question; Ctrl-D only closes: without an answer nothing goes on.
        const closed = once(lines, 'close').then(leave);
        return await Promise.race([closed, lines.question(question).catch(leave)]);
      } finally {
        lines.close();
      }
    },
    onInterrupt: (run) => {
      process.on('SIGINT', run);
      process.on('SIGTERM', run);
      return () => {
        process.off('SIGINT', run);
        process.off('SIGTERM', run);
      };
    },
  };
}
