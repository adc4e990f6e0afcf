import type { MoverMessage } from '../../files/mover-messages.ts';

/** One line of stdout; writing to a pipe or file is done when this returns. */
export function say(message: MoverMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
