/** Namespaces by their new names, wherever an object names them. */
import type { KubeObject } from '../kube/objects.ts';
import { changeAt, each, type FieldPath, isFields, pathText } from './fields.ts';
import { containerPaths } from './pod-specs.ts';
import type { Draft, Step, TransformContext } from './transform-context.ts';

type Names = Readonly<Record<string, string>>;
type Place = readonly (string | number)[];

/** Lists of namespaces: of affinity terms, and of selectors of monitors. */
const lists: ReadonlySet<string> = new Set(['namespaces', 'matchNames', 'targetNamespaces']);
/** Where `namespace` is a label's key. */
const labels: ReadonlySet<string> = new Set([
  'labels',
  'matchLabels',
  'annotations',
  'selector',
  'nodeSelector',
]);
/** As deep as objects go. */
const depthMax = 64;
/** What holds text of the user, not references. */
const userText: ReadonlySet<string> = new Set(['data', 'binaryData', 'stringData', 'status']);

export const mapNamespaces: Step = (draft, context) => {
  const names = context.namespaces;
  const mapped = (name: unknown): string | undefined =>
    typeof name === 'string' && Object.hasOwn(names, name) && names[name] !== name
      ? names[name]
      : undefined;
  const walk = new Walk(draft, mapped);
  let { object } = draft;
  object = changeAt(object, ['metadata', 'namespace'], (value) => mapped(value) ?? value);
  if (object.kind === 'Namespace' && object.apiVersion === 'v1') {
    object = changeAt(object, ['metadata', 'name'], (value) => mapped(value) ?? value);
  }
  for (const field of Object.keys(object)) {
    if (['apiVersion', 'kind', 'metadata'].includes(field) || userText.has(field)) continue;
    object = changeAt(object, [field], (value, place) => walk.visit(value, place, false));
  }
  return mapServiceNames({ ...draft, object }, context, names);
};

/** Goes through everything that can name a namespace. */
class Walk {
  readonly #draft: Draft;
  readonly #mapped: (name: unknown) => string | undefined;

  constructor(draft: Draft, mapped: (name: unknown) => string | undefined) {
    this.#draft = draft;
    this.#mapped = mapped;
  }

  /** `isSelector`: the value is one of label values of namespaces. */
  visit(value: unknown, place: Place, isSelector: boolean): unknown {
    if (place.length > depthMax) return value;
    if (Array.isArray(value)) {
      const list = value.map((one, i) => this.visit(one, [...place, i], isSelector));
      return list.every((one, i) => one === value[i]) ? value : list;
    }
    if (isFields(value)) return this.#visitFields(value, place, isSelector);
    return value;
  }

  #visitFields(
    fields: Readonly<Record<string, unknown>>,
    place: Place,
    isSelector: boolean,
  ): unknown {
    const out = Object.entries(fields).map(([name, value]) => {
      const at = [...place, name];
      return [name, this.#visitField(fields, value, at, isSelector)] as const;
    });
    return out.every(([name, value]) => value === fields[name]) ? fields : Object.fromEntries(out);
  }

  #visitField(
    parent: Readonly<Record<string, unknown>>,
    value: unknown,
    at: Place,
    isSelector: boolean,
  ): unknown {
    const name = String(at.at(-1));
    if (name === 'namespace' && typeof value === 'string') {
      return labels.has(String(at.at(-2))) ? value : this.#replace(value, at);
    }
    if (lists.has(name) && Array.isArray(value)) {
      const list = value.map((one) => this.#replace(one, at));
      return list.every((one, i) => one === value[i]) ? value : list;
    }
    if (isSelector && name === 'kubernetes.io/metadata.name') return this.#replace(value, at);
    const isOfName = parent['key'] === 'kubernetes.io/metadata.name';
    if (isSelector && name === 'values' && isOfName && Array.isArray(value)) {
      return value.map((one) => this.#replace(one, at));
    }
    const isSubject = name === 'name' && ['User', 'Group'].includes(String(parent['kind']));
    if (isSubject && typeof value === 'string') return this.#replaceSubject(value, at);
    return this.visit(value, at, isSelector || /[nN]amespaceSelector$/.test(name));
  }

  #replace(value: unknown, at: Place): unknown {
    const to = this.#mapped(value);
    if (to === undefined) return value;
    this.#draft.note('Mapped', pathText(at), `namespace ${String(value)} is ${to} there`);
    return to;
  }

  /** `system:serviceaccount:NAMESPACE:NAME` and `system:serviceaccounts:NAMESPACE`. */
  #replaceSubject(value: string, at: Place): string {
    const [, before, name, after = ''] =
      /^(system:serviceaccounts?:)([^:]+)(:.*)?$/.exec(value) ?? [];
    if (before === undefined) return value;
    return `${before}${String(this.#replace(name, at))}${after}`;
  }
}

/** `web.shop.svc`, with what may follow; the namespace alone is too short to be sure of. */
const serviceName = /([a-z0-9-]+)\.([a-z0-9-]+)\.svc\b/g;

function mapServiceNames(draft: Draft, context: TransformContext, names: Names): KubeObject {
  const paths: readonly FieldPath[] = containerPaths(draft.object).flatMap((path) => [
    [...path, 'env', each, 'value'],
    [...path, 'args', each],
    [...path, 'command', each],
  ]);
  let { object } = draft;
  for (const path of paths) {
    object = changeAt(object, path, (value, place) => {
      if (typeof value !== 'string') return value;
      const to = value.replaceAll(serviceName, (text: string, service: string, from: string) => {
        const mapped = Object.hasOwn(names, from) ? names[from] : undefined;
        return mapped === undefined ? text : `${service}.${mapped}.svc`;
      });
      if (to === value) return value;
      const field = pathText(place);
      if (context.serviceNames === true) {
        draft.note('Mapped', field, 'names of services are of the new namespace');
        return to;
      }
      const message = 'it names a service by its old namespace';
      draft.note('Warning', field, message, 'Ask for service names to be rewritten, or patch it.');
      return value;
    });
  }
  return object;
}
