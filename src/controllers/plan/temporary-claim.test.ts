import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimOfTemporary, isTemporary, temporaryName } from './temporary-claim.ts';

const move = '6f1c2f7e-0000-4000-8000-000000000000';
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

test('a name for a while leads back to the claim', () => {
  const name = temporaryName(move, 'data-db-0');
  assert.equal(claimOfTemporary(move, name), 'data-db-0');
  assert.ok(isTemporary({ metadata: { name } } as never, move));
  assert.equal(claimOfTemporary(move, 'data-db-0'), undefined);
});

test('long names are cut to valid ones, and no two of them are the same', () => {
  const start = `${'x'.repeat(222)}.${'a.b-'.repeat(4)}`;
  const claims = 'abcdefgh'.split('').flatMap((one) => {
    return [240, 241, 243, 244, 252, 253].map((length) => start.padEnd(length - 1, 'y') + one);
  });
  const names = claims.map((claim) => temporaryName(move, claim));
  assert.equal(new Set(names).size, claims.length);
  for (const [i, name] of names.entries()) {
    assert.ok(name.length <= 253, name);
    assert.match(name, subdomain);
    assert.ok(isTemporary({ metadata: { name } } as never, move));
    const claim = claims[i] ?? '';
    assert.equal(claimOfTemporary(move, name), claim.length <= 243 ? claim : undefined);
  }
});
