// docs/reference/rights.md from the rules that an installation grants.
import {
  controllerRules,
  controllerSystemRules,
  migrateRole,
  migrateRules,
  peerRules,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import { code, generatedFrom, table } from './markdown.ts';

type Rules = typeof controllerRules;

function rows(rules: Rules): readonly (readonly string[])[] {
  return rules.map(({ apiGroups, resources, verbs }) => [
    apiGroups.map((group) => (group === '' ? 'core' : code(group))).join(', '),
    resources.map(code).join(', '),
    verbs.join(', '),
  ]);
}

export function rightsReference(): string {
  const headers = ['API group', 'resources', 'verbs'];
  const lines = [
    generatedFrom('`src/controllers/installation.ts`'),
    '',
    '# Rights',
    '',
    'What Transship asks for in a cluster. A right that is missing is named in a condition with',
    'the reason `Forbidden`, and the work goes on when it is granted.',
    '',
    '## The controller, everywhere in its own cluster',
    '',
    ...table(headers, rows(controllerRules)),
    '',
    `## The controller, in the namespace \`${systemNamespace}\` only`,
    '',
    ...table(headers, rows(controllerSystemRules)),
    '',
    '## The hub of another cluster, here',
    '',
    'With the account that `transship up` or `transship cluster add` made for it.',
    '',
    ...table(headers, rows(peerRules)),
    '',
    '## Both of them, to move namespaces',
    '',
    `The cluster role \`${migrateRole}\`: objects of any kind are read at the source and made at`,
    'the destination. Who wants less deletes its cluster role bindings and binds the role in',
    'single namespaces; the check `MissingRights` of a plan names each rule that is missing then.',
    '',
    ...table(headers, rows(migrateRules)),
    '',
    '## People',
    '',
    'Cluster roles `view`, `edit` and `admin` include the kinds: `view` reads all of them, `edit`',
    'also makes and changes those that belong to a namespace (Teleport, Plan, …). Volumes, pools,',
    'policies and clusters are changed by whoever administers the cluster.',
  ];
  return `${lines.join('\n')}\n`;
}
