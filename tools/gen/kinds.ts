// docs/reference/kinds.md from the table of kinds.
import { kinds } from '../../src/api/kinds/all.ts';
import {
  type CustomResourceVersion,
  crdOf,
  type StructuralSchema,
} from '../../src/api/kinds/crd.ts';
import { groupVersion, type KindDefinition } from '../../src/api/kinds/kind.ts';
import { code, generatedFrom, table } from './markdown.ts';

interface Field {
  readonly path: string;
  readonly schema: StructuralSchema;
  readonly required: boolean;
}

/** Every field below a node, parents first, as `kubectl explain` names them. */
function* fieldsOf(schema: StructuralSchema, path: string): Generator<Field> {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const required = schema.required?.includes(name) ?? false;
    // Conditions are alike in all kinds and explained once.
    if (name === 'conditions') continue;
    const list = child.type === 'array' ? '[]' : '';
    const at = `${path}${name}${list}`;
    yield { path: at, schema: child, required };
    yield* fieldsOf(child.items ?? child, `${at}.`);
  }
}

function typeOf(schema: StructuralSchema): string {
  const { items, additionalProperties } = schema;
  if (items !== undefined) return `list of ${typeOf(items)}`;
  if (additionalProperties !== undefined) return `map of ${typeOf(additionalProperties)}`;
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  return schema.format === 'date-time' ? 'time' : schema.type;
}

function presence({ schema, required }: Field): string {
  if (required) return 'required';
  return schema.default === undefined ? '' : code(JSON.stringify(schema.default));
}

function fieldTable(schema: StructuralSchema, spec: boolean): readonly string[] {
  const rows = [...fieldsOf(schema, '')].map((field) => {
    const { path, schema: of } = field;
    const about = of.description ?? '';
    const cells = [code(path), typeOf(of)];
    return spec ? [...cells, presence(field), about] : [...cells, about];
  });
  const middle = spec ? ['default'] : [];
  return table(['field', 'type', ...middle, 'meaning'], rows);
}

function* rulesOf(schema: StructuralSchema): Generator<string> {
  for (const { message } of schema['x-kubernetes-validations'] ?? []) yield message;
  for (const child of Object.values(schema.properties ?? {})) yield* rulesOf(child);
  if (schema.items !== undefined) yield* rulesOf(schema.items);
}

function columnRows(served: CustomResourceVersion): readonly (readonly string[])[] {
  return served.additionalPrinterColumns.map(({ name, priority, jsonPath, description }) => [
    priority === 1 ? `${name} (wide)` : name,
    code(jsonPath),
    description,
  ]);
}

function section(definition: KindDefinition): readonly string[] {
  const [served] = crdOf(definition).spec.versions;
  const { openAPIV3Schema: whole } = served.schema;
  const rules = [...new Set(rulesOf(whole))];
  const conditions = definition.conditions.map(({ type, meaning }) => [code(type), meaning]);
  const { kind, about, plural, shortNames, namespaced } = definition;
  return [
    `## ${kind}`,
    '',
    about,
    '',
    `${namespaced ? 'In a namespace' : 'Without a namespace'}. \`kubectl get ${plural}\`, or ` +
      `\`kubectl get ${shortNames.join(' ')}\`.`,
    '',
    '### Spec',
    '',
    ...fieldTable(whole.properties!['spec']!, true),
    ...(rules.length === 0 ? [] : ['', 'Rules:', '', ...rules.map((rule) => `- ${rule}`)]),
    '',
    '### Status',
    '',
    ...fieldTable(whole.properties!['status']!, false),
    '',
    ...table(['condition', 'True means'], conditions),
    '',
    ...table(['column', 'from', 'meaning'], columnRows(served)),
    '',
  ];
}

export function kindsReference(): string {
  const rows = kinds.map(({ kind, shortNames, namespaced, about }) => [
    `[${kind}](#${kind.toLowerCase()})`,
    shortNames.map(code).join(', '),
    namespaced ? 'namespace' : 'cluster',
    about,
  ]);
  const lines = [
    generatedFrom('`src/api/kinds`'),
    '',
    '# Kinds',
    '',
    `Objects of API version \`${groupVersion}\`. \`kubectl get transship -A\` lists all of them;`,
    '`kubectl explain teleport.spec` says what is here, for the version that a cluster runs. The',
    'manifests are in `deploy/crds`.',
    '',
    ...table(['kind', 'short name', 'scope', 'what it is'], rows),
    '',
    'Sizes are quantities as Kubernetes writes them (`10Gi`), durations one number with `s`, `m`,',
    '`h`, `d` or `w`, moments RFC 3339 in any time zone. Bytes in a status are whole numbers.',
    '',
    'Every status has `observedGeneration` and `conditions`: `type`, `status` (`True`, `False` or',
    '`Unknown`), a `reason` of one word, a `message` for people and `lastTransitionTime`. `Ready`',
    'sums the others up. Kinds that run to an end also have `Succeeded`, which is `Unknown` while',
    'they run: `kubectl wait --for=condition=Succeeded` waits for it. Phases, and what is under',
    '`display`, are for people. What is being deleted may have `Deleting`, whose message says what',
    'holds it up.',
    '',
    ...kinds.flatMap(section),
  ];
  return `${lines.join('\n').trimEnd()}\n`;
}
