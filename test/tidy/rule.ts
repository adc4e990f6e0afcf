import type { Source } from './source.ts';

export interface Finding {
  readonly rule: string;
  readonly path: string;
  readonly line: number;
  /** What is wrong and what to do about it. */
  readonly message: string;
}

export interface Repository {
  /** Every TypeScript file the rules look at. */
  readonly sources: readonly Source[];
  /** Text of every Markdown file, by path. */
  readonly documents: ReadonlyMap<string, string>;
  /** Every file of the repository, tracked or about to be. */
  readonly files: ReadonlySet<string>;
}

export interface Rule {
  readonly name: string;
  readonly check: (repository: Repository) => readonly Finding[];
}

type Hit = readonly [line: number, message: string];

/** A rule that needs to see one file at a time. */
export function fileRule(
  name: string,
  applies: (path: string) => boolean,
  check: (source: Source) => readonly Hit[],
): Rule {
  const checkOne = (source: Source): readonly Finding[] =>
    check(source).map(([line, message]) => ({ rule: name, path: source.path, line, message }));
  return {
    name,
    check: ({ sources }) => sources.filter((s) => applies(s.path)).flatMap(checkOne),
  };
}

export const everywhere = (): boolean => true;
export const inSource = (path: string): boolean => path.startsWith('src/');
