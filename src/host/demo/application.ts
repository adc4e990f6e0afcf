/** What the demo moves: an application with data on a volume, in two makes with one face. */

/** One record the application was told is durable. */
export interface Acknowledged {
  readonly sequence: number;
  /** Wall clock: before the record was handed over, and after it was acknowledged. */
  readonly beganMs: number;
  readonly ackedMs: number;
}

/** What a reader found in a database, having checked every record against its checksum. */
export interface Found {
  readonly records: number;
  readonly edits: number;
  /** When the last record was made, wall clock; 0 without records. */
  readonly lastMadeMs: number;
  /** What is wrong with it, in words; empty when all is right. */
  readonly problems: readonly string[];
}

/** A piece of the real data that was put on the volume before the teleport. */
export interface FileRead {
  readonly path: string;
  readonly bytes: number;
  readonly right: boolean;
}

export interface Place {
  readonly cluster: string;
  readonly volume: string;
}

/** A running writer; it never waits for the demo. */
export interface Writer {
  readonly acknowledged: readonly Acknowledged[];
  stop(): Promise<void>;
}

export interface Application {
  /** In one sentence, for the story. */
  readonly about: string;
  /** What checks the records, for the story. */
  readonly checkName: string;
  /** Puts a real directory tree on the blank volume. */
  fill(place: Place): Promise<{ readonly files: number; readonly bytes: number }>;
  startWriter(place: Place): Promise<Writer>;
  /** Makes the volume readable there: mounts it, where this make mounts. */
  open(place: Place): Promise<void>;
  check(place: Place): Promise<Found>;
  /** Reads the files of the tree one by one; `onFile` hears of each. Resolves when all are read. */
  readFiles(
    place: Place,
    share: FileShare,
    onFile?: (file: FileRead) => void,
  ): Promise<readonly FileRead[]>;
  /** Adds `edits` to the database and writes some new data beside it. */
  edit(place: Place, edits: number): Promise<void>;
  close(place: Place): Promise<void>;
}

/** All files, or every `nth` beginning at `first`. */
export interface FileShare {
  readonly nth: number;
  readonly first: number;
}

export const everyFile: FileShare = { nth: 1, first: 0 };
