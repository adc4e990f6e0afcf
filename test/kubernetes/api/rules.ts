/** CEL rules of custom kinds: their words, transitions, and what they can compute. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { type Doc, has } from '../document.ts';
import { refused } from '../rest.ts';
import { widget, widgets } from './made.ts';

const number = { type: 'integer' };
const text = { type: 'string', maxLength: 100 };

function ruled(properties: Doc, rules: readonly Doc[]): Doc {
  return widgets({ type: 'object', properties, 'x-kubernetes-validations': rules });
}

interface Judged {
  readonly rule: string;
  readonly good: Doc;
  readonly bad: Doc;
}

/** Each rule alone on its kind would be slow: they guard themselves by `kind`. */
async function judge(t: CaseContext, properties: Doc, all: readonly Judged[]): Promise<void> {
  const rules = all.map(({ rule }, i) => ({
    rule: `self.which != ${i} || (${rule})`,
    message: `rule ${i}`,
  }));
  const { path, apiVersion } = await t.define(
    ruled({ which: { type: 'integer' }, ...properties }, rules),
  );
  for (const [which, { rule, good, bad }] of all.entries()) {
    const name = `a${which}`;
    const fine = await t.rest.send('POST', path, widget(apiVersion, name, { which, ...good }));
    assert.equal(fine.status, 201, `${rule}: ${fine.text.slice(0, 500)}`);
    const wrong = await t.rest.send(
      'POST',
      path,
      widget(apiVersion, `b${which}`, { which, ...bad }),
    );
    assert.equal(wrong.status, 422, `${rule} took ${JSON.stringify(bad)}`);
    has(wrong.body, { 'details.causes.0.message': `Invalid value: rule ${which}` });
  }
}

export const ruleCases = cases('rules', {
  'a rule that fails says its message': async (t) => {
    const rules = [{ rule: 'self.low <= self.high', message: 'low must not exceed high' }];
    const { path, apiVersion } = await t.define(ruled({ low: number, high: number }, rules));
    await t.rest.post(path, widget(apiVersion, 'a', { low: 1, high: 2 }));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'b', { low: 3, high: 2 }));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'messageExpression, reason and fieldPath': async (t) => {
    const rules = [
      {
        rule: 'self.low <= self.high',
        messageExpression: '"low exceeds what " + self.name + " allows"',
        reason: 'FieldValueForbidden',
        fieldPath: '.low',
      },
    ];
    const properties = { low: number, high: number, name: text };
    const { path, apiVersion } = await t.define(ruled(properties, rules));
    const spec = { low: 3, high: 2, name: 'x' };
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'b', spec));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a rule without a message shows itself': async (t) => {
    const rules = [{ rule: 'self.low < 5' }];
    const { path, apiVersion } = await t.define(ruled({ low: number }, rules));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'b', { low: 7 }));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a rule on a field holds only where the field is': async (t) => {
    const name = { ...text, 'x-kubernetes-validations': [{ rule: 'self.startsWith("a")' }] };
    const { path, apiVersion } = await t.define(ruled({ name, other: number }, []));
    await t.rest.post(path, widget(apiVersion, 'none', { other: 1 }));
    await t.rest.post(path, widget(apiVersion, 'good', { name: 'abc' }));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'bad', { name: 'xyz' }));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a transition rule makes a field immutable': async (t) => {
    const rules = [{ rule: 'self == oldSelf', message: 'name is immutable' }];
    const name = { ...text, 'x-kubernetes-validations': rules };
    const { path, apiVersion } = await t.define(ruled({ name, other: number }, []));
    await t.rest.post(path, widget(apiVersion, 'a', { name: 'x', other: 1 }));
    await t.rest.patch(`${path}/a`, { spec: { other: 2 } });
    const type = 'application/merge-patch+json';
    const patch = { spec: { name: 'y' } };
    const answer = await t.rest.send('PATCH', `${path}/a`, patch, { type });
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'has() and oldSelf forbid that a field comes or goes': async (t) => {
    const rules = [
      { rule: 'has(self.name) == has(oldSelf.name)', message: 'name must stay as it is' },
    ];
    const { path, apiVersion } = await t.define(ruled({ name: text, other: number }, rules));
    await t.rest.post(path, widget(apiVersion, 'a', { other: 1 }));
    const type = 'application/merge-patch+json';
    const answer = await t.rest.send('PATCH', `${path}/a`, { spec: { name: 'y' } }, { type });
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'optionalOldSelf runs on creation too': async (t) => {
    const rules = [
      {
        rule: 'oldSelf.hasValue() ? self.n >= oldSelf.value().n : self.n == 0',
        message: 'begins at 0 and never falls',
        optionalOldSelf: true,
      },
    ];
    const { path, apiVersion } = await t.define(ruled({ n: number }, rules));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'a', { n: 1 }));
    refused(answer, 422, 'Invalid', /begins at 0 and never falls/);
    await t.rest.post(path, widget(apiVersion, 'a', { n: 0 }));
    await t.rest.patch(`${path}/a`, { spec: { n: 5 } });
    const type = 'application/merge-patch+json';
    const lower = await t.rest.send('PATCH', `${path}/a`, { spec: { n: 4 } }, { type });
    refused(lower, 422, 'Invalid', /begins at 0 and never falls/);
  },
  'what did not change is not judged again': async (t) => {
    const { path, apiVersion, crdPath } = await t.define(ruled({ name: text, other: number }, []));
    await t.rest.post(path, widget(apiVersion, 'a', { name: 'xyz', other: 1 }));
    const place =
      '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/name/' +
      'x-kubernetes-validations';
    const value = [{ rule: 'self.startsWith("a")', message: 'must begin with a' }];
    await t.rest.patch(crdPath, [{ op: 'add', path: place, value }], 'json');
    await t.until('the new rule', async () => {
      const body = widget(apiVersion, 'b', { name: 'x' });
      const answer = await t.rest.send('POST', `${path}?dryRun=All`, body);
      return answer.status === 422 ? true : undefined;
    });
    has(await t.rest.patch(`${path}/a`, { spec: { other: 2 } }), { 'spec.other': 2 });
    const type = 'application/merge-patch+json';
    const answer = await t.rest.send('PATCH', `${path}/a`, { spec: { name: 'z' } }, { type });
    refused(answer, 422, 'Invalid');
  },
  'rules over lists and maps': (t) =>
    judge(
      t,
      {
        list: { type: 'array', maxItems: 10, items: number },
        names: { type: 'array', maxItems: 10, items: text },
        map: { type: 'object', maxProperties: 10, additionalProperties: text },
      },
      [
        { rule: 'self.list.all(x, x > 0)', good: { list: [1, 2] }, bad: { list: [1, 0] } },
        { rule: 'self.list.exists(x, x == 3)', good: { list: [3] }, bad: { list: [4] } },
        { rule: 'self.list.exists_one(x, x == 3)', good: { list: [3] }, bad: { list: [3, 3] } },
        { rule: 'size(self.list) == 2', good: { list: [1, 2] }, bad: { list: [1] } },
        { rule: 'self.list.map(x, x * 2).sum() == 6', good: { list: [1, 2] }, bad: { list: [1] } },
        { rule: 'self.list.filter(x, x > 1).size() == 1', good: { list: [2] }, bad: { list: [1] } },
        { rule: 'self.list.isSorted()', good: { list: [1, 2] }, bad: { list: [2, 1] } },
        { rule: 'self.list.max() < 5', good: { list: [4] }, bad: { list: [1, 7] } },
        { rule: '2 in self.list', good: { list: [2] }, bad: { list: [1] } },
        { rule: 'self.names.join("-") == "a-b"', good: { names: ['a', 'b'] }, bad: { names: [] } },
        { rule: '"k" in self.map', good: { map: { k: 'v' } }, bad: { map: {} } },
        { rule: 'self.map.all(k, k == "a")', good: { map: { a: 'x' } }, bad: { map: { b: 'x' } } },
        { rule: 'self.map["a"] == "x"', good: { map: { a: 'x' } }, bad: { map: { a: 'y' } } },
      ],
    ),
  'rules over texts, times and quantities': (t) =>
    judge(
      t,
      {
        s: text,
        d: { type: 'string', format: 'duration' },
        w: { type: 'string', format: 'date-time' },
        q: text,
      },
      [
        { rule: 'self.s.matches("^[a-z]+$")', good: { s: 'abc' }, bad: { s: 'A' } },
        { rule: 'self.s.contains("b")', good: { s: 'abc' }, bad: { s: 'xyz' } },
        { rule: 'self.s.endsWith("c")', good: { s: 'abc' }, bad: { s: 'xyz' } },
        { rule: 'self.s.split(",").size() == 2', good: { s: 'a,b' }, bad: { s: 'a' } },
        { rule: 'self.s.lowerAscii() == "abc"', good: { s: 'ABC' }, bad: { s: 'x' } },
        { rule: 'self.s.size() <= 3', good: { s: 'abc' }, bad: { s: 'abcd' } },
        { rule: 'self.s.find("[0-9]+") == "12"', good: { s: 'a12b' }, bad: { s: 'a13b' } },
        { rule: 'self.d >= duration("1m")', good: { d: '90s' }, bad: { d: '30s' } },
        {
          rule: 'self.w > timestamp("2020-01-01T00:00:00Z")',
          good: { w: '2021-01-01T00:00:00Z' },
          bad: { w: '2019-01-01T00:00:00Z' },
        },
        {
          rule: 'isQuantity(self.q) && quantity(self.q).isGreaterThan(quantity("1Gi"))',
          good: { q: '2Gi' },
          bad: { q: '900Mi' },
        },
        {
          rule: 'isURL(self.s) && url(self.s).getScheme() == "https"',
          good: { s: 'https://a.b/c' },
          bad: { s: 'http://a.b/c' },
        },
        { rule: 'self.s in ["a", "b"]', good: { s: 'b' }, bad: { s: 'c' } },
        { rule: 'int(self.s) > 3', good: { s: '4' }, bad: { s: '2' } },
        { rule: 'self.s == "x" ? true : false', good: { s: 'x' }, bad: { s: 'y' } },
      ],
    ),
  'an error while a rule runs refuses the object': async (t) => {
    const rules = [{ rule: 'self.names[3] == "x"', message: 'fourth must be x' }];
    const names = { type: 'array', maxItems: 10, items: text };
    const { path, apiVersion } = await t.define(ruled({ names }, rules));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'a', { names: ['a'] }));
    refused(answer, 422, 'Invalid', /fourth must be x|index out of bounds/);
  },
  'the root may be ruled, with its name': async (t) => {
    const definition = widgets({ type: 'object', properties: { n: number } });
    const versions = (definition['spec'] as { versions: readonly Doc[] }).versions;
    const schema = versions[0]?.['schema'] as { openAPIV3Schema: Record<string, unknown> };
    schema.openAPIV3Schema['x-kubernetes-validations'] = [
      { rule: 'self.metadata.name.startsWith("w-")', message: 'names begin with w-' },
    ];
    const { path, apiVersion } = await t.define(definition);
    await t.rest.post(path, widget(apiVersion, 'w-a', { n: 1 }));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'a', { n: 1 }));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
});
