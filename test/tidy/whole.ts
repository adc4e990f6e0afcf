// Rules about the repository as a whole: no file is dead, every folder says what it is, every
// link in the documents leads somewhere.
import { roots } from './exemptions.ts';
import { folderOf } from './layers.ts';
import type { Finding, Repository, Rule } from './rule.ts';
import { resolvePath } from './source.ts';

export const readmeLinesMax = 30;

function checkDead({ sources }: Repository): readonly Finding[] {
  const imported = new Set(
    sources.flatMap((source) => source.imports.map((found) => found.target ?? '')),
  );
  return sources
    .filter((source) => source.path.startsWith('src/') && !source.isTest)
    .filter((source) => !imported.has(source.path) && !Object.hasOwn(roots, source.path))
    .map((source) => ({
      rule: 'dead-file',
      path: source.path,
      line: 1,
      message: 'nothing imports it: delete it, use it, or list it in roots (exemptions.ts)',
    }));
}

function checkRoots({ files }: Repository): readonly Finding[] {
  return Object.keys(roots)
    .filter((path) => !files.has(path))
    .map((path) => ({
      rule: 'stale-root',
      path: 'test/tidy/exemptions.ts',
      line: 1,
      message: `${path} does not exist: take it out of roots`,
    }));
}

function checkReadmes({ sources, documents }: Repository): readonly Finding[] {
  const inTop = (path: string): string | undefined => {
    const folder = folderOf(path);
    if (folder !== undefined) return `src/${folder}`;
    return /^(test|bench|tools)\//.exec(path)?.[1];
  };
  const folders = new Set(sources.map((source) => inTop(source.path)));
  return [...folders].flatMap((folder): Finding[] => {
    if (folder === undefined) return [];
    const path = `${folder}/README.md`;
    const text = documents.get(path);
    const finding = { rule: 'readme', path, line: 1 };
    if (text === undefined) {
      const message = 'missing: say what the folder is, what it may import, where to start';
      return [{ ...finding, message }];
    }
    const lines = text.trimEnd().split('\n').length;
    if (lines <= readmeLinesMax) return [];
    return [{ ...finding, message: `${lines} lines, the limit is ${readmeLinesMax}: shorten it` }];
  });
}

/** The name a heading gets as a link target, as Git hosts make it. */
function slug(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replace(/\s/g, '-');
}

/** The document with code blanked out, so that nothing in it looks like a link or a heading. */
function prose(text: string): string {
  const blank = (code: string): string => code.replace(/[^\n]/g, ' ');
  return text.replace(/^(```|~~~)[\s\S]*?^\1/gm, blank).replace(/`[^`\n]*`/g, blank);
}

function headingsOf(text: string): ReadonlySet<string> {
  const fenceless = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '');
  return new Set([...fenceless.matchAll(/^#{1,6} (.*)$/gm)].map((match) => slug(match[1] ?? '')));
}

function checkLink(repository: Repository, from: string, link: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return undefined;
  const [path = '', anchor] = link.split('#');
  const target = path === '' ? from : resolvePath(from, decodeURI(path));
  const isFolder = [...repository.files].some((file) => file.startsWith(`${target}/`));
  if (!repository.files.has(target) && !isFolder && target !== '') {
    return `${link} leads nowhere: there is no ${target}`;
  }
  const text = repository.documents.get(target);
  if (anchor === undefined || text === undefined || headingsOf(text).has(anchor)) return undefined;
  return `${link} leads nowhere: ${target} has no such heading`;
}

function checkLinks(repository: Repository): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [path, text] of repository.documents) {
    for (const [i, line] of prose(text).split('\n').entries()) {
      for (const match of line.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)) {
        const message = checkLink(repository, path, match[1] ?? '');
        if (message !== undefined) findings.push({ rule: 'link', path, line: i + 1, message });
      }
    }
  }
  return findings;
}

export const wholeRules: readonly Rule[] = [
  { name: 'dead-file', check: checkDead },
  { name: 'stale-root', check: checkRoots },
  { name: 'readme', check: checkReadmes },
  { name: 'link', check: checkLinks },
];
