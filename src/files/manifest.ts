/**
 * The closing audit: both sides list their tree in the same order and form, so equal trees have
 * equal digests, and unequal ones are compared line by line to name what differs (U-2).
 */

export interface ManifestEntry {
  /** Below the volume's root, each byte a character: names need not be UTF-8. */
  readonly path: string;
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds: file systems differ in what they keep of the rest. */
  readonly mtimeSeconds: number;
  /** The whole of it, for lists that tell what has changed since. */
  readonly mtimeNs?: string;
  readonly target?: string;
  /** The first path of a file that has several. */
  readonly linkedTo?: string;
  /** Hex, when content is compared. */
  readonly sha256?: string;
}

export interface ManifestScope {
  readonly verify: boolean;
  readonly excludes: readonly string[];
  /** Owners are not compared (`ownership: Mover`). */
  readonly ignoreOwners: boolean;
  /** A mover is not root: it cannot set times of directories, nor anything of the root. */
  readonly ignoreDirectoryTimes: boolean;
  /** Times in nanoseconds: of lists of one side, which are compared with what is made of them. */
  readonly exactTimes?: boolean;
}

/** One line, with nothing that a scope leaves out. Sizes of directories mean nothing. */
export function manifestLine(entry: ManifestEntry, scope: ManifestScope): string {
  const { path, type, mode, uid, gid, size, target, linkedTo, sha256 } = entry;
  const time = scope.exactTimes === true ? entry.mtimeNs : entry.mtimeSeconds;
  const isDirectory = type === 'directory';
  const isFree = path === '' && scope.ignoreDirectoryTimes;
  return `${JSON.stringify([
    path,
    type,
    isFree ? null : mode.toString(8),
    scope.ignoreOwners || isFree ? null : uid,
    scope.ignoreOwners || isFree ? null : gid,
    type === 'file' ? size : null,
    isDirectory && scope.ignoreDirectoryTimes ? null : time,
    target ?? null,
    linkedTo ?? null,
    sha256 ?? null,
  ])}\n`;
}

/** Of a line with exact times; nothing may have been left out. */
export function entryOf(line: string): ManifestEntry {
  const [path, type, mode, uid, gid, size, time, target, linkedTo, sha256] = JSON.parse(line) as [
    string,
    string,
    string,
    number,
    number,
    number | null,
    string,
    string | null,
    string | null,
    string | null,
  ];
  return {
    path,
    type,
    mode: Number.parseInt(mode, 8),
    uid,
    gid,
    size: size ?? 0,
    mtimeSeconds: Number(BigInt(time) / 1_000_000_000n),
    mtimeNs: time,
    ...(target === null ? {} : { target }),
    ...(linkedTo === null ? {} : { linkedTo }),
    ...(sha256 === null ? {} : { sha256 }),
  };
}

const columns = ['mode', 'uid', 'gid', 'size', 'mtime', 'target', 'hard link', 'content'];

/** How two lines of one path differ: `a/b: mode 755 there, 700 here`. */
export function describeDifference(here: string | undefined, there: string | undefined): string {
  const mine = fieldsOf(here);
  const theirs = fieldsOf(there);
  const path = printablePath(String(mine?.[0] ?? theirs?.[0]));
  if (mine === undefined) return `${path}: only at the destination`;
  if (theirs === undefined) return `${path}: missing at the destination`;
  if (mine[1] !== theirs[1]) return `${path}: ${String(theirs[1])} instead of ${String(mine[1])}`;
  const at = columns.findIndex((_, index) => mine[index + 2] !== theirs[index + 2]);
  const [a, b] = [mine[at + 2], theirs[at + 2]].map((value) => String(value));
  return `${path}: ${columns[at] ?? 'nothing'} ${a ?? ''} at the source, ${b ?? ''} there`;
}

/** Where the lines belong in the common order: below zero, the first comes first. */
export function comparePaths(a: string, b: string): number {
  const [left, right] = [a, b].map((line) => String(fieldsOf(line)?.[0]).split('/'));
  for (const [index, part] of left!.entries()) {
    const other = right![index];
    if (other === undefined) return 1;
    if (part !== other) return part < other ? -1 : 1;
  }
  return left!.length - right!.length;
}

function fieldsOf(line: string | undefined): readonly unknown[] | undefined {
  return line === undefined ? undefined : (JSON.parse(line) as unknown[]);
}

function printablePath(path: string): string {
  if (path === '') return "the volume's own directory";
  return Buffer.from(path, 'latin1')
    .toString('utf8')
    .replaceAll(/[\p{Cc}\ufffd]/gu, '?');
}
