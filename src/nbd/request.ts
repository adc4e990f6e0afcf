/** One request of the transmission phase: its header, and whether it may be served. */
import { type BlockDevice } from '../base/ports.ts';
import { getUint64 } from './bytes.ts';
import { command, commandFlags, errno, magic, nbdLimits } from './protocol.ts';

/** The header being served. Reused: what outlives the call copies the fields it needs. */
export class RequestHeader {
  flags = 0;
  type = 0;
  cookieHigh = 0;
  cookieLow = 0;
  offset = 0;
  length = 0;

  /** False when the magic is wrong: then the stream is lost and the connection must end. */
  read(view: DataView, at: number): boolean {
    if (view.getUint32(at) !== magic.request) return false;
    this.flags = view.getUint16(at + 4);
    this.type = view.getUint16(at + 6);
    this.cookieHigh = view.getUint32(at + 8);
    this.cookieLow = view.getUint32(at + 12);
    this.offset = getUint64(view, at + 16);
    this.length = view.getUint32(at + 24);
    return true;
  }

  get payloadBytes(): number {
    return this.type === command.write ? this.length : 0;
  }

  get forceUnitAccess(): boolean {
    return (this.flags & commandFlags.fua) !== 0;
  }
}

export interface Refusal {
  readonly error: number;
  readonly message: string;
}

/** Flags that each command may carry; FUA is ignored where nothing is written (proto.md). */
const flagsAllowed: readonly number[] = [
  commandFlags.fua | commandFlags.dontFragment,
  commandFlags.fua,
  commandFlags.fua,
  commandFlags.fua,
  commandFlags.fua,
  commandFlags.fua,
  commandFlags.fua | commandFlags.noHole | commandFlags.fastZero,
  commandFlags.fua | commandFlags.requestOne,
];

/** `undefined` when the device may be asked. */
export function refusalOf(
  request: RequestHeader,
  device: BlockDevice,
  allocationContext: boolean,
): Refusal | undefined {
  const allowed = flagsAllowed[request.type];
  if (allowed === undefined) {
    return { error: errno.invalid, message: `command ${request.type} is not supported` };
  }
  if ((request.flags & ~allowed) !== 0) {
    return { error: errno.invalid, message: `flags ${request.flags} do not fit the command` };
  }
  switch (request.type) {
    case command.read:
      return readRefusal(request, device);
    case command.write:
    case command.trim:
    case command.writeZeroes:
      return writeRefusal(request, device);
    case command.blockStatus:
      if (!allocationContext) {
        return { error: errno.invalid, message: 'base:allocation was not negotiated' };
      }
      if (request.length === 0) return { error: errno.invalid, message: 'the length is 0' };
      return rangeRefusal(request, device, errno.invalid);
    case command.cache:
      return rangeRefusal(request, device, errno.invalid);
    default:
      return undefined;
  }
}

function readRefusal(request: RequestHeader, device: BlockDevice): Refusal | undefined {
  if (request.length > nbdLimits.requestBytesMax) {
    // EOVERFLOW tells a client that asked for one piece to ask again without that (proto.md).
    const whole = (request.flags & commandFlags.dontFragment) !== 0;
    return tooLarge(request, whole ? errno.overflow : errno.invalid);
  }
  return rangeRefusal(request, device, errno.invalid);
}

function writeRefusal(request: RequestHeader, device: BlockDevice): Refusal | undefined {
  if (device.readOnly) return { error: errno.permission, message: 'the export is read-only' };
  if (request.payloadBytes > nbdLimits.requestBytesMax) return tooLarge(request, errno.invalid);
  return rangeRefusal(
    request,
    device,
    request.type === command.trim ? errno.invalid : errno.noSpace,
  );
}

function tooLarge(request: RequestHeader, error: number): Refusal {
  const maximum = nbdLimits.requestBytesMax;
  return { error, message: `${request.length} bytes are more than the maximum of ${maximum}` };
}

function rangeRefusal(
  request: RequestHeader,
  device: BlockDevice,
  error: number,
): Refusal | undefined {
  if (request.offset + request.length <= device.sizeBytes) return undefined;
  return {
    error,
    message: `${request.length} bytes at ${request.offset} end past ${device.sizeBytes}`,
  };
}
