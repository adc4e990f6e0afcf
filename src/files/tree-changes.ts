/**
 * What a tree lacks of another, told by their lists: what is to be removed, and what to be fetched
 * anew. Lists are in one order, so they are read side by side.
 */
import { comparePaths, entryOf, type ManifestEntry } from './manifest.ts';

export type Lines = AsyncIterable<string>;

export interface TreeChanges {
  /** Paths at the destination, parents first; also of what is made anew. */
  readonly remove: readonly string[];
  /** Of what is no directory, or a directory that is missing with all that is in it. */
  readonly bring: readonly string[];
  readonly bringBytes: number;
  /** So many differ that everything is fetched; `bring` is not whole. */
  readonly isMost: boolean;
}

/** As many words as a command line takes, and a matcher likes to look through. */
const pathsMax = 1000;

/** Pairs of lines with the same path; either is undefined where one side has nothing. */
export async function* paired(
  source: Lines,
  destination: Lines,
): AsyncGenerator<readonly [string | undefined, string | undefined]> {
  const [left, right] = [source[Symbol.asyncIterator](), destination[Symbol.asyncIterator]()];
  let [here, there] = [await left.next(), await right.next()];
  while (here.done !== true || there.done !== true) {
    const order =
      here.done === true ? 1 : there.done === true ? -1 : comparePaths(here.value, there.value);
    yield [
      order <= 0 && here.done !== true ? here.value : undefined,
      order >= 0 && there.done !== true ? there.value : undefined,
    ];
    if (order <= 0) here = await left.next();
    if (order >= 0) there = await right.next();
  }
}

/** Lists with exact times. Directories that are at both sides get their attributes later. */
export async function changesBetween(
  source: () => Lines,
  destination: () => Lines,
): Promise<TreeChanges> {
  const remove: string[] = [];
  const bring = new Set<string>();
  const linked = new Set<string>();
  let missing: string | undefined;
  let bringBytes = 0;
  for await (const [here, there] of paired(source(), destination())) {
    if (here === there) continue;
    const wanted = here === undefined ? undefined : entryOf(here);
    const found = there === undefined ? undefined : entryOf(there);
    const areDirectories = wanted?.type === 'directory' && found?.type === 'directory';
    if (found !== undefined && !areDirectories) remove.push(found.path);
    if (wanted === undefined || areDirectories) continue;
    if (wanted.linkedTo === undefined && wanted.type === 'file') bringBytes += wanted.size;
    if (bring.size > pathsMax) continue;
    const isCovered = missing !== undefined && wanted.path.startsWith(missing);
    if (!isCovered) {
      bring.add(wanted.path);
      missing = wanted.type === 'directory' ? `${wanted.path}/` : undefined;
    }
    if (wanted.type === 'file') linked.add(wanted.linkedTo ?? wanted.path);
  }
  if (bring.size <= pathsMax) await addNames(source(), linked, { remove, bring });
  return { remove, bring: [...bring], bringBytes, isMost: bring.size > pathsMax };
}

/** All names of a file that has several are made together, else they would be several files. */
async function addNames(
  source: Lines,
  linked: ReadonlySet<string>,
  to: { readonly remove: string[]; readonly bring: Set<string> },
): Promise<void> {
  const groups = new Map<string, ManifestEntry[]>();
  if (linked.size === 0) return;
  for await (const line of source) {
    const entry = entryOf(line);
    if (entry.linkedTo === undefined || !linked.has(entry.linkedTo)) continue;
    groups.set(entry.linkedTo, [...(groups.get(entry.linkedTo) ?? []), entry]);
  }
  for (const [first, others] of groups) {
    for (const path of [first, ...others.map((one) => one.path)]) {
      to.remove.push(path);
      to.bring.add(path);
    }
  }
}
