/** What an end of rsync means (rsync(1), "EXIT VALUES") and what becomes of the transfer. */
import type { Reason } from '../base/reasons.ts';
import { tunnelProblem } from './stunnel-config.ts';

export interface RsyncEnd {
  /** Undefined: a signal ended it. */
  readonly code: number | undefined;
  /** The end of what it wrote to stderr. */
  readonly stderr: string;
  /** The log of this attempt's tunnel. */
  readonly tunnelLog: string;
  readonly pass: 'Stage' | 'Final';
  readonly root: boolean;
}

export interface Failure {
  readonly reason: Reason;
  readonly message: string;
  /** What a person should do here; else the reason's own words. */
  readonly remedy?: string;
}

export type Outcome =
  | { readonly kind: 'Complete'; readonly notes: readonly string[] }
  /** Worth another attempt. */
  | ({ readonly kind: 'Retry' } & Failure)
  | ({ readonly kind: 'Failed' } & Failure);

/** Names told; more are counted. */
const namesMax = 10;

const links: Readonly<Record<number, string>> = {
  10: 'the connection could not be made or was lost',
  12: 'the connection was cut',
  30: 'no byte came within the time limit',
  35: 'the connection was not made within the time limit',
  255: 'the tunnel ended',
};

export function judgeEnd(end: RsyncEnd): Outcome {
  const { code, stderr } = end;
  if (code === 0) return { kind: 'Complete', notes: [] };
  if (code === undefined) {
    return { kind: 'Retry', reason: 'Stopping', message: 'rsync was ended by a signal' };
  }
  if (/No space left on device|Disk quota exceeded/.test(stderr)) {
    return {
      kind: 'Failed',
      reason: 'PoolFull',
      message: 'the destination volume has no space left',
      remedy: 'Make the destination claim larger than what the source holds, then try again.',
    };
  }
  if (code === 24) return judgeVanished(end);
  if (code === 23) return judgeSkipped(end);
  const tunnel = tunnelProblem(end.tunnelLog);
  if (tunnel?.reason === 'NotTrusted') {
    const remedy = 'Make the certificates of this transfer anew, for both sides.';
    return { kind: 'Failed', ...tunnel, remedy };
  }
  if (code === 5) return judgeStart(stderr);
  const link = links[code];
  if (link !== undefined) {
    const message = `${tunnel?.message ?? link} (rsync code ${code})`;
    return { kind: 'Retry', reason: 'SourceUnreachable', message };
  }
  const reason = code === 11 ? 'DiskFailed' : 'Internal';
  const said = errorLines(stderr)[0] ?? 'it gave no reason';
  return { kind: 'Failed', reason, message: `rsync ended with code ${code}: ${said}` };
}

/** Code 5: the server answered and refused. */
function judgeStart(stderr: string): Outcome {
  if (/max connections/.test(stderr)) {
    const message = 'the server still ends the last attempt on this volume';
    return { kind: 'Retry', reason: 'InUse', message };
  }
  const said = /@ERROR: (.*)/.exec(stderr)?.[1] ?? errorLines(stderr)[0] ?? 'no reason given';
  return { kind: 'Failed', reason: 'NotFound', message: `the server refused: ${said}` };
}

/** Code 24. A running application removes files: expected in a stage, a live writer at the end. */
function judgeVanished({ stderr, pass }: RsyncEnd): Outcome {
  const names = quoted(stderr.split('\n').filter((line) => line.includes('vanished')));
  const message = `files vanished while they were copied: ${listed(names)}`;
  if (pass === 'Stage') return { kind: 'Complete', notes: [message] };
  const remedy = 'Stop what still writes to the source volume, then try again.';
  return { kind: 'Failed', reason: 'InUse', message, remedy };
}

/**
 * Code 23. Only one loss is none: a mover without root cannot change the volume's own directory,
 * which belongs to the node.
 */
function judgeSkipped({ stderr, root }: RsyncEnd): Outcome {
  const lines = errorLines(stderr);
  const ofVolume = /failed to set (times|permissions) on "\/?\.?"/;
  if (!root && lines.length > 0 && lines.every((line) => ofVolume.test(line))) {
    const note = "the volume's own directory keeps the times and mode it has at the destination";
    return { kind: 'Complete', notes: [note] };
  }
  const denied = lines.filter((line) => /Permission denied|Operation not permitted/.test(line));
  const names = listed(quoted(lines));
  if (denied.length > 0) {
    const message = `files could not be read or written with the mover's rights: ${names}`;
    const remedy = root
      ? 'Look at the file system of the volume that the message names.'
      : 'Let the mover run as root, or as the owner of these files.';
    return { kind: 'Failed', reason: 'Forbidden', message, remedy };
  }
  const message = `files were skipped: ${names}; first: ${lines[0] ?? 'no reason given'}`;
  return { kind: 'Failed', reason: 'DiskFailed', message, remedy: 'Correct it, then try again.' };
}

function errorLines(stderr: string): readonly string[] {
  return stderr
    .split('\n')
    .filter((line) => /^rsync: |^symlink has no referent|^file has/.test(line));
}

function quoted(lines: readonly string[]): readonly string[] {
  const names = lines.flatMap((line) => /"([^"]*)"/.exec(line)?.[1] ?? []);
  return [...new Set(names)];
}

function listed(names: readonly string[]): string {
  const more = names.length > namesMax ? ` and ${names.length - namesMax} more` : '';
  return names.length === 0 ? 'rsync named none' : `${names.slice(0, namesMax).join(', ')}${more}`;
}
