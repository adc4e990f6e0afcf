// Writes the table by which the embedded API server reads protobuf bodies of built-in kinds:
//   with-node.sh tools/gen/protobuf-fields.ts MODULES > src/embedded/server/protobuf-fields.json
// MODULES is the folder of the Go modules k8s.io/api@V and k8s.io/apimachinery@V, of the version
// that tools/kubernetes pins. Taken from their sources are field numbers, names and types.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { argv, stdout } from 'node:process';

const version = 'v0.36.3';

const packages: Readonly<Record<string, string>> = {
  meta: 'k8s.io/apimachinery/pkg/apis/meta/v1',
  core: 'k8s.io/api/core/v1',
  apps: 'k8s.io/api/apps/v1',
  batch: 'k8s.io/api/batch/v1',
  rbac: 'k8s.io/api/rbac/v1',
  storage: 'k8s.io/api/storage/v1',
  coordination: 'k8s.io/api/coordination/v1',
  events: 'k8s.io/api/events/v1',
  networking: 'k8s.io/api/networking/v1',
  policy: 'k8s.io/api/policy/v1',
  autoscaling: 'k8s.io/api/autoscaling/v1',
  autoscalingv2: 'k8s.io/api/autoscaling/v2',
  scheduling: 'k8s.io/api/scheduling/v1',
  discovery: 'k8s.io/api/discovery/v1',
  authentication: 'k8s.io/api/authentication/v1',
  authorization: 'k8s.io/api/authorization/v1',
};

/** API versions, and the package of each. */
const roots: Readonly<Record<string, string>> = {
  v1: 'core',
  'meta.k8s.io/v1': 'meta',
  'apps/v1': 'apps',
  'batch/v1': 'batch',
  'rbac.authorization.k8s.io/v1': 'rbac',
  'storage.k8s.io/v1': 'storage',
  'coordination.k8s.io/v1': 'coordination',
  'events.k8s.io/v1': 'events',
  'networking.k8s.io/v1': 'networking',
  'policy/v1': 'policy',
  'autoscaling/v1': 'autoscaling',
  'autoscaling/v2': 'autoscalingv2',
  'scheduling.k8s.io/v1': 'scheduling',
  'discovery.k8s.io/v1': 'discovery',
  'authentication.k8s.io/v1': 'authentication',
  'authorization.k8s.io/v1': 'authorization',
};

/** Types with a form of their own in JSON. */
const special: Readonly<Record<string, string>> = {
  'meta.Time': 'Time',
  'meta.MicroTime': 'MicroTime',
  'meta.Duration': 'Duration',
  'meta.FieldsV1': 'Raw',
  'resource.Quantity': 'Quantity',
  'intstr.IntOrString': 'IntOrString',
  'runtime.RawExtension': 'Raw',
};

const basic: Readonly<Record<string, string>> = {
  string: 's',
  bool: 'b',
  int: 'i',
  int32: 'i',
  int64: 'i',
  uint32: 'i',
  float64: 'f',
  'types.UID': 's',
  'types.NodeName': 's',
  byte: 'y',
};

interface Declaration {
  readonly pkg: string;
  readonly text: string;
  readonly imports: ReadonlyMap<string, string>;
}

function readPackage(modules: string, pkg: string, path: string): Map<string, Declaration> {
  const module = path.startsWith('k8s.io/api/') ? 'k8s.io/api' : 'k8s.io/apimachinery';
  const folder = join(
    modules,
    `${module.slice('k8s.io/'.length)}@${version}`,
    path.slice(module.length),
  );
  if (!existsSync(folder)) throw new Error(`${folder} is not there`);
  const found = new Map<string, Declaration>();
  for (const file of readdirSync(folder)) {
    if (!file.endsWith('.go') || /_test|generated|zz_/.test(file)) continue;
    const source = readFileSync(join(folder, file), 'utf8');
    const imports = importsOf(source);
    for (const [, name = '', text = ''] of source.matchAll(
      /^type (\w+) (struct \{[\s\S]*?^\}|[^\n{]+)$/gm,
    )) {
      found.set(name, { pkg, text, imports });
    }
  }
  return found;
}

function importsOf(source: string): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const byPath = new Map(Object.entries(packages).map(([name, path]) => [path, name]));
  for (const [, alias, path = ''] of source.matchAll(
    /^\s*(?:import\s+)?(\w+)?\s*"(k8s\.io[^"]+)"/gm,
  )) {
    const last = path.split('/').at(-1) ?? '';
    names.set(alias ?? last, byPath.get(path) ?? last);
  }
  return names;
}

class Table {
  readonly messages = new Map<string, readonly string[]>();
  readonly #declared: ReadonlyMap<string, Declaration>;

  constructor(declared: ReadonlyMap<string, Declaration>) {
    this.#declared = declared;
  }

  add(name: string): void {
    if (this.messages.has(name)) return;
    const declaration = this.#declared.get(name);
    if (declaration === undefined) throw new Error(`${name} is not declared`);
    this.messages.set(name, []);
    this.messages.set(name, this.#fieldsOf(declaration));
  }

  #fieldsOf(declaration: Declaration): readonly string[] {
    const pattern = /^\s+(?:(\w+)\s+)?([\w.*[\]]+)\s+`([^`]*)`/gm;
    return [...declaration.text.matchAll(pattern)].flatMap(([, , type = '', tags = '']) => {
      const number = /protobuf:"\w+,(\d+)/.exec(tags)?.[1];
      const json = /json:"([^"]*)"/.exec(tags)?.[1];
      if (number === undefined || json === undefined) return [];
      const [name = '', ...options] = json.split(',');
      const isInline = name === '' && options.includes('inline');
      const isOmitted = options.includes('omitempty') && !type.startsWith('*');
      const code = this.#codeOf(type.replace(/^\*/, ''), declaration);
      return [`${number} ${isInline ? '-' : name} ${code}${isOmitted ? '?' : ''}`];
    });
  }

  #codeOf(type: string, from: Declaration): string {
    if (type === '[]byte') return 'y';
    if (type.startsWith('[]')) return `[]${this.#codeOf(type.slice(2).replace(/^\*/, ''), from)}`;
    const map = /^map\[[\w.]+\](.+)$/.exec(type);
    if (map !== null) return `{}${this.#codeOf(map[1] ?? '', from)}`;
    const known = basic[type];
    if (known !== undefined) return known;
    const [left = '', right] = type.split('.');
    const name = right === undefined ? `${from.pkg}.${left}` : `${from.imports.get(left)}.${right}`;
    return this.#named(name);
  }

  #named(name: string): string {
    const own = special[name] ?? basic[name];
    if (own !== undefined) return own;
    const declaration = this.#declared.get(name);
    if (declaration === undefined) throw new Error(`${name} is not declared`);
    const { text } = declaration;
    if (text.startsWith('struct')) {
      this.add(name);
      return name;
    }
    // A named list is a message with one field, a named map is none.
    if (text.startsWith('[]') && text !== '[]byte') return 'Items';
    return this.#codeOf(
      text
        .replace(/^=\s*/, '')
        .replace(/\s*\/\/.*/, '')
        .trim(),
      declaration,
    );
  }
}

function generate(modules: string): string {
  const declared = new Map<string, Declaration>();
  for (const [pkg, path] of Object.entries(packages)) {
    for (const [name, declaration] of readPackage(modules, pkg, path)) {
      declared.set(`${pkg}.${name}`, declaration);
    }
  }
  const table = new Table(declared);
  const kinds: Record<string, string> = {};
  for (const [apiVersion, pkg] of Object.entries(roots)) kinds[apiVersion] = pkg;
  for (const [name, { pkg, text }] of declared) {
    const isKind = /TypeMeta\s+`json:",inline"/.test(text) && !/ListMeta\s+`json/.test(text);
    if (isKind && (pkg !== 'meta' || name === 'meta.DeleteOptions')) table.add(name);
  }
  const messages = Object.fromEntries([...table.messages].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  return `${JSON.stringify({ version, packages: kinds, messages }, undefined, 1)}\n`;
}

const [, , modules] = argv;
if (modules === undefined) throw new Error('usage: protobuf-fields.ts FOLDER_OF_GO_MODULES');
stdout.write(generate(modules));
