import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import {
  fieldRequirementText,
  fromLabelSelectorObject,
  labelRequirementsText,
  type LabelRequirement,
  labelSelectorObjectText,
  type Labels,
  matchesFields,
  matchLabels,
  parseFieldSelector,
  parseLabelRequirements,
  parseLabelSelector,
} from './selectors.ts';

const refused = { reason: 'BadArgument' };

suite('label selectors', () => {
  const cases: readonly [string, Labels, boolean][] = [
    ['', {}, true],
    ['a', { a: '' }, true],
    ['a', {}, false],
    ['!a', {}, true],
    ['! a', { a: 'x' }, false],
    ['a=b', { a: 'b' }, true],
    ['a == b', { a: 'b' }, true],
    ['a=b', {}, false],
    ['a=', { a: '' }, true],
    ['a=', {}, false],
    ['a=,b', { a: '', b: '' }, true],
    ['a!=b', {}, true],
    ['a!=b', { a: 'b' }, false],
    ['a!=b', { a: 'c' }, true],
    ['a in (b,c)', { a: 'c' }, true],
    ['a in ( b , c )', { a: 'd' }, false],
    ['a in (,b)', { a: '' }, true],
    ['a notin (b)', {}, true],
    ['a notin (b)', { a: 'b' }, false],
    ['a>5', { a: '6' }, true],
    ['a > 5', { a: '5' }, false],
    ['a<5', { a: 'x' }, false],
    ['a<5', { a: '-7' }, true],
    ['in in (in)', { in: 'in' }, true],
    ['app.kubernetes.io/name=x,tier notin (a,b),!gone', { 'app.kubernetes.io/name': 'x' }, true],
    ['toString', {}, false],
  ];
  for (const [text, labels, expected] of cases) {
    test(`${JSON.stringify(text)} and ${JSON.stringify(labels)}: ${expected}`, () => {
      assert.equal(parseLabelSelector(text)(labels), expected);
    });
  }

  const bad = [
    'a=b,',
    ',',
    'a b',
    'a in',
    'a in (',
    'a in (b',
    '=b',
    '!',
    'a=b c',
    'a>x',
    'a>',
  ].concat(['-a', 'a=-', 'a/b/c', 'A_/x', 'a in ()x', 'a!', `a=${'x'.repeat(64)}`, 'a=b=c']);
  for (const text of bad) {
    test(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(() => parseLabelSelector(text), refused);
    });
  }

  test('what is printed is read again as the same', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,4}$/);
    const requirement: fc.Arbitrary<LabelRequirement> = fc.oneof(
      fc.record(
        {
          key: name,
          operator: fc.constantFrom('In' as const, 'NotIn' as const),
          values: fc.array(fc.oneof(name, fc.constant('')), { minLength: 1, maxLength: 3 }),
        },
        { noNullPrototype: true },
      ),
      fc.record(
        {
          key: name,
          operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
          values: fc.constant([]),
        },
        { noNullPrototype: true },
      ),
      fc.record(
        {
          key: name,
          operator: fc.constantFrom('Gt' as const, 'Lt' as const),
          values: fc.integer().map((value) => [String(value)]),
        },
        { noNullPrototype: true },
      ),
    );
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 4 }), (all) => {
        assert.deepEqual(parseLabelRequirements(labelRequirementsText(all)), all);
      }),
    );
  });

  test('any text either is a selector or is refused, and never more than that', () => {
    const letters = fc.constantFrom(
      'a',
      'b',
      ' ',
      ',',
      '=',
      '!',
      '(',
      ')',
      'in',
      'notin',
      '<',
      '5',
    );
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 12 }), (parts) => {
        try {
          matchLabels(parseLabelRequirements(parts.join('')))({ a: 'b' });
        } catch (error) {
          assert.equal((error as { reason?: string }).reason, 'BadArgument');
        }
      }),
    );
  });
});

suite('label selectors of specs', () => {
  test('none matches nothing, an empty one everything', () => {
    assert.equal(fromLabelSelectorObject(undefined)({ a: 'b' }), false);
    assert.equal(fromLabelSelectorObject({})({ a: 'b' }), true);
  });

  test('labels and expressions must all match', () => {
    const selector = {
      matchLabels: { app: 'x' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['a', 'b'] },
        { key: 'old', operator: 'DoesNotExist' },
      ],
    };
    const matches = fromLabelSelectorObject(selector);
    assert.equal(matches({ app: 'x', tier: 'b' }), true);
    assert.equal(matches({ app: 'x', tier: 'b', old: '' }), false);
    assert.equal(matches({ app: 'x' }), false);
    assert.equal(labelSelectorObjectText(selector), 'app=x,tier in (a,b),!old');
  });

  test('what a server would refuse is refused', () => {
    for (const expression of [
      { key: 'a', operator: 'In' },
      { key: 'a', operator: 'Exists', values: ['x'] },
      { key: 'a', operator: 'Like', values: ['x'] },
      { key: '', operator: 'Exists' },
    ]) {
      assert.throws(() => fromLabelSelectorObject({ matchExpressions: [expression] }), refused);
    }
  });
});

suite('field selectors', () => {
  const object: Readonly<Record<string, string>> = {
    'metadata.name': 'x',
    'status.phase': 'a,b=c',
  };
  const matches = (text: string): boolean =>
    matchesFields(parseFieldSelector(text), (field) => object[field]);

  test('comparisons, escapes, and fields that are not there', () => {
    assert.equal(matches(''), true);
    assert.equal(matches('metadata.name=x'), true);
    assert.equal(matches('metadata.name==x,status.phase!=x'), true);
    assert.equal(matches('metadata.name!=x'), false);
    assert.equal(matches('status.phase=a\\,b\\=c'), true);
    assert.equal(matches('spec.nodeName='), true);
    assert.equal(matches('spec.nodeName!='), false);
  });

  test('text that is no comparison is refused', () => {
    for (const text of ['metadata.name', 'a=b=c', 'a=\\x', 'a=\\', '=b']) {
      assert.throws(() => parseFieldSelector(text), refused, text);
    }
  });

  test('what is printed is read again as the same', () => {
    const value = fc.array(fc.constantFrom('a', ',', '=', '\\', ' '), { maxLength: 6 });
    fc.assert(
      fc.property(value, fc.boolean(), (parts, equal) => {
        const requirement = { field: 'metadata.name', equal, value: parts.join('') };
        assert.deepEqual(parseFieldSelector(fieldRequirementText(requirement)), [requirement]);
      }),
    );
  });
});
