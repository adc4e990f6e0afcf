/** Which form of an answer the `Accept` header asks for (Kubernetes API concepts, "Tables"). */
import { notAcceptable } from './status.ts';

export type Form = 'object' | 'table' | 'partial' | 'discovery';

export interface Negotiated {
  readonly form: Form;
  /** Of the meta.k8s.io or apidiscovery.k8s.io group, when the form is not `object`. */
  readonly version: string;
  readonly yaml: boolean;
}

interface Range {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const plain: Negotiated = { form: 'object', version: '', yaml: false };

/** The first range that can be served. Protobuf cannot; whoever lists JSON too gets that. */
export function negotiate(accept: string | undefined, forms: readonly Form[]): Negotiated {
  if (accept === undefined || accept.trim() === '') return plain;
  for (const range of parseAccept(accept)) {
    const found = serve(range, forms);
    if (found !== undefined) return found;
  }
  throw notAcceptable(['application/json', 'application/yaml']);
}

function serve({ type, parameters }: Range, forms: readonly Form[]): Negotiated | undefined {
  const yaml = type === 'application/yaml';
  if (!yaml && !['application/json', 'application/*', '*/*'].includes(type)) return undefined;
  const as = parameters.get('as');
  if (as === undefined) return { ...plain, yaml };
  const group = parameters.get('g');
  const version = parameters.get('v') ?? 'v1';
  const known = knownForms[`${group}/${as}`];
  if (known === undefined || !forms.includes(known.form)) return undefined;
  return known.versions.includes(version) ? { form: known.form, version, yaml } : undefined;
}

const metaVersions = ['v1', 'v1beta1'];
const knownForms: Readonly<Record<string, { form: Form; versions: readonly string[] }>> = {
  'meta.k8s.io/Table': { form: 'table', versions: metaVersions },
  'meta.k8s.io/PartialObjectMetadata': { form: 'partial', versions: metaVersions },
  'meta.k8s.io/PartialObjectMetadataList': { form: 'partial', versions: metaVersions },
  'apidiscovery.k8s.io/APIGroupDiscoveryList': {
    form: 'discovery',
    versions: ['v2', 'v2beta1'],
  },
};

function parseAccept(accept: string): readonly Range[] {
  const ranges = accept.split(',').map((part) => {
    const [type = '', ...rest] = part.split(';').map((piece) => piece.trim());
    const pairs = rest.map((piece): [string, string] => {
      const at = piece.indexOf('=');
      return at < 0 ? [piece, ''] : [piece.slice(0, at), piece.slice(at + 1)];
    });
    return { type: type.toLowerCase(), parameters: new Map(pairs) };
  });
  const weight = (range: Range): number => Number(range.parameters.get('q') ?? 1);
  return ranges.toSorted((a, b) => weight(b) - weight(a));
}
