// The commands of a document, as a reader would run them.

export interface Block {
  /** Line of the opening fence, counted from 1. */
  readonly line: number;
  readonly commands: string;
  /** Programs, files and `root`, from a fence such as `sh needs=root,/dev/fuse,qemu-img`. */
  readonly needs: readonly string[];
}

/** Lines a test of the documents must not run, each with the reason. */
export const skipped: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [/^git clone\b/, 'the checkout under test is the clone'],
  [/^cd transship$/, 'goes with the clone'],
  [/^npm (run demo|test|ci|install)\b/, 'has a test of its own, or would run this one again'],
  [/^npm install -g\b/, 'would install a published version over the one under test'],
];

/** Blocks fenced as `sh`; a `console` block is an illustration. */
export function extractBlocks(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = markdown.split('\n');
  for (let i = 0; i < lines.length; i++) {
    const fence = /^( *)(```+|~~~+)(\S*)(.*)$/.exec(lines[i] ?? '');
    if (fence === null) continue;
    const [, indent = '', mark = '', language = '', info = ''] = fence;
    const start = i + 1;
    i = start;
    while (i < lines.length && (lines[i] ?? '').trim() !== mark) i++;
    if (language !== 'sh') continue;
    const body = lines.slice(start, i).map((line) => line.slice(indent.length));
    const needs = /\bneeds=(\S+)/.exec(info)?.[1]?.split(',') ?? [];
    blocks.push({ line: start, commands: body.map(withoutSkipped).join('\n'), needs });
  }
  return blocks;
}

function withoutSkipped(line: string): string {
  const skip = skipped.find(([pattern]) => pattern.test(line.trim()));
  return skip === undefined ? line : `: skipped, ${skip[1]}`;
}

/** One script for the whole document: a variable set in one block is there in the next. */
export function scriptOf(blocks: readonly Block[]): string {
  const mark = (block: Block): string => `printf '%s' ${block.line} >"$DOCUMENT_LINE_FILE"`;
  return blocks.map((block) => `${mark(block)}\n${block.commands}\n`).join('\n');
}
