// Objects of our kinds that a server with our CRDs must take or refuse; README.md has the format.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { kinds } from '../../../src/api/kinds/all.ts';
import { group, type KindDefinition, version } from '../../../src/api/kinds/kind.ts';

export interface SampleObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface Sample {
  /** Such as `invalid-volume.yaml: tiny, refused`. */
  readonly title: string;
  readonly definition: KindDefinition;
  readonly object: SampleObject;
  /** A change of the object with this name that was taken before. */
  readonly change: boolean;
  /** Part of the server's message; undefined for what it takes. */
  readonly refused: string | undefined;
}

const prefix = 'samples.transship.dev/';

function sampleOf(file: string, object: SampleObject): Sample {
  const definition = kinds.find(({ kind }) => kind === object.kind);
  if (definition === undefined) throw new Error(`${file} has no kind of ours: ${object.kind}`);
  const annotations = object.metadata.annotations ?? {};
  const refused = annotations[`${prefix}refused`];
  const change = annotations[`${prefix}change`] === 'true';
  if ((refused === undefined) !== file.startsWith('valid-')) {
    throw new Error(`${file}: ${object.metadata.name} is in the wrong file`);
  }
  const verb = change ? 'changed' : 'made';
  const title = `${file}: ${object.metadata.name} ${refused === undefined ? verb : 'refused'}`;
  return { title, definition, object, change, refused };
}

/** All samples, the valid ones of every kind first. */
export function readSamples(): readonly Sample[] {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.yaml'));
  return files
    .toSorted()
    .toReversed()
    .flatMap((file) => {
      const content = readFileSync(join(import.meta.dirname, file), 'utf8');
      const documents = parseAllDocuments(content);
      return documents.map((document) => sampleOf(file, document.toJS() as SampleObject));
    });
}

/** Where objects of a kind are in the API. */
export function pathOf({ plural, namespaced }: KindDefinition, namespace: string): string {
  const place = namespaced ? `/namespaces/${namespace}` : '';
  return `/apis/${group}/${version}${place}/${plural}`;
}
