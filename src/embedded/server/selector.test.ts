import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseFieldSelector, parseLabelSelector } from './selector.ts';
import { StatusError } from './status.ts';

const labels = { app: 'web', tier: 'front', 'example.com/size': '7' };

test('labels are selected by equality, sets, presence and size', () => {
  const cases: readonly (readonly [string, boolean])[] = [
    ['app=web', true],
    ['app==web,tier!=back', true],
    ['app!=web', false],
    ['missing!=x', true],
    ['app in (api, web),tier notin (back)', true],
    ['app notin (web)', false],
    ['missing notin (x)', true],
    ['app', true],
    ['!app', false],
    ['!missing, app', true],
    ['example.com/size>6,example.com/size<8', true],
    ['app>6', false],
    ['missing=', false],
  ];
  for (const [text, expected] of cases) {
    assert.equal(parseLabelSelector(text)?.(labels), expected, text);
  }
  assert.equal(parseLabelSelector('  '), undefined);
});

test('selectors that are none are BadRequest', () => {
  for (const text of ['a in (b', 'a=b=c', '=x', 'a b', 'a=x y', 'a>b', 'a/b/c', ',']) {
    assert.throws(
      () => parseLabelSelector(text),
      (error) => error instanceof StatusError && error.code === 400,
      text,
    );
  }
  assert.throws(() => parseFieldSelector('metadata.name'), StatusError);
});

test('field selectors keep escaped commas', () => {
  assert.deepEqual(parseFieldSelector(String.raw`a=x\,y,b!=z`), [
    { path: 'a', equal: true, value: 'x,y' },
    { path: 'b', equal: false, value: 'z' },
  ]);
});
