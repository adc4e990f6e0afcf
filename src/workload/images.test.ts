import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createImageRewriter, imageText, parseImage } from './images.ts';

const digest = `sha256:${'a'.repeat(64)}`;

test('image references are read as container runtimes read them', () => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['nginx', 'docker.io/library/nginx'],
    ['team/app:1', 'docker.io/team/app:1'],
    ['localhost/app', 'localhost/app'],
    ['registry:5000/a/b:v1', 'registry:5000/a/b:v1'],
    [`r.example.com/a@${digest}`, `r.example.com/a@${digest}`],
    [`r.example.com/a:1@${digest}`, `r.example.com/a:1@${digest}`],
    ['Upper/app', 'Upper/app'],
    ['', undefined],
    ['a:b:c', undefined],
    ['a b', undefined],
    ['app@sha256:short', undefined],
  ];
  for (const [text, expected] of cases) {
    const image = parseImage(text);
    assert.equal(image === undefined ? undefined : imageText(image), expected, text);
  }
});

test('what is written out is read back the same', () => {
  const part = fc.stringMatching(/^[a-z0-9]{1,8}$/);
  const image = fc.record(
    {
      host: part.map((name) => `${name}.example.com`),
      repository: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
      tag: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/),
      digest: fc.constant(digest),
    },
    { requiredKeys: ['host', 'repository'], noNullPrototype: true },
  );
  fc.assert(fc.property(image, (one) => assert.deepEqual(parseImage(imageText(one)), one)));
});

test('rules rewrite registries, repositories and single images; the most exact wins', () => {
  const rewrite = createImageRewriter([
    { from: 'old.example.com', to: 'new.example.com' },
    { from: 'old.example.com/team/', to: 'team.example.com/x' },
    { from: 'old.example.com/team/app:1', to: `pinned.example.com/app@${digest}` },
    { from: 'nginx', to: 'mirror.example.com/nginx' },
  ]);
  assert.equal(rewrite('old.example.com/a:1'), 'new.example.com/a:1');
  assert.equal(rewrite('old.example.com/team/b:2'), 'team.example.com/x/b:2');
  assert.equal(rewrite('old.example.com/team/app:1'), `pinned.example.com/app@${digest}`);
  assert.equal(rewrite('old.example.com/team/app:2'), 'team.example.com/x/app:2');
  assert.equal(rewrite('nginx:1.29'), 'mirror.example.com/nginx:1.29');
  assert.equal(rewrite('nginx-other'), undefined);
  assert.equal(rewrite('old.example.com.evil/a'), undefined);
  assert.throws(() => createImageRewriter([{ from: 'a b', to: 'c' }]), /is no image/);
});
