// docs/guides/answers.md answers each question that it owes an answer, and what it points at is
// there: an answer that nothing shows any more must be written anew.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';

const path = join(import.meta.dirname, '../../docs/guides/answers.md');
const text = readFileSync(path, 'utf8');

/** Disks of virtual machines and replicas within a cluster are not moved by plans yet. */
const ranges = [
  [1, 35],
  [44, 46],
  [53, 65],
] as const;
const owed = ranges.flatMap(([first, last]) =>
  Array.from({ length: last - first + 1 }, (_, at) => `U-${first + at}`),
);
const rulesCount = 10;

const entries = new Map(
  [...text.matchAll(/^- \*\*(U-\d+), [^*]+\*\*[^]*?(?=^- |^#)/gm)].map(([all, id]) => [id, all]),
);
const rules = [...text.matchAll(/^(\d+)\. \*\*[^]*?(?=^\d+\. |$(?![^]))/gm)];

interface Link {
  readonly words: string;
  readonly target: string;
}

function linksIn(part: string): readonly Link[] {
  return [...part.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)].map(([, words = '', target = '']) => {
    return { words, target: target.replace(/#.*$/, '') };
  });
}

test('each question has one answer, with something that shows it', () => {
  assert.deepEqual([...entries.keys()], owed);
  for (const [id, entry] of entries) assert.ok(linksIn(entry).length > 0, `${id} has no link`);
});

test('each rule of every move is there with its tests', () => {
  assert.deepEqual(
    rules.map(([, number]) => Number(number)),
    Array.from({ length: rulesCount }, (_, at) => at + 1),
  );
  for (const [rule, number] of rules) {
    const tests = linksIn(rule).filter(({ target }) => target.endsWith('.test.ts'));
    assert.ok(tests.length > 0, `rule ${number} names no test`);
  }
});

test('what links point at is there, and says what it is named for', () => {
  for (const { words, target } of linksIn(text)) {
    const file = join(dirname(path), target);
    assert.ok(existsSync(file), `${target} is not there`);
    const [, quoted] = /^`(.*)`$/.exec(words) ?? [];
    if (quoted === undefined) continue;
    assert.ok(readFileSync(file, 'utf8').includes(quoted), `${target} has no "${quoted}"`);
  }
});
