import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpenApiSchema } from '../api.ts';
import { NodeCompiler } from '../node.ts';
import { RuleCompiler } from './rules.ts';

const number: OpenApiSchema = { type: 'integer' };
const schema: OpenApiSchema = {
  type: 'object',
  properties: {
    size: number,
    'a-b': number,
    parts: { type: 'array', items: { type: 'object', properties: { weight: number } } },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  },
};

function words(rule: string, more: object = {}): string | undefined {
  const resolve = (): never => assert.fail();
  const compiler = new NodeCompiler({ resolve, builtIn: false });
  const rules = [{ rule, ...more }];
  const node = compiler.compile({ ...schema, 'x-kubernetes-validations': rules });
  const compiled = new RuleCompiler().compile(node, 'spec');
  return typeof compiled === 'object' ? compiled[0]?.message : undefined;
}

test('rules may name the fields that there are', () => {
  for (const rule of [
    'self.size > 3 && self.a__dash__b > 1',
    'self.parts.all(part, part.weight > 0)',
    'self.parts.filter(p, p.weight > 1).map(p, p.weight).size() == 1',
    'has(self.labels.anything) && self.labels["x"] == "y"',
    'self.open.anything.at.all == 1',
    'self.parts[0].weight == oldSelf.parts[0].weight',
  ]) {
    assert.equal(words(rule), undefined, rule);
  }
});

test('a field that is not there is told with its place', () => {
  assert.equal(
    words('self.nonsense > 3'),
    'Invalid value: "self.nonsense > 3": compilation failed: ERROR: <input>:1:5: ' +
      "undefined field 'nonsense'\n | self.nonsense > 3\n | ....^",
  );
  for (const rule of [
    'self.parts.all(part, part.size > 0)',
    'self.parts.exists(part, self.parts.exists(other, other.gone == 1))',
    'has(self.none)',
    'self.parts[0].name == "x"',
    'oldSelf.none == 1',
  ]) {
    assert.match(words(rule) ?? '', /undefined field/, rule);
  }
});

test('optionalOldSelf makes oldSelf an optional', () => {
  const rule = 'oldSelf.hasValue() ? self.size >= oldSelf.value().size : true';
  assert.equal(words(rule, { optionalOldSelf: true }), undefined);
});
