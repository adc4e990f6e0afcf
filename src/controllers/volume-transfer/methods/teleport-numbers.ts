/** What a Teleport counts, in the words of a transfer. Pure. */
import type { Teleport, TeleportProgressStatus } from '../../../api/kinds/teleport.ts';
import type { Volume } from '../../../api/kinds/volume.ts';
import type { TransferNumbers } from '../method.ts';

/** The end is told before what was counted until then, by so much at most. */
const lateMs = 30_000;

/** Whether the last word of the agent is known, or will not come any more. */
export function isCounted(
  { status }: Teleport,
  volume: Volume | undefined,
  nowMs: number,
): boolean {
  if (volume?.status?.teleport?.phase === 'Available') return true;
  return !(nowMs - Date.parse(status?.completionTime ?? '') < lateMs);
}

export function numbersOf({ status }: Teleport, volume?: Volume): TransferNumbers {
  const last = volume?.status?.teleport;
  const counted = last?.phase === 'Available' ? last : status?.progress;
  return { ...numbersIn(counted ?? {}), route: 'between the agents' };
}

function numbersIn(progress: TeleportProgressStatus): TransferNumbers {
  const { totalBytes, missingBytes, wireBytes, bytesPerSecond, percent } = progress;
  const isKnown = totalBytes !== undefined && missingBytes !== undefined;
  return {
    ...(percent === undefined ? {} : { percent }),
    ...(totalBytes === undefined ? {} : { totalBytes }),
    ...(isKnown ? { copiedBytes: Math.max(0, totalBytes - missingBytes) } : {}),
    ...(wireBytes === undefined ? {} : { wireBytes }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
}

export function whole(numbers: TransferNumbers): TransferNumbers {
  const { totalBytes } = numbers;
  const there = totalBytes === undefined ? {} : { copiedBytes: totalBytes };
  return { ...numbers, percent: 100, ...there };
}
