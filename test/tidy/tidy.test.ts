// The rules, run on this repository. `npm run tidy` prints the same findings as a plain list.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRepository } from './repository.ts';
import { checkAll, formatFinding, rules } from './rules.ts';

const findings = checkAll(readRepository());

for (const name of [...rules.map((rule) => rule.name), 'stale-exemption']) {
  test(`the repository keeps the rule ${name}`, () => {
    const broken = findings.filter((finding) => finding.rule === name).map(formatFinding);
    assert.equal(broken.length, 0, `\n${broken.join('\n')}`);
  });
}
