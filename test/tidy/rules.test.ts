// A rule that never fires is worse than none: every one proves here that it catches a planted
// violation, and that it leaves alone what looks like one.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Repository } from './rule.ts';
import { applyExemptions, rules } from './rules.ts';
import { parseSource } from './source.ts';

type Files = Readonly<Record<string, string>>;

function repositoryOf(files: Files): Repository {
  const entries = Object.entries(files);
  return {
    sources: entries.filter(([p]) => p.endsWith('.ts')).map(([p, text]) => parseSource(p, text)),
    documents: new Map(entries.filter(([path]) => path.endsWith('.md'))),
    files: new Set(['src/main.ts', ...Object.keys(files)]),
  };
}

/** Lines at which the rule objects, as `path:line`. */
function hits(name: string, files: Files): readonly string[] {
  const rule = rules.find((candidate) => candidate.name === name);
  assert.ok(rule, `there is no rule ${name}`);
  return rule.check(repositoryOf(files)).map((finding) => `${finding.path}:${finding.line}`);
}

const repeat = (line: string, times: number): string => `${line}\n`.repeat(times);

interface Case {
  readonly rule: string;
  readonly caught: readonly Files[];
  readonly allowed: readonly Files[];
}

const engine = (text: string): Files => ({ 'src/volume/a.ts': text });

const layerCases: readonly Case[] = [
  {
    rule: 'layers',
    caught: [
      engine("import { x } from '../peer/frame.ts';"),
      engine("import type { X } from '../peer/frame.ts';"),
      engine("export * from '../cli/table.ts';"),
      engine("const x = await import('../host/disk.ts');"),
      engine("const w = new Worker(new URL('../host/w.ts', import.meta.url));"),
      engine("import { run } from '../main.ts';"),
      engine("import { open } from '../../test/sim/disk.ts';"),
      engine("import fs from 'node:fs';"),
      engine("import { connect } from 'node:net';"),
      engine("import { test } from 'node:test';"),
      engine("import left from 'left-pad';"),
      engine("import { Command } from 'commander';"),
      { 'src/agent/a.ts': "import { x } from '../csi/b.ts';" },
      { 'src/agent/a.ts': "import { x } from '../host/disk.ts';" },
      { 'src/console/a.test.ts': "import { x } from '../cli/b.ts';" },
      { 'src/extra/a.ts': 'export const x = 1;' },
    ],
    allowed: [
      engine("import { x } from '../base/errors.ts';\nimport { y } from './b.ts';"),
      engine("import { zstdCompressSync } from 'node:zlib';"),
      engine("const text = `import { x } from '../peer/frame.ts'`;"),
      engine("// import { x } from '../peer/frame.ts';"),
      { 'src/volume/a.test.ts': "import { test } from 'node:test';\nimport fc from 'fast-check';" },
      { 'src/host/a.ts': "import fs from 'node:fs';\nimport { x } from '../agent/b.ts';" },
      { 'src/cli/a.ts': "import { Command } from 'commander';" },
      { 'src/main.ts': "import { x } from './host/disk.ts';\nimport fs from 'node:fs';" },
    ],
  },
  {
    rule: 'world',
    caught: [
      engine('const t = Date.now();'),
      engine('const t = new Date();'),
      engine('const t = new Date;'),
      engine('const r = Math.random();'),
      engine('setTimeout(done, 5);'),
      engine('const later = globalThis.setTimeout;'),
      engine('const home = process.env.HOME;'),
      engine('const t = performance.now();'),
      engine('const id = crypto.randomUUID();'),
      engine("import { createHash, randomBytes } from 'node:crypto';"),
      engine('const answer = await fetch(url);'),
      engine('const t = `at ${Date.now()}`;'),
    ],
    allowed: [
      engine('const t = new Date(ms);'),
      engine('clock.setTimeout(done, 5);'),
      engine('interface Clock { setTimeout(f: () => void, ms: number): Timer }'),
      engine('const port = { fetch(name: string): void { get(name); } };'),
      engine("const text = 'Date.now()'; // Date.now()"),
      engine('const slash = /Date.now()/;'),
      engine("import { createHash } from 'node:crypto';"),
      engine('function run(process: Process): void { process.kill(); }'),
      { 'src/host/clock.ts': 'export const now = () => Date.now();' },
      { 'src/main.ts': 'const home = process.env.HOME;' },
      { 'test/sim/main.ts': 'const t = Date.now();' },
    ],
  },
  {
    rule: 'module-state',
    caught: [
      engine('let count = 0;'),
      engine('export let count = 0;'),
      engine('var count = 0;'),
      engine('const seen = new Map();\nfunction f() { seen.set(1, 2); }'),
      engine('const queue: number[] = [];\nconst f = () => { queue.push(1); };'),
      engine('const table = new Uint8Array(4);\nfunction f() { table[0] = 1; }'),
      engine('export const registry = new Map<string, number>();'),
    ],
    allowed: [
      engine('function f() { let count = 0; return count; }'),
      engine('for (let i = 0; i < 3; i++) use(i);'),
      engine('const table = new Uint32Array(4);\nfor (let i = 0; i < 4; i++) { table[i] = i; }'),
      engine("const words = new Set(['a']);\nconst f = (w: string) => words.has(w);"),
      engine('export const known: ReadonlySet<string> = new Set();'),
      engine('const x = 1;\nfunction f() { const x = [1]; x.push(2); return x; }'),
    ],
  },
];

const shapeCases: readonly Case[] = [
  {
    rule: 'function-lines',
    caught: [
      engine(`function f() {\n${repeat('  step();', 70)}}`),
      engine(`const f = async (a: number): Promise<void> => {\n${repeat('  step();', 70)}};`),
      engine(`class A {\n  m(a: { b: number }): { c: number } {\n${repeat('step();', 70)}}\n}`),
      engine(`test('x', () => {\n${repeat('  step();', 70)}});`),
      engine(`run(x => {\n${repeat('  step();', 70)}});`),
      engine(`function f(): (a: number) => void {\n${repeat('  step();', 70)}}`),
    ],
    allowed: [
      engine(`function f() {\n${repeat('  step();', 68)}}`),
      engine(`suite('x', () => {\n${repeat("  test('y', run);", 90)}});`),
      engine(`if (x) {\n${repeat('  step();', 90)}}`),
      engine(`const table = {\n${repeat('  a: 1,', 90)}};`),
    ],
  },
  {
    rule: 'file-lines',
    caught: [engine(repeat('step();', 401))],
    allowed: [engine(repeat('step();', 400)), { 'src/volume/a.test.ts': repeat('step();', 500) }],
  },
  {
    rule: 'file-lines-hard',
    caught: [engine(repeat('step();', 601)), { 'test/sim/a.ts': repeat('step();', 601) }],
    allowed: [engine(repeat('step();', 600))],
  },
  {
    rule: 'line-columns',
    caught: [engine(`// ${'x'.repeat(98)}`)],
    allowed: [engine(`// ${'x'.repeat(97)}`)],
  },
  {
    rule: 'parameters',
    caught: [
      engine('function f(a, b, c, d, e) { return a; }'),
      engine('const f = (a: Map<string, number>, b: B, c: C, d: D, e: E) => a;'),
      engine('type F = (a: A, b: B, c: C, d: D, e: E) => void;'),
      engine('class A { constructor(a: A, b: B, c: C, d: D, e: E) { use(a); } }'),
    ],
    allowed: [
      engine('function f(a: Map<string, number>, b: B, c: C, d = [1, 2],) { return a; }'),
      engine('function f(this: X, a: A, b: B, c: C, d: D) { return a; }'),
      engine('function f({ a, b, c, d, e }: Options) { return a; }'),
      engine('call(a, b, c, d, e);'),
    ],
  },
  {
    rule: 'file-names',
    caught: [
      { 'src/base/utils.ts': 'export const x = 1;' },
      { 'src/cli/helpers/table.ts': 'export const x = 1;' },
      { 'test/common.ts': 'export const x = 1;' },
    ],
    allowed: [{ 'src/base/commons-licence.ts': 'export const x = 1;' }],
  },
  {
    rule: 'no-default-export',
    caught: [engine('export default f;'), engine('const f = 1;\nexport { f as default };')],
    allowed: [
      engine("switch (x) { default: f('export default'); }"),
      engine("import { default as x } from './b.ts';"),
    ],
  },
  {
    rule: 'no-any',
    caught: [
      engine('const x: any = 1;'),
      engine('const x = y as any;'),
      engine('const x = new Map<string, any>();'),
    ],
    allowed: [
      engine('await Promise.any([a]);'),
      engine('AbortSignal.any([a, b]);'),
      engine("const kind = { any: 1, text: 'as any' };"),
    ],
  },
  {
    rule: 'no-leftovers',
    caught: [engine(`// ${'TO'}DO: later`), engine(`/* ${'FIX'}ME */`)],
    allowed: [engine("const text = 'TO' + 'DO';"), engine('// a mastodon')],
  },
];

const wholeCases: readonly Case[] = [
  {
    rule: 'dead-file',
    caught: [{ 'src/base/a.ts': 'export const x = 1;' }],
    allowed: [
      {
        'src/base/a.ts': 'export const x = 1;',
        'test/b.ts': "import { x } from '../src/base/a.ts';",
      },
      { 'src/base/a.test.ts': "test('x', f);" },
      { 'src/main.ts': 'run();' },
    ],
  },
  {
    rule: 'readme',
    caught: [
      engine('run();'),
      { ...engine('run();'), 'src/volume/README.md': repeat('line', 31) },
      { 'bench/a.ts': 'run();' },
    ],
    allowed: [{ ...engine('run();'), 'src/volume/README.md': repeat('line', 30) }],
  },
  {
    rule: 'link',
    caught: [
      { 'docs/a.md': 'See [b](b.md).' },
      { 'docs/a.md': 'See [b](#none).\n\n# Some\n' },
      { 'docs/a.md': 'See [b](b.md#none).', 'docs/b.md': '# Some\n' },
      { 'docs/a.md': '```sh\nls\n```\n\n![picture](img/b.png)' },
    ],
    allowed: [
      {
        'docs/a.md': 'See [b](b.md#one-heading) and [c](../src).',
        'docs/b.md': '# One `heading`\n',
        'src/x.ts': '',
      },
      { 'docs/a.md': '[out](https://example.com/x.md) and `[x](y.md)`\n```\n[x](y.md)\n```' },
    ],
  },
];

for (const { rule, caught, allowed } of [...layerCases, ...shapeCases, ...wholeCases]) {
  suite(rule, () => {
    for (const files of caught) {
      test(`catches ${JSON.stringify(files).slice(0, 70)}`, () => {
        assert.notEqual(hits(rule, files).length, 0);
      });
    }
    for (const files of allowed) {
      test(`allows ${JSON.stringify(files).slice(0, 70)}`, () => {
        assert.deepEqual(hits(rule, files), []);
      });
    }
  });
}

test('every rule has a planted violation', () => {
  const planted = [...layerCases, ...shapeCases, ...wholeCases].map((c) => c.rule);
  // This one looks at a table of the real repository; rules.test.ts cannot plant there.
  const unplanted = ['stale-root'];
  assert.deepEqual(
    rules.map((rule) => rule.name).toSorted(),
    [...planted, ...unplanted].toSorted(),
  );
});

suite('exemptions', () => {
  const finding = { rule: 'file-lines', path: 'src/volume/a.ts', line: 1, message: 'long' };
  const exemption = { rule: 'file-lines', file: 'src/volume/a.ts', reason: 'one table' };

  test('lift the finding they name and no other', () => {
    const other = { ...finding, rule: 'no-any' };
    assert.deepEqual(applyExemptions([finding, other], [exemption]), [other]);
  });

  test('fail when stale', () => {
    const left = applyExemptions([], [exemption]);
    assert.deepEqual(
      left.map((f) => f.rule),
      ['stale-exemption'],
    );
  });
});
