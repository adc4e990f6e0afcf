// Everything runs in CI, and nothing twice.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';
import { test } from 'node:test';
import { stages } from '../stages.ts';
import { type Part, partsOf } from './part.ts';

const root = join(import.meta.dirname, '../..');

function textsOf(parts: readonly Part[]): readonly string[] {
  return parts.flatMap(({ side, ...has }) =>
    Object.entries(has).flatMap(([name, is]) => (is ? [`${side} ${name}`] : [])),
  );
}

const everything = textsOf(partsOf({ sides: [], quick: false, rest: false }));

test('what npm test runs and the rest are all, and have nothing in common', () => {
  const quick = textsOf(partsOf({ sides: ['embedded'], quick: true, rest: false }));
  const rest = textsOf(partsOf({ sides: [], quick: false, rest: true }));
  assert.deepEqual([...quick, ...rest].toSorted(), everything.toSorted());
  assert.deepEqual(quick, ['embedded api', 'embedded short']);
});

test('a side that is named has all that it has', () => {
  for (const side of ['embedded', 'real'] as const) {
    const of = textsOf(partsOf({ sides: [side], quick: false, rest: false }));
    assert.deepEqual(
      of,
      everything.filter((one) => one.startsWith(side)),
    );
  }
});

test('npm test and .ci/run ask for the two halves', () => {
  const stage = stages.find(({ name }) => name === 'kubernetes');
  assert.deepEqual(stage?.run.slice(1), ['--embedded', '--quick']);
  const lines = readFileSync(join(root, '.ci/run'), 'utf8').split('\n');
  const asked = lines.filter((line) => line.startsWith('stage npm run kubernetes'));
  assert.deepEqual(asked, ['stage npm run kubernetes -- --rest']);
});

test('every file of tests is of one stage', () => {
  const files = globSync('{src,test,bench,tools}/**/*.test.ts', { cwd: root });
  assert.notEqual(files.length, 0);
  // The program of this stage finds its files itself.
  const patterns = [...stages.map(({ run }) => run), ['test/interop/**/*.test.ts']];
  const lost = files.filter((file) => {
    const of = patterns.filter((run) => run.some((one) => matchesGlob(file, one)));
    return of.length !== 1;
  });
  assert.deepEqual(lost, []);
});
