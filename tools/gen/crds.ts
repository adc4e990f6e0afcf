// deploy/crds/transship.dev_PLURAL.yaml from the table of kinds.
import { stringify } from 'yaml';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { group, type KindDefinition } from '../../src/api/kinds/kind.ts';

const folder = 'deploy/crds';

function manifest(definition: KindDefinition): string {
  const body = stringify(crdOf(definition), { lineWidth: 100, aliasDuplicateObjects: false });
  return `# Made by \`npm run gen\` from src/api/kinds; change that, not this.\n${body}`;
}

/** Each manifest's path, and what is in it. */
export const crdFiles: readonly (readonly [path: string, render: () => string])[] = kinds.map(
  (definition) => [`${folder}/${group}_${definition.plural}.yaml`, () => manifest(definition)],
);
