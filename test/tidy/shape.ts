// Rules about size and form: the house numbers.
import { everywhere, fileRule, type Rule } from './rule.ts';
import type { Source } from './source.ts';

export const functionLinesMax = 70;
export const fileLinesMax = 400;
/** With an exemption for production code; tests are lists of cases and may grow this far. */
export const fileLinesMaxExempt = 600;
export const lineColumnsMax = 100;
export const parametersMax = 4;

const suites: ReadonlySet<string> = new Set(['describe', 'suite']);

const functionLines = fileRule('function-lines', everywhere, (source) =>
  source.functions
    // The callback of a suite is a list of tests, each of which is held to the limit.
    .filter((f) => f.lines > functionLinesMax && !suites.has(f.argumentOf ?? ''))
    .map((f) => [
      f.line,
      `${f.name} has ${f.lines} lines, the limit is ${functionLinesMax}: ` +
        'give a part of it a name and a function of its own',
    ]),
);

function lineCount(source: Source, limit: number, advice: string): [number, string][] {
  const lines = source.lines.length;
  return lines > limit ? [[1, `${lines} lines, the limit is ${limit}: ${advice}`]] : [];
}

const isTestCode = (source: Source): boolean =>
  source.isTest || /^(test|bench)\//.test(source.path);

const fileLines = fileRule('file-lines', everywhere, (source) =>
  isTestCode(source) ? [] : lineCount(source, fileLinesMax, 'split it by what its parts are about'),
);

/** Apart from the rule above so that an exemption from that one does not lift this one. */
const fileLinesHard = fileRule('file-lines-hard', everywhere, (source) =>
  lineCount(source, fileLinesMaxExempt, 'no exemption goes this far, split it'),
);

const lineColumns = fileRule('line-columns', everywhere, (source) =>
  source.lines.flatMap((line, i): [number, string][] =>
    line.length > lineColumnsMax
      ? [[i + 1, `${line.length} columns, the limit is ${lineColumnsMax}: break the line`]]
      : [],
  ),
);

const parameters = fileRule('parameters', everywhere, (source) =>
  source.functions
    .filter((f) => f.parameters > parametersMax)
    .map((f) => [
      f.line,
      `${f.name} takes ${f.parameters} parameters, the limit is ${parametersMax}: ` +
        'take one options object',
    ]),
);

const fileNames = fileRule('file-names', everywhere, (source) => {
  const parts = source.path.replace(/(\.test)?\.ts$/, '').split('/');
  const vague = parts.find((part) => /^(utils?|helpers?|common|misc|shared)$/i.test(part));
  return vague === undefined
    ? []
    : [[1, `"${vague}" says nothing about what is in it: name it after its subject`]];
});

const noDefaultExport = fileRule('no-default-export', everywhere, (source) =>
  source.tokens.flatMap((token, i): [number, string][] => {
    const previous = source.tokens[i - 1];
    const isDefault =
      token.text === 'default' &&
      (previous?.text === 'export' || (previous?.text === 'as' && isInsideExport(source, i)));
    return isDefault
      ? [[token.line, 'default export: export it by name, so that it has one name everywhere']]
      : [];
  }),
);

function isInsideExport(source: Source, i: number): boolean {
  for (let j = i; j >= 0; j--) {
    const text = source.tokens[j]?.text;
    if (text === '{') return source.tokens[j - 1]?.text === 'export';
    if (text === ';') return false;
  }
  return false;
}

// `any` is a type only in these places; elsewhere it is a name, as in Promise.any.
const beforeAny: ReadonlySet<string> = new Set([':', 'as', '<', ',', '|', '&', '=', '=>', '(']);

const noAny = fileRule('no-any', everywhere, (source) =>
  source.tokens.flatMap((token, i): [number, string][] => {
    if (token.kind !== 'word' || token.text !== 'any') return [];
    const next = source.tokens[i + 1]?.text ?? '';
    const isType =
      beforeAny.has(source.tokens[i - 1]?.text ?? '') && ![':', '(', '?', '.'].includes(next);
    return isType
      ? [[token.line, 'any switches the checker off: write unknown and narrow it']]
      : [];
  }),
);

// Spelled apart, or this file would report itself.
const leftoverWords = new RegExp(`\\b(${['FIX' + 'ME', 'TO' + 'DO', 'X' + 'XX'].join('|')})\\b`);

const noLeftovers = fileRule('no-leftovers', everywhere, (source) =>
  source.comments.flatMap((comment): [number, string][] => {
    const found = leftoverWords.exec(comment.text);
    return found === null
      ? []
      : [[comment.line, `${found[1]}: do it now, or file an issue and say why it can wait`]];
  }),
);

export const shapeRules: readonly Rule[] = [
  functionLines,
  fileLines,
  fileLinesHard,
  lineColumns,
  parameters,
  fileNames,
  noDefaultExport,
  noAny,
  noLeftovers,
];
