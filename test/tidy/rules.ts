import { type Exemption, exemptions } from './exemptions.ts';
import { layerRules } from './layers.ts';
import type { Finding, Repository, Rule } from './rule.ts';
import { shapeRules } from './shape.ts';
import { stateRules } from './state.ts';
import { wholeRules } from './whole.ts';
import { worldRules } from './world.ts';

export const rules: readonly Rule[] = [
  ...layerRules,
  ...worldRules,
  ...stateRules,
  ...shapeRules,
  ...wholeRules,
];

/** What is left after the exemptions, and the exemptions that exempt nothing. */
export function applyExemptions(
  findings: readonly Finding[],
  table: readonly Exemption[] = exemptions,
): readonly Finding[] {
  const covers = (exemption: Exemption, finding: Finding): boolean =>
    exemption.rule === finding.rule && exemption.file === finding.path;
  const stale = table.filter((exemption) => !findings.some((f) => covers(exemption, f)));
  return [
    ...findings.filter((finding) => !table.some((exemption) => covers(exemption, finding))),
    ...stale.map((exemption) => ({
      rule: 'stale-exemption',
      path: 'test/tidy/exemptions.ts',
      line: 1,
      message: `${exemption.file} no longer needs its exemption from ${exemption.rule}: remove it`,
    })),
  ];
}

export function checkAll(repository: Repository): readonly Finding[] {
  return applyExemptions(rules.flatMap((rule) => rule.check(repository)));
}

export function formatFinding({ rule, path, line, message }: Finding): string {
  return `${path}:${line}: ${rule}: ${message}`;
}
