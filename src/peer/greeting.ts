/** The first exchange on a link, on both sides: docs/formats/peer.md, section "Order". */
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { printable } from '../base/names.ts';
import type { Clock } from '../base/ports.ts';
import { startDeadline } from './deadline.ts';
import { commonVersion, decodeHello, encodeHello, type Hello, operations } from './messages.ts';
import type { PeerRecord } from './record.ts';
import { type Handler, onlyPayload, type Session } from './session.ts';

export interface Greeted {
  readonly hello: Hello;
  /** The protocol version both speak. */
  readonly version: number;
}

/** `ProtocolError`, `NotTrusted`, `SourceUnreachable` when no greeting comes back in time. */
export async function greet(options: {
  readonly session: Session;
  readonly clock: Clock;
  readonly mine: Hello;
  readonly record: PeerRecord;
  /** For what the other end asks on this link. */
  readonly handler: Handler;
}): Promise<Greeted> {
  const { session, clock, mine, record } = options;
  const { name } = record;
  const ms = limits.strangerMs;
  const error = () => new TransshipError('SourceUnreachable', `${name} did not greet in ${ms} ms`);
  const deadline = startDeadline({ clock, ms, error });
  try {
    const reply = session.request({
      type: operations.hello,
      lane: 'demand',
      payload: [encodeHello(mine)],
      credit: limits.frameBytesStranger,
      signal: deadline.signal,
    });
    // The transport has proven who this is, and its requests may follow its greeting at once.
    session.admit(options.handler);
    const hello = decodeHello(onlyPayload(await reply));
    return { hello, version: checkHello(hello, mine, record) };
  } finally {
    deadline.done();
  }
}

/** The version to speak, or why not. */
export function checkHello(theirs: Hello, mine: Hello, record: PeerRecord): number {
  if (theirs.cluster.id !== record.id) {
    const said = printable(theirs.cluster.id);
    fail('NotTrusted', `${record.name} says it is cluster ${said}, not ${record.id}`);
  }
  return commonVersion(mine.protocol, theirs);
}
