/** What the sender of the method Block has said, as news of the transfer. Pure. */
import { type BlockLine, parseBlockLine } from '../../../files/block-lines.ts';
import { isReason, reasons } from '../../../base/reasons.ts';
import { formatSize } from '../../../base/units.ts';
import type { Pod } from '../../../kube/workloads.ts';
import type { TransferNumbers } from '../method.ts';
import type { ClientEnd, ClientNews } from './mover-job.ts';
import { logOf } from './mover-news.ts';

/** Blocks that are compared at once, as the command has it by default. */
const blockBytes = 64 * 1024;
const restartsMax = 20;

/** What another attempt may mend: the sender is started again, later and later. */
const comesAgain: ReadonlySet<string> = new Set([
  'SourceUnreachable',
  'ProtocolError',
  'DataCorrupt',
  'InUse',
  'Stopping',
]);

export function blockPortFrom(log: string): number | undefined {
  const said = log.split('\n').map(parseBlockLine);
  return said.findLast((line) => line?.type === 'Listening')?.port;
}

export function blockNews(log: string, pod: Pod): ClientNews {
  const said = log.split('\n').flatMap((line) => parseBlockLine(line) ?? []);
  const [container] = pod.status?.containerStatuses ?? [];
  const restarts = container?.restartCount ?? 0;
  const progress = said.findLast((line) => line.type === 'Progress');
  const done = said.findLast((line) => line.type === 'Done');
  const failed = done === undefined ? said.findLast((line) => line.type === 'Failed') : undefined;
  const isUnreachable = failed?.reason === 'SourceUnreachable';
  const isFinal =
    failed !== undefined && (!comesAgain.has(failed.reason) || restarts >= restartsMax);
  const isAnswered = failed !== undefined && !isUnreachable;
  return {
    attempts: restarts + 1,
    reached: progress !== undefined || done !== undefined || isAnswered,
    unreachable: isUnreachable ? failed.message : undefined,
    message: failed === undefined ? progressText(progress) : `failed: ${failed.message}`,
    numbers: { ...numbersOf(progress, done), log: logOf(log, sentenceOf) },
    end: endOf(done, isFinal ? failed : undefined),
  };
}

type Said<T extends BlockLine['type']> = Extract<BlockLine, { type: T }>;

function progressText(progress: Said<'Progress'> | undefined): string {
  if (progress === undefined) return 'the copy has begun';
  const { settledBytes, sizeBytes, changedBytes } = progress;
  const compared = `${formatSize(settledBytes)} of ${formatSize(sizeBytes)} compared`;
  return `${compared}, ${formatSize(changedBytes)} changed`;
}

function numbersOf(
  progress: Said<'Progress'> | undefined,
  done: Said<'Done'> | undefined,
): TransferNumbers {
  const known = done ?? progress;
  if (known === undefined) return {};
  const { sizeBytes, settledBytes, sentBytes } = known;
  const percent = sizeBytes === 0 ? 0 : Math.floor((settledBytes / sizeBytes) * 100);
  const numbers = { totalBytes: sizeBytes, copiedBytes: settledBytes, wireBytes: sentBytes };
  if (done === undefined) return { ...numbers, percent: Math.min(99, percent) };
  const side = {
    files: Math.ceil(sizeBytes / blockBytes),
    bytes: sizeBytes,
    digest: done.digest,
  };
  return {
    ...numbers,
    percent: 100,
    bytesPerSecond: 0,
    audit: { source: side, destination: side },
  };
}

function endOf(
  done: Said<'Done'> | undefined,
  failed: Said<'Failed'> | undefined,
): ClientEnd | undefined {
  if (done !== undefined) return { kind: 'done', verified: true, warnings: [] };
  if (failed === undefined) return undefined;
  const { reason, message } = failed;
  const { remedy } = reasons[isReason(reason) ? reason : 'Internal'];
  return { kind: 'failed', reason, message, remedy };
}

function sentenceOf(line: string): string | undefined {
  const said = parseBlockLine(line);
  if (said === undefined) return line;
  if (said.type === 'Failed' || said.type === 'Refused' || said.type === 'Interrupted') {
    return `${said.type.toLowerCase()}: ${said.message}`;
  }
  return said.type === 'Done' ? 'done' : undefined;
}
