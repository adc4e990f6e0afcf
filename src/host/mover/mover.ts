/** `transship mover`: what the pods of the method Filesystem run. */
import { asTransshipError } from '../../base/errors.ts';
import { exitCodeOf } from '../../base/reasons.ts';
import { runMoverClient } from './client.ts';
import { say } from './messages.ts';
import { placeOf } from './places.ts';
import { runBackup } from './restic-backup.ts';
import { runRestore } from './restic-restore.ts';
import { runMoverServer } from './server.ts';

const works = {
  server: runMoverServer,
  client: runMoverClient,
  backup: runBackup,
  restore: runRestore,
} as const;

/** Ends the process: a long walk of an audit must not outlive a stop. */
export async function runMover(work: keyof typeof works, configPath: string): Promise<never> {
  try {
    process.exit(await works[work](placeOf(configPath)));
  } catch (error) {
    const { reason, message, remedy } = asTransshipError(error);
    say({ type: 'Failed', reason, message, remedy, attempts: 0 });
    process.exit(exitCodeOf(reason));
  }
}
