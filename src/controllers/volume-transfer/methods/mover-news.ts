/** What the client of the method Filesystem has said, as news of the transfer. Pure. */
import { type MoverMessage, parseMoverMessage } from '../../../files/mover-messages.ts';
import type { TransferNumbers } from '../method.ts';
import type { ClientEnd, ClientNews } from './mover-job.ts';

const linesMax = 20;
const lineMax = 256;

/** The last lines for people: messages as sentences, and whatever else was printed. */
export function logOf(
  text: string,
  sentence: (line: string) => string | undefined,
): readonly string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const told = lines.flatMap((line) => {
    const said = line.startsWith('{') ? sentence(line) : line;
    return said === undefined ? [] : [said.slice(0, lineMax)];
  });
  return told.slice(-linesMax);
}

export function portFrom(log: string): number | undefined {
  const said = log.split('\n').map(parseMoverMessage);
  return said.findLast((message) => message?.type === 'Listening')?.port;
}

export function filesNews(log: string): ClientNews {
  const said = log.split('\n').flatMap((line) => parseMoverMessage(line) ?? []);
  const attempts = said.reduce((most, message) => Math.max(most, attemptOf(message)), 1);
  const last = said.at(-1);
  const progress = said.findLast((message) => message.type === 'Progress');
  const done = said.find((message) => message.type === 'Done');
  const unreachable = last?.type === 'AttemptFailed' && last.reason === 'SourceUnreachable';
  const isCut = said.some((message) => message.type === 'AttemptFailed' && !isUnmade(message));
  return {
    attempts,
    reached: progress !== undefined || done !== undefined || isCut,
    unreachable: unreachable ? last.message : undefined,
    message: messageOf(last, progress),
    numbers: { ...numbersOf(progress, done), log: logOf(log, sentenceOf) },
    end: endOf(said),
  };
}

function attemptOf(message: MoverMessage): number {
  if ('attempt' in message) return message.attempt;
  return 'attempts' in message ? message.attempts : 1;
}

/** The words of `tunnelProblem`: nobody answered at all. */
function isUnmade({ reason, message }: { readonly reason: string; readonly message: string }) {
  return reason === 'SourceUnreachable' && message.startsWith('no connection');
}

type Said<T extends MoverMessage['type']> = Extract<MoverMessage, { type: T }>;

function messageOf(last: MoverMessage | undefined, progress: Said<'Progress'> | undefined): string {
  if (last?.type === 'AttemptFailed') return sentenceFor(last) ?? '';
  if (progress === undefined) return 'the copy has begun';
  const listing = progress.listing ? ' of what is listed so far' : '';
  return `${progress.percent}%${listing}, ${progress.files} files`;
}

function numbersOf(
  progress: Said<'Progress'> | undefined,
  done: Said<'Done'> | undefined,
): TransferNumbers {
  if (done !== undefined) {
    const { stats, audit } = done;
    const side =
      audit === undefined
        ? undefined
        : { files: audit.entries, bytes: audit.bytes, digest: audit.digest };
    return {
      percent: 100,
      totalBytes: stats.totalBytes,
      copiedBytes: stats.totalBytes,
      wireBytes: stats.sentBytes,
      bytesPerSecond: 0,
      ...(side === undefined ? {} : { audit: { source: side, destination: side } }),
    };
  }
  if (progress === undefined) return {};
  const { percent, bytes, bytesPerSecond } = progress;
  return {
    percent: Math.min(99, percent),
    copiedBytes: bytes,
    bytesPerSecond: Math.round(bytesPerSecond),
  };
}

function endOf(said: readonly MoverMessage[]): ClientEnd | undefined {
  const failed = said.findLast((message) => message.type === 'Failed');
  const done = said.findLast((message) => message.type === 'Done');
  if (done !== undefined) {
    return { kind: 'done', verified: done.audit !== undefined, warnings: done.notes };
  }
  if (failed === undefined) return undefined;
  const { reason, message, remedy } = failed;
  return { kind: 'failed', reason, message, remedy };
}

function sentenceOf(line: string): string | undefined {
  const message = parseMoverMessage(line);
  return message === undefined ? line : sentenceFor(message);
}

/** Undefined for what is said every second. */
function sentenceFor(message: MoverMessage): string | undefined {
  switch (message.type) {
    case 'Listening':
      return `listens on port ${message.port}`;
    case 'Attempt':
      return `attempt ${message.attempt} of ${message.attemptsMax}`;
    case 'AttemptFailed': {
      const again = `again in ${Math.round(message.retryInSeconds)} s`;
      return `attempt ${message.attempt} failed: ${message.message}; ${again}`;
    }
    case 'Progress':
      return undefined;
    case 'Done':
      return `done after ${message.attempts} attempts`;
    case 'Saved':
      return 'saved in the repository';
    case 'Failed':
      return `failed: ${message.message}`;
  }
}
