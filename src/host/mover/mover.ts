/** `transship mover`: what the pods of the method Filesystem run. */
import { asTransshipError } from '../../base/errors.ts';
import { exitCodeOf } from '../../base/reasons.ts';
import { runMoverClient } from './client.ts';
import { say } from './messages.ts';
import { placeOf } from './places.ts';
import { runMoverServer } from './server.ts';

/** Ends the process: a long walk of an audit must not outlive a stop. */
export async function runMover(side: 'server' | 'client', configPath: string): Promise<never> {
  const run = side === 'server' ? runMoverServer : runMoverClient;
  try {
    process.exit(await run(placeOf(configPath)));
  } catch (error) {
    const { reason, message, remedy } = asTransshipError(error);
    say({ type: 'Failed', reason, message, remedy, attempts: 0 });
    process.exit(exitCodeOf(reason));
  }
}
