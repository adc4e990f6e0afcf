import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scan } from './scan.ts';
import { parseSource } from './source.ts';

const texts = (code: string): readonly string[] => scan(code).map((token) => token.text);

test('strings, comments, templates and regular expressions are one token each', () => {
  assert.deepEqual(texts(`a('it\\'s', "x") // c`), ['a', '(', `'it\\'s'`, ',', '"x"', ')', '// c']);
  assert.deepEqual(texts('x = /[/"]\\//g;'), ['x', '=', '/[/"]\\//g', ';']);
  assert.deepEqual(texts('a / b / c'), ['a', '/', 'b', '/', 'c']);
  assert.deepEqual(texts('f(1) / 2'), ['f', '(', '1', ')', '/', '2']);
});

test('what stands in a substitution of a template is code, nested templates too', () => {
  const nested = 'x = `a${ f({ b: `c${d}e` }) }g`;';
  assert.deepEqual(
    scan(nested)
      .filter((token) => token.kind === 'template')
      .map((token) => token.text),
    ['a', 'c', 'e', 'g'],
  );
  assert.ok(texts(nested).includes('d'));
});

test('lines are counted through templates and comments', () => {
  const last = scan('/* 1\n2 */ `3\n${4}\n`\nend').at(-1);
  assert.deepEqual(last, { kind: 'word', text: 'end', line: 5 });
});

test('the scanner survives what is not TypeScript', () => {
  for (const text of ['`${', "'", '/*', '}}}', '\\', '/', '`${`${', '"\\']) scan(text);
});

test('functions are found with their names, lengths and parameters', () => {
  const code = `
    export async function one<T extends Map<string, number>>(a: T, b: (c: T) => void): Promise<T> {
      return a;
    }
    class A {
      private two(this: A): { x: number } { return { x: 1 }; }
      static async *three(...rest: readonly string[]): AsyncGenerator<string> { yield* rest; }
    }
    const four = async ({ a, b }: Options = {}, [c]: C): Promise<void> => { await go(); };
    const five = (x: number): x is 5 => x === 5;
    if (one) { two(); } else if (three) { four(); }
    const six = list.map(item => { return item; });
    const seven = a ? (b) : c;
  `;
  const found = parseSource('src/base/a.ts', code).functions;
  assert.deepEqual(
    found.map((f) => [f.name, f.parameters, f.lines]),
    [
      ['one', 2, 3],
      ['b', 1, 0],
      ['two', 0, 1],
      ['three', 1, 1],
      ['four', 2, 1],
      ['five', 1, 0],
      ['(arrow)', 1, 1],
    ],
  );
});
