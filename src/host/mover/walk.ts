/** Lists a tree for the closing audit (`src/files/manifest.ts`). Links are never followed. */
import { execFile } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import fs from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type ManifestEntry, manifestLine, type ManifestScope } from '../../files/manifest.ts';
import type { AuditSummary } from '../../files/mover-messages.ts';
import { findProgram, processorUse } from './programs.ts';

const readBytes = 1024 * 1024;
/** After so many entries others get a turn: a stop must not wait for a long walk. */
const entriesPerTurn = 256;
/** Lines are written so many at a time. */
const linesCharacters = 64 * 1024;
const attributesBytesMax = 256 * 1024 * 1024;
const attributesLookMs = 1000;

interface Walk {
  readonly root: Buffer;
  readonly scope: ManifestScope;
  readonly out: number;
  readonly digest: Hash;
  /** First paths of files with several names, by inode. */
  readonly links: Map<string, string>;
  readonly onWork: () => void;
  /** Not written yet. */
  lines: string;
  entries: number;
  bytes: number;
}

/**
 * Writes the manifest of `root` to `path`, and sums it up. An unreadable directory rejects. Every
 * piece of work is told, so that one that goes on is known from one that hangs.
 */
export async function writeManifest(
  root: string,
  path: string,
  scope: ManifestScope,
  onWork: () => void = () => undefined,
): Promise<AuditSummary> {
  const out = fs.openSync(path, 'w', 0o600);
  const walk: Walk = {
    root: Buffer.from(root.replace(/\/+$/, '')),
    scope,
    out,
    digest: createHash('sha256'),
    links: new Map(),
    onWork,
    lines: '',
    entries: 0,
    bytes: 0,
  };
  const stop = new AbortController();
  // A walk of its own, at the same time.
  const attributes = digestAttributes({ root, scope, onWork, signal: stop.signal });
  attributes.catch(() => undefined);
  try {
    await visit(walk, Buffer.alloc(0));
    writeLines(walk);
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    fs.closeSync(out);
  }
  const attributesDigest = await attributes;
  return {
    entries: walk.entries,
    bytes: walk.bytes,
    digest: walk.digest.digest('hex'),
    ...(attributesDigest === undefined ? {} : { attributesDigest }),
  };
}

const slash = Buffer.from('/');

async function visit(walk: Walk, relative: Buffer): Promise<void> {
  const absolute = Buffer.concat([walk.root, slash, relative]);
  const found = fs.lstatSync(absolute, { bigint: true });
  const entry = await entryOf(walk, { relative, absolute, found });
  walk.lines += manifestLine(entry, walk.scope);
  if (walk.lines.length >= linesCharacters) writeLines(walk);
  walk.entries += 1;
  walk.onWork();
  if (walk.entries % entriesPerTurn === 0) await setImmediate();
  if (!found.isDirectory()) return;
  const names = fs.readdirSync(absolute, { encoding: 'buffer' }) as Buffer[];
  for (const name of names.toSorted(Buffer.compare)) {
    const below = relative.length === 0 ? name : Buffer.concat([relative, slash, name]);
    if (!walk.scope.excludes.includes(`/${below.toString()}`)) await visit(walk, below);
  }
}

function writeLines(walk: Walk): void {
  fs.writeSync(walk.out, walk.lines);
  walk.digest.update(walk.lines);
  walk.lines = '';
}

interface Found {
  readonly relative: Buffer;
  readonly absolute: Buffer;
  readonly found: fs.BigIntStats;
}

async function entryOf(walk: Walk, { relative, absolute, found }: Found): Promise<ManifestEntry> {
  const path = relative.toString('latin1');
  const type = typeOf(found);
  const inode = `${found.dev}:${found.ino}`;
  const isLinked = !found.isDirectory() && found.nlink > 1n;
  const linkedTo = isLinked ? walk.links.get(inode) : undefined;
  if (isLinked && linkedTo === undefined) walk.links.set(inode, path);
  const isContent = type === 'file' && linkedTo === undefined;
  if (isContent) walk.bytes += Number(found.size);
  const sha256 = isContent && walk.scope.verify ? await hashOf(absolute, walk.onWork) : undefined;
  return {
    path,
    type,
    mode: Number(found.mode & 0o7777n),
    uid: Number(found.uid),
    gid: Number(found.gid),
    size: Number(found.size),
    mtimeSeconds: Number(found.mtimeNs / 1_000_000_000n),
    mtimeNs: String(found.mtimeNs),
    ...(type === 'link' ? { target: targetOf(absolute) } : {}),
    ...(linkedTo === undefined ? {} : { linkedTo }),
    ...(sha256 === undefined ? {} : { sha256 }),
  };
}

function targetOf(path: Buffer): string {
  return fs.readlinkSync(path, { encoding: 'buffer' }).toString('latin1');
}

function typeOf(found: fs.BigIntStats): string {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isSymbolicLink()) return 'link';
  if (found.isFIFO()) return 'fifo';
  if (found.isSocket()) return 'socket';
  return `device ${found.rdev}`;
}

async function hashOf(path: Buffer, onWork: () => void): Promise<string> {
  const hash = createHash('sha256');
  const file = await fs.promises.open(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  try {
    const buffer = Buffer.alloc(readBytes);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, readBytes, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(buffer.subarray(0, bytesRead));
      onWork();
    }
  } finally {
    await file.close();
  }
}

interface Attributes {
  readonly root: string;
  readonly scope: ManifestScope;
  readonly onWork: () => void;
  readonly signal: AbortSignal;
}

/** Undefined where the program that lists attributes is not there. */
async function digestAttributes({
  root,
  scope,
  onWork,
  signal,
}: Attributes): Promise<string | undefined> {
  const program = findProgram('getfattr');
  if (program === undefined) return undefined;
  const names = '^(user\\.|system\\.posix_acl_|security\\.capability)';
  const words = ['-R', '-P', '-h', '-d', '-m', names, '-e', 'hex', '--', '.'];
  const text = await new Promise<string>((resolve, reject) => {
    const encoding = 'latin1' as const;
    const options = { cwd: root, maxBuffer: attributesBytesMax, encoding, signal };
    const child = execFile(program, words, options, (error, stdout) => {
      clearInterval(timer);
      // Files without attributes and file systems without them are no errors here.
      if (error !== null && typeof error.code !== 'number') reject(error as Error);
      else resolve(stdout);
    });
    // It is silent where there are no attributes: only its use of the processor tells.
    let used = '';
    const timer = setInterval(() => {
      const now = processorUse(child.pid);
      if (now !== used) onWork();
      used = now;
    }, attributesLookMs);
  });
  const blocks = text.split('\n\n').map((block) => block.trim());
  const kept = blocks.filter((block) => block !== '' && isInScope(block, scope));
  const sorted = kept.map((block) => [
    block.split('\n')[0],
    ...block.split('\n').slice(1).toSorted(),
  ]);
  return createHash('sha256')
    .update(JSON.stringify(sorted.map((block) => block.join('\n')).toSorted()), 'latin1')
    .digest('hex');
}

function isInScope(block: string, scope: ManifestScope): boolean {
  const escaped = /^# file: (.*)/.exec(block)?.[1] ?? '';
  const bytes = escaped.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  const path = Buffer.from(bytes, 'latin1')
    .toString()
    .replace(/^\.\/?/, '/');
  if (path === '/' && scope.ignoreDirectoryTimes) return false;
  return !scope.excludes.some((one) => path === one || path.startsWith(`${one}/`));
}
