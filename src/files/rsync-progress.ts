/** Reads what rsync prints with `--info=progress2,stats2 --no-human-readable`. */

export interface RsyncProgress {
  readonly percent: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Transferred in this attempt. */
  readonly files: number;
  /** Rsync still lists: the percentage is of what it knows of. */
  readonly listing: boolean;
}

export interface RsyncStats {
  readonly files: number;
  readonly transferredFiles: number;
  readonly totalBytes: number;
  /** Sent as they are; what was there already is `matchedBytes`. */
  readonly literalBytes: number;
  readonly matchedBytes: number;
  readonly sentBytes: number;
  readonly deletedFiles: number;
}

const progressPattern =
  /^\s*(\d+)\s+(\d+)%\s+([\d.]+)([kMGT]?)B\/s\s+[\d:]+\s*(?:\(xfr#(\d+), (ir|to)-chk=\d+\/\d+\))?/;
const factors: Readonly<Record<string, number>> = {
  '': 1,
  k: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

const statsWords = {
  'Number of files': 'files',
  'Number of regular files transferred': 'transferredFiles',
  'Number of deleted files': 'deletedFiles',
  'Total file size': 'totalBytes',
  'Literal data': 'literalBytes',
  'Matched data': 'matchedBytes',
  'Total bytes sent': 'sentBytes',
} as const satisfies Readonly<Record<string, keyof RsyncStats>>;

/** A line longer than this is no line of rsync's. */
const lineCharactersMax = 8192;

/** Takes the output in pieces cut anywhere. Numbers are of this attempt alone, never summed. */
export class RsyncOutput {
  readonly #onProgress: (progress: RsyncProgress) => void;
  readonly #stats: { -readonly [K in keyof RsyncStats]: number } = {
    files: 0,
    transferredFiles: 0,
    totalBytes: 0,
    literalBytes: 0,
    matchedBytes: 0,
    sentBytes: 0,
    deletedFiles: 0,
  };
  #rest = '';
  #files = 0;

  constructor(onProgress: (progress: RsyncProgress) => void) {
    this.#onProgress = onProgress;
  }

  get stats(): RsyncStats {
    return { ...this.#stats };
  }

  push(text: string): void {
    const lines = (this.#rest + text).split(/[\r\n]/);
    this.#rest = (lines.pop() ?? '').slice(-lineCharactersMax);
    for (const line of lines) this.#take(line);
  }

  end(): void {
    this.push('\n');
  }

  #take(line: string): void {
    const match = progressPattern.exec(line);
    if (match === null) return this.#takeStats(line);
    const [, bytes, percent, rate, unit = '', files, listing] = match;
    if (files !== undefined) this.#files = Number(files);
    this.#onProgress({
      percent: Math.min(100, Number(percent)),
      bytes: Number(bytes),
      bytesPerSecond: Math.round(Number(rate) * (factors[unit] ?? 1)),
      files: this.#files,
      listing: listing === 'ir',
    });
  }

  #takeStats(line: string): void {
    const [, word = '', count] = /^([A-Za-z ]+): (\d+)/.exec(line) ?? [];
    if (Object.hasOwn(statsWords, word)) {
      this.#stats[statsWords[word as keyof typeof statsWords]] = Number(count);
    }
  }
}
