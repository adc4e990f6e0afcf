import { TransshipError } from '../base/errors.ts';
import { type Reason } from '../base/reasons.ts';
import { errno } from './protocol.ts';

const reasonsByErrno: ReadonlyMap<number, Reason> = new Map<number, Reason>([
  [errno.permission, 'ReadOnly'],
  [errno.io, 'DiskFailed'],
  [errno.memory, 'LimitExceeded'],
  [errno.invalid, 'BadArgument'],
  [errno.noSpace, 'PoolFull'],
  [errno.overflow, 'LimitExceeded'],
  [errno.unsupported, 'Unsupported'],
  [errno.shutdown, 'Stopping'],
]);

/** What a server's error number means to us; the reverse of `errnoOf`, as far as that goes. */
export function errorOfErrno(code: number, text: string): TransshipError {
  const reason = reasonsByErrno.get(code) ?? 'DiskFailed';
  const said = text === '' ? '' : `: ${text}`;
  return new TransshipError(reason, `the NBD server failed a request (error ${code})${said}`);
}
