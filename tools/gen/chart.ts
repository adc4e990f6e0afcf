// deploy/install.yaml and deploy/chart from the objects of an installation. The templates are the
// very objects with marks for values, which become expressions of Helm.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import {
  chosenObjects,
  definitions,
  installationParts,
} from '../../src/controllers/installation/bundle.ts';
import { installerObjects } from '../../src/controllers/installation/installer.ts';
import { systemNamespace } from '../../src/controllers/installation/names.ts';
import {
  type Value,
  type ValueRow,
  valueRows,
} from '../../src/controllers/installation/value-rows.ts';
import { defaultValues, Values } from '../../src/controllers/installation/values.ts';
import type { KubeObject } from '../../src/kube/objects.ts';

const root = join(import.meta.dirname, '../..');
const chart = 'deploy/chart';
const made = 'Made by `npm run gen` from src/controllers/installation; change that, not this.';
const markPattern = /@@([\w.]+)@@/g;

function version(): string {
  const text = readFileSync(join(root, 'package.json'), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

const rows = valueRows(version());
const rowOf = new Map(rows.map((row) => [row.path, row]));
const yaml = (value: unknown, width = 0): string =>
  stringify(value, { lineWidth: width, aliasDuplicateObjects: false });

function manifests(): string {
  const chosen = new Values(defaultValues(version()));
  const objects = [...definitions(), ...chosenObjects(chosen)];
  const head = [
    `# ${made}`,
    '# Transship with the values of deploy/chart/values.yaml:',
    '#   kubectl apply --server-side -f deploy/install.yaml',
    '# Before that, give the cluster its name: the words after --name and --of.',
  ].join('\n');
  return `${head}\n${objects.map((object) => `---\n${yaml(object)}`).join('')}`;
}

function installer(): string {
  const head = [
    `# ${made}`,
    '# For whoever installs without being an administrator: see docs/reference/rights.md.',
  ].join('\n');
  return `${head}\n${installerObjects()
    .map((object) => `---\n${yaml(object)}`)
    .join('')}`;
}

/** Each value is a mark, which no other text has. */
function marked(): Values {
  return new Values(new Map(rows.map(({ path }) => [path, `@@${path}@@`])));
}

const expression = (path: string): string => `.Values.${path}`;

const isSwitch = (path: string): boolean => typeof rowOf.get(path)?.value === 'boolean';

/** A line of YAML with marks as a line of a template. */
function templateLine(line: string): string {
  const alone = /^(\s*)(?:- )?(?:([\w.-]+): )?"@@([\w.]+)@@"$/.exec(line);
  const row = rowOf.get(alone?.[3] ?? '');
  if (alone !== null && row !== undefined && typeof row.value !== 'string') {
    const [whole = '', indent = '', key] = alone;
    const before = whole.slice(0, whole.indexOf('"'));
    if (typeof row.value === 'object') {
      const block = `{{- toYaml ${expression(row.path)} | nindent ${indent.length + 2} }}`;
      return `${indent}${key}: ${block}`;
    }
    return `${before}{{ ${expression(row.path)} }}`;
  }
  const isListed = /^\s*- /.test(line);
  const replaced = line.replaceAll(
    markPattern,
    // Of a word that is there or not, nothing is to be seen but the word.
    (_mark, path: string) => (isListed && isSwitch(path) ? '' : `{{ ${expression(path)} }}`),
  );
  const optional = [...line.matchAll(markPattern)]
    .map(([, path]) => path ?? '')
    .find((path) => isListed && (rowOf.get(path)?.value === '' || isSwitch(path)));
  if (optional === undefined) return replaced;
  return `{{- if ${expression(optional)} }}\n${replaced}\n{{- end }}`;
}

function template(object: KubeObject, when: readonly string[]): string {
  const text = stringify(object, {
    lineWidth: 0,
    aliasDuplicateObjects: false,
    defaultStringType: 'QUOTE_DOUBLE',
    defaultKeyType: 'PLAIN',
  });
  const lines = text.trimEnd().split('\n').map(templateLine).join('\n');
  const body = `---\n${lines}\n`;
  const all = when.map(expression).join(' ');
  const condition = when.length > 1 ? `and ${all}` : all;
  return when.length === 0 ? body : `{{- if ${condition} }}\n${body}{{- end }}\n`;
}

function templates(): string {
  const parts = installationParts(marked());
  const body = parts.map(({ object, when = [] }) => template(object, when)).join('');
  return `{{- /* ${made} */ -}}\n${body}`;
}

/** They stay when the chart goes: deleting them would delete every object of theirs. */
function kept(): string {
  const objects = definitions().map((object) => {
    const annotations = { ...object.metadata.annotations, 'helm.sh/resource-policy': 'keep' };
    return { ...object, metadata: { ...object.metadata, annotations } };
  });
  return `# ${made}\n${objects.map((object) => `---\n${yaml(object)}`).join('')}`;
}

const kindsTemplate = `{{- /* ${made} */ -}}
{{- if .Values.manageCRDs }}
{{ .Files.Get "files/kinds.yaml" }}
{{- end }}
`;

const dashboardsTemplate = `{{- /* ${made} */ -}}
{{- if .Values.dashboards }}
{{- range $path, $_ := .Files.Glob "files/dashboards/*.json" }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: transship-{{ base $path | trimSuffix ".json" }}
  namespace: ${systemNamespace}
  labels:
    app.kubernetes.io/name: transship
    app.kubernetes.io/part-of: transship
    grafana_dashboard: "1"
data:
  {{ base $path }}: |-
{{ $.Files.Get $path | indent 4 }}
{{- end }}
{{- end }}
`;

type Tree = { [key: string]: Tree | ValueRow };

function tree(): Tree {
  const top: Tree = {};
  for (const row of rows) {
    const words = row.path.split('.');
    const last = words.pop() ?? '';
    let at = top;
    for (const word of words) at = (at[word] ??= {}) as Tree;
    at[last] = row;
  }
  return top;
}

const isRow = (node: Tree | ValueRow): node is ValueRow =>
  'about' in node && typeof node.about === 'string';

function comment(row: ValueRow, indent: string): string {
  const { about, choices } = row;
  const all = choices?.map((one) => (one === '' ? '""' : one)).join(', ');
  const words = `${about}${all === undefined ? '' : ` One of ${all}.`}`;
  const lines: string[] = [''];
  for (const word of words.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last !== '' && indent.length + last.length + word.length > 95) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.map((line) => `${indent}# ${line}\n`).join('');
}

function valuesText(node: Tree, indent = ''): string {
  return Object.entries(node)
    .map(([key, below]) => {
      if (!isRow(below)) return `${indent}${key}:\n${valuesText(below, `${indent}  `)}`;
      const text = yaml({ [key]: below.value }).replaceAll(/^(?=.)/gm, indent);
      return `${comment(below, indent)}${text}`;
    })
    .join(indent === '' ? '\n' : '');
}

function schemaOfValue(value: Value): object {
  if (Array.isArray(value)) return { type: 'array' };
  if (typeof value === 'object') return { type: 'object' };
  return { type: typeof value === 'number' ? 'integer' : typeof value };
}

function schemaOf(node: Tree): object {
  const properties = Object.entries(node).map(([key, below]) => {
    if (!isRow(below)) return [key, schemaOf(below)] as const;
    const { about, choices, pattern, value } = below;
    const schema = {
      description: about,
      ...schemaOfValue(value),
      ...(choices === undefined ? {} : { enum: choices }),
      ...(pattern === undefined ? {} : { pattern }),
    };
    return [key, schema] as const;
  });
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
}

function schemaText(): string {
  const schema = schemaOf(tree()) as { properties: object };
  // What Helm itself puts there.
  const properties = { ...schema.properties, global: { type: 'object' } };
  const head = { $schema: 'http://json-schema.org/draft-07/schema#', title: 'Transship' };
  return `${JSON.stringify({ ...head, ...schema, properties }, null, 2)}\n`;
}

function chartText(): string {
  const about = 'Moves running workloads, their volumes and their images between clusters.';
  return `# ${made}\n${yaml({
    apiVersion: 'v2',
    name: 'transship',
    description: about,
    type: 'application',
    version: version(),
    appVersion: version(),
    kubeVersion: '>=1.27.0-0',
    keywords: ['storage', 'migration', 'csi', 'teleport'],
  })}`;
}

const notes = `Transship is installed in the namespace ${systemNamespace};
the cluster is called {{ .Values.clusterName }}.

Wait until its agents answer:
  kubectl wait cluster.transship.dev/{{ .Values.clusterName }} --for=condition=Ready --timeout=5m

{{- if not .Values.migrations }}
It may not move namespaces: set migrations=true, or bind the cluster role transship-migrate in
single namespaces (docs/reference/rights.md).
{{- end }}
How clusters join, and what peers need to reach: docs/guides/install.md
`;

const dashboardFiles = readdirSync(join(root, 'deploy/dashboards')).filter((file) =>
  file.endsWith('.json'),
);

/** Each file's path, and what is in it. */
export const chartFiles: readonly (readonly [path: string, render: () => string])[] = [
  ['deploy/install.yaml', manifests],
  ['deploy/installer.yaml', installer],
  [`${chart}/Chart.yaml`, chartText],
  [`${chart}/values.yaml`, () => `# ${made}\n\n${valuesText(tree())}`],
  [`${chart}/values.schema.json`, schemaText],
  [`${chart}/templates/transship.yaml`, templates],
  [`${chart}/templates/kinds.yaml`, () => kindsTemplate],
  [`${chart}/templates/dashboards.yaml`, () => dashboardsTemplate],
  [`${chart}/templates/NOTES.txt`, () => notes],
  [`${chart}/files/kinds.yaml`, kept],
  ...dashboardFiles.map(
    (file) =>
      [
        `${chart}/files/dashboards/${file}`,
        () => readFileSync(join(root, 'deploy/dashboards', file), 'utf8'),
      ] as const,
  ),
];
