// docs/reference/rights.md from the rules that an installation grants.
import {
  controllerAccount,
  controllerRules,
  controllerSystemRules,
  migrateRole,
  migrateRules,
  peerAccount,
  peerRules,
  systemNamespace,
} from '../../src/controllers/installation.ts';
import {
  installerRole,
  installerRules,
  installerSystemRules,
} from '../../src/controllers/installation/installer.ts';
import { code, generatedFrom, table } from './markdown.ts';

type Rules = typeof controllerRules;

function rows(rules: Rules): readonly (readonly string[])[] {
  return rules.map(({ apiGroups, resources, verbs, resourceNames = [] }) => [
    apiGroups.map((group) => (group === '' ? 'core' : code(group))).join(', '),
    resources.map(code).join(', ') +
      (resourceNames.length === 0 ? '' : ` named ${resourceNames.map(code).join(', ')}`),
    verbs.join(', '),
  ]);
}

const headers = ['API group', 'resources', 'verbs'];

export function rightsReference(): string {
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
    'the destination.',
    '',
    ...table(headers, rows(migrateRules)),
    '',
    'It is bound for all namespaces in clusters that `transship up` starts. In a cluster that',
    '`transship cluster add` makes known it is bound only with `--migrations`. For single',
    'namespaces bind it yourself, for the account of the hub in the other cluster:',
    '',
    '```',
    `kubectl create rolebinding ${migrateRole} --clusterrole ${migrateRole} \\`,
    `  --namespace NAMESPACE --serviceaccount ${systemNamespace}:${peerAccount('HUB')}`,
    '```',
    '',
    `In the cluster of the hub itself the account is \`${controllerAccount}\`; bind it in the`,
    'namespace of the plan, too, where runs keep what they decided in Secrets. Such a plan makes',
    'no namespaces: make them, and set its `spec.createNamespaces` to false. The check',
    '`MissingRights` of a plan names each rule that is missing.',
    '',
    ...ofInstallers(),
    '',
    '## People',
    '',
    'Cluster roles `view`, `edit` and `admin` include the kinds: `view` reads all of them, `edit`',
    'also makes and changes those that belong to a namespace (Teleport, Plan, …). Volumes, pools,',
    'policies and clusters are changed by whoever administers the cluster.',
  ];
  return `${lines.join('\n')}\n`;
}

function ofInstallers(): readonly string[] {
  return [
    '## Whoever installs',
    '',
    'An administrator can install. Anybody else can with these rights, which an administrator',
    'grants once:',
    '',
    '```',
    'kubectl apply -f deploy/installer.yaml',
    `kubectl create clusterrolebinding ${installerRole} --clusterrole ${installerRole} --user NAME`,
    `kubectl create rolebinding ${installerRole} --role ${installerRole} --user NAME \\`,
    `  --namespace ${systemNamespace}`,
    '```',
    '',
    'They are for `transship install`, `cluster introduce` and `uninstall`. With `escalate` and',
    '`bind` it grants our roles what they have to have, and could grant them more: guard it as',
    'an administrator. The right that somebody lacks is named, and nothing is taken back.',
    '',
    'Everywhere:',
    '',
    ...table(headers, rows(installerRules)),
    '',
    `In the namespace \`${systemNamespace}\`, which is made first for that (uninstalling`,
    'removes it, and these with it):',
    '',
    ...table(headers, rows(installerSystemRules)),
  ];
}
